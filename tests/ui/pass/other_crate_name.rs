//! The crate may go by another name, and its own name may mean something else.

extern crate runspace as parallel;

mod runspace {}

use parallel::foreach_parallel as each;

fn main() {
    let mut doubled: Vec<i32> = each!(0..3, |n| 2 * n).collect();
    doubled.sort();
    assert_eq!(doubled, [0, 2, 4]);
    let job = parallel::start_thread_job!({ 1 });
    assert_eq!(job.join().unwrap(), 1);
}
