use runspace::start_thread_job;

fn work() -> u8 {
    1
}

fn main() {
    let _ = start_thread_job!(name = "a", work());
}
