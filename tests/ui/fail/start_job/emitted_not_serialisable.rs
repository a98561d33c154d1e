use runspace::start_job;

struct Answer(u32);

fn main() {
    let _ = start_job!(|job| job.emit(Answer(42)));
}
