//! Promise 3: at most `throttle` items run at once, at any moment; and as many do, if there are.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use runspace::{DEFAULT_THROTTLE, foreach_parallel};
use support::within;

/// Counts who is in, and the most that ever were.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn most_at_once(throttle: usize, items: u32, pause: Duration) -> usize {
    let gauge = Gauge::default();
    foreach_parallel!(0..items, throttle = throttle, using(&gauge), |_n| {
        gauge.enter();
        if pause > Duration::ZERO {
            std::thread::sleep(pause);
        }
        gauge.leave();
    })
    .wait();
    assert_eq!(gauge.now.into_inner(), 0);
    gauge.most.into_inner()
}

#[test]
fn never_more() {
    within(60, || {
        for throttle in [1, 2, 3, 7] {
            assert!(most_at_once(throttle, 100, Duration::from_millis(1)) <= throttle);
            assert!(most_at_once(throttle, 50_000, Duration::ZERO) <= throttle);
        }
    });
}

#[test]
fn as_many_as_the_throttle_when_items_wait_for_each_other() {
    within(60, || {
        for throttle in [1, 2, 5, 64] {
            // Ends only if `throttle` items are in their bodies together.
            let barrier = Arc::new(Barrier::new(throttle));
            foreach_parallel!(0..throttle * 3, throttle = throttle, using(barrier), |_n| {
                barrier.wait();
            })
            .wait();
        }
    });
}

#[test]
fn the_default_is_five() {
    within(60, || {
        assert_eq!(DEFAULT_THROTTLE, 5);
        let barrier = Arc::new(Barrier::new(5));
        foreach_parallel!(0..10, using(barrier), |_n| {
            barrier.wait();
        })
        .wait();
        let gauge = Gauge::default();
        foreach_parallel!(0..200, using(&gauge), |_n| {
            gauge.enter();
            std::thread::sleep(Duration::from_millis(1));
            gauge.leave();
        })
        .wait();
        assert!(gauge.most.into_inner() <= 5);
    });
}

#[test]
fn a_slow_item_among_cheap_ones_keeps_no_other_waiting() {
    within(60, || {
        // Cheap items first, so that batches form; then one that ends only when all others have.
        let done = Arc::new(AtomicUsize::new(0));
        let seen = done.clone();
        foreach_parallel!(
            0..20_000_usize,
            throttle = 2,
            buffer = 20_000,
            using(done),
            |n| {
                if n == 10_000 {
                    while done.load(Ordering::SeqCst) < 19_999 {
                        std::thread::yield_now();
                    }
                }
                done.fetch_add(1, Ordering::SeqCst);
            }
        )
        .wait();
        assert_eq!(seen.load(Ordering::SeqCst), 20_000);
    });
}

#[test]
fn a_result_does_not_wait_for_a_slow_item_of_its_batch() {
    within(60, || {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let mut results = foreach_parallel!(
            0..2_000_u32,
            throttle = 1,
            buffer = 2_000,
            using(wait),
            |n| {
                if n == 1_500 {
                    let _ = wait.lock().unwrap().recv();
                }
                n
            }
        );
        // All before the slow one arrive while it runs.
        let before: Vec<u32> = results.by_ref().take(1_500).collect();
        assert!(before.into_iter().eq(0..1_500));
        drop(go);
        assert_eq!(results.count(), 500);
    });
}

#[test]
fn an_item_does_not_wait_for_an_input_that_hesitates() {
    within(60, || {
        // A burst makes batches form; then each item must arrive before the next is given.
        let (give, input) = std::sync::mpsc::channel();
        for n in 0..5_000_u32 {
            give.send(n).unwrap();
        }
        let mut results = foreach_parallel!(input, throttle = 1, |n| n);
        assert_eq!(results.by_ref().take(5_000).count(), 5_000);
        for n in 0..20 {
            give.send(n).unwrap();
            assert_eq!(results.next(), Some(n));
        }
        drop(give);
        assert_eq!(results.next(), None);
    });
}

#[test]
fn blocked_calls_starve_no_other() {
    within(60, || {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let blocked: Vec<_> = (0..20)
            .map(|_| {
                foreach_parallel!(0..5, using(wait.clone()), |_n| {
                    let _ = wait.lock().unwrap().recv();
                })
            })
            .collect();
        let sum: u32 = foreach_parallel!(0..100_u32, |n| n).sum();
        assert_eq!(sum, 4950);
        drop(go);
        blocked.into_iter().for_each(|it| it.wait());
    });
}
