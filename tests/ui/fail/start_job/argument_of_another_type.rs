use runspace::start_job;

#[runspace::job]
fn work(_text: String) {}

fn main() {
    let _ = start_job!(work("text"));
}
