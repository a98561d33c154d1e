use runspace::start_job;

fn main() {
    let number = 1;
    let _ = start_job!(|job| job.emit(number));
}
