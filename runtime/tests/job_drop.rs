//! A job that nobody holds runs to its end, keeps nothing, and leaves the table by itself.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};

use runspace::{JobQueue, JobState, jobs, start_thread_job};
use support::within;

#[test]
fn a_dropped_job_runs_on_and_then_leaves_the_table() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let (tell, told) = channel();
        let job = start_thread_job!(using(wait, tell), {
            wait.recv().unwrap();
            tell.send(5).unwrap();
        });
        let entry = jobs().get(job.id()).unwrap().clone();
        drop(job);
        assert!(jobs().get(entry.id()).is_some());
        assert_ne!(entry.state(), JobState::Stopping);
        go.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), 5);
        assert_eq!(entry.wait(), JobState::Completed);
        assert!(jobs().get(entry.id()).is_none());
    });
}

#[test]
fn a_dropped_job_that_waits_in_the_queue_gets_its_turn() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let (tell, told) = channel();
        drop(start_thread_job!(queue = &queue, using(tell), {
            tell.send(()).unwrap()
        }));
        assert_eq!(queue.queued(), 1);
        go.send(()).unwrap();
        told.recv().unwrap();
        first.wait();
    });
}

#[test]
fn a_finished_job_leaves_the_table_when_it_is_dropped() {
    within(60, || {
        let job = start_thread_job!({ 1 });
        job.wait();
        let id = job.id();
        assert!(jobs().get(id).is_some());
        drop(job);
        assert!(jobs().get(id).is_none());
    });
}

#[test]
fn a_joined_job_leaves_the_table() {
    within(60, || {
        let job = start_thread_job!({ 1 });
        let id = job.id();
        job.join().unwrap();
        assert!(jobs().get(id).is_none());
    });
}

/// Alive as long as one of its clones is.
struct Output(Arc<AtomicUsize>);

impl Output {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn no_output_is_kept_that_nobody_can_receive() {
    within(60, || {
        let alive = Arc::new(AtomicUsize::new(0));
        let (go, wait) = channel::<()>();
        let (tell, told) = channel();
        let job = start_thread_job!(using(alive.clone(), wait, tell), |job| {
            (0..3).for_each(|_| job.emit(Output::new(&alive)));
            tell.send(()).unwrap();
            wait.recv().unwrap();
            job.emit(Output::new(&alive));
            tell.send(()).unwrap();
            wait.recv().unwrap();
        });
        told.recv().unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 3);
        let entry = jobs().get(job.id()).unwrap().clone();
        drop(job);
        assert_eq!(alive.load(Ordering::SeqCst), 0, "what was there");
        assert!(!entry.has_more_data());
        go.send(()).unwrap();
        told.recv().unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 0, "what came later");
        assert!(!entry.has_more_data());
        go.send(()).unwrap();
        entry.wait();
    });
}

#[test]
fn captures_are_dropped_before_the_end_is_seen() {
    within(120, || {
        for _ in 0..500 {
            let value = Arc::new(1);
            let watch: Weak<i32> = Arc::downgrade(&value);
            let job = start_thread_job!(using(value), { *value });
            job.wait();
            assert!(watch.upgrade().is_none());
        }
    });
}

#[test]
fn captures_are_dropped_before_the_end_of_a_panic_is_seen() {
    within(120, || {
        for _ in 0..50 {
            let value = Arc::new(1);
            let watch: Weak<i32> = Arc::downgrade(&value);
            let job = start_thread_job!(using(value), {
                std::panic::resume_unwind(Box::new(*value))
            });
            let job: runspace::Job<()> = job;
            assert_eq!(job.wait(), JobState::Failed);
            assert!(watch.upgrade().is_none());
        }
    });
}
