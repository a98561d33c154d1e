const NAME: &str = "work";

#[runspace::job(name = NAME)]
fn work() {}

fn main() {}
