use std::fs;

use runspace::start_job;

fn main() {
    let path = String::from("a");
    let _ = start_job!(using(path), { fs::read_to_string(path) });
}
