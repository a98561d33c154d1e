use runspace::start_thread_job;

fn main() {
    let _ = start_thread_job!(async |job| job.emit(1));
}
