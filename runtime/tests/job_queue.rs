//! A queue starts its jobs in order and runs no more at once than its throttle.

mod support;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runspace::{Job, JobQueue, JobState, start_thread_job, wait_all};
use support::{throughout, until, within};

/// How many bodies run at once, and the most there were.
#[derive(Clone, Default)]
struct Gauge {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gauge {
    fn run(&self, body: impl FnOnce()) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        body();
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn never_more_than_the_throttle_run() {
    within(120, || {
        for throttle in [1, 2, 3, 7] {
            let queue = JobQueue::new(throttle);
            let gauge = Gauge::default();
            let jobs: Vec<_> = (0..200)
                .map(|_| {
                    start_thread_job!(queue = &queue, using(gauge.clone()), {
                        gauge.run(|| std::thread::sleep(Duration::from_micros(100)));
                    })
                })
                .collect();
            assert!(wait_all(&jobs).iter().all(|it| *it == JobState::Completed));
            let most = gauge.most.load(Ordering::SeqCst);
            assert!(
                most <= throttle,
                "{most} at once with a throttle of {throttle}"
            );
            assert_eq!((queue.running(), queue.queued()), (0, 0));
        }
    });
}

#[test]
fn the_throttle_is_used_to_the_full() {
    within(60, || {
        let queue = JobQueue::new(4);
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let jobs: Vec<_> = (0..8)
            .map(|_| {
                start_thread_job!(queue = &queue, using(barrier.clone()), {
                    barrier.wait();
                })
            })
            .collect();
        wait_all(&jobs);
    });
}

#[test]
fn first_come_first_served() {
    within(60, || {
        let queue = JobQueue::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let jobs: Vec<_> = (0..500)
            .map(|n| {
                start_thread_job!(queue = &queue, using(order.clone(), n), {
                    order.lock().unwrap().push(n);
                })
            })
            .collect();
        wait_all(&jobs);
        assert!(order.lock().unwrap().iter().copied().eq(0..500));
    });
}

#[test]
fn jobs_in_a_row_share_a_thread() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), {
            let _ = wait.recv();
            std::thread::current().id()
        });
        let rest: Vec<_> = (0..20)
            .map(|_| start_thread_job!(queue = &queue, { std::thread::current().id() }))
            .collect();
        drop(go);
        let thread = first.join().unwrap();
        for job in rest {
            assert_eq!(job.join().unwrap(), thread);
        }
    });
}

/// Jobs that run until they are let go, in the order of their start.
fn held(queue: &JobQueue, count: usize) -> (Vec<std::sync::mpsc::Sender<()>>, Vec<Job<()>>) {
    (0..count)
        .map(|_| {
            let (go, wait) = channel::<()>();
            let job = start_thread_job!(queue = queue, using(wait), {
                let _ = wait.recv();
            });
            (go, job)
        })
        .unzip()
}

fn running(jobs: &[Job<()>]) -> usize {
    jobs.iter()
        .filter(|it| it.state() == JobState::Running)
        .count()
}

#[test]
fn a_higher_throttle_starts_waiting_jobs() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, jobs) = held(&queue, 4);
        until(|| running(&jobs) == 1);
        assert_eq!((queue.running(), queue.queued()), (1, 3));
        queue.set_throttle(3);
        assert_eq!(queue.throttle(), 3);
        until(|| running(&jobs) == 3);
        assert_eq!((queue.running(), queue.queued()), (3, 1));
        assert_eq!(jobs[3].state(), JobState::NotStarted);
        drop(go);
        wait_all(&jobs);
    });
}

#[test]
fn a_lower_throttle_ends_nothing_and_starts_nothing() {
    within(60, || {
        let queue = JobQueue::new(3);
        let (go, jobs) = held(&queue, 5);
        until(|| running(&jobs) == 3);
        queue.set_throttle(1);
        assert_eq!(running(&jobs), 3);
        for n in 0..2 {
            go[n].send(()).unwrap();
            jobs[n].wait();
        }
        let still = || (queue.running(), queue.queued()) == (1, 2);
        assert!(throughout(Duration::from_millis(100), still), "{queue:?}");
        go[2].send(()).unwrap();
        until(|| jobs[3].state() == JobState::Running);
        assert_eq!(jobs[4].state(), JobState::NotStarted);
        drop(go);
        wait_all(&jobs);
    });
}

#[test]
fn queues_do_not_hold_each_other_up() {
    within(60, || {
        let (busy, free) = (JobQueue::new(1), JobQueue::new(1));
        let (go, jobs) = held(&busy, 2);
        assert_eq!(start_thread_job!(queue = &free, { 5 }).join().unwrap(), 5);
        assert_eq!(running(&jobs[1..]), 0);
        drop(go);
        wait_all(&jobs);
    });
}

#[test]
fn a_queue_that_is_dropped_runs_what_is_in_it() {
    within(60, || {
        let queue = JobQueue::new(1);
        let jobs: Vec<_> = (0..10)
            .map(|n| start_thread_job!(queue = &queue, using(n), { n }))
            .collect();
        drop(queue);
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), n);
        }
    });
}

#[test]
fn a_throttle_of_zero_is_refused_where_it_is_written() {
    let line = line!() + 1;
    let made = || drop(JobQueue::new(0));
    let queue = JobQueue::new(2);
    let text = |payload: Box<dyn std::any::Any + Send>| *payload.downcast::<&str>().unwrap();
    let place = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&place);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().unwrap();
        *seen.lock().unwrap() = Some((location.file().to_owned(), location.line()));
    }));
    let refused = catch_unwind(made);
    std::panic::set_hook(before);
    assert!(text(refused.unwrap_err()).contains("at least 1"));
    assert_eq!(*place.lock().unwrap(), Some((file!().to_owned(), line)));
    let same = queue.clone();
    assert!(catch_unwind(move || same.set_throttle(0)).is_err());
    assert_eq!(queue.throttle(), 2);
}

#[test]
fn the_queue_of_the_process_starts_with_five() {
    assert_eq!(JobQueue::global().throttle(), 5);
}
