#[runspace::job]
fn work<T: Clone>(value: T) -> T {
    value
}

fn main() {}
