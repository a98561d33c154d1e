#[runspace::job]
fn work(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

fn main() {}
