//! A stop ends what waits for its turn at once, is seen by what runs, and comes from whoever the
//! invocation was made for.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use runspace::__private::Invoke;
use runspace::{
    Invocation, InvocationErrorKind, InvocationState, Runspace, RunspacePool, foreach_parallel,
    invoke, start_thread_job, stop_token, stopping,
};
use support::{until, within};

/// Starts `body` on a runspace or a pool.
fn start<X: Invoke, R: Send + 'static>(
    target: X,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(target, using(body), { body() })
}

fn until_stopped() {
    while !stopping() {
        thread::sleep(Duration::from_millis(1));
    }
}

struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn what_waits_for_its_turn_is_stopped_at_once() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (go, wait) = channel::<()>();
        let first = start(&runspace, move || wait.recv().is_ok());
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&dropped));
        let second = start(&runspace, move || drop(flag));
        let third = start(&runspace, || 3);
        second.stop();
        assert_eq!(second.state(), InvocationState::Stopped);
        assert!(
            dropped.load(Ordering::SeqCst),
            "what it had captured is gone"
        );
        second.stop();
        assert!(second.end().unwrap_err().is_stopped());
        go.send(()).unwrap();
        assert!(first.end().unwrap());
        assert_eq!(third.end().unwrap(), 3);
    });
}

#[test]
fn what_runs_sees_the_stop() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let looking = start(&runspace, || {
            until_stopped();
            1
        });
        let sleeping = start(&runspace, || stop_token().sleep(Duration::from_secs(3600)));
        until(|| looking.state() == InvocationState::Running);
        looking.stop();
        assert!(looking.end().unwrap_err().is_stopped());
        until(|| sleeping.state() == InvocationState::Running);
        sleeping.stop();
        assert!(matches!(
            sleeping.state(),
            InvocationState::Stopping | InvocationState::Stopped
        ));
        assert_eq!(sleeping.wait(), InvocationState::Stopped);
        let calling = start(&runspace, || {
            foreach_parallel!(0.., |_| until_stopped()).count()
        });
        until(|| calling.state() == InvocationState::Running);
        calling.stop();
        assert_eq!(calling.wait(), InvocationState::Stopped);
    });
}

#[test]
fn the_stop_of_a_job_reaches_what_it_has_invoked() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        let (send, receive) = channel();
        let job = start_thread_job!(using(inside, send), {
            let first = start(&inside, until_stopped);
            let second = start(&inside, until_stopped);
            send.send((first, second)).unwrap();
            until_stopped(); // a job that has ended stops nothing any more
        });
        let (first, second) = receive.recv().unwrap();
        job.stop();
        assert_eq!(first.wait(), InvocationState::Stopped);
        assert_eq!(second.wait(), InvocationState::Stopped);
        job.wait();
    });
}

#[test]
fn the_stop_of_a_call_reaches_what_its_items_have_invoked() {
    within(60, || {
        let pool = RunspacePool::builder().max(2).open().unwrap();
        let inside = pool.clone();
        let (send, receive) = channel();
        let mut results = foreach_parallel!(0..10, throttle = 5, using(inside, send), |n: u32| {
            if n > 0 {
                let invocation = start(&inside, until_stopped);
                send.send(()).unwrap();
                assert!(invocation.end().unwrap_err().is_stopped());
            }
            n
        });
        assert_eq!(results.next(), Some(0));
        receive.recv().unwrap();
        drop(results);
        assert_eq!((pool.running(), pool.queued()), (0, 0));
    });
}

#[test]
fn the_stop_of_an_invocation_reaches_those_it_has_made() {
    within(60, || {
        let (outer, inner) = (Runspace::open().unwrap(), Runspace::open().unwrap());
        let (send, receive) = channel();
        let invocation = start(&outer, move || {
            let part = start(&inner, until_stopped);
            send.send(()).unwrap();
            part.end().unwrap_err().is_stopped()
        });
        receive.recv().unwrap();
        invocation.stop();
        assert!(invocation.end().unwrap_err().is_stopped());
    });
}

#[test]
fn a_body_that_ends_in_spite_of_a_stop_is_stopped_and_one_that_panics_has_failed() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let bad = start(&runspace, || {
            until_stopped();
            panic!("on its way out");
        });
        until(|| bad.state() == InvocationState::Running);
        bad.stop();
        let error = bad.end().unwrap_err();
        assert!(
            matches!(error.kind(), InvocationErrorKind::Panicked(_)),
            "{error}"
        );
    });
}

#[test]
fn stops_and_starts_that_meet_leave_nothing_behind() {
    within(120, || {
        let pool = RunspacePool::builder().max(2).open().unwrap();
        for _ in 0..2_000 {
            let invocation = start(&pool, || 1);
            let other = thread::scope(|scope| {
                scope.spawn(|| invocation.stop());
                start(&pool, || 2)
            });
            let state = invocation.wait();
            assert!(state == InvocationState::Stopped || state == InvocationState::Completed);
            match invocation.end() {
                Ok(value) => assert_eq!(value, 1),
                Err(error) => assert!(error.is_stopped()),
            }
            assert_eq!(other.end().unwrap(), 2);
        }
        assert_eq!((pool.running(), pool.queued()), (0, 0));
    });
}
