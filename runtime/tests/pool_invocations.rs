//! Invocations of a pool begin in their order and end once each, with an `init` before them that
//! may fail.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use runspace::{Invocation, InvocationErrorKind, InvocationState, RunspacePool, invoke};
use support::within;

/// Starts `body` on the pool.
fn start<R: Send + 'static>(
    pool: &RunspacePool,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(pool, using(body), { body() })
}

#[test]
fn first_come_first_served() {
    within(60, || {
        let pool = RunspacePool::builder().max(1).open().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let all: Vec<_> = (0..1000)
            .map(|n| {
                let order = Arc::clone(&order);
                start(&pool, move || order.lock().unwrap().push(n))
            })
            .collect();
        all.into_iter().for_each(|it| it.end().unwrap());
        assert_eq!(*order.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn ten_thousand_end_once_each() {
    within(120, || {
        for max in [1, 2, 16] {
            let pool = RunspacePool::builder().max(max).open().unwrap();
            let count = Arc::new(AtomicUsize::new(0));
            let all: Vec<_> = (0..10_000u64)
                .map(|n| {
                    let count = Arc::clone(&count);
                    start(&pool, move || {
                        count.fetch_add(1, Ordering::Relaxed);
                        assert_ne!(n % 1000, 999, "one in a thousand fails");
                        n
                    })
                })
                .collect();
            for (n, invocation) in (0..).zip(all) {
                match invocation.end() {
                    Ok(value) => assert_eq!(value, n),
                    Err(error) => assert!(n % 1000 == 999, "{error}"),
                }
            }
            assert_eq!(count.load(Ordering::Relaxed), 10_000);
            assert!(pool.runspaces() <= max);
        }
    });
}

#[test]
fn init_runs_once_on_each_runspace_before_its_first_body() {
    within(60, || {
        struct Number(usize);
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let pool = RunspacePool::builder().max(4).init_with_state(move |rs| {
            rs.set_state(Number(counter.fetch_add(1, Ordering::SeqCst)));
        });
        let pool = pool.open().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 0, "no work, no runspace");
        let all: Vec<_> = (0..200)
            .map(|_| {
                invoke!(&pool, |rs| {
                    thread::yield_now();
                    rs.try_state::<Number>().map(|it| it.0)
                })
            })
            .collect();
        let most = all
            .into_iter()
            .map(|it| it.end().unwrap().unwrap())
            .max()
            .unwrap();
        assert!(most < 4);
        assert_eq!(count.load(Ordering::SeqCst), pool.runspaces());
    });
}

#[test]
fn an_init_that_panics_fails_what_needed_it_and_is_tried_again() {
    within(60, || {
        let tries = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&tries);
        let pool = RunspacePool::builder().max(1).init(move || {
            let n = counter.fetch_add(1, Ordering::SeqCst);
            assert!(n >= 2, "no connection, try {n}");
        });
        let pool = pool.open().unwrap();
        for n in 0..2 {
            let bad = start(&pool, || 1);
            assert_eq!(bad.wait(), InvocationState::Failed);
            let error = bad.end().unwrap_err();
            assert!(matches!(error.kind(), InvocationErrorKind::InitPanicked(_)));
            assert!(
                error
                    .to_string()
                    .ends_with(&format!("no connection, try {n}")),
                "{error}"
            );
        }
        for _ in 0..5 {
            assert_eq!(start(&pool, || 1).end().unwrap(), 1);
        }
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn an_init_that_always_panics_hangs_nothing() {
    within(60, || {
        let pool = RunspacePool::builder()
            .max(3)
            .init(|| panic!("never"))
            .open()
            .unwrap();
        let all: Vec<_> = (0..100).map(|_| start(&pool, || 1)).collect();
        for invocation in all {
            let error = invocation.end().unwrap_err();
            assert!(
                matches!(error.kind(), InvocationErrorKind::InitPanicked(_)),
                "{error}"
            );
        }
        pool.close();
    });
}
