/// Documented.
#[runspace::main]
async fn main() {}
