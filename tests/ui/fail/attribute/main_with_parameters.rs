#[runspace::main]
fn main(args: Vec<String>) {}
