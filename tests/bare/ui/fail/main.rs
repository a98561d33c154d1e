#[runspace::main]
fn main() {}
