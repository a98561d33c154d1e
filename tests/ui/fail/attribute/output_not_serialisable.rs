use runspace::start_job;

#[runspace::job]
fn work(path: String) -> Result<String, std::io::Error> {
    std::fs::read_to_string(path)
}

fn main() {
    let _ = start_job!(work(String::from("a")));
}
