//! When the system gives no thread, an invocation waits for a runspace that there is, and fails if
//! there is none.

#![cfg(target_os = "linux")]

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use runspace::{Invocation, InvocationErrorKind, OpenErrorKind, Runspace, RunspacePool, invoke};
use support::with_few_threads;

/// Starts `body` on the pool.
fn start<R: Send + 'static>(
    pool: &RunspacePool,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(pool, using(body), { body() })
}

/// The test runs in a process that has address space for a few thread stacks only.
#[test]
fn invocations_without_a_thread_wait_for_one_or_fail() {
    with_few_threads(
        "invocations_without_a_thread_wait_for_one_or_fail",
        120,
        few_threads,
    );
}

fn few_threads() {
    let pool = RunspacePool::builder().max(50).open().unwrap();
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let held: Vec<_> = (0..60)
        .map(|_| {
            let wait = Arc::clone(&wait);
            start(&pool, move || wait.lock().unwrap().recv().is_ok())
        })
        .collect();
    assert!(pool.runspaces() > 0, "there was no thread at all");
    assert!(pool.queued() > 10, "there was a thread for each");

    // There is no thread left, and these have no other runspace.
    let other = RunspacePool::builder().max(2).open().unwrap();
    for _ in 0..3 {
        let error = start(&other, || 1).end().unwrap_err();
        assert!(
            matches!(error.kind(), InvocationErrorKind::NoThread(_)),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
    assert_eq!(
        (other.runspaces(), other.running(), other.queued()),
        (0, 0, 0)
    );
    let error = Runspace::open().unwrap_err();
    assert!(
        matches!(error.kind(), OpenErrorKind::NoThread(_)),
        "{error}"
    );

    drop(go);
    for invocation in held {
        assert!(!invocation.end().unwrap());
    }
    pool.close();
    assert_eq!(start(&other, || 1).end().unwrap(), 1);
}
