#[runspace::job(timeout = 5)]
fn work() {}

fn main() {}
