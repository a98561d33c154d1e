//! Processes are started from wherever a program happens to be, with no set-up call: from threads,
//! from many at once, from destructors, from other jobs.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use runspace::{Job, foreach_parallel, start_job, start_thread_job};
use support::bodies::{jobs_down, loops_down};
use support::census::is_alive;
use support::{until, within};

#[test]
fn from_a_thread_that_ends_before_its_job() {
    within(60, || {
        let job = thread::spawn(|| {
            start_job!({
                thread::sleep(Duration::from_millis(300));
                std::process::id()
            })
        })
        .join()
        .unwrap();
        // The end of a thread is not the end of what it has started.
        assert_ne!(job.join().unwrap(), std::process::id());
    });
}

#[test]
fn from_eight_threads_at_once() {
    within(120, || {
        let start = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    start.wait();
                    let jobs: Vec<Job<(u64, u32)>> = (0..10)
                        .map(|n| {
                            let value = thread * 10 + n;
                            start_job!(using(value), { (value, std::process::id()) })
                        })
                        .collect();
                    jobs.into_iter()
                        .map(|it| it.join().unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let all: Vec<(u64, u32)> = threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect();
        assert!(all.iter().map(|it| it.0).eq(0..80));
        let pids: BTreeSet<u32> = all.iter().map(|it| it.1).collect();
        assert_eq!(pids.len(), 80);
        until(|| pids.iter().all(|pid| !is_alive(*pid)));
    });
}

#[test]
fn loops_from_eight_threads_at_once() {
    within(120, || {
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                thread::spawn(move || -> u64 {
                    foreach_parallel!(0..100_u64, on = process, throttle = 2, using(thread), |n| {
                        n * thread
                    })
                    .sum()
                })
            })
            .collect();
        let sums = threads.into_iter().map(|it| it.join().unwrap());
        assert!(sums.eq((0..8).map(|thread| thread * 4950)));
    });
}

/// Starts a job when it is dropped, and tells what came of it.
struct AtTheEnd(Sender<Result<u32, String>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let job = start_job!({ std::process::id() });
        let _ = self.0.send(job.join().map_err(|error| error.to_string()));
    }
}

#[test]
fn from_a_destructor() {
    within(60, || {
        let (sender, results) = channel();
        drop(AtTheEnd(sender.clone()));
        assert_ne!(results.recv().unwrap().unwrap(), std::process::id());
        // While a panic unwinds,
        let at_the_end = AtTheEnd(sender.clone());
        let panicked = thread::spawn(move || {
            let _at_the_end = at_the_end;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        results.recv().unwrap().unwrap();
        // and when the variables of a thread are dropped, after all of its code.
        thread_local! {
            static HERE: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
        }
        thread::spawn(move || HERE.with_borrow_mut(|it| *it = Some(AtTheEnd(sender))))
            .join()
            .unwrap();
        results.recv().unwrap().unwrap();
    });
}

#[test]
fn from_a_job_on_a_thread() {
    within(60, || {
        let job = start_thread_job!({ start_job!({ std::process::id() }).join().unwrap() });
        assert_ne!(job.join().unwrap(), std::process::id());
    });
}

#[test]
fn jobs_that_start_jobs_come_to_an_end_in_words() {
    within(120, || {
        let (depth, text) = jobs_down(0);
        assert_eq!(depth, 10, "{text}");
        assert!(text.contains("already 10 levels of jobs deep"), "{text}");
        assert!(text.contains("does every job start one more?"), "{text}");
    });
}

#[test]
fn loops_in_loops_come_to_an_end_in_words() {
    within(120, || {
        let (depth, text) = loops_down(0);
        assert_eq!(depth, 10, "{text}");
        assert!(text.contains("already 10 levels of jobs deep"), "{text}");
    });
}

#[test]
fn constants_and_statics_are_those_of_a_fresh_program() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(1);
    within(60, || {
        COUNT.store(7, Ordering::Relaxed);
        for _ in 0..3 {
            let seen = start_job!({ COUNT.fetch_add(1, Ordering::Relaxed) });
            assert_eq!(seen.join().unwrap(), 1);
        }
    });
}

#[test]
fn arguments_are_those_of_the_program() {
    within(60, || {
        let arguments = start_job!({ std::env::args().collect::<Vec<String>>() });
        assert!(arguments.join().unwrap().into_iter().eq(std::env::args()));
    });
}
