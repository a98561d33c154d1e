use runspace::start_job;

fn main() {
    let queue = runspace::JobQueue::new(1);
    let _ = start_job!(queue = &queue, { 1 });
}
