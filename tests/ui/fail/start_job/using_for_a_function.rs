use runspace::start_job;

#[runspace::job]
fn work(_n: u8) {}

fn main() {
    let a = 1;
    let _ = start_job!(using(a), work(a));
}
