//! When the system gives no thread, a job waits for the thread of another job of its queue; where none of them runs, it
//! fails at once and says so.

#![cfg(target_os = "linux")]

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use runspace::{Cause, Job, JobErrorKind, JobQueue, JobState, foreach_parallel, start_thread_job};
use support::with_few_threads;

/// The test runs in a process that has address space for a few thread stacks only.
#[test]
fn jobs_without_a_thread_wait_for_one_or_fail() {
    with_few_threads(
        "jobs_without_a_thread_wait_for_one_or_fail",
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
    assert!(held.iter().all(|it| !it.state().is_finished()));
    assert!(queue.running() > 0, "there was no thread at all");
    assert!(queue.queued() > 10, "there was a thread for each");
    // More room in the queue is of no use to them.
    queue.set_throttle(55);
    assert_eq!(queue.running() + queue.queued(), 60);
    // Jobs of a queue of which nothing runs have nobody to wait for.
    let empty = JobQueue::new(5);
    for _ in 0..3 {
        let error = start_thread_job!(queue = &empty, { 1 }).join().unwrap_err();
        assert!(matches!(error.kind(), JobErrorKind::NoThread(_)), "{error}");
        assert!(error.to_string().contains("no thread"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
    assert_eq!((empty.running(), empty.queued()), (0, 0));
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
    for job in held {
        assert_eq!(job.wait(), JobState::Completed);
    }
    let inner = narrow.clone();
    let outer = start_thread_job!(queue = &narrow, using(inner), {
        start_thread_job!(queue = &inner, { 1 }).join().unwrap() + 1
    });
    assert_eq!(outer.join().unwrap(), 2);
    assert_eq!((queue.running(), queue.queued()), (0, 0));
}
