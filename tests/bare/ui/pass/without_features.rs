// What needs no feature, on every back end that is there.

use runspace::{Plan, RunspacePool, foreach_parallel, start_thread_job};

struct NoSerde(u32);

fn main() {
    let pool = RunspacePool::builder().max(2).open().unwrap();
    let factor = NoSerde(2);
    runspace::plan(Plan::Threads(Some(2)));
    let sum: u32 = foreach_parallel!(1..=3, on = plan, using(factor), |n: u32| n * factor.0).sum();
    assert_eq!(sum, 12);
    let sum: u32 = foreach_parallel!(1..=3, on = pool(&pool), |n: u32| n).sum();
    assert_eq!(sum, 6);
    let sum: u32 = foreach_parallel!(1..=3, on = sequential, retry = 1, |n: u32| n).sum();
    assert_eq!(sum, 6);
    assert_eq!(start_thread_job!({ 42 }).join().unwrap(), 42);
}
