//! When a process is killed, all of its workers go with it within two seconds, and with each worker what
//! that has started: those that work, those without work, and those that are kept ready.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{Job, ProcessPool, foreach_parallel, start_job};
use rustix::process::{Signal, getpid, kill_process};
use support::census::{children, is_alive};
use support::{Ended, in_own_process, until, within};

/// Says who is to be gone, and is killed.
fn be_killed(wards: impl IntoIterator<Item = u32>) -> ! {
    for pid in wards.into_iter().chain(children().into_keys()) {
        println!("ward {pid}.");
    }
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("killed")
}

/// Waits until all that a killed process has named are gone.
fn all_go(parent: &Ended, least: usize) {
    let killed = Instant::now();
    let wards: BTreeSet<u32> = parent
        .out
        .split("ward ")
        .skip(1)
        .map(|it| it.split_once('.').unwrap().0.parse().unwrap())
        .collect();
    assert!(wards.len() >= least, "{parent:?}");
    until(|| !wards.iter().any(|it| is_alive(*it)));
    assert!(
        killed.elapsed() < Duration::from_secs(2),
        "{:?}",
        killed.elapsed()
    );
}

#[test]
fn workers_of_a_call_and_what_they_have_started() {
    within(60, || {
        let parent = in_own_process("workers_of_a_call_and_what_they_have_started", || {
            let pool = ProcessPool::builder().workers(3).build();
            let mut results = foreach_parallel!(0_u32.., on = process(&pool), |_n, item| {
                // One that is deaf and silent, in the worker's group.
                let deaf = Command::new("sh")
                    .args(["-c", "trap '' TERM HUP INT; while :; do sleep 0.1; done"])
                    .spawn();
                item.emit((std::process::id(), deaf.unwrap().id()));
                sleep(Duration::from_secs(1000));
            });
            let three: Vec<(u32, u32)> = results.by_ref().take(3).collect();
            be_killed(three.into_iter().flat_map(|(worker, deaf)| [worker, deaf]));
        });
        all_go(&parent, 6);
    });
}

#[test]
fn workers_that_are_in_the_middle_of_batches() {
    within(60, || {
        let parent = in_own_process("workers_that_are_in_the_middle_of_batches", || {
            let pool = ProcessPool::builder().workers(2).build();
            let results = foreach_parallel!(0_u64.., on = process(&pool), |n| vec![n; 1000]);
            let mut results = results.skip(500);
            assert!(results.next().is_some());
            be_killed([]);
        });
        all_go(&parent, 2);
    });
}

#[test]
fn workers_without_work_and_those_that_are_kept_ready() {
    within(60, || {
        let parent = in_own_process("workers_without_work_and_those_that_are_kept_ready", || {
            let pool = ProcessPool::builder()
                .workers(2)
                .idle_timeout(Duration::from_secs(1000))
                .build();
            let sum: u32 = foreach_parallel!(0..8, on = process(&pool), |n| {
                sleep(Duration::from_millis(20));
                n
            })
            .sum();
            assert_eq!(sum, 28);
            assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
            // Two workers, and a template with one copy.
            until(|| children().len() >= 4);
            be_killed([]);
        });
        all_go(&parent, 4);
    });
}

#[test]
fn a_held_job_and_one_that_nobody_holds() {
    within(60, || {
        let parent = in_own_process("a_held_job_and_one_that_nobody_holds", || {
            let held: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
            let alone: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
            until(|| held.location().process().is_some() && alone.location().process().is_some());
            // It cannot look after itself while it is held.
            held.suspend().unwrap();
            drop(alone);
            be_killed([]);
        });
        all_go(&parent, 2);
    });
}

#[test]
fn workers_of_workers() {
    within(60, || {
        let parent = in_own_process("workers_of_workers", || {
            let mut results =
                foreach_parallel!(0..2_u32, on = process, throttle = 2, |_n, item| {
                    let inner: Job<u32> = start_job!(|job| {
                        job.emit(std::process::id());
                        sleep(Duration::from_secs(1000));
                    });
                    item.emit((std::process::id(), inner.iter().next().unwrap()));
                    inner.wait();
                });
            let two: Vec<(u32, u32)> = results.by_ref().take(2).collect();
            be_killed(two.into_iter().flat_map(|(outer, inner)| [outer, inner]));
        });
        all_go(&parent, 4);
    });
}

#[test]
fn a_result_does_not_wait_for_what_an_item_has_left_behind() {
    within(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let start = Instant::now();
        let left: Vec<u32> = foreach_parallel!(0..5, on = process(&pool), |_n| {
            // It holds what the worker prints into open, and leaves the group as a daemon does.
            let daemon = Command::new("setsid").args(["sleep", "600"]).spawn();
            daemon.unwrap().id()
        })
        .collect();
        drop(pool);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(left.len(), 5);
        for pid in left {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            let _ = kill_process(pid, Signal::KILL);
        }
    });
}
