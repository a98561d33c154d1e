//! Time limits, further tries, an early end: what threads do beyond what every back end does
//! (which is in `conformance`).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runspace::{Cause, Halt, Retry, Throttle, Timeout, foreach_parallel};
use support::within;

const MS: Duration = Duration::from_millis(1);

/// The consumer waits for an item that has failed, and everybody else for the consumer.
#[test]
fn a_further_try_waits_for_no_output() {
    within(60, || {
        for throttle in [1, 2, 5] {
            let results = foreach_parallel!(
                0..12_u64,
                throttle = throttle,
                ordered = true,
                retry = Retry::every(2, 20 * MS),
                |n, item| {
                    assert!(n % 3 != 0 || item.attempt() > 1, "the first try of {n}");
                    (0..1000).for_each(|k| item.emit(1000 * n + k));
                }
            );
            let all: Vec<u64> = results.collect();
            assert!(all.into_iter().eq(0..12_000), "throttle {throttle}");
        }
    });
}

#[test]
fn an_item_out_of_time_is_reported_at_once_and_its_place_taken() {
    within(30, || {
        let free = Arc::new(AtomicBool::new(false));
        let mut outcomes = foreach_parallel!(
            0..5,
            throttle = 1,
            timeout = 50 * MS,
            using(free = Arc::clone(&free)),
            |n| {
                // Item 0 heeds nothing but this.
                while n == 0 && !free.load(Ordering::SeqCst) {
                    std::thread::sleep(MS);
                }
                n
            }
        )
        .outcomes();
        let first = outcomes.next().unwrap().unwrap_err();
        assert_eq!(first.index(), Some(0));
        assert!(
            matches!(first.cause(), Cause::TimedOut(limit) if *limit == 50 * MS),
            "{first}"
        );
        // The others run although the thread of item 0 is still busy with it.
        for n in 1..5 {
            assert_eq!(outcomes.next().unwrap().unwrap(), n);
        }
        assert!(!free.load(Ordering::SeqCst));
        free.store(true, Ordering::SeqCst);
        assert!(outcomes.next().is_none());
    });
}

#[test]
fn a_body_that_never_returns_does_not_keep_the_call_from_its_end() {
    within(30, || {
        let forever = Arc::new(AtomicBool::new(true));
        let outcomes = foreach_parallel!(
            0..3,
            throttle = 2,
            timeout = 30 * MS,
            using(forever = Arc::clone(&forever)),
            |n| {
                while n == 1 && forever.load(Ordering::SeqCst) {
                    std::thread::sleep(MS);
                }
            }
        )
        .outcomes();
        let failed = outcomes.filter(Result::is_err).count();
        assert_eq!(failed, 1);
        forever.store(false, Ordering::SeqCst);
    });
}

#[test]
fn an_item_out_of_time_is_told_to_stop_and_the_others_are_not() {
    within(30, || {
        let (told, heard) = std::sync::mpsc::channel();
        let results = foreach_parallel!(
            [true, false],
            throttle = 2,
            timeout = 100 * MS,
            using(told),
            |slow| {
                while slow && !runspace::stopping() {
                    std::thread::sleep(MS);
                }
                told.send((slow, runspace::stopping())).unwrap();
            }
        );
        let outcomes: Vec<_> = results.outcomes().collect();
        assert_eq!(outcomes.iter().filter(|it| it.is_err()).count(), 1);
        let mut all: Vec<_> = heard.iter().collect();
        all.sort_unstable();
        assert_eq!(all, [(false, false), (true, true)]);
    });
}

#[test]
fn an_emitter_out_of_time_stops_emitting() {
    within(30, || {
        let outcomes: Vec<_> = foreach_parallel!([()], timeout = 50 * MS, |(), job| {
            loop {
                job.emit(1);
                std::thread::sleep(MS);
            }
        })
        .outcomes()
        .collect();
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert!(!good.is_empty());
        assert_eq!(bad.len(), 1);
        assert!(matches!(
            bad[0].as_ref().unwrap_err().cause(),
            Cause::TimedOut(_)
        ));
    });
}

#[test]
fn the_median_sets_the_limit() {
    within(60, || {
        let timeout = Timeout::median(10.0).at_least(200 * MS);
        let outcomes: Vec<_> = foreach_parallel!(0..20, throttle = 1, timeout = timeout, |n| {
            let start = Instant::now();
            while !runspace::stopping() && start.elapsed() < if n == 10 { 10_000 * MS } else { MS }
            {
                std::thread::sleep(MS);
            }
        })
        .outcomes()
        .collect();
        let bad: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].index(), Some(10));
    });
}

#[test]
fn a_deadline_reports_what_ran_what_waited_and_that_there_was_more() {
    within(30, || {
        let outcomes: Vec<_> = foreach_parallel!(
            0..,
            throttle = 2,
            buffer = 2,
            deadline = 1_000 * MS,
            |n: u64| {
                while n > 3 && !runspace::stopping() {
                    std::thread::sleep(MS);
                }
            }
        )
        .outcomes()
        .collect();
        let mut started = 0;
        let mut not_started = 0;
        let mut call = 0;
        for error in outcomes.iter().filter_map(|it| it.as_ref().err()) {
            match (error.index(), error.cause()) {
                (Some(_), Cause::DeadlinePassed { started: true, .. }) => started += 1,
                (Some(_), Cause::DeadlinePassed { started: false, .. }) => not_started += 1,
                (None, Cause::DeadlinePassed { .. }) => call += 1,
                other => panic!("{other:?}"),
            }
            assert!(!error.is_stopped());
        }
        assert_eq!(started, 2, "{outcomes:?}");
        assert_eq!(not_started, 2, "the buffer: {outcomes:?}");
        assert_eq!(call, 1, "the input had more");
    });
}

#[test]
fn a_deadline_that_is_kept_says_nothing() {
    within(30, || {
        let start = Instant::now();
        let results = foreach_parallel!(0..100, deadline = Duration::from_secs(3600), |n| n);
        assert_eq!(results.count(), 100);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the supervisor goes home"
        );
    });
}

#[test]
fn a_deadline_raises_where_results_are_just_read() {
    within(30, || {
        let raised = std::panic::catch_unwind(|| {
            foreach_parallel!(0.., deadline = 50 * MS, |n: u64| {
                std::thread::sleep(MS);
                n
            })
            .for_each(drop);
        });
        let text = *raised.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("deadline of 50ms"), "{text}");
    });
}

#[test]
fn others_run_while_an_item_waits_for_its_next_try() {
    within(30, || {
        let retry = Retry::every(1, 300 * MS);
        let order: Vec<u32> = foreach_parallel!(0..5, throttle = 1, retry = retry, |n| {
            assert!(n != 0 || runspace::attempt() == 2);
            n
        })
        .collect();
        assert_eq!(order, [1, 2, 3, 4, 0]);
    });
}

#[test]
fn a_stop_does_not_wait_for_the_next_try() {
    within(30, || {
        let tries = Arc::new(AtomicUsize::new(0));
        let retry = Retry::every(1, Duration::from_secs(3600));
        let results = foreach_parallel!(
            0..2,
            throttle = 1,
            retry = retry,
            using(tries = Arc::clone(&tries)),
            |n| {
                tries.fetch_add(1, Ordering::SeqCst);
                assert!(n > 9, "fails");
            }
        );
        support::until(|| tries.load(Ordering::SeqCst) == 2);
        results.stop();
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_clone_that_panics_fails_its_item_only() {
    struct Bomb(u32);
    impl Clone for Bomb {
        fn clone(&self) -> Self {
            assert!(self.0 != 1, "no copy");
            Self(self.0)
        }
    }
    within(30, || {
        let items = [Bomb(0), Bomb(1), Bomb(2)];
        let outcomes: Vec<_> = foreach_parallel!(items, ordered = true, retry = 1, |it| it.0)
            .outcomes()
            .collect();
        assert_eq!(*outcomes[0].as_ref().unwrap(), 0);
        assert!(
            outcomes[1]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("no copy")
        );
        assert_eq!(*outcomes[2].as_ref().unwrap(), 2);
    });
}

#[test]
fn an_item_out_of_time_is_tried_again() {
    within(30, || {
        let results: Vec<u32> = foreach_parallel!([7], timeout = 100 * MS, retry = 2, |n| {
            while runspace::attempt() < 3 && !runspace::stopping() {
                std::thread::sleep(MS);
            }
            n + runspace::attempt()
        })
        .collect();
        assert_eq!(results, [10]);
    });
}

#[test]
fn what_is_borrowed_is_not_left_behind() {
    within(30, || {
        let text = String::from("still here");
        let free = AtomicBool::new(false);
        let start = Instant::now();
        let failed = foreach_parallel!(
            [0, 1],
            using(&text, &free),
            throttle = 2,
            timeout = 20 * MS,
            |n| {
                let start = Instant::now();
                // Longer than a call waits for what it may leave behind.
                while n == 0 && start.elapsed() < 1_500 * MS {
                    std::thread::sleep(MS);
                }
                free.store(true, Ordering::SeqCst);
                text.len()
            }
        )
        .outcomes()
        .filter(Result::is_err)
        .count();
        assert_eq!(failed, 1);
        assert!(start.elapsed() >= 1_500 * MS);
    });
}

#[test]
fn soon_lets_what_runs_come_to_its_end() {
    within(30, || {
        let outcomes: Vec<_> =
            foreach_parallel!(0.., throttle = 2, halt = Halt::soon().done(3), |n: u64| {
                assert!(!runspace::stopping());
                n
            })
            .outcomes()
            .collect();
        let good = outcomes.iter().filter(|it| it.is_ok()).count();
        assert!((3..=4).contains(&good), "{good}");
        assert!(
            outcomes
                .iter()
                .filter_map(|it| it.as_ref().err())
                .all(|it| it.is_stopped())
        );
    });
}

#[test]
fn now_stops_what_runs() {
    within(30, || {
        let first = foreach_parallel!(
            [false, true],
            throttle = 2,
            halt = Halt::now().success(1),
            |quick| {
                if quick {
                    return Ok(());
                }
                while !runspace::stopping() {
                    std::thread::sleep(MS);
                }
                Err("too late")
            }
        )
        .find_map(Result::ok);
        assert_eq!(first, Some(()));
    });
}

#[test]
fn a_named_throttle_is_one_for_all_calls() {
    within(30, || {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let throttle = Throttle::named("limits-test", 2);
                foreach_parallel!(
                    0..20,
                    throttle = throttle,
                    using(running = Arc::clone(&running), most = Arc::clone(&most)),
                    |n| {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(MS);
                        running.fetch_sub(1, Ordering::SeqCst);
                        n
                    }
                )
            })
            .collect();
        assert_eq!(calls.into_iter().map(Iterator::count).sum::<usize>(), 60);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_call_inside_an_item_of_its_own_throttle_does_not_wait_for_itself() {
    within(30, || {
        let throttle = Throttle::shared(1);
        let inner = throttle.clone();
        let sums: Vec<u32> = foreach_parallel!(0..3, throttle = &throttle, using(inner), |n| {
            foreach_parallel!(0..3, throttle = &inner, move |m| n * m).sum()
        })
        .collect();
        assert_eq!(sums.into_iter().sum::<u32>(), 9);
    });
}

#[test]
fn a_call_that_waits_for_a_shared_place_can_be_stopped() {
    within(30, || {
        let throttle = Throttle::shared(1);
        let free = Arc::new(AtomicBool::new(false));
        let held = foreach_parallel!(
            [()],
            throttle = &throttle,
            using(free = Arc::clone(&free)),
            |()| {
                while !free.load(Ordering::SeqCst) {
                    std::thread::sleep(MS);
                }
            }
        );
        let waits = foreach_parallel!(0..3, throttle = &throttle, |n| n);
        std::thread::sleep(20 * MS);
        waits.stop();
        free.store(true, Ordering::SeqCst);
        assert_eq!(held.count(), 1);
    });
}

#[test]
fn a_throttle_can_be_raised_and_lowered_while_the_call_runs() {
    within(60, || {
        for borrowed in [false, true] {
            let running = AtomicUsize::new(0);
            let goal = AtomicUsize::new(0);
            let body = |n: usize| {
                running.fetch_add(1, Ordering::SeqCst);
                // Until the goal is met by as many at once, or given up.
                while running.load(Ordering::SeqCst) < goal.load(Ordering::SeqCst) {
                    std::thread::sleep(MS);
                }
                std::thread::sleep(MS);
                running.fetch_sub(1, Ordering::SeqCst);
                n
            };
            runspace::scope(|s| {
                // Few items and a long input that is at its end, or one that goes on.
                let items = if borrowed { 0..60 } else { 0..2_000 };
                let mut results = foreach_parallel!(
                    items,
                    within = s,
                    throttle = 1,
                    buffer = 100,
                    using(body),
                    |n| body(n)
                );
                let throttle = results.throttle();
                assert_eq!(throttle.get(), 1);
                assert!(results.next().is_some());
                goal.store(4, Ordering::SeqCst);
                throttle.set(4);
                support::until(|| running.load(Ordering::SeqCst) >= 4);
                goal.store(0, Ordering::SeqCst);
                throttle.set(1);
                // What runs ends, and then there is one at a time.
                for _ in 0..10 {
                    results.next();
                }
                assert!(running.load(Ordering::SeqCst) <= 4);
                support::until(|| running.load(Ordering::SeqCst) <= 1);
                assert!(support::throughout(20 * MS, || running
                    .load(Ordering::SeqCst)
                    <= 1));
            });
        }
    });
}

#[test]
fn an_automatic_throttle_grows_with_items_that_wait() {
    within(60, || {
        let most = AtomicUsize::new(0);
        let running = AtomicUsize::new(0);
        let start = Instant::now();
        runspace::scope(|s| {
            let results = foreach_parallel!(
                0..,
                within = s,
                throttle = Throttle::auto(),
                using(&most, &running),
                |n: u64| {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(5 * MS);
                    running.fetch_sub(1, Ordering::SeqCst);
                    n
                }
            );
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            for _ in results {
                if most.load(Ordering::SeqCst) > 2 * cores
                    || start.elapsed() > Duration::from_secs(40)
                {
                    break;
                }
            }
            assert!(most.load(Ordering::SeqCst) > 2 * cores);
        });
    });
}

#[cfg(feature = "rate")]
#[test]
fn a_rate_spaces_the_starts() {
    within(60, || {
        let starts: Vec<Instant> = foreach_parallel!(
            0..21,
            throttle = 4,
            ordered = true,
            rate = 100.per_second(),
            |_n| Instant::now()
        )
        .collect();
        let first = starts.iter().min().unwrap();
        let last = starts.iter().max().unwrap();
        // Twenty spaces of 10 ms; no less, however fast the machine is.
        assert!(*last - *first >= 190 * MS, "{:?}", *last - *first);
        let results = foreach_parallel!(0..10, rate = 1.per_hour(), |n| n);
        std::thread::sleep(20 * MS);
        results.stop();
    });
}

#[test]
fn no_item_is_lost_while_the_throttle_goes_up_and_down() {
    within(60, || {
        for round in 0..30 {
            let results = foreach_parallel!(0..3_000_u64, throttle = 1 + round % 4, |n| n);
            let throttle = results.throttle();
            let turner = std::thread::spawn(move || {
                for n in [4, 1, 3, 2, 8, 1, 1, 5] {
                    throttle.set(n);
                    std::thread::yield_now();
                }
            });
            let mut all: Vec<u64> = results.collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..3_000));
            turner.join().unwrap();
        }
    });
}

/// What a body that ignores its time-out costs, on back ends whose threads are others than those of a call.
macro_rules! ignored_time_outs {
    ($name:ident, on = $($on:tt)*) => {
        mod $name {
            use super::*;

            #[test]
            fn its_item_is_reported_and_the_call_ends_without_it() {
                within(60, || {
                    let free = Arc::new(AtomicBool::new(false));
                    let ran = Arc::new(AtomicUsize::new(0));
                    let outcomes = foreach_parallel!(
                        0..6_u64,
                        throttle = 2,
                        timeout = 1_000 * MS,
                        on = $($on)*,
                        using(free = Arc::clone(&free), ran = Arc::clone(&ran)),
                        |n| {
                            while n == 1 && !free.load(Ordering::SeqCst) {
                                std::thread::sleep(MS);
                            }
                            ran.fetch_add(1, Ordering::SeqCst);
                            n
                        }
                    )
                    .outcomes();
                    // To its end, while the body is where it was.
                    let outcomes: Vec<_> = outcomes.collect();
                    assert_eq!(ran.load(Ordering::SeqCst), 5);
                    assert!(!free.load(Ordering::SeqCst));
                    for error in outcomes.iter().filter_map(|it| it.as_ref().err()) {
                        assert!(matches!(error.cause(), Cause::TimedOut(_)), "{error}");
                        assert_eq!(error.index(), Some(1));
                    }
                    support::assert_one_outcome_each(&outcomes, 6);
                    // It comes back, and its thread is of use again.
                    free.store(true, Ordering::SeqCst);
                    support::until(|| ran.load(Ordering::SeqCst) == 6);
                    let both = Arc::new(std::sync::Barrier::new(2));
                    let met = foreach_parallel!(0..2, throttle = 2, on = $($on)*, using(both), |_| {
                        both.wait();
                    });
                    assert_eq!(met.count(), 2);
                });
            }

            #[test]
            fn a_late_value_is_never_counted_beside_the_time_out() {
                within(60, || {
                    // Ends right at the limit: whichever comes first, it is one of the two.
                    let outcomes: Vec<_> = foreach_parallel!(
                        0..100_u64,
                        throttle = 2,
                        timeout = 2 * MS,
                        on = $($on)*,
                        |n| {
                            std::thread::sleep(2 * MS);
                            n
                        }
                    )
                    .outcomes()
                    .collect();
                    support::assert_one_outcome_each(&outcomes, 100);
                });
            }

            #[test]
            fn a_deadline_ends_a_call_whose_threads_are_all_taken() {
                within(60, || {
                    let free = Arc::new(AtomicBool::new(false));
                    let outcomes: Vec<_> = foreach_parallel!(
                        0..6_u64,
                        throttle = 2,
                        timeout = 20 * MS,
                        deadline = 500 * MS,
                        on = $($on)*,
                        using(free = Arc::clone(&free)),
                        |n| {
                            while !free.load(Ordering::SeqCst) {
                                std::thread::sleep(MS);
                            }
                            n
                        }
                    )
                    .outcomes()
                    .collect();
                    // Those that no thread was left for have not begun.
                    let late = |it: &&runspace::ItemError| {
                        matches!(
                            it.cause(),
                            Cause::TimedOut(_) | Cause::DeadlinePassed { .. }
                        )
                    };
                    let errors = outcomes.iter().filter_map(|it| it.as_ref().err());
                    assert_eq!(errors.filter(late).filter(|it| it.index().is_some()).count(), 6);
                    free.store(true, Ordering::SeqCst);
                });
            }
        }
    };
}

ignored_time_outs!(ignored_on_threads, on = thread);
ignored_time_outs!(ignored_on_a_pool, on = pool(&pool_of_two()));
#[cfg(feature = "rayon")]
ignored_time_outs!(ignored_on_rayon, on = rayon(&rayon_of_two()));

/// One for each test, which has a thread of its own.
fn pool_of_two() -> runspace::RunspacePool {
    use runspace::RunspacePool;
    thread_local! {
        static OWN: RunspacePool = RunspacePool::builder().max(2).open().unwrap();
    }
    OWN.with(Clone::clone)
}

#[cfg(feature = "rayon")]
fn rayon_of_two() -> Arc<rayon::ThreadPool> {
    thread_local! {
        static OWN: Arc<rayon::ThreadPool> =
            Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap());
    }
    OWN.with(Arc::clone)
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn a_value_that_comes_right_at_the_limit_is_counted_once_on_processes() {
    within(120, || {
        let outcomes: Vec<_> = foreach_parallel!(
            0..30_u64,
            throttle = 2,
            timeout = 20 * MS,
            on = process,
            |n| {
                std::thread::sleep(20 * MS);
                n
            }
        )
        .outcomes()
        .collect();
        support::assert_one_outcome_each(&outcomes, 30);
    });
}
