use std::path::Path;

#[runspace::job]
fn work(path: &Path) -> bool {
    path.exists()
}

fn main() {}
