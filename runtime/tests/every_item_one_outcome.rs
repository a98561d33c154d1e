//! Promise 1: every item taken from the input ends in exactly one outcome.
//! Promise 2: the failure of one item fails no other, and says which it was.

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runspace::{Cause, foreach_parallel, pipeline};
use support::within;

#[test]
fn all_values_arrive_once() {
    within(60, || {
        for throttle in [1, 2, 5, 64] {
            let mut all: Vec<u32> =
                foreach_parallel!(0..10_000, throttle = throttle, |n| n).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..10_000), "throttle {throttle}");
        }
    });
}

#[test]
fn ordered_is_the_order_of_the_input() {
    within(60, || {
        for throttle in [1, 3, 16] {
            let all: Vec<u32> =
                foreach_parallel!(0..5_000, throttle = throttle, ordered = true, |n| n).collect();
            assert!(all.into_iter().eq(0..5_000), "throttle {throttle}");
        }
    });
}

/// `for_each`, `sum` and the like take whole stretches of values; a `for` loop takes one after the other.
#[test]
fn folded_is_what_one_by_one_is() {
    within(60, || {
        for throttle in [1, 2, 7] {
            for buffer in [1, 40, 3000] {
                let mut next = 0;
                foreach_parallel!(
                    0..5_000_u32,
                    throttle = throttle,
                    buffer = buffer,
                    ordered = true,
                    |n| n
                )
                .for_each(|n| {
                    assert_eq!(n, next, "throttle {throttle}, buffer {buffer}");
                    next += 1;
                });
                assert_eq!(next, 5_000);
                let results =
                    foreach_parallel!(0..5_000_u64, throttle = throttle, buffer = buffer, |n| n);
                assert_eq!(results.sum::<u64>(), 12_497_500);
            }
        }
        // Begun one by one, and gone on with as a whole.
        let mut results = foreach_parallel!(0..1_000_u64, throttle = 2, |n| n);
        let first: u64 = results.by_ref().take(10).sum();
        assert_eq!(first + results.sum::<u64>(), 499_500);
    });
}

/// A result that counts how many of them there are.
struct Counted(u32, Arc<AtomicU64>);

impl Counted {
    fn new(n: u32, count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(n, Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_panic_of_who_folds_drops_every_result_once() {
    within(60, || {
        for ordered in [false, true] {
            for at in [0, 1, 33, 700] {
                let count = Arc::new(AtomicU64::new(0));
                let made = Arc::clone(&count);
                let results = foreach_parallel!(
                    0..2_000,
                    throttle = 2,
                    ordered = ordered,
                    using(made),
                    |n| { Counted::new(n, &made) }
                );
                let mut seen = 0;
                let left = catch_unwind(AssertUnwindSafe(|| {
                    results.for_each(|it| {
                        assert!(seen != at, "enough after {}", it.0);
                        seen += 1;
                    });
                }));
                assert!(left.is_err());
                assert_eq!(seen, at);
                assert_eq!(count.load(Ordering::SeqCst), 0, "after {at}");
            }
        }
    });
}

#[test]
fn a_failure_ends_a_fold_where_it_comes() {
    within(20, || {
        let results = foreach_parallel!(0..100, throttle = 1, ordered = true, |n| {
            assert!(n != 40, "no {n}");
            n
        });
        let mut seen = Vec::new();
        let left = catch_unwind(AssertUnwindSafe(|| results.for_each(|n| seen.push(n))));
        assert_eq!(left.unwrap_err().downcast_ref::<String>().unwrap(), "no 40");
        assert!(seen.into_iter().eq(0..40));
    });
}

#[test]
fn no_items_is_no_results() {
    within(20, || {
        let none: Vec<u8> = foreach_parallel!(Vec::<u8>::new(), |n| n).collect();
        assert!(none.is_empty());
        foreach_parallel!(std::iter::empty::<u8>(), |n| n).wait();
    });
}

#[test]
fn failures_keep_index_message_and_line_and_fail_no_other() {
    within(20, || {
        let line = line!() + 1;
        let outcomes: Vec<_> = foreach_parallel!(0..100_u64, throttle = 4, name = "tens", |n| {
            assert!(n % 10 != 3, "no {n}");
            n
        })
        .outcomes()
        .collect();
        assert_eq!(outcomes.len(), 100);
        let good: HashSet<u64> = outcomes
            .iter()
            .filter_map(|it| it.as_ref().ok().copied())
            .collect();
        assert_eq!(good.len(), 90);
        let bad: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
        let indices: HashSet<u64> = bad.iter().filter_map(|it| it.index()).collect();
        assert!(indices.iter().all(|it| it % 10 == 3) && indices.len() == 10);
        for error in bad {
            let Cause::Panicked(payload) = error.cause() else {
                panic!("{error}")
            };
            assert_eq!(payload.message(), format!("no {}", error.index().unwrap()));
            assert_eq!(error.location().line(), line);
            assert_eq!(error.call_name(), Some("tens"));
            assert_eq!(error.attempt(), 1);
        }
    });
}

#[test]
fn a_failure_in_a_pipeline_says_in_which_stage() {
    within(20, || {
        let line = line!();
        let outcomes = pipeline!(
            0..9_u64
                | foreach_parallel(name = "reading", throttle = 2, |n| n)
                | filter(|n| n % 2 == 0)
                | foreach_parallel(name = "checking", throttle = 2, |n| assert!(
                    n != 4,
                    "no four"
                ))
                | outcomes()
        );
        let errors: Vec<_> = outcomes.filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1);
        // At the fifth line of the call, where the stage stands.
        assert_eq!(errors[0].location().line(), line + 5, "{}", errors[0]);
        assert_eq!(errors[0].call_name(), Some("checking"));
    });
}

#[test]
fn plain_iteration_raises_the_original_payload_and_can_go_on() {
    within(20, || {
        #[derive(Debug, PartialEq)]
        struct Mine(u32);
        let mut results = foreach_parallel!(0..5_u32, ordered = true, |n| {
            if n == 2 {
                panic_any(Mine(n));
            }
            n
        });
        let mut next = || catch_unwind(AssertUnwindSafe(|| results.next()));
        assert_eq!(next().unwrap(), Some(0));
        assert_eq!(next().unwrap(), Some(1));
        assert_eq!(next().unwrap_err().downcast_ref(), Some(&Mine(2)));
        assert_eq!(next().unwrap(), Some(3));
        assert_eq!(next().unwrap(), Some(4));
        assert_eq!(next().unwrap(), None);
    });
}

#[test]
fn a_payload_that_panics_when_dropped_harms_nobody() {
    within(20, || {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("bomb");
            }
        }
        let outcomes: Vec<_> = foreach_parallel!(0..20_u32, |n| {
            if n == 7 {
                panic_any(Bomb);
            }
            n
        })
        .outcomes()
        .collect();
        assert_eq!(outcomes.len(), 20);
        assert_eq!(outcomes.iter().filter(|it| it.is_err()).count(), 1);
        drop(outcomes);
    });
}

#[test]
fn an_input_that_panics_ends_the_call_after_the_items_before_it() {
    within(20, || {
        for ordered in [false, true] {
            let input = (0..).inspect(|n| assert!(*n != 50, "input broke"));
            let outcomes: Vec<_> = foreach_parallel!(input, ordered = ordered, |n: u32| n)
                .outcomes()
                .collect();
            assert_eq!(outcomes.len(), 51);
            let last = outcomes.last().unwrap().as_ref().unwrap_err();
            assert_eq!(last.index(), Some(50));
            assert!(
                matches!(last.cause(), Cause::InputPanicked(it) if it.message() == "input broke")
            );
        }
        let broken = std::iter::repeat_with(|| -> u32 { panic!("at once") });
        let raised = catch_unwind(|| foreach_parallel!(broken, |n| n).wait()).unwrap_err();
        assert_eq!(raised.downcast_ref(), Some(&"at once"));
    });
}

#[test]
fn a_failing_init_fails_the_call_once_with_its_text() {
    within(20, || {
        let ran = Arc::new(AtomicU64::new(0));
        let outcomes: Vec<_> = foreach_parallel!(
            0..100_u32,
            throttle = 4,
            using(ran.clone()),
            init(
                _db = {
                    if true {
                        panic!("no database")
                    }
                }
            ),
            |_n| {
                ran.fetch_add(1, Ordering::Relaxed);
            }
        )
        .outcomes()
        .collect();
        let failed: Vec<_> = outcomes
            .iter()
            .map(|it| it.as_ref().unwrap_err())
            .filter(|it| !it.is_stopped())
            .collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].index(), None);
        assert!(
            matches!(failed[0].cause(), Cause::InitPanicked(it) if it.message() == "no database")
        );
        assert!(
            failed[0].to_string().contains("no database"),
            "{}",
            failed[0]
        );
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    });
}

/// A value whose destructor panics, in each place that a call keeps values.
struct Spiked(#[allow(dead_code)] u32);

impl Drop for Spiked {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("spiked");
        }
    }
}

#[test]
fn a_destructor_that_panics_in_the_body_is_that_item() {
    within(20, || {
        let outcomes = foreach_parallel!(0..10_u32, |n| {
            let _it = (n == 4).then(|| Spiked(n));
            n
        })
        .outcomes();
        let bad: Vec<_> = outcomes.filter_map(Result::err).collect();
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].index(), Some(4));
    });
}

#[test]
fn a_destructor_that_panics_in_a_capture_comes_after_all_items() {
    within(20, || {
        let spiked = Spiked(1);
        let outcomes: Vec<_> = foreach_parallel!(0..10_u32, using(spiked), |n| {
            let _ = &spiked;
            n
        })
        .outcomes()
        .collect();
        assert_eq!(outcomes.len(), 11);
        let last = outcomes.last().unwrap().as_ref().unwrap_err();
        assert!(matches!(last.cause(), Cause::DropPanicked(it) if it.message() == "spiked"));
        assert_eq!(last.index(), None);
    });
}

#[test]
fn a_destructor_that_panics_in_a_discarded_result_is_raised_at_the_end() {
    within(20, || {
        let ran = AtomicU64::new(0);
        let raised = catch_unwind(AssertUnwindSafe(|| {
            foreach_parallel!(0..10_u32, using(&ran), |n| {
                ran.fetch_add(1, Ordering::Relaxed);
                (n == 3).then(|| Spiked(n))
            })
            .wait();
        }));
        assert_eq!(raised.unwrap_err().downcast_ref(), Some(&"spiked"));
        assert_eq!(ran.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn a_destructor_that_panics_in_a_result_nobody_reads_does_not_hang_a_stop() {
    within(20, || {
        let mut results = foreach_parallel!(0..1000_u32, |n| (n > 0).then(|| Spiked(n)));
        std::mem::forget(results.next());
        let raised = catch_unwind(AssertUnwindSafe(|| drop(results)));
        drop(raised);
    });
}

#[test]
fn items_that_emit_arrive_whole_and_in_order_within_the_item() {
    within(30, || {
        for ordered in [false, true] {
            let all: Vec<(u32, u32)> =
                foreach_parallel!(0..200_u32, throttle = 4, ordered = ordered, |n, job| {
                    assert_eq!(job.index(), u64::from(n));
                    for part in 0..n % 7 {
                        job.emit((n, part));
                    }
                })
                .collect();
            let count: u32 = (0..200).map(|n| n % 7).sum();
            assert_eq!(all.len(), count as usize);
            for n in 0..200 {
                let parts: Vec<u32> = all.iter().filter(|it| it.0 == n).map(|it| it.1).collect();
                assert!(parts.into_iter().eq(0..n % 7));
            }
            if ordered {
                assert!(all.is_sorted());
            }
        }
    });
}

#[test]
fn what_an_item_emitted_before_it_failed_is_kept() {
    within(20, || {
        for ordered in [false, true] {
            let outcomes: Vec<_> = foreach_parallel!(0..3_u32, ordered = ordered, |n, job| {
                job.emit(n);
                assert!(n != 1, "half-way");
                job.emit(n + 10);
            })
            .outcomes()
            .collect();
            assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 5);
            let error = outcomes.iter().find_map(|it| it.as_ref().err()).unwrap();
            assert_eq!(error.index(), Some(1));
        }
    });
}

#[test]
fn a_panic_after_a_stop_leaves_no_item_without_an_outcome() {
    within(60, || {
        for _ in 0..20 {
            let outcomes = foreach_parallel!(0..20_000_u64, throttle = 2, buffer = 4096, |n| {
                if n == 10_000 {
                    runspace::stop_token().stop();
                    panic!("after the stop");
                }
                n
            })
            .outcomes();
            let mut indices: Vec<u64> = outcomes
                .filter_map(|it| it.map_or_else(|error| error.index(), Some))
                .collect();
            indices.sort_unstable();
            let count = indices.len() as u64;
            assert!(count > 10_000);
            assert!(indices.into_iter().eq(0..count));
        }
    });
}

#[test]
fn a_million_items_that_do_nothing() {
    within(60, || {
        let sum: u64 = foreach_parallel!(0..1_000_000_u64, throttle = 2, |n| n).sum();
        assert_eq!(sum, 499_999_500_000);
    });
}
