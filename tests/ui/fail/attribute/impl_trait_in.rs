#[runspace::job]
fn work(numbers: impl Iterator<Item = u32>) -> u32 {
    numbers.sum()
}

fn main() {}
