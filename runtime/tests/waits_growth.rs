//! A pool that grows or shrinks while calls run on it, and what waits on it meanwhile.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use runspace::{RunspacePool, foreach_parallel};
use support::{until, within};

#[test]
fn a_raised_maximum_is_seen_by_a_call_that_runs() {
    within(60, || {
        let pool = RunspacePool::builder().max(1).open().unwrap();
        let running = Arc::new(AtomicUsize::new(0));
        // All of them have to run at once.
        let barrier = Arc::new(Barrier::new(4));
        let captures = (Arc::clone(&running), barrier);
        let results = foreach_parallel!(0..4, on = pool(&pool), using(captures), |_| {
            captures.0.fetch_add(1, Ordering::SeqCst);
            captures.1.wait();
        });
        assert_eq!(results.throttle().get(), 1);
        until(|| running.load(Ordering::SeqCst) == 1);
        pool.set_max(4).unwrap();
        assert_eq!(results.throttle().get(), 4);
        assert_eq!(results.count(), 4);
    });
}

#[test]
fn a_throttle_that_was_set_stays() {
    within(60, || {
        let pool = RunspacePool::builder().max(2).open().unwrap();
        let own = foreach_parallel!(0..100, on = pool(&pool), throttle = 2, |n| n);
        let set = foreach_parallel!(0..100, on = pool(&pool), |n| n);
        set.throttle().set(1);
        pool.set_max(4).unwrap();
        assert_eq!((own.throttle().get(), set.throttle().get()), (2, 1));
        assert_eq!((own.count(), set.count()), (100, 100));
        let follows = foreach_parallel!(0..100, on = pool(&pool), |n| n);
        pool.set_max(1).unwrap();
        assert_eq!(follows.throttle().get(), 1);
        assert_eq!(follows.count(), 100);
    });
}
