use runspace::start_thread_job;

fn main() {
    let _ = start_thread_job!(|job| job.emit(std::rc::Rc::new(1)));
}
