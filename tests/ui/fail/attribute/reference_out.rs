#[runspace::job]
fn work() -> &'static str {
    "text"
}

fn main() {}
