use runspace::start_thread_job;

fn main() {
    let (a, b) = (std::rc::Rc::new(1), std::rc::Rc::new(2));
    let _ = start_thread_job!(using(a, c = 3, b), { *a + *b + c });
}
