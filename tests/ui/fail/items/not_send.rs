use std::rc::Rc;

use runspace::foreach_parallel;

fn main() {
    let items = vec![Rc::new(1)];
    foreach_parallel!(items, |n| *n);
}
