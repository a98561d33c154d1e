//! When the system gives no thread, the jobs that got none fail at once and say so.

#![cfg(target_os = "linux")]

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use runspace::{Cause, Job, JobErrorKind, JobQueue, JobState, foreach_parallel, start_thread_job};
use support::with_few_threads;

/// The test runs in a process that has address space for a few thread stacks only.
#[test]
fn jobs_without_a_thread_fail_and_the_others_run() {
    with_few_threads(
        "jobs_without_a_thread_fail_and_the_others_run",
        120,
        few_threads,
    );
}

fn few_threads() {
    let queue = JobQueue::new(50);
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let held: Vec<Job<()>> = (0..60)
        .map(|_| {
            start_thread_job!(queue = &queue, using(wait.clone()), {
                let _ = wait.lock().unwrap().recv();
            })
        })
        .collect();
    let (failed, running): (Vec<_>, Vec<_>) = held
        .into_iter()
        .partition(|it| it.state() == JobState::Failed);
    assert!(!failed.is_empty(), "there was a thread for each");
    assert!(!running.is_empty(), "there was no thread at all");
    for job in failed {
        let error = job.join().unwrap_err();
        assert!(matches!(error.kind(), JobErrorKind::NoThread(_)), "{error}");
        assert!(error.to_string().contains("no thread"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
    // A call has none either, nor has it one for the feeder of its input.
    let fed = foreach_parallel!((0..3).map(|n| n + 1), |n| n).outcomes();
    let errors: Vec<_> = fed.filter_map(Result::err).collect();
    assert!(!errors.is_empty(), "there was a thread for it");
    for error in errors {
        assert!(matches!(error.cause(), Cause::NoThread(_)), "{error}");
        assert!(error.to_string().contains("no thread"), "{error}");
    }
    // A job that waits for one that gets no thread is told, and goes on.
    let narrow = JobQueue::new(1);
    drop(go);
    for job in running {
        assert_eq!(job.wait(), JobState::Completed);
    }
    let inner = narrow.clone();
    let outer = start_thread_job!(queue = &narrow, using(inner), {
        start_thread_job!(queue = &inner, { 1 }).join().unwrap() + 1
    });
    assert_eq!(outer.join().unwrap(), 2);
    assert_eq!((queue.running(), queue.queued()), (0, 0));
}
