//! Promise 4: what is taken from the input and not yet consumed is at most `throttle + buffer`.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use runspace::foreach_parallel;
use support::{throughout, within};

#[test]
fn intake_never_exceeds_the_window() {
    within(120, || {
        for (throttle, buffer) in [(1, 0), (1, 1), (2, 0), (3, 5), (4, 100)] {
            for ordered in [false, true] {
                let taken = Arc::new(AtomicI64::new(0));
                let most = Arc::new(AtomicI64::new(0));
                let consumed = Arc::new(AtomicI64::new(0));
                let input = {
                    let (taken, most, consumed) = (taken.clone(), most.clone(), consumed.clone());
                    (0..3_000).inspect(move |_| {
                        let now = taken.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now - consumed.load(Ordering::SeqCst), Ordering::SeqCst);
                    })
                };
                let results = foreach_parallel!(
                    input,
                    throttle = throttle,
                    buffer = buffer,
                    ordered = ordered,
                    |n: u32| n
                );
                // `next` has given its item back before this line runs: one more may be taken.
                for _ in results {
                    consumed.fetch_add(1, Ordering::SeqCst);
                }
                let most = most.load(Ordering::SeqCst);
                let window = i64::try_from(throttle + buffer).unwrap();
                assert!(most <= window + 1, "{most} > {throttle} + {buffer}");
                assert_eq!(taken.load(Ordering::SeqCst), 3_000);
            }
        }
    });
}

#[test]
fn an_endless_input_waits_for_its_consumer() {
    within(60, || {
        let taken = Arc::new(AtomicU64::new(0));
        let seen = taken.clone();
        let input = (0_u64..).inspect(move |_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        let mut results = foreach_parallel!(input, throttle = 2, buffer = 6, |n| n);
        let quiet = Duration::from_millis(100);
        assert!(throughout(quiet, || seen.load(Ordering::SeqCst) <= 8));
        assert!(results.next().is_some());
        assert!(throughout(quiet, || seen.load(Ordering::SeqCst) <= 9));
    });
}

#[test]
fn an_item_that_emits_for_ever_waits_for_its_consumer() {
    within(60, || {
        let emitted = Arc::new(AtomicU64::new(0));
        let seen = emitted.clone();
        let mut results = foreach_parallel!(
            0..4,
            throttle = 2,
            buffer = 20,
            using(emitted),
            |_n, job| {
                loop {
                    job.emit(());
                    emitted.fetch_add(1, Ordering::SeqCst);
                }
            }
        );
        // Two workers, ten outputs each.
        assert!(throughout(Duration::from_millis(100), || seen
            .load(Ordering::SeqCst)
            <= 20));
        for _ in 0..1_000 {
            assert!(results.next().is_some());
        }
        drop(results); // ends both, although their bodies do not look at `stopping`
    });
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_million_items_stream_through_at_bounded_memory() {
    within(60, || {
        let run = || foreach_parallel!(0..1_000_000_u64, throttle = 2, |n| n).sum::<u64>();
        run();
        let before = resident();
        for _ in 0..3 {
            run();
        }
        let growth = resident().saturating_sub(before);
        assert!(growth < 8 * 1024, "grew by {growth} KiB");
    });
}

#[test]
fn a_slow_reader_of_an_ordered_stream_holds_no_more_than_the_window() {
    within(60, || {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let taken = Arc::new(AtomicU64::new(0));
        let seen = taken.clone();
        let input = (0_u64..1_000).inspect(move |_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        // The head of the line blocks: the others may run ahead by the window and no further.
        let results = foreach_parallel!(
            input,
            throttle = 3,
            buffer = 7,
            ordered = true,
            using(wait),
            |n| {
                if n == 0 {
                    let _ = wait.lock().unwrap().recv();
                }
                n
            }
        );
        assert!(throughout(Duration::from_millis(100), || seen
            .load(Ordering::SeqCst)
            <= 10));
        drop(go);
        assert!(results.eq(0..1_000));
    });
}
