#[runspace::job]
fn work(text: &str) -> usize {
    text.len()
}

fn main() {}
