#[runspace::job]
fn work<const N: usize>(values: [u8; N]) -> usize {
    values.len()
}

fn main() {}
