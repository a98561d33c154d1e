#[runspace::job("work")]
fn work() {}

fn main() {}
