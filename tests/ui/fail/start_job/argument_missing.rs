use runspace::start_job;

#[runspace::job]
fn work(_n: u8, _text: String) {}

fn main() {
    let _ = start_job!(work(1));
}
