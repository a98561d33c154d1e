//! Every order of events, within a bound, of what the job layer does between threads.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use loom::thread::JoinHandle;

use super::*;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::threads::Task;
use crate::values::made;

std::thread_local! {
    /// The threads of the execution that is explored; loom runs all of them on one.
    static THREADS: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// Stands in for the kept threads, so that an execution can wait for its threads: loom takes the
/// statics down when its first thread ends.
pub(super) fn spawn(task: Task) -> io::Result<()> {
    let thread = loom::thread::spawn(task);
    THREADS.with(|it| it.borrow_mut().push(thread));
    Ok(())
}

/// Explores `body` with at most three preemptions, which is where almost all such mistakes show.
fn explore(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        body();
        while let Some(thread) = THREADS.with(|it| it.borrow_mut().pop()) {
            thread.join().unwrap();
        }
    });
}

fn options(queue: &JobQueue) -> JobOptions {
    JobOptions::new().queue(queue)
}

/// A job that takes one value with it.
fn thread_job<C: Send + 'static, T: Send + 'static>(
    options: JobOptions,
    capture: C,
    maker: impl FnOnce(C) -> T + Send + 'static,
) -> Job<T> {
    super::thread_job(
        options,
        (capture, ()),
        |(capture, ())| maker(capture),
        made(),
    )
}

#[test]
fn a_wait_hears_of_the_end() {
    explore(|| {
        let queue = JobQueue::new(1);
        let job = thread_job(options(&queue), (), |()| 7);
        assert_eq!(job.wait(), JobState::Completed);
        assert_eq!(queue.running(), 0);
        assert_eq!(job.join().unwrap(), 7);
    });
}

#[test]
fn an_iterator_hears_of_each_output_and_of_the_end() {
    explore(|| {
        let queue = JobQueue::new(1);
        let body = |(), job: &JobContext<_>| {
            job.emit(1);
            job.emit(2);
        };
        let job = thread_job_emitting(options(&queue), (), body, made());
        assert!(job.iter().eq([1, 2]));
    });
}

#[test]
fn an_iterator_hears_of_an_output_before_the_end() {
    explore(|| {
        let queue = JobQueue::new(1);
        let read = Arc::new((Mutex::new(false), Condvar::new()));
        let body = |read: Arc<(Mutex<bool>, Condvar)>, job: &JobContext<_>| {
            job.emit(1);
            let mut is_read = read.0.lock();
            while !*is_read {
                is_read = read.1.wait(is_read);
            }
        };
        let captures = (Arc::clone(&read), ());
        let body = move |(read, ()), job: &JobContext<_>| body(read, job);
        let job = thread_job_emitting(options(&queue), captures, body, made());
        let mut outputs = job.iter();
        assert_eq!(outputs.next(), Some(1));
        *read.0.lock() = true;
        read.1.notify_one();
        assert_eq!(outputs.next(), None);
    });
}

#[test]
fn a_place_is_handed_on_to_the_next() {
    explore(|| {
        let queue = JobQueue::new(1);
        let running = Arc::new(AtomicUsize::new(0));
        let alone = |running: Arc<AtomicUsize>| {
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
            running.fetch_sub(1, Ordering::SeqCst);
        };
        let one = thread_job(options(&queue), Arc::clone(&running), alone);
        let two = thread_job(options(&queue), Arc::clone(&running), alone);
        two.join().unwrap();
        one.join().unwrap();
    });
}

#[test]
fn a_lent_place_comes_home() {
    explore(|| {
        let queue = JobQueue::new(1);
        let outer = thread_job(options(&queue), queue.clone(), |queue| {
            let inner = thread_job(options(&queue), queue.clone(), |queue| queue.running());
            (inner.join().unwrap(), queue.running())
        });
        assert_eq!(outer.join().unwrap(), (1, 1));
        assert_eq!(queue.running(), 0);
    });
}

#[test]
fn a_stop_that_meets_a_start_ends_the_job_once() {
    explore(|| {
        let queue = JobQueue::new(1);
        let one = thread_job(options(&queue), (), |()| ());
        let two = thread_job(options(&queue), (), |()| ());
        two.stop();
        assert!(matches!(
            two.wait(),
            JobState::Stopped | JobState::Completed
        ));
        assert_eq!(one.wait(), JobState::Completed);
        assert_eq!((queue.running(), queue.queued()), (0, 0));
    });
}

#[test]
fn a_stop_that_meets_a_start_takes_the_job_out_of_a_full_line() {
    explore(|| {
        let queue = JobQueue::new(1);
        let free = Arc::new((Mutex::new(false), Condvar::new()));
        let holder = thread_job(options(&queue), Arc::clone(&free), |free| {
            let mut is_free = free.0.lock();
            while !*is_free {
                is_free = free.1.wait(is_free);
            }
        });
        let outer = thread_job(options(&JobQueue::new(1)), queue.clone(), |queue| {
            thread_job(options(&queue), (), |()| ()).wait()
        });
        outer.stop();
        // While there is no place for the inner job, which only the stop can end.
        assert_eq!(outer.wait(), JobState::Stopped);
        *free.0.lock() = true;
        free.1.notify_one();
        holder.join().unwrap();
    });
}

#[test]
fn a_place_that_comes_home_is_lent_again() {
    explore(|| {
        let queue = JobQueue::new(1);
        let outer = thread_job(options(&queue), queue.clone(), |queue| {
            let inner = [0, 1].map(|_| thread_job(options(&queue), (), |()| ()));
            wait_all(&inner)
        });
        assert_eq!(outer.join().unwrap(), [JobState::Completed; 2]);
        assert_eq!(queue.running(), 0);
    });
}

#[test]
fn a_drop_that_meets_the_end_leaves_no_entry() {
    explore(|| {
        let queue = JobQueue::new(1);
        let job = thread_job(options(&queue), (), |()| 7);
        let entry = jobs().get(job.id()).unwrap().clone();
        drop(job);
        assert_eq!(entry.wait(), JobState::Completed);
        assert!(jobs().is_empty());
        assert!(!entry.has_more_data());
    });
}

#[test]
fn a_ring_is_told_to_exactly_one() {
    explore(|| {
        let queue = JobQueue::new(2);
        let other = Arc::new((Mutex::new(None), Condvar::new()));
        let one = thread_job(options(&queue), Arc::clone(&other), |other| {
            let mut entry = other.0.lock();
            while entry.is_none() {
                entry = other.1.wait(entry);
            }
            let entry = entry.take().unwrap();
            is_refused(&entry)
        });
        let first = jobs().get(one.id()).unwrap().clone();
        let two = thread_job(options(&queue), first, |first| is_refused(&first));
        *other.0.lock() = jobs().get(two.id()).cloned();
        other.1.notify_one();
        let told = [one.join().unwrap(), two.join().unwrap()];
        assert_eq!(told.iter().filter(|it| **it).count(), 1);
    });
}

/// Waits for a job; whether that was refused.
fn is_refused(entry: &JobEntry) -> bool {
    let core = &entry.core;
    let ended = || core.is_finished();
    wait::one(core, crate::waits::Until::End, signal::Limit::None, ended).is_err()
}
