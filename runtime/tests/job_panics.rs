//! A panic, wherever it happens, fails its own job and nothing else, and is kept whole.

mod support;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::mpsc::channel;

use runspace::{Job, JobErrorKind, JobQueue, JobState, Level, start_thread_job};
use support::within;

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

#[test]
fn a_panic_fails_the_job_with_name_place_and_message() {
    within(60, || {
        let line = line!() + 1;
        let job: Job<u8> = start_thread_job!(name = "broken", { panic!("at step {}", 3) });
        assert_eq!(job.wait(), JobState::Failed);
        let records = job.records();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].level, Level::Error);
        assert_eq!(records[0].text, "panicked: at step 3");
        let id = job.id();
        let error = job.join().unwrap_err();
        assert_eq!((error.id(), error.name()), (id, "broken"));
        assert_eq!(error.location().source().line(), line);
        assert!(!error.is_stopped());
        assert!(error.source().is_none());
        let text = error.to_string();
        assert!(text.starts_with("job `broken` ("), "{text}");
        assert!(text.contains(&format!("{}:{line}:", file!())), "{text}");
        assert!(text.ends_with("panicked: at step 3"), "{text}");
    });
}

#[test]
fn outputs_before_a_panic_are_not_lost() {
    within(60, || {
        let job = start_thread_job!(|job| {
            job.emit(1);
            panic!("later");
        });
        job.wait();
        assert_eq!(job.receive(), [1]);
    });
}

#[test]
fn a_payload_of_any_type_is_kept() {
    #[derive(Debug, PartialEq)]
    struct Custom(i32);
    within(60, || {
        let job: Job<()> = start_thread_job!({ panic_any(Custom(7)) });
        let error = job.join().unwrap_err();
        assert!(error.to_string().contains("not a string"), "{error}");
        let caught = catch_unwind(AssertUnwindSafe(|| error.resume()));
        let payload: Box<dyn std::any::Any + Send> = caught.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&Custom(7)));

        let job: Job<()> = start_thread_job!({ panic_any(Custom(8)) });
        let JobErrorKind::Panicked(payload) = job.join().unwrap_err().into_kind() else {
            panic!("another kind");
        };
        assert_eq!(
            *payload.into_value().downcast::<Custom>().unwrap(),
            Custom(8)
        );
    });
}

#[test]
fn a_payload_that_panics_when_dropped_does_no_harm() {
    within(60, || {
        let queue = JobQueue::new(1);
        let job: Job<()> = start_thread_job!(queue = &queue, { panic_any(Bomb("in the payload")) });
        job.wait();
        drop(job);
        let job: Job<()> = start_thread_job!(queue = &queue, { panic_any(Bomb("in the payload")) });
        drop(job.join());
        let job: Job<()> = start_thread_job!(queue = &queue, { panic_any(Bomb("in the payload")) });
        drop(job);
        assert_eq!(start_thread_job!(queue = &queue, { 1 }).join().unwrap(), 1);
    });
}

#[test]
fn a_capture_that_panics_when_dropped_fails_the_job() {
    within(60, || {
        let bomb = Bomb("in a capture");
        let job = start_thread_job!(using(bomb), {
            let _bomb = bomb;
            1
        });
        assert_eq!(job.wait(), JobState::Failed);
        let error = job.join().unwrap_err();
        assert!(error.to_string().ends_with("in a capture"), "{error}");
    });
}

#[test]
fn a_stopped_job_whose_capture_panics_fails_without_having_run() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let bomb = Bomb("in a capture");
        let job: Job<()> = start_thread_job!(queue = &queue, using(bomb), { drop(bomb) });
        job.stop();
        assert_eq!(job.state(), JobState::Failed);
        let error = job.join().unwrap_err();
        assert!(
            matches!(error.kind(), JobErrorKind::DropPanicked(_)),
            "{error}"
        );
        assert!(error.to_string().ends_with("in a capture"), "{error}");
        go.send(()).unwrap();
        assert!(first.join().unwrap());
    });
}

#[test]
fn an_output_that_panics_when_discarded_does_no_harm() {
    within(60, || {
        let queue = JobQueue::new(1);
        // Dropped with the job, after its end.
        let job = start_thread_job!(queue = &queue, |job| (0..3)
            .for_each(|_| job.emit(Bomb("x"))));
        job.wait();
        drop(job);
        // Discarded by the thread of the job, since nobody holds it.
        let (go, wait) = channel::<()>();
        let job = start_thread_job!(queue = &queue, using(wait), |job| {
            let _ = wait.recv();
            job.emit(Bomb("x"));
            job.emit(Bomb("y"));
        });
        let entry = runspace::jobs().get(job.id()).unwrap().clone();
        drop(job);
        drop(go);
        assert_eq!(entry.wait(), JobState::Completed);
        // All but the last, discarded by `join`.
        let job = start_thread_job!(queue = &queue, |job| (0..3)
            .for_each(|_| job.emit(Bomb("x"))));
        std::mem::forget(job.join().unwrap());
        // Refused by a job that is being stopped.
        let job = start_thread_job!(queue = &queue, |job| {
            while !job.stopping() {
                std::thread::yield_now();
            }
            job.emit(Bomb("x"));
        });
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert_eq!(start_thread_job!(queue = &queue, { 1 }).join().unwrap(), 1);
    });
}

#[test]
fn each_failure_is_its_own() {
    within(60, || {
        let jobs: Vec<Job<u32>> = (0..20u32)
            .map(|n| {
                start_thread_job!(using(n), {
                    assert!(n % 3 != 0, "number {n}");
                    n
                })
            })
            .collect();
        for (n, job) in (0..).zip(jobs) {
            match job.join() {
                Ok(value) => assert_eq!(value, n),
                Err(error) => {
                    assert_eq!(n % 3, 0);
                    assert!(
                        error.to_string().ends_with(&format!("number {n}")),
                        "{error}"
                    );
                }
            }
        }
    });
}

/// A job that passes on what another failed with fails itself; it is not mistaken for stopped.
#[test]
fn a_failure_passed_on_is_a_failure() {
    within(60, || {
        let outer: Job<()> = start_thread_job!({
            let inner: Job<()> = start_thread_job!({ panic!("deep down") });
            inner.join().unwrap_or_else(|error| error.resume());
        });
        assert!(outer.join().unwrap_err().to_string().ends_with("deep down"));

        let outer: Job<u8> = start_thread_job!({
            let inner = start_thread_job!(|job| loop {
                job.emit(1);
            });
            inner.stop();
            inner.join().unwrap_or_else(|error| error.resume())
        });
        assert_eq!(outer.wait(), JobState::Failed);
        assert!(
            outer
                .join()
                .unwrap_err()
                .to_string()
                .contains("was stopped")
        );
    });
}
