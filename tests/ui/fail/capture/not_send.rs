use std::rc::Rc;

use runspace::foreach_parallel;

fn main() {
    let count = Rc::new(1);
    foreach_parallel!(0..3, using(count), |n| *count + n);
}
