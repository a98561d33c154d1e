use std::rc::Rc;

use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, |n: usize| Rc::new(n));
}
