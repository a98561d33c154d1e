//! Waits for one, all and any of several jobs, with and without a limit.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;

use runspace::{
    AnyJob, Job, JobQueue, JobState, jobs, start_thread_job, wait_all, wait_all_timeout, wait_any,
    wait_any_timeout,
};
use support::within;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

#[test]
fn a_limit_ends_a_wait() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let job = start_thread_job!(using(wait), { wait.recv().is_ok() });
        assert_eq!(job.wait_timeout(SHORT), None);
        assert_eq!(job.wait_timeout(Duration::ZERO), None);
        assert_eq!(wait_all_timeout([&job], SHORT), None);
        assert_eq!(wait_any_timeout([&job], SHORT), None);
        go.send(()).unwrap();
        assert_eq!(job.wait_timeout(Duration::MAX), Some(JobState::Completed));
        assert_eq!(
            wait_all_timeout([&job], LONG),
            Some(vec![JobState::Completed])
        );
        assert_eq!(wait_any_timeout([&job], LONG), Some(0));
        assert_eq!(job.wait_timeout(Duration::ZERO), Some(JobState::Completed));
    });
}

#[test]
fn jobs_of_different_types_are_waited_for_together() {
    within(60, || {
        let number = start_thread_job!({ 1 });
        let text = start_thread_job!({ "one".to_owned() });
        let failed: Job<()> = start_thread_job!({ panic!("no") });
        let all: [&dyn AnyJob; 3] = [&number, &text, &failed];
        let states = wait_all(all);
        assert_eq!(
            states,
            [JobState::Completed, JobState::Completed, JobState::Failed]
        );
        assert_eq!(wait_all(&all), states);
        assert_eq!(wait_any(all.iter()), Some(0));
        assert_eq!(all[2].id(), failed.id());
        assert_eq!(all[2].state(), JobState::Failed);
        assert_eq!(all[2].name(), failed.name());
    });
}

#[test]
fn lists_of_jobs_and_entries_are_taken_as_they_are() {
    within(60, || {
        let many: Vec<Job<u32>> = (0..4).map(|n| start_thread_job!(using(n), { n })).collect();
        assert_eq!(wait_all(&many).len(), 4);
        assert_eq!(wait_all(&many[1..3]).len(), 2);
        assert!(wait_any(&many).is_some());
        let entries: Vec<_> = many
            .iter()
            .map(|it| jobs().get(it.id()).unwrap().clone())
            .collect();
        assert_eq!(wait_all(&entries), [JobState::Completed; 4]);
    });
}

#[test]
fn no_jobs_are_all_done_and_none_is_any() {
    within(60, || {
        let none: [Job<()>; 0] = [];
        assert!(wait_all(&none).is_empty());
        assert_eq!(wait_all_timeout(&none, SHORT), Some(Vec::new()));
        assert_eq!(wait_any(&none), None);
        assert_eq!(wait_any_timeout(&none, LONG), None);
    });
}

#[test]
fn any_answers_the_one_that_ended() {
    within(60, || {
        let queue = JobQueue::new(4);
        let (sends, jobs): (Vec<_>, Vec<_>) = (0..4)
            .map(|n| {
                let (send, wait) = channel::<()>();
                let job = start_thread_job!(queue = &queue, using(wait, n), {
                    let _ = wait.recv();
                    n
                });
                (send, job)
            })
            .unzip();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_any(&jobs));
            sends[2].send(()).unwrap();
            assert_eq!(waiter.join().unwrap(), Some(2));
        });
        sends[1].send(()).unwrap();
        jobs[1].wait();
        assert_eq!(
            wait_any(&jobs),
            Some(1),
            "the lowest index of those that ended"
        );
        drop(sends);
        assert_eq!(wait_all(&jobs), [JobState::Completed; 4]);
    });
}
