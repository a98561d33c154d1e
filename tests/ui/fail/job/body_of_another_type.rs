use runspace::start_thread_job;

fn main() {
    let job: runspace::Job<String> = start_thread_job!({ 1 });
    drop(job);
}
