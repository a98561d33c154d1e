use runspace::{JobQueue, start_thread_job};

fn main() {
    let queue = JobQueue::new(1);
    let _ = start_thread_job!(queue = queue, { 1 });
}
