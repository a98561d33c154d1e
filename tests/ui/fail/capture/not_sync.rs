use std::cell::Cell;

use runspace::foreach_parallel;

fn main() {
    let count = Cell::new(1);
    foreach_parallel!(0..3, using(count), |n| count.get() + n);
}
