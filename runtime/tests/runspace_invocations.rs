//! Each invocation runs once, in its turn, on the one thread, and ends in a value or in an error
//! that says what happened.

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use runspace::__private::Invoke;
use runspace::{Invocation, InvocationErrorKind, InvocationState, Runspace, invoke};
use support::{until, within};

/// Starts `body` on a runspace or a pool.
fn start<X: Invoke, R: Send + 'static>(
    target: X,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(target, using(body), { body() })
}

#[test]
fn an_invocation_goes_through_its_states() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (go, wait) = channel::<()>();
        let first = start(&runspace, move || wait.recv().is_ok());
        let second = start(&runspace, || thread::current().id());
        until(|| first.state() == InvocationState::Running);
        assert!(runspace.is_busy());
        assert_eq!(second.state(), InvocationState::NotStarted);
        assert_eq!((runspace.queued(), second.thread_id()), (1, None));
        go.send(()).unwrap();
        assert_eq!(first.wait(), InvocationState::Completed);
        assert_eq!(second.wait(), InvocationState::Completed);
        assert_eq!(second.runspace_id(), Some(runspace.id()));
        let thread = second.thread_id();
        assert_eq!(second.end().unwrap(), thread.unwrap());
        assert!(first.end().unwrap());
        assert!(!runspace.is_busy());
    });
}

#[test]
fn ten_thousand_run_in_their_order_on_one_thread() {
    within(120, || {
        let runspace = Runspace::open().unwrap();
        let next = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..10_000)
            .map(|_| {
                let next = Arc::clone(&next);
                start(&runspace, move || {
                    (next.fetch_add(1, Ordering::Relaxed), thread::current().id())
                })
            })
            .collect();
        let mut threads = HashSet::new();
        for (n, invocation) in all.into_iter().enumerate() {
            let (place, thread) = invocation.end().unwrap();
            assert_eq!(place, n);
            threads.insert(thread);
        }
        assert_eq!(threads.len(), 1);
    });
}

#[test]
fn many_threads_can_invoke_at_once() {
    within(120, || {
        let runspace = Runspace::open().unwrap();
        let running = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..500 {
                        let running = Arc::clone(&running);
                        let value = start(&runspace, move || {
                            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                            running.fetch_sub(1, Ordering::SeqCst);
                            n
                        });
                        assert_eq!(value.end().unwrap(), n);
                    }
                });
            }
        });
    });
}

#[test]
fn a_panic_is_kept_whole_and_harms_no_other() {
    within(60, || {
        let runspace = Runspace::builder().name("desk").open().unwrap();
        let line = line!() + 1;
        let bad = invoke!(&runspace, name = "bad", {
            if true {
                std::panic::panic_any(vec![1, 2, 3]);
            }
            0_u8
        });
        let good = start(&runspace, || 1);
        assert_eq!(bad.wait(), InvocationState::Failed);
        assert_eq!(
            (bad.location().file(), bad.location().line()),
            (file!(), line)
        );
        let error = bad.end().unwrap_err();
        assert_eq!((error.name(), error.location().line()), ("bad", line));
        let text = error.to_string();
        let parts = ["invocation `bad` (", ") on runspace `desk` panicked: "];
        assert!(parts.iter().all(|it| text.contains(it)), "{text}");
        let raised = catch_unwind(AssertUnwindSafe(|| error.resume())).unwrap_err();
        assert_eq!(*raised.downcast::<Vec<i32>>().unwrap(), [1, 2, 3]);
        assert_eq!(good.end().unwrap(), 1);
    });
}

#[test]
fn one_that_is_dropped_runs_on() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (send, receive) = channel();
        for n in 0..10 {
            let send = send.clone();
            drop(start(&runspace, move || send.send(n).unwrap()));
        }
        drop(send);
        assert_eq!(
            receive.iter().collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>()
        );
    });
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a destructor that panics");
        }
    }
}

#[test]
fn destructors_that_panic_end_only_their_own() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let captured = invoke!(&runspace, using(value = PanicsInDrop), { drop(value) });
        assert!(matches!(
            captured.end().unwrap_err().kind(),
            InvocationErrorKind::Panicked(_)
        ));
        let value = start(&runspace, || PanicsInDrop);
        value.wait();
        drop(value); // with a value that nobody took
        drop(start(&runspace, || PanicsInDrop));
        assert_eq!(start(&runspace, || 1).end().unwrap(), 1);
    });
}

#[test]
fn a_wait_with_a_limit_ends_with_it() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (go, wait) = channel::<()>();
        let invocation = start(&runspace, move || wait.recv().is_ok());
        assert_eq!(invocation.wait_timeout(Duration::ZERO), None);
        assert_eq!(invocation.wait_timeout(Duration::from_millis(10)), None);
        go.send(()).unwrap();
        assert_eq!(
            invocation.wait_timeout(Duration::MAX),
            Some(InvocationState::Completed)
        );
    });
}

#[test]
fn handles_can_be_shared() {
    fn check<T: Send + Sync>() {}
    check::<Runspace>();
    check::<runspace::RunspacePool>();
    check::<Invocation<std::cell::Cell<u8>>>();
    check::<runspace::InvocationError>();
    check::<runspace::OpenError>();
}
