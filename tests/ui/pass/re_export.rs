//! The macros by way of a library that passes them on, under names of its own.

use runspace_test_library::parallel::{each, start_job, start_thread_job};

fn main() {
    let factor = 2;
    let total: u32 = each!(0..3_u32, using(factor), |n| n * factor).sum();
    assert_eq!(total, 6);
    let there: u32 = each!(0..3_u32, on = process, using(factor), |n| n * factor).sum();
    assert_eq!(there, 6);
    assert_eq!(
        start_thread_job!(using(factor), { factor }).join().unwrap(),
        2
    );
    assert_eq!(start_job!(using(factor), { factor }).join().unwrap(), 2);
    let whole: u32 = runspace_test_library::runspace::foreach_parallel!(0..3_u32, |n| n).sum();
    assert_eq!(whole, 3);
}
