#[runspace::job(name = "")]
fn work() {}

fn main() {}
