use std::fs;

use runspace::foreach_parallel;

fn main() {
    let paths = vec![String::from("a")];
    foreach_parallel!(paths, on = process, |path| fs::read_to_string(path));
}
