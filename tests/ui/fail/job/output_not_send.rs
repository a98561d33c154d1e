use std::rc::Rc;

use runspace::start_thread_job;

fn main() {
    let _ = start_thread_job! { Rc::new(1) };
}
