//! The outputs of a job reach whoever holds it, once, in order, by each way to receive them.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use runspace::{JobErrorKind, JobQueue, JobState, start_thread_job};
use support::{until, within};

#[test]
fn receive_takes_what_is_there_now() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let job = start_thread_job!(using(wait), |job| {
            job.emit(1);
            job.emit(2);
            wait.recv().unwrap();
            job.emit(3);
        });
        let mut seen = Vec::new();
        until(|| {
            seen.extend(job.receive());
            seen.len() == 2
        });
        assert_eq!(seen, [1, 2]);
        assert!(job.receive().is_empty());
        go.send(()).unwrap();
        job.wait();
        assert_eq!(job.receive(), [3]);
        assert!(job.receive().is_empty());
    });
}

#[test]
fn receive_keep_leaves_what_is_there() {
    within(60, || {
        let job = start_thread_job!(|job| (0..3).for_each(|n| job.emit(n)));
        job.wait();
        assert_eq!(job.receive_keep(), [0, 1, 2]);
        assert!(job.has_more_data());
        assert_eq!(job.receive_keep(), [0, 1, 2]);
        assert_eq!(job.receive(), [0, 1, 2]);
        assert!(job.receive_keep().is_empty());
    });
}

#[test]
fn a_copy_that_panics_loses_nothing() {
    struct Shy(u8, Arc<AtomicBool>);
    impl Clone for Shy {
        fn clone(&self) -> Self {
            assert!(!self.1.load(Ordering::SeqCst), "not now");
            Self(self.0, Arc::clone(&self.1))
        }
    }
    within(60, || {
        let shy = Arc::new(AtomicBool::new(true));
        let job = start_thread_job!(using(shy.clone()), |job| {
            (0..3).for_each(|n| job.emit(Shy(n, Arc::clone(&shy))));
        });
        job.wait();
        assert!(catch_unwind(AssertUnwindSafe(|| job.receive_keep())).is_err());
        shy.store(false, Ordering::SeqCst);
        let kept: Vec<u8> = job.receive_keep().iter().map(|it| it.0).collect();
        assert_eq!(kept, [0, 1, 2]);
    });
}

#[test]
fn iter_waits_for_each_output_and_ends_with_the_job() {
    within(60, || {
        let (send, feed) = channel::<u32>();
        let job = start_thread_job!(using(feed), |job| {
            feed.iter().for_each(|n| job.emit(n * 10));
        });
        let mut outputs = job.iter();
        for n in 0..100 {
            send.send(n).unwrap();
            assert_eq!(outputs.next(), Some(n * 10));
        }
        drop(send);
        assert_eq!(outputs.next(), None);
        assert_eq!(outputs.next(), None);
        assert_eq!(job.state(), JobState::Completed);
    });
}

#[test]
fn two_receivers_share_the_outputs() {
    within(60, || {
        let job = start_thread_job!(|job| (0..10_000u32).for_each(|n| job.emit(n)));
        let mut all = std::thread::scope(|scope| {
            let one = scope.spawn(|| job.iter().collect::<Vec<_>>());
            let two = scope.spawn(|| job.iter().collect::<Vec<_>>());
            let mut all = one.join().unwrap();
            all.extend(two.join().unwrap());
            all
        });
        all.sort_unstable();
        assert!(all.into_iter().eq(0..10_000));
    });
}

#[test]
fn iter_raises_the_panic_of_the_job_after_its_outputs() {
    within(60, || {
        let job = start_thread_job!(|job| {
            job.emit(1);
            std::panic::panic_any(vec![7, 8]);
        });
        let mut outputs = job.iter();
        assert_eq!(outputs.next(), Some(1));
        let payload = catch_unwind(AssertUnwindSafe(|| outputs.next())).unwrap_err();
        assert_eq!(payload.downcast_ref::<Vec<i32>>().unwrap(), &[7, 8]);
        assert_eq!(job.state(), JobState::Failed);
        // The payload is out; a later look still fails.
        assert!(catch_unwind(AssertUnwindSafe(|| job.iter().next())).is_err());
    });
}

#[test]
fn join_answers_the_value_of_the_block() {
    within(60, || {
        let text = String::from("abc");
        let job = start_thread_job!(using(text), { text.len() });
        assert_eq!(job.join().unwrap(), 3);
    });
}

#[test]
fn join_answers_the_last_output() {
    within(60, || {
        let job = start_thread_job!(|job| (0..=9).for_each(|n| job.emit(n)));
        assert_eq!(job.join().unwrap(), 9);
    });
}

#[test]
fn join_without_an_output_says_so() {
    within(60, || {
        let job = start_thread_job!(name = "mute", |_| {});
        let job: runspace::Job<u8> = job;
        let error = job.join().unwrap_err();
        assert!(matches!(error.kind(), JobErrorKind::NoOutput));
        assert!(error.to_string().contains("`mute`"), "{error}");

        let job = start_thread_job!({ 1 });
        job.wait();
        assert_eq!(job.receive(), [1]);
        assert!(matches!(
            job.join().unwrap_err().kind(),
            JobErrorKind::NoOutput
        ));
    });
}

#[test]
fn many_waiters_all_wake() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let queue = JobQueue::new(1);
        let job = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| job.wait())).collect();
            go.send(()).unwrap();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), JobState::Completed);
            }
        });
    });
}
