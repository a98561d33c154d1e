#[runspace::main]
fn start() {}

fn main() {}
