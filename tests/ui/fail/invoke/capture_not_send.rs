use runspace::{Runspace, invoke};
use std::rc::Rc;

fn main() {
    let runspace = Runspace::open().unwrap();
    let count = Rc::new(1);
    let _ = invoke!(&runspace, using(count), { *count });
}
