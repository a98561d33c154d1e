//! The system gives no more processes, descriptors or memory: fewer workers, or an error in words, and
//! never a hang. Each test runs in a process of its own, whose limits it lowers.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::collections::BTreeSet;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{Cause, ItemError, Job, JobErrorKind, ProcessPool, foreach_parallel, start_job};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use support::census::{alone, by_index, children, failure_of_call, send};
use support::{in_own_process, in_unprivileged_process, until, within};

/// Lowers what this process may have; children that are there keep what they had.
fn limit(resource: Resource, to: u64) {
    let maximum = getrlimit(resource).maximum;
    let current = Some(to);
    setrlimit(resource, Rlimit { current, maximum }).unwrap();
}

fn unlimit(resource: Resource) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(
        resource,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
}

/// No process and no thread any more: both are counted against the same limit.
fn no_more_processes() {
    limit(Resource::Nproc, 1);
    let error = std::thread::Builder::new().spawn(|| ()).unwrap_err();
    assert_eq!(
        error.kind(),
        io::ErrorKind::WouldBlock,
        "the limit does not bind: {error}"
    );
}

/// Says how long `run` took, in the one way that matters here: not too long.
fn promptly<R>(run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let value = run();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    value
}

fn assert_refused(text: &str) {
    let refused = "Resource temporarily unavailable";
    assert!(text.contains(refused), "{refused:?} is not in {text:?}");
}

#[test]
fn a_job_without_a_process_fails_in_words() {
    within(60, || {
        let test = "a_job_without_a_process_fails_in_words";
        let ended = in_unprivileged_process(test, || {
            alone(50, || {
                // With the thread that starts children, and without.
                let held: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
                until(|| held.location().process().is_some());
                for first in [true, false] {
                    no_more_processes();
                    let job = promptly(|| {
                        let job: Job<u8> = start_job!(name = "late", { 1 });
                        job.wait();
                        job
                    });
                    let error = job.join().unwrap_err();
                    assert!(matches!(
                        error.kind(),
                        JobErrorKind::NoThread(_) | JobErrorKind::Process(_)
                    ));
                    assert_refused(&error.to_string());
                    assert!(error.to_string().contains("late"), "{error}");
                    let program = promptly(|| start_job!(file = "true").join().unwrap_err());
                    assert_refused(&program.to_string());
                    unlimit(Resource::Nproc);
                    if first {
                        held.stop();
                        held.wait();
                        until(|| children().is_empty());
                        sleep(Duration::from_millis(1500));
                    }
                }
                // As good as before.
                assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
                assert!(start_job!(file = "true").wait() == runspace::JobState::Completed);
            });
        });
        ended.well();
    });
}

#[test]
fn a_worker_that_cannot_be_replaced_fails_what_waits() {
    within(60, || {
        let test = "a_worker_that_cannot_be_replaced_fails_what_waits";
        let ended = in_unprivileged_process(test, || {
            alone(50, || {
                let pool = ProcessPool::builder().workers(2).build();
                let mut outcomes = foreach_parallel!(0..10_000_u32, on = process(&pool), |n| {
                    sleep(Duration::from_millis(5));
                    (n, std::process::id())
                })
                .outcomes();
                let mut pids = BTreeSet::new();
                while pids.len() < 2 {
                    pids.insert(outcomes.next().unwrap().unwrap().1);
                }
                no_more_processes();
                assert!(pids.iter().all(|it| send(Signal::KILL, *it)));
                let rest: Vec<_> = promptly(|| outcomes.collect());
                let errors: Vec<ItemError> = rest.into_iter().filter_map(Result::err).collect();
                let crashed = errors.iter().filter(|it| is_crash(it)).count();
                assert!((1..=2).contains(&crashed), "{errors:?}");
                let of_call: Vec<_> = errors.iter().filter(|it| it.index().is_none()).collect();
                assert_eq!(of_call.len(), 1, "{errors:?}");
                assert_refused(&of_call[0].to_string());
                unlimit(Resource::Nproc);
                let sum: u32 = foreach_parallel!(0..10_u32, on = process(&pool), |n| n).sum();
                assert_eq!(sum, 45);
            });
        });
        ended.well();
    });
}

fn is_crash(error: &ItemError) -> bool {
    matches!(error.cause(), Cause::Process(it) if it.crash().is_some())
}

#[test]
fn one_worker_of_two_that_cannot_be_replaced_leaves_its_items_to_the_other() {
    within(60, || {
        let test = "one_worker_of_two_that_cannot_be_replaced_leaves_its_items_to_the_other";
        let ended = in_unprivileged_process(test, || {
            alone(50, || {
                let pool = ProcessPool::builder().workers(2).build();
                let mut outcomes =
                    foreach_parallel!(0..400_u64, on = process(&pool), retry = 2, |n| {
                        sleep(Duration::from_millis(2));
                        (n, std::process::id(), runspace::attempt())
                    })
                    .outcomes();
                let mut before: Vec<Result<(u64, u32, u32), ItemError>> = Vec::new();
                let mut pids = BTreeSet::new();
                while pids.len() < 2 {
                    let outcome = outcomes.next().unwrap();
                    pids.insert(outcome.as_ref().unwrap().1);
                    before.push(outcome);
                }
                no_more_processes();
                let victim = *pids.first().unwrap();
                assert!(send(Signal::KILL, victim));
                let outcomes = before.into_iter().chain(outcomes);
                let all = promptly(|| by_index(outcomes, |it| it.0, 400));
                // Not even the item that the one has died of: the other has tried it again.
                let tries: u32 = all.values().map(|it| it.as_ref().unwrap().2).sum();
                assert!((400..=401).contains(&tries), "{tries}");
                assert!(
                    all.values()
                        .all(|it| pids.contains(&it.as_ref().unwrap().1))
                );
            });
        });
        ended.well();
    });
}

#[test]
fn a_call_runs_on_the_workers_that_descriptors_suffice_for() {
    within(90, || {
        let test = "a_call_runs_on_the_workers_that_descriptors_suffice_for";
        let ended = in_own_process(test, || {
            alone(80, || {
                limit(Resource::Nofile, 30);
                for ordered in [false, true] {
                    let outcomes = foreach_parallel!(
                        0..300_u64,
                        on = process,
                        throttle = 24,
                        ordered = ordered,
                        |n| {
                            sleep(Duration::from_millis(3));
                            (n, std::process::id())
                        }
                    )
                    .outcomes();
                    let all = by_index(outcomes, |it| it.0, 300);
                    let pids: BTreeSet<u32> =
                        all.values().map(|it| it.as_ref().unwrap().1).collect();
                    assert!((2..=8).contains(&pids.len()), "{} workers", pids.len());
                }
                // A call whose workers may have few themselves; the others have to go first.
                until(|| children().is_empty());
                let pool = ProcessPool::builder().workers(4).open_files(20).build();
                let sum: u64 = foreach_parallel!(0..100_u64, on = process(&pool), |n| n).sum();
                assert_eq!(sum, 4950);
            });
        });
        ended.well();
    });
}

#[test]
fn jobs_beyond_what_descriptors_suffice_for_fail_in_words() {
    within(90, || {
        let test = "jobs_beyond_what_descriptors_suffice_for_fail_in_words";
        let ended = in_own_process(test, || {
            alone(80, || {
                limit(Resource::Nofile, 30);
                let jobs: Vec<Job<u8>> = (0..24)
                    .map(|_| {
                        start_job!({
                            sleep(Duration::from_millis(500));
                            7
                        })
                    })
                    .collect();
                let ends: Vec<_> = promptly(|| jobs.into_iter().map(Job::join).collect());
                let good = ends.iter().filter(|it| matches!(it, Ok(7))).count();
                assert!(good >= 2, "{ends:?}");
                for error in ends.iter().filter_map(|it| it.as_ref().err()) {
                    let text = error.to_string();
                    assert!(text.contains("Too many open files"), "{text}");
                }
                assert!(good < 24, "the limit does not bind");
                assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
                assert_eq!(start_job!(file = "echo", args = ["a"]).join().unwrap(), "a");
            });
        });
        ended.well();
    });
}

#[test]
fn a_call_that_no_descriptor_is_left_for_fails_in_words() {
    within(60, || {
        let test = "a_call_that_no_descriptor_is_left_for_fails_in_words";
        let ended = in_own_process(test, || {
            alone(50, || {
                limit(Resource::Nofile, 30);
                let mut files = Vec::new();
                while let Ok(file) = std::fs::File::open("/dev/null") {
                    files.push(file);
                }
                let outcomes = foreach_parallel!(0..100_u32, on = process, |n| n).outcomes();
                let error = promptly(|| failure_of_call(outcomes));
                assert!(error.to_string().contains("Too many open files"), "{error}");
                let error = promptly(|| start_job!({ 1 }).join().unwrap_err());
                assert!(error.to_string().contains("Too many open files"), "{error}");
                let error = promptly(|| start_job!(file = "/bin/sh").join().unwrap_err());
                assert!(error.to_string().contains("Too many open files"), "{error}");
                // Threads need none.
                assert_eq!(
                    foreach_parallel!(0..100_u32, throttle = 8, |n| n).sum::<u32>(),
                    4950
                );
                drop(files);
                assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
            });
        });
        ended.well();
    });
}
