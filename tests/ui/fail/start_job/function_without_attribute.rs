use runspace::start_job;

fn work(_n: u8) {}

fn main() {
    let _ = start_job!(work(1));
}
