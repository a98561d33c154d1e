use std::cell::Cell;

use runspace::foreach_parallel;

fn main() {
    let count = Cell::new(1);
    foreach_parallel!(0..3, on = plan, using(count), |n: i32| n + count.get());
}
