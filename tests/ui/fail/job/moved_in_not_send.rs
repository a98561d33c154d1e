use runspace::start_thread_job;

fn main() {
    let count = std::rc::Rc::new(1);
    let _ = start_thread_job!({ *count });
}
