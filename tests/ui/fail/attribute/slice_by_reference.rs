#[runspace::job]
fn work<'a>(numbers: &'a [u32]) -> u32 {
    numbers.iter().sum()
}

fn main() {}
