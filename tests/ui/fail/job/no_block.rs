use runspace::start_thread_job;

fn main() {
    let a = 1;
    let _ = start_thread_job!(name = "a", using(a));
}
