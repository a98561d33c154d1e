use runspace::start_thread_job;

fn main() {
    let _ = start_thread_job!(init(a = 1), { a });
}
