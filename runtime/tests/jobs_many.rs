//! A queue takes any number of jobs: in time that grows with their number only, in little memory.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use runspace::{Job, JobQueue, JobState, start_thread_job, wait_all};
use support::within;

const MANY: usize = 100_000;

fn start_held(count: usize) -> (std::sync::mpsc::Sender<()>, JobQueue, Vec<Job<usize>>) {
    let queue = JobQueue::new(2);
    let (go, wait) = channel::<()>();
    let first = start_thread_job!(queue = &queue, using(wait), {
        let _ = wait.recv();
        0
    });
    let (hold, held) = channel::<()>();
    let second = start_thread_job!(queue = &queue, using(held), {
        let _ = held.recv();
        1
    });
    let mut jobs = vec![first, second];
    jobs.extend((2..count).map(|n| start_thread_job!(queue = &queue, using(n), { n })));
    drop(hold);
    (go, queue, jobs)
}

#[test]
fn a_hundred_thousand_jobs_run() {
    within(300, || {
        let (go, queue, jobs) = start_held(MANY);
        drop(go);
        wait_all(&jobs);
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), n);
        }
        assert_eq!((queue.running(), queue.queued()), (0, 0));
    });
}

#[test]
fn a_hundred_thousand_queued_jobs_are_stopped() {
    within(300, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let ran = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..MANY)
            .map(|_| {
                start_thread_job!(queue = &queue, using(ran.clone()), {
                    ran.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        assert_eq!(queue.queued(), MANY);
        // From the back: the place in the line must not matter.
        jobs.iter().rev().for_each(Job::stop);
        assert_eq!(queue.queued(), 0);
        assert!(jobs.iter().all(|it| it.state() == JobState::Stopped));
        go.send(()).unwrap();
        first.join().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

/// Ten times the jobs may take ten times the time, not a hundred times.
#[test]
fn starting_is_linear() {
    within(300, || {
        let time = |count: usize| {
            let queue = JobQueue::new(1);
            let (go, wait) = channel::<()>();
            let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
            let start = Instant::now();
            let jobs: Vec<_> = (0..count)
                .map(|n| start_thread_job!(queue = &queue, using(n), { n }))
                .collect();
            let spent = start.elapsed();
            jobs.iter().for_each(Job::stop);
            drop(go);
            first.wait();
            spent
        };
        time(1_000);
        let (few, many) = (time(10_000), time(100_000));
        let limit = few * 50 + Duration::from_secs(2);
        assert!(many < limit, "10 000 took {few:?}, 100 000 took {many:?}");
    });
}

/// What the process has in memory, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// In a process of its own: the other tests take memory too.
#[cfg(target_os = "linux")]
#[test]
fn a_queued_job_takes_less_than_a_kibibyte() {
    if std::env::var_os("ALONE").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_queued_job_takes_less_than_a_kibibyte",
                "--nocapture",
            ])
            .env("ALONE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    within(120, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let mut jobs = Vec::with_capacity(MANY);
        let before = resident();
        jobs.extend((0..MANY).map(|n| start_thread_job!(queue = &queue, using(n), { n })));
        let each = (resident() - before) / MANY;
        println!("{each} bytes for a queued job");
        assert!(each < 1024, "{each} bytes for a queued job");
        jobs.iter().for_each(Job::stop);
        drop(go);
        first.wait();
    });
}
