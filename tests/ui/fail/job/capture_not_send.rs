use std::rc::Rc;

use runspace::start_thread_job;

fn main() {
    let count = Rc::new(1);
    let _ = start_thread_job!(using(count), { *count });
}
