use runspace::start_job;

fn main() {
    let _ = start_job!(async |job| job.emit(1));
}
