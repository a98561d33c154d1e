#[runspace::job]
fn work() -> impl Iterator<Item = u32> {
    0..3
}

fn main() {}
