//! A stop ends what looks at it, starts nothing, and reaches what the job has started.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use runspace::{JobErrorKind, JobQueue, JobState, jobs, start_thread_job};
use support::{until, within};

#[test]
fn a_body_that_looks_ends_and_what_it_made_is_there() {
    within(60, || {
        let job = start_thread_job!({
            while !runspace::stopping() {
                std::thread::yield_now();
            }
            7
        });
        until(|| job.state() == JobState::Running);
        job.stop();
        assert!(matches!(
            job.state(),
            JobState::Stopping | JobState::Stopped
        ));
        assert_eq!(job.wait(), JobState::Stopped);
        assert_eq!(job.receive(), [7]);
        assert!(matches!(
            job.join().unwrap_err().kind(),
            JobErrorKind::Stopped
        ));
    });
}

#[test]
fn a_body_that_does_not_look_is_stopping_until_it_ends() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let job = start_thread_job!(using(wait), { wait.recv().is_ok() });
        until(|| job.state() == JobState::Running);
        job.stop();
        job.stop();
        assert_eq!(job.state(), JobState::Stopping);
        assert_eq!(job.wait_timeout(Duration::from_millis(20)), None);
        go.send(()).unwrap();
        assert_eq!(job.wait(), JobState::Stopped);
    });
}

/// Counts the panics that are reported, as the hook of the process sees them: those without a text,
/// since a test beside this one may report one with a text.
#[test]
fn an_endless_emitter_ends_without_a_report() {
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    within(60, || {
        let reported = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&reported);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            if !payload.is::<&str>() && !payload.is::<String>() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
        let dropped = Arc::new(AtomicBool::new(false));
        let guard = OnDrop(Arc::clone(&dropped));
        let job = start_thread_job!(using(guard), |job| {
            let _guard = guard;
            for n in 0u64.. {
                job.emit(n);
            }
        });
        let job: runspace::Job<u64> = job;
        assert_eq!(job.iter().next(), Some(0));
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert!(
            dropped.load(Ordering::SeqCst),
            "what the body owned is dropped"
        );
        assert!(
            job.iter().is_sorted(),
            "a stop ends the outputs, it is no panic"
        );
        assert_eq!(reported.load(Ordering::SeqCst), 0);
        let _ = std::panic::take_hook();
    });
}

#[test]
fn a_queued_job_that_is_stopped_never_starts() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let ran = Arc::new(AtomicBool::new(false));
        let second = start_thread_job!(queue = &queue, using(ran.clone()), {
            ran.store(true, Ordering::SeqCst);
        });
        let third = start_thread_job!(queue = &queue, { 3 });
        assert_eq!(queue.queued(), 2);
        second.stop();
        assert_eq!(second.state(), JobState::Stopped, "at once");
        assert_eq!(second.started(), None);
        assert!(second.finished().is_some());
        assert_eq!(Arc::strong_count(&ran), 1, "its captures are dropped");
        assert_eq!(queue.queued(), 1);
        go.send(()).unwrap();
        assert_eq!(third.join().unwrap(), 3);
        first.wait();
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn stopping_a_finished_job_changes_nothing() {
    within(60, || {
        let job = start_thread_job!({ 1 });
        job.wait();
        job.stop();
        assert_eq!(job.state(), JobState::Completed);
        assert_eq!(job.join().unwrap(), 1);
    });
}

#[test]
fn a_stop_ends_a_sleep_on_the_token() {
    within(60, || {
        let job = start_thread_job!(|job| {
            let woken = job.stop_token().sleep(Duration::from_secs(3600));
            job.information(format!("woken: {woken}"));
        });
        let job: runspace::Job<()> = job;
        until(|| job.state() == JobState::Running);
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert_eq!(job.records()[0].text, "woken: true");
    });
}

#[test]
fn a_stop_reaches_the_jobs_that_the_job_has_started() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let (tell, told) = channel();
        let outer = start_thread_job!(queue = &queue, using(inner, tell), {
            let running = start_thread_job!(queue = &inner, {
                while !runspace::stopping() {
                    std::thread::yield_now();
                }
            });
            let queued = start_thread_job!(queue = &inner, {});
            tell.send((running.id(), queued.id())).unwrap();
            (running.wait(), queued.state())
        });
        let (running, queued) = told.recv().unwrap();
        let running = jobs().get(running).unwrap().clone();
        let queued = jobs().get(queued).unwrap().clone();
        until(|| running.state() == JobState::Running);
        assert_eq!(queued.state(), JobState::NotStarted);
        outer.stop();
        assert_eq!(outer.wait(), JobState::Stopped);
        assert_eq!(outer.receive(), [(JobState::Stopped, JobState::Stopped)]);
        assert_eq!(queued.started(), None);
    });
}

#[test]
fn a_job_started_by_one_that_is_stopping_never_starts() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let outer = start_thread_job!(queue = &queue, using(inner), |job| {
            while !job.stopping() {
                std::thread::yield_now();
            }
            let here = start_thread_job!(queue = &inner, {});
            let elsewhere = start_thread_job!({});
            job.information(here.state().to_string());
            job.information(elsewhere.wait().to_string());
            assert_eq!((here.started(), elsewhere.started()), (None, None));
        });
        let outer: runspace::Job<()> = outer;
        until(|| outer.state() == JobState::Running);
        outer.stop();
        assert_eq!(outer.wait(), JobState::Stopped);
        assert!(
            outer.records().iter().all(|it| it.text == "Stopped"),
            "{:?}",
            outer.records()
        );
    });
}

#[test]
fn a_job_outlives_the_one_that_started_it() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let outer = start_thread_job!(using(wait), {
            start_thread_job!(using(wait), { wait.recv().is_ok() })
        });
        outer.wait();
        let inner = outer.receive().pop().unwrap();
        outer.stop();
        until(|| inner.state() == JobState::Running);
        go.send(()).unwrap();
        assert!(inner.join().unwrap());
    });
}

#[test]
fn a_real_panic_after_a_stop_is_a_failure() {
    within(60, || {
        let job = start_thread_job!({
            while !runspace::stopping() {
                std::thread::yield_now();
            }
            panic!("could not clean up");
        });
        let job: runspace::Job<()> = job;
        until(|| job.state() == JobState::Running);
        job.stop();
        assert_eq!(job.wait(), JobState::Failed);
        assert!(
            job.join()
                .unwrap_err()
                .to_string()
                .ends_with("could not clean up")
        );
    });
}

#[test]
fn emitting_while_unwinding_does_not_abort() {
    struct Last<'a>(&'a runspace::JobContext<u32>);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            self.0.emit(u32::MAX);
        }
    }
    within(60, || {
        let job = start_thread_job!(|job| {
            let _last = Last(job);
            for n in 0.. {
                job.emit(n);
            }
        });
        until(|| job.has_more_data());
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert!(!job.receive().contains(&u32::MAX));
    });
}
