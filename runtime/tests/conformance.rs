//! The same promises on every back end: one suite, written once, that each of them has to pass.
//!
//! Bodies here touch nothing but their items and what they answer, so that they mean the same
//! wherever they run.

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runspace::StopToken;
use support::within;

/// Nanoseconds on the clock that all processes of a machine share.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// The most spans that overlap at any moment.
fn most_at_once(spans: &[(u64, u64)]) -> usize {
    let mut steps: Vec<(u64, i32)> = spans
        .iter()
        .flat_map(|(start, end)| [(*start, 1), (*end, -1)])
        .collect();
    // At the same nanosecond an end comes before a start.
    steps.sort_unstable();
    let mut now = 0;
    let mut most = 0;
    for (_, step) in steps {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap()
}

/// Tells that an item runs, and waits in it until it is told to stop.
fn until_told(running: &Path) {
    std::fs::write(running, "").unwrap();
    while !runspace::stopping() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Stops `token` when an item waits for that.
fn stop_when_told(token: StopToken, running: &Path) -> JoinHandle<()> {
    let running = running.to_owned();
    std::thread::spawn(move || {
        support::until(|| running.exists());
        token.stop();
    })
}

macro_rules! conformance {
    ($name:ident, most = $most:expr, on = $($on:tt)*) => {
        conformance!($name, when = true, most = $most, on = $($on)*);
    };
    ($name:ident, when = $when:expr, most = $most:expr, on = $($on:tt)*) => {
        mod $name {
            use runspace::{Cause, Halt, Retry, foreach_parallel};

            use super::support::throughout;
            use super::*;

            fn within(secs: u64, body: impl FnOnce() + Send + 'static) {
                if $when {
                    super::within(secs, body);
                }
            }

            #[test]
            fn all_results_arrive_once() {
                within(60, || {
                    for throttle in [1, 3] {
                        let results =
                            foreach_parallel!(0..2_000_u64, on = $($on)*, throttle = throttle, |n| n * 2);
                        let mut all: Vec<u64> = results.collect();
                        all.sort_unstable();
                        assert!(all.into_iter().eq((0..2_000).map(|n| n * 2)));
                    }
                });
            }

            #[test]
            fn ordered_is_the_order_of_the_input() {
                within(60, || {
                    let results = foreach_parallel!(
                        (0..500_u64).map(|n| (n, n % 7)),
                        on = $($on)*,
                        throttle = 3,
                        ordered = true,
                        |(n, pause)| {
                            std::thread::sleep(Duration::from_micros(pause * 50));
                            n
                        }
                    );
                    assert!(results.eq(0..500));
                });
            }

            #[test]
            fn nothing_in_nothing_out() {
                within(60, || {
                    assert_eq!(foreach_parallel!(0..0_u8, on = $($on)*, |n| n).count(), 0);
                });
            }

            #[test]
            fn a_failure_is_one_item_and_says_which() {
                within(60, || {
                    let results = foreach_parallel!(0..100_u64, on = $($on)*, throttle = 3, |n| {
                        assert!(n % 10 != 3, "no {n}");
                        n
                    });
                    let outcomes: Vec<_> = results.outcomes().collect();
                    assert_eq!(outcomes.len(), 100);
                    let errors: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
                    assert_eq!(errors.len(), 10);
                    for error in errors {
                        let index = error.index().unwrap();
                        assert_eq!(index % 10, 3);
                        assert!(error.to_string().contains(&format!("no {index}")), "{error}");
                        assert_eq!(error.location().file(), file!());
                    }
                });
            }

            #[test]
            fn plain_iteration_raises_a_failure_and_stops_the_rest() {
                within(60, || {
                    let raised = catch_unwind(|| {
                        foreach_parallel!(0_u64.., on = $($on)*, throttle = 2, |n| {
                            assert!(n != 20, "twenty");
                            n
                        })
                        .for_each(drop);
                    });
                    assert!(raised.is_err());
                });
            }

            #[test]
            fn at_most_throttle_at_once() {
                within(60, || {
                    for throttle in [1, 2, 3] {
                        let results = foreach_parallel!(0..40, on = $($on)*, throttle = throttle, |_n| {
                            let start = now();
                            std::thread::sleep(Duration::from_millis(2));
                            (start, now())
                        });
                        let spans: Vec<(u64, u64)> = results.collect();
                        assert_eq!(spans.len(), 40);
                        let most = most_at_once(&spans);
                        assert!(most <= throttle.min($most), "{most} with a throttle of {throttle}");
                    }
                });
            }

            #[test]
            fn the_window_bounds_what_is_taken() {
                within(60, || {
                    let taken = Arc::new(AtomicI64::new(0));
                    let seen = taken.clone();
                    let input = (0_u64..).inspect(move |_| {
                        taken.fetch_add(1, Ordering::SeqCst);
                    });
                    let mut results =
                        foreach_parallel!(input, on = $($on)*, throttle = 2, buffer = 6, |n| n);
                    let quiet = Duration::from_millis(50);
                    assert!(throughout(quiet, || seen.load(Ordering::SeqCst) <= 8));
                    assert!(results.next().is_some());
                    assert!(throughout(quiet, || seen.load(Ordering::SeqCst) <= 9));
                });
            }

            #[test]
            fn an_item_may_emit_any_number() {
                within(60, || {
                    for ordered in [false, true] {
                        let results = foreach_parallel!(
                            0..60_u64,
                            on = $($on)*,
                            throttle = 3,
                            buffer = 3,
                            ordered = ordered,
                            |n, job| {
                                for part in 0..n % 5 {
                                    job.emit((n, part));
                                }
                            }
                        );
                        let mut all: Vec<(u64, u64)> = results.collect();
                        if !ordered {
                            all.sort_unstable();
                        }
                        let expected = (0..60).flat_map(|n| (0..n % 5).map(move |part| (n, part)));
                        assert!(all.into_iter().eq(expected));
                    }
                });
            }

            #[test]
            fn state_of_a_worker_is_made_where_it_is_used() {
                within(60, || {
                    let results = foreach_parallel!(
                        0..50_u64,
                        on = $($on)*,
                        throttle = 2,
                        init(seen = Vec::new()),
                        |n| {
                            seen.push(n);
                            seen.len()
                        }
                    );
                    let counts: Vec<usize> = results.collect();
                    assert_eq!(counts.len(), 50);
                    assert!(counts.contains(&1));
                });
            }

            #[test]
            fn captures_are_shared_by_all_items() {
                within(60, || {
                    let table = vec![10_u64, 20, 30];
                    let results = foreach_parallel!(
                        0..3_usize,
                        on = $($on)*,
                        ordered = true,
                        using(table.clone(), offset = 1),
                        |n| table[n] + offset
                    );
                    assert!(results.eq([11, 21, 31]));
                    assert_eq!(table.len(), 3);
                });
            }

            #[test]
            fn a_question_mark_ends_its_item() {
                within(60, || {
                    let words = ["1", "x", "3"].map(String::from);
                    let results = foreach_parallel!(words, on = $($on)*, ordered = true, |word| {
                        let n = word.parse::<u8>().map_err(|it| it.to_string())?;
                        Ok::<_, String>(n * 2)
                    });
                    let all: Vec<Result<u8, String>> = results.collect();
                    assert_eq!((&all[0], &all[2]), (&Ok(2), &Ok(6)));
                    assert!(all[1].is_err());
                });
            }

            #[test]
            fn an_input_that_panics_ends_the_call_after_what_it_gave() {
                within(60, || {
                    let input = (0_u64..).inspect(|n| assert!(*n != 30, "input broke"));
                    let outcomes: Vec<_> =
                        foreach_parallel!(input, on = $($on)*, throttle = 2, |n| n).outcomes().collect();
                    assert_eq!(outcomes.len(), 31);
                    let last = outcomes.last().unwrap().as_ref().unwrap_err();
                    assert_eq!(last.index(), Some(30));
                    assert!(matches!(last.cause(), Cause::InputPanicked(_)));
                });
            }

            #[test]
            fn a_drop_part_way_ends_an_endless_call() {
                within(60, || {
                    for _ in 0..20 {
                        let mut results = foreach_parallel!(0_u64.., on = $($on)*, throttle = 3, |n| n);
                        assert!(results.next().is_some());
                    }
                });
            }

            #[test]
            fn a_stop_from_another_thread_ends_the_stream() {
                within(60, || {
                    let results = foreach_parallel!(0_u64.., on = $($on)*, throttle = 3, |n| n);
                    let token = results.stop_token();
                    let stopper = std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(20));
                        token.stop();
                    });
                    results.for_each(drop);
                    stopper.join().unwrap();
                });
            }

            #[test]
            fn a_panic_of_the_consumer_ends_the_call() {
                within(60, || {
                    let raised = catch_unwind(AssertUnwindSafe(|| {
                        let mut results = foreach_parallel!(0_u64.., on = $($on)*, |n| n);
                        results.next();
                        panic!("consumer");
                    }));
                    assert_eq!(raised.unwrap_err().downcast_ref(), Some(&"consumer"));
                });
            }

            #[test]
            fn a_bare_statement_runs_every_item() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().to_owned();
                    foreach_parallel!(0..25, on = $($on)*, using(path), |n| {
                        std::fs::write(path.join(format!("{n}")), "").unwrap();
                    });
                    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 25);
                });
            }

            #[test]
            fn ten_thousand_small_items() {
                within(120, || {
                    let sum: u64 = foreach_parallel!(0..10_000_u64, on = $($on)*, throttle = 2, |n| n).sum();
                    assert_eq!(sum, 49_995_000);
                });
            }

            #[test]
            fn a_failure_is_tried_again_and_the_body_knows() {
                within(60, || {
                    let results = foreach_parallel!(0..30_u64, on = $($on)*, throttle = 3, retry = 2, |n| {
                        assert!(n % 3 < u64::from(runspace::attempt()), "too early");
                        (n, runspace::attempt())
                    });
                    let mut all: Vec<(u64, u32)> = results.collect();
                    all.sort_unstable();
                    let expected = (0..30).map(|n| (n, u32::try_from(n % 3).unwrap() + 1));
                    assert!(all.into_iter().eq(expected));
                });
            }

            #[test]
            fn an_item_knows_its_place_its_try_and_its_key() {
                within(60, || {
                    let told = foreach_parallel!(10..16_u64, on = $($on)*, retry = 1, |n, job| {
                        assert!(job.attempt() == 2, "the first try fails");
                        assert!(!job.stopping() && !job.stop_token().is_stopping());
                        job.emit((n, job.index(), job.key()));
                    });
                    let mut told: Vec<(u64, u64, String)> = told.collect();
                    told.sort();
                    assert!(told.iter().map(|it| (it.0, it.1)).eq((10..16).zip(0..)));
                    let keys: HashSet<String> = told.into_iter().map(|it| it.2).collect();
                    assert_eq!(keys.len(), 6);
                });
            }

            #[test]
            fn the_last_try_is_the_one_that_counts() {
                within(60, || {
                    let retry = Retry::every(2, Duration::from_millis(1));
                    let outcomes: Vec<_> =
                        foreach_parallel!([5_u8, 6], on = $($on)*, ordered = true, retry = retry, |n| {
                            assert!(n != 5, "on try {}", runspace::attempt());
                            n
                        })
                        .outcomes()
                        .collect();
                    let error = outcomes[0].as_ref().unwrap_err();
                    assert_eq!((error.index(), error.attempt()), (Some(0), 3));
                    assert!(error.to_string().contains("on try 3"), "{error}");
                    assert_eq!(*outcomes[1].as_ref().unwrap(), 6);
                });
            }

            #[test]
            fn an_err_is_a_failure_unless_retry_if_says_no() {
                within(60, || {
                    let results: Vec<Result<u32, String>> = foreach_parallel!(
                        ["flaky", "broken"].map(String::from),
                        on = $($on)*,
                        ordered = true,
                        retry = 5,
                        retry_if = |result| matches!(result, Err(text) if text == "flaky"),
                        |name| {
                            if runspace::attempt() < 4 { Err(name) } else { Ok(runspace::attempt()) }
                        }
                    )
                    .collect();
                    assert_eq!(results, [Ok(4), Err("broken".to_owned())]);
                });
            }

            #[test]
            fn an_item_out_of_time_is_its_own_failure() {
                within(60, || {
                    let outcomes: Vec<_> = foreach_parallel!(
                        0..6_u64,
                        on = $($on)*,
                        throttle = 2,
                        ordered = true,
                        timeout = Duration::from_millis(400),
                        |n| {
                            while n == 2 && !runspace::stopping() {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            n
                        }
                    )
                    .outcomes()
                    .collect();
                    assert_eq!(outcomes.len(), 6);
                    for (n, outcome) in outcomes.iter().enumerate() {
                        match outcome {
                            Ok(value) => assert_eq!(*value, n as u64),
                            Err(error) => {
                                assert_eq!((n, error.index()), (2, Some(2)), "{error}");
                                assert!(matches!(error.cause(), Cause::TimedOut(_)), "{error}");
                            }
                        }
                    }
                });
            }

            #[test]
            fn a_deadline_ends_everything_and_says_so() {
                within(60, || {
                    let outcomes: Vec<_> = foreach_parallel!(
                        0_u64..,
                        on = $($on)*,
                        throttle = 2,
                        deadline = Duration::from_millis(700),
                        |n| {
                            while n == 1 && !runspace::stopping() {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            n
                        }
                    )
                    .outcomes()
                    .collect();
                    let errors = || outcomes.iter().filter_map(|it| it.as_ref().err());
                    let passed = |it: &runspace::ItemError| matches!(it.cause(), Cause::DeadlinePassed { .. });
                    assert!(errors().all(passed), "{outcomes:?}");
                    assert!(errors().any(|it| it.index().is_none()), "the input had more");
                });
            }

            #[test]
            fn what_is_returned_after_a_stop_is_no_result() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let running = folder.path().join("running");
                    let own = running.clone();
                    let mut results = foreach_parallel!(0..4_u64, on = $($on)*, throttle = 2, using(own), |n| {
                        until_told(&own);
                        n
                    });
                    let report = results.report();
                    let stopper = stop_when_told(results.stop_token(), &running);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    stopper.join().unwrap();
                    assert!(!outcomes.is_empty());
                    let is_stopped = |it: &Result<u64, runspace::ItemError>| matches!(it, Err(it) if it.is_stopped());
                    assert!(outcomes.iter().all(is_stopped), "{outcomes:?}");
                    assert_eq!((report.succeeded(), report.failed()), (0, 0), "{report}");
                    assert_eq!(report.stopped(), outcomes.len() as u64, "{report}");
                });
            }

            #[test]
            fn an_err_after_a_stop_is_no_failure_and_is_not_tried_again() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let running = folder.path().join("running");
                    let own = running.clone();
                    let results = foreach_parallel!(0..4_u64, on = $($on)*, throttle = 2, retry = 3, using(own), |n| {
                        until_told(&own);
                        Err::<(), u64>(n)
                    });
                    let stopper = stop_when_told(results.stop_token(), &running);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    stopper.join().unwrap();
                    assert!(!outcomes.is_empty());
                    for outcome in &outcomes {
                        let error = outcome.as_ref().unwrap_err();
                        assert!(error.is_stopped() && error.attempt() == 1, "{error}");
                    }
                });
            }

            #[test]
            fn an_item_that_emits_and_is_told_to_stop_ends_as_stopped() {
                within(60, || {
                    for ordered in [false, true] {
                        let folder = tempfile::tempdir().unwrap();
                        let running = folder.path().join("running");
                        let own = running.clone();
                        let results = foreach_parallel!(
                            [7_u64],
                            on = $($on)*,
                            ordered = ordered,
                            using(own),
                            |n, job| {
                                job.emit(n);
                                until_told(&own);
                            }
                        );
                        let stopper = stop_when_told(results.stop_token(), &running);
                        let mut outcomes: Vec<_> = results.outcomes().collect();
                        stopper.join().unwrap();
                        let error = outcomes.pop().unwrap().unwrap_err();
                        assert!(error.is_stopped() && error.index() == Some(0), "{error}");
                        // The output was under way as the stop came.
                        assert!(outcomes.len() <= 1 && outcomes.iter().flatten().all(|it| *it == 7), "{outcomes:?}");
                    }
                });
            }

            #[test]
            fn a_body_that_has_finished_says_so() {
                within(60, || {
                    for has_limits in [false, true] {
                        let folder = tempfile::tempdir().unwrap();
                        let running = folder.path().join("running");
                        let own = running.clone();
                        let retry = u32::from(has_limits);
                        let results = foreach_parallel!([7_u64], on = $($on)*, retry = retry, using(own), |n| {
                            until_told(&own);
                            runspace::finished(n)
                        });
                        let stopper = stop_when_told(results.stop_token(), &running);
                        let values: Vec<u64> = results.outcomes().flatten().collect();
                        stopper.join().unwrap();
                        assert_eq!(values, [7]);
                    }
                });
            }

            #[test]
            fn one_that_has_finished_does_not_speak_for_the_next() {
                within(60, || {
                    // Cheap items, which move by the hundred; each that is odd has finished.
                    let results = foreach_parallel!(0..4_000_u64, on = $($on)*, throttle = 1, |n| {
                        if n == 3_000 {
                            runspace::stop_token().stop();
                        }
                        if n % 2 == 1 { runspace::finished(n) } else { n }
                    });
                    let mut stopped = None;
                    for outcome in results.outcomes() {
                        match outcome {
                            Ok(n) => assert!(n != 3_000, "half a value"),
                            Err(error) if error.index() == Some(3_000) => stopped = Some(error.is_stopped()),
                            Err(error) => assert!(error.is_stopped(), "{error}"),
                        }
                    }
                    assert_eq!(stopped, Some(true));
                });
            }

            #[test]
            fn the_first_success_wins() {
                within(60, || {
                    let mut results = foreach_parallel!(
                        0_u64..,
                        on = $($on)*,
                        throttle = 2,
                        halt = Halt::now().success(1),
                        |n| if n < 20 { Err(n) } else { Ok(n) }
                    );
                    let first = results.find_map(Result::ok).unwrap();
                    assert!(first >= 20);
                    assert!(results.count() < 1_000, "the rest is not run");
                });
            }

            #[cfg(feature = "journal")]
            #[test]
            fn what_a_journal_has_is_not_run_again() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().join("run.jsonl");
                    // Half of the items fail at first, and later there are more of them.
                    for (most, good, resumed) in [(40_u64, false, 0), (60, true, 20), (60, true, 60)] {
                        let results = foreach_parallel!(
                            0..most,
                            on = $($on)*,
                            throttle = 3,
                            ordered = true,
                            journal = &path,
                            resume = true,
                            using(good),
                            |n| {
                                assert!(good || n % 2 == 0, "no {n}");
                                (n, "text".to_owned(), Some(0.1 * n as f64))
                            }
                        );
                        let journal = results.journal();
                        let values = results.outcomes().flatten();
                        let expected = (0..most).filter(|n| good || n % 2 == 0);
                        assert!(values.eq(expected.map(|n| (n, "text".to_owned(), Some(0.1 * n as f64)))));
                        assert_eq!(journal.resumed(), resumed);
                        assert!(journal.missing().is_empty());
                    }
                });
            }

            #[test]
            fn enough_failures_end_the_call() {
                within(60, || {
                    let outcomes: Vec<_> = foreach_parallel!(
                        0_u64..,
                        on = $($on)*,
                        throttle = 2,
                        halt = Halt::soon().fail(3),
                        |n| assert!(n % 10 != 9, "no {n}")
                    )
                    .outcomes()
                    .collect();
                    let failed = |it: &&runspace::ItemError| !it.is_stopped();
                    let failures = outcomes.iter().filter_map(|it| it.as_ref().err()).filter(failed);
                    let count = failures.count();
                    // What ran as the third failed may fail too.
                    assert!((3..=4).contains(&count), "{count}");
                });
            }

            #[test]
            fn nothing_begins_behind_the_failure_that_ends_the_call() {
                within(60, || {
                    // Cheap items by the thousand first, which move by the hundred.
                    let outcomes = foreach_parallel!(
                        0_u64..,
                        on = $($on)*,
                        throttle = 2,
                        halt = Halt::soon().fail(1),
                        |n| if n < 4000 { Ok(n) } else { Err(n) }
                    )
                    .outcomes();
                    let failures = outcomes.filter(|it| matches!(it, Ok(Err(_)))).count();
                    assert!((1..=2).contains(&failures), "{failures}");
                });
            }
        }
    };
}

conformance!(threads, most = usize::MAX, on = thread);
conformance!(sequential, most = 1, on = sequential);
#[cfg(feature = "rayon")]
conformance!(rayon, most = usize::MAX, on = rayon);

/// A pool that outlives every call on it.
fn pool() -> &'static runspace::RunspacePool {
    Box::leak(Box::new(
        runspace::RunspacePool::builder().max(3).open().unwrap(),
    ))
}

conformance!(pool_of_three, most = 3, on = pool(pool()));
#[cfg(all(target_os = "linux", feature = "process"))]
conformance!(process, most = usize::MAX, on = process);

/// How many items run at once at most, where the plan of this process says.
fn most_of_plan() -> usize {
    match std::env::var("RUNSPACE_PLAN").as_deref() {
        Ok("sequential") => 1,
        _ => usize::MAX,
    }
}

conformance!(plan, most = most_of_plan(), on = plan);

/// Runs the suite of `on = plan` once more, in a process that has this plan.
fn with_plan(text: &'static str) {
    within(300, move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["plan::", "--test-threads=4"])
            .env("RUNSPACE_PLAN", text);
        support::run(command);
    });
}

#[test]
fn a_plan_of_threads() {
    with_plan("threads:2");
}

#[test]
fn a_plan_of_one_thread() {
    with_plan("sequential");
}

#[test]
#[cfg(feature = "rayon")]
fn a_plan_of_rayon() {
    with_plan("rayon");
}

#[test]
#[cfg(all(target_os = "linux", feature = "process"))]
fn a_plan_of_processes() {
    with_plan("process:3");
}

/// A server, and two workers of this program, for all tests here. They end with this process.
#[cfg(all(target_os = "linux", feature = "cluster"))]
fn cluster() -> Option<&'static runspace::Cluster> {
    use support::nats::{Server, Worker};
    struct All {
        cluster: runspace::Cluster,
        _server: Server,
        _workers: [Worker; 2],
    }
    static ALL: std::sync::OnceLock<Option<All>> = std::sync::OnceLock::new();
    let all = ALL.get_or_init(|| {
        let server = Server::start()?;
        Some(All {
            cluster: server.cluster(),
            _workers: [server.worker(2), server.worker(2)],
            _server: server,
        })
    });
    Some(&all.as_ref()?.cluster)
}

#[cfg(all(target_os = "linux", feature = "cluster"))]
conformance!(
    cluster,
    when = cluster().is_some(),
    most = usize::MAX,
    on = cluster(cluster().unwrap())
);
