#[runspace::job]
struct Work;

fn main() {}
