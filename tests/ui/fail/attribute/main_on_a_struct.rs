#[runspace::main]
struct Main;

fn main() {}
