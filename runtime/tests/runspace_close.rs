//! Closing works off what there is, takes nothing new, and never waits for its own caller.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use runspace::__private::Invoke;
use runspace::{
    Invocation, InvocationErrorKind, InvocationState, Runspace, RunspacePool, RunspaceState,
    invoke, stopping,
};
use support::{until, within};

/// Starts `body` on a runspace or a pool.
fn start<X: Invoke, R: Send + 'static>(
    target: X,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(target, using(body), { body() })
}

#[test]
fn what_is_there_ends_and_what_comes_is_refused() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..50)
            .map(|_| {
                let ran = Arc::clone(&ran);
                start(&runspace, move || {
                    thread::sleep(Duration::from_micros(100));
                    ran.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        runspace.close();
        assert_eq!(ran.load(Ordering::SeqCst), 50);
        assert!(all.iter().all(Invocation::is_finished));
        assert_eq!(runspace.state(), RunspaceState::Closed);
        let refused = start(&runspace, || 1);
        assert_eq!(refused.state(), InvocationState::Failed);
        let error = refused.end().unwrap_err();
        assert!(
            matches!(error.kind(), InvocationErrorKind::Closed),
            "{error}"
        );
        runspace.close();
    });
}

#[test]
fn the_last_clone_closes_and_waits() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let other = runspace.clone();
        drop(runspace);
        let (go, wait) = channel::<()>();
        let invocation = start(&other, move || wait.recv().is_ok());
        let dropper = thread::spawn(move || drop(other));
        thread::sleep(Duration::from_millis(20));
        assert!(!dropper.is_finished());
        go.send(()).unwrap();
        dropper.join().unwrap();
        assert!(invocation.is_finished());
    });
}

#[test]
fn a_panic_on_its_way_through_stops_what_runs_and_what_waits() {
    within(60, || {
        let (send, receive) = channel();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let runspace = Runspace::open().unwrap();
            let first = start(&runspace, || {
                while !stopping() {
                    thread::yield_now();
                }
            });
            let second = start(&runspace, || 2);
            until(|| first.state() == InvocationState::Running);
            send.send((first, second)).unwrap();
            panic!("the owner of the runspace fails");
        }));
        caught.unwrap_err();
        let (first, second) = receive.recv().unwrap();
        assert_eq!(first.state(), InvocationState::Stopped);
        assert_eq!(second.state(), InvocationState::Stopped);
    });
}

#[test]
fn a_body_can_close_or_drop_its_own_runspace() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        let closing = start(&runspace, move || {
            inside.close();
            inside.state()
        });
        let queued = start(&runspace, || 1);
        assert_eq!(closing.end().unwrap(), RunspaceState::Closing);
        // It may have come just before or just after the close.
        if let Err(error) = queued.end() {
            assert!(
                matches!(error.kind(), InvocationErrorKind::Closed),
                "{error}"
            );
        }
        until(|| runspace.state() == RunspaceState::Closed);

        let pool = RunspacePool::builder().max(1).open().unwrap();
        let inside = pool.clone();
        let (go, wait) = channel::<()>();
        let dropping = start(&pool, move || {
            wait.recv().unwrap();
            drop(inside); // the last clone
        });
        let (sent, seen) = channel();
        let dropper = thread::spawn(move || {
            let moved = pool;
            sent.send(()).unwrap();
            // Closes only if the body has let go first.
            drop(moved);
        });
        seen.recv().unwrap();
        go.send(()).unwrap();
        dropping.end().unwrap();
        dropper.join().unwrap();
    });
}

#[test]
fn two_runspaces_can_close_each_other() {
    within(60, || {
        let (a, b) = (Runspace::open().unwrap(), Runspace::open().unwrap());
        let (in_a, in_b) = (b.clone(), a.clone());
        let one = start(&a, move || {
            thread::sleep(Duration::from_millis(10));
            in_a.close();
        });
        let two = start(&b, move || {
            thread::sleep(Duration::from_millis(10));
            in_b.close();
        });
        one.end().unwrap();
        two.end().unwrap();
        until(|| a.state() == RunspaceState::Closed && b.state() == RunspaceState::Closed);
    });
}

#[test]
fn closing_and_invoking_can_meet() {
    within(120, || {
        for _ in 0..300 {
            let pool = RunspacePool::builder().max(2).open().unwrap();
            let ran = thread::scope(|scope| {
                let kept = scope.spawn(|| {
                    let all: Vec<_> = (0..20).map(|_| start(&pool, || 1)).collect();
                    all.into_iter().filter_map(|it| it.end().ok()).count()
                });
                scope.spawn(|| pool.close());
                kept.join().unwrap()
            });
            assert!(ran <= 20);
            assert_eq!(pool.state(), RunspaceState::Closed);
            assert_eq!((pool.running(), pool.queued(), pool.runspaces()), (0, 0, 0));
        }
    });
}
