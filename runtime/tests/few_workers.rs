//! A call that gets fewer threads or processes than its throttle goes on with those there are, and says how many they
//! are. Each test is in a process of its own, where the system refuses what the test says.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use runspace::{
    Cause, ItemError, JobErrorKind, JobQueue, JobState, RunspacePool, foreach_parallel, start_job,
    start_thread_job,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::inject::{Calls, Fails, forbid, inject};
use support::{assert_one_outcome_each, in_own_process, in_unprivileged_process, until, within};

const REFUSED: &str = "Resource temporarily unavailable";

/// Runs `body` in a process of its own in which the starts of threads and processes that `fails` names fail.
fn refused(name: &str, fails: Fails, body: fn()) {
    in_own_process(name, || {
        within(60, move || {
            inject(Calls::Starts, fails).expect("filters on system calls");
            body();
        });
    })
    .well();
}

/// Holds those who come, until all are let go.
struct Gate {
    go: Sender<()>,
    waiting: Arc<Waiting>,
}

struct Waiting {
    here: AtomicUsize,
    wait: Mutex<Receiver<()>>,
}

impl Gate {
    fn new() -> Self {
        let (go, wait) = channel();
        let waiting = Arc::new(Waiting {
            here: AtomicUsize::new(0),
            wait: Mutex::new(wait),
        });
        Self { go, waiting }
    }

    fn here(&self) -> usize {
        self.waiting.here.load(Ordering::SeqCst)
    }

    fn open(self) {
        drop(self.go);
    }
}

impl Waiting {
    fn pass(&self) {
        self.here.fetch_add(1, Ordering::SeqCst);
        let _ = self.wait.lock().unwrap().recv();
    }
}

#[test]
fn a_call_goes_on_with_the_workers_there_are_and_says_how_many() {
    // The fourth worker, and all after it. The items are at hand, so there is no feeder.
    refused(
        "a_call_goes_on_with_the_workers_there_are_and_says_how_many",
        Fails::From(4),
        || {
            let mut results = foreach_parallel!(0..60_u64, throttle = 5, |n| {
                sleep(Duration::from_millis(2));
                n
            });
            let report = results.report();
            let outcomes: Vec<_> = results.outcomes().collect();
            assert_one_outcome_each(&outcomes, 60);
            let said = report.to_string();
            assert!(said.starts_with("60 done"), "{said}");
            let line = format!("3 of 5 workers could be started: {REFUSED}");
            assert!(said.contains(&line), "{said}");
        },
    );
}

#[test]
fn a_job_of_a_call_says_it_too() {
    refused("a_job_of_a_call_says_it_too", Fails::From(3), || {
        // One thread for the worker, one for who reads.
        let job = foreach_parallel!(0..60_u64, throttle = 5, |n| {
            sleep(Duration::from_millis(2));
            n
        })
        .into_job();
        assert_eq!(job.wait(), JobState::Completed);
        assert_eq!(job.receive().len(), 60);
        let records: Vec<_> = job.records().into_iter().map(|it| it.text).collect();
        let line = "1 of 5 workers could be started";
        assert!(records.iter().any(|it| it.contains(line)), "{records:?}");
    });
}

#[test]
fn one_refusal_is_made_up_for() {
    refused("one_refusal_is_made_up_for", Fails::Once(2), || {
        let gate = Gate::new();
        let waiting = Arc::clone(&gate.waiting);
        let mut results = foreach_parallel!(
            0..300_u64,
            throttle = 2,
            buffer = 300,
            using(waiting),
            |n| {
                // The first worker goes on until there is a second one.
                if n < 200 {
                    sleep(Duration::from_millis(1));
                } else {
                    waiting.pass();
                }
                n
            }
        );
        let report = results.report();
        let mut outcomes = results.outcomes();
        let mut all: Vec<_> = outcomes.by_ref().take(190).collect();
        until(|| gate.here() == 2);
        gate.open();
        all.extend(outcomes);
        assert_one_outcome_each(&all, 300);
        let said = report.to_string();
        assert!(!said.contains("could be started"), "{said}");
    });
}

#[test]
fn a_lower_throttle_takes_no_place_from_workers_that_there_are() {
    refused(
        "a_lower_throttle_takes_no_place_from_workers_that_there_are",
        Fails::Once(3),
        || {
            let mut results = foreach_parallel!(0..100_u64, throttle = 8, |n| {
                sleep(Duration::from_millis(1));
                n
            });
            let report = results.report();
            let throttle = results.throttle();
            let mut outcomes = results.outcomes();
            let mut all: Vec<_> = outcomes.by_ref().take(10).collect();
            for to in [2, 1, 3, 1] {
                throttle.set(to);
                all.extend(outcomes.by_ref().take(5));
            }
            all.extend(outcomes);
            assert_one_outcome_each(&all, 100);
            assert!(report.to_string().starts_with("100 done"), "{report}");
        },
    );
}

#[test]
fn a_lower_throttle_leaves_one_for_an_item_that_is_tried_again() {
    // Nothing is refused: workers that have left for want of items are no workers any more.
    within(60, || {
        for _ in 0..10 {
            let limit = Duration::from_millis(30);
            let results =
                foreach_parallel!(0..4_u64, throttle = 4, timeout = limit, retry = 1, |n| {
                    if n == 3 && runspace::attempt() == 1 {
                        sleep(Duration::from_millis(200));
                    }
                    n
                });
            let throttle = results.throttle();
            let mut outcomes = results.outcomes();
            let mut all: Vec<_> = outcomes.by_ref().take(3).collect();
            throttle.set(1);
            all.extend(outcomes);
            assert_one_outcome_each(&all, 4);
            assert!(all.iter().all(Result::is_ok), "{all:?}");
        }
    });
}

#[test]
fn a_relaunch_that_is_refused_is_told() {
    // The supervisor, the worker; not the one that is to take the place of a worker that hangs.
    refused("a_relaunch_that_is_refused_is_told", Fails::From(4), || {
        let limit = Duration::from_millis(30);
        let (_hold, hang) = channel::<()>();
        let hang = Arc::new(Mutex::new(hang));
        let outcomes = foreach_parallel!(
            // Without an end, because the thread of a feeder that is done would take the place.
            (0_u64..).inspect(|_| ()),
            throttle = 1,
            timeout = limit,
            using(hang),
            |n| {
                if n == 0 {
                    let _ = hang.lock().unwrap().recv();
                }
                n
            }
        );
        let errors: Vec<ItemError> = outcomes.outcomes().filter_map(Result::err).collect();
        assert!(
            errors
                .iter()
                .any(|it| it.index() == Some(0) && matches!(it.cause(), Cause::TimedOut(_)))
        );
        let of_call: Vec<_> = errors.iter().filter(|it| it.index().is_none()).collect();
        assert_eq!(of_call.len(), 1, "{errors:?}");
        assert!(of_call[0].to_string().contains(REFUSED), "{errors:?}");
        std::process::exit(0);
    });
}

#[test]
fn rayons_pool_that_cannot_start_is_a_failure_in_words() {
    refused(
        "rayons_pool_that_cannot_start_is_a_failure_in_words",
        Fails::Once(1),
        || {
            for _ in 0..3 {
                let plain = foreach_parallel!(0..10_u64, on = rayon, |n| n).outcomes();
                let throttled = foreach_parallel!(0..10_u64, on = rayon, throttle = 2, |n| n);
                let fed =
                    foreach_parallel!((0..10_u64).inspect(|_| ()), on = rayon, throttle = 2, |n| n);
                let all = [plain, throttled.outcomes(), fed.outcomes()];
                for mut outcomes in all {
                    let error = outcomes.find_map(Result::err).expect("a failure");
                    let end = outcomes.find(|it| it.as_ref().is_err_and(|it| !it.is_stopped()));
                    let error = if error.is_stopped() {
                        end.unwrap().unwrap_err()
                    } else {
                        error
                    };
                    let said = error.to_string();
                    assert!(
                        said.contains("rayon's global pool could not be started"),
                        "{said}"
                    );
                    assert!(said.contains(REFUSED), "{said}");
                }
            }
        },
    );
}

#[test]
fn a_job_without_a_thread_waits_for_the_thread_of_its_queue() {
    refused(
        "a_job_without_a_thread_waits_for_the_thread_of_its_queue",
        Fails::From(2),
        || {
            let queue = JobQueue::new(4);
            let gate = Gate::new();
            let waiting = Arc::clone(&gate.waiting);
            let first = start_thread_job!(queue = &queue, using(waiting), { waiting.pass() });
            until(|| gate.here() == 1);
            let others: Vec<_> = (0..6_u64)
                .map(|n| start_thread_job!(queue = &queue, using(n), { n }))
                .collect();
            assert_eq!((queue.running(), queue.queued()), (1, 6));
            // A stop finds one that waits.
            others[2].stop();
            assert_eq!(others[2].wait(), JobState::Stopped);
            // There is no thread for a higher throttle either.
            queue.set_throttle(9);
            assert_eq!((queue.running(), queue.queued()), (1, 5));
            gate.open();
            assert_eq!(first.wait(), JobState::Completed);
            for (n, job) in others.into_iter().enumerate().filter(|it| it.0 != 2) {
                assert_eq!(job.join().unwrap(), n as u64);
            }
            // Where nothing of a queue runs, there is the kept thread, or a failure.
            let alone = start_thread_job!(queue = &JobQueue::new(1), { 1 }).join();
            let is_refusal =
                |it: &runspace::JobError| matches!(it.kind(), JobErrorKind::NoThread(_));
            assert!(
                alone.as_ref().is_ok_and(|it| *it == 1) || alone.is_err_and(|it| is_refusal(&it))
            );
        },
    );
}

#[test]
fn results_that_nobody_can_read_are_stopped_and_panic_nowhere() {
    refused(
        "results_that_nobody_can_read_are_stopped_and_panic_nowhere",
        Fails::From(2),
        || {
            // The one thread is the worker of the first call, which would go on for a long time.
            let begun = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&begun);
            let first = foreach_parallel!(0..1_000_000_u64, throttle = 3, using(count), |n| {
                count.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(1));
                n
            });
            let job = first.into_job();
            assert_eq!(job.wait(), JobState::Failed);
            let error = job.join().unwrap_err();
            assert!(matches!(error.kind(), JobErrorKind::NoThread(_)), "{error}");
            assert!(error.to_string().contains(REFUSED), "{error}");
            assert!(begun.load(Ordering::SeqCst) < 100_000);
        },
    );
}

#[test]
fn a_call_over_results_that_gets_no_thread_stops_what_it_reads() {
    refused(
        "a_call_over_results_that_gets_no_thread_stops_what_it_reads",
        Fails::From(2),
        || {
            let first = foreach_parallel!(0..1_000_000_u64, throttle = 3, |n| {
                sleep(Duration::from_millis(1));
                n
            });
            let second = foreach_parallel!(first, throttle = 2, |n| n);
            let mut third = foreach_parallel!(second, throttle = 2, |n| n);
            let report = third.report();
            let errors: Vec<_> = third.outcomes().filter_map(Result::err).collect();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].to_string().contains(REFUSED), "{errors:?}");
            assert_eq!(report.failed(), 1);
        },
    );
}

#[test]
fn an_input_whose_destructor_panics_does_so_nowhere_but_in_its_call() {
    struct Input;
    impl Iterator for Input {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            None
        }
    }
    impl Drop for Input {
        fn drop(&mut self) {
            panic!("the input is dropped");
        }
    }
    refused(
        "an_input_whose_destructor_panics_does_so_nowhere_but_in_its_call",
        Fails::From(1),
        || {
            let outcomes = foreach_parallel!(Input, throttle = 2, |n: u64| n).outcomes();
            let errors: Vec<String> = outcomes.map(|it| it.unwrap_err().to_string()).collect();
            assert_eq!(errors.len(), 2, "{errors:?}");
            assert!(errors.iter().any(|it| it.contains(REFUSED)), "{errors:?}");
            assert!(
                errors.iter().any(|it| it.contains("the input is dropped")),
                "{errors:?}"
            );
        },
    );
}

#[test]
fn a_stop_without_a_thread_to_let_go_on_ends_all_the_same() {
    // A runspace; what lies on the desk of the call when it is stopped needs a thread of its own, and gets none.
    refused(
        "a_stop_without_a_thread_to_let_go_on_ends_all_the_same",
        Fails::From(2),
        || {
            let pool = RunspacePool::builder().max(3).open().unwrap();
            let gate = Gate::new();
            let waiting = Arc::clone(&gate.waiting);
            let held = runspace::invoke!(&pool, using(waiting), { waiting.pass() });
            until(|| gate.here() == 1);
            let results = foreach_parallel!(0..10_u64, on = pool(&pool), |n| n);
            results.stop();
            gate.open();
            held.end().unwrap();
            pool.close();
        },
    );
}

#[test]
fn a_limit_that_cannot_be_read_keeps_no_job_from_running() {
    in_own_process(
        "a_limit_that_cannot_be_read_keeps_no_job_from_running",
        || {
            within(60, || {
                forbid(libc::SYS_prlimit64).expect("filters on system calls");
                for n in 0..4_u64 {
                    assert_eq!(start_job!(using(n), { n }).join().unwrap(), n);
                }
                assert_eq!(start_job!(file = "echo", args = ["a"]).join().unwrap(), "a");
                let sum: u64 =
                    foreach_parallel!(0..100_u64, on = process, throttle = 2, |n| n).sum();
                assert_eq!(sum, 4950);
                let error = start_job!(memory = 1 << 30, { 1 }).join().unwrap_err();
                assert!(
                    error.to_string().contains("cannot set the limits"),
                    "{error}"
                );
            });
        },
    )
    .well();
}

/// Both threads and processes count.
fn limit_processes(to: u64) {
    let maximum = getrlimit(Resource::Nproc).maximum;
    let current = Some(to);
    setrlimit(Resource::Nproc, Rlimit { current, maximum }).unwrap();
}

#[test]
fn a_high_throttle_leaves_room_for_the_processes_of_its_workers() {
    const NAME: &str = "a_high_throttle_leaves_room_for_the_processes_of_its_workers";
    in_unprivileged_process(NAME, || {
        within(60, || {
            limit_processes(others() + 12);
            let mut results = foreach_parallel!(0..200_u64, on = process, throttle = 64, |n| {
                sleep(Duration::from_millis(2));
                n
            });
            let report = results.report();
            let outcomes: Vec<_> = results.outcomes().collect();
            assert_one_outcome_each(&outcomes, 200);
            let said = report.to_string();
            assert!(said.starts_with("200 done"), "{said}");
            assert!(said.contains(" of 64 workers could be started: "), "{said}");
            assert!(said.contains(REFUSED), "{said}");
        });
    })
    .well();
}

/// What counts against the limit of this user already.
fn others() -> u64 {
    let own = rustix::process::getuid().as_raw().to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let threads = all.filter_map(|it| {
        let status = std::fs::read_to_string(it.path().join("status")).ok()?;
        let word = |name: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(name))?;
            line.split_whitespace().next().map(str::to_owned)
        };
        (word("Uid:")? == own).then(|| word("Threads:")?.parse::<u64>().ok())?
    });
    threads.sum()
}
