//! `on = process` when workers die, grow, or are used up in numbers: every item ends in exactly one
//! outcome, and what ends a worker on purpose is nobody's failure.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{Cause, ProcessPool, ProcessPoolBuilder, foreach_parallel, start_job};
use rustix::process::Signal;
use support::census::{alone, by_index, crash, descriptors, is_alive, send};
use support::{until, within};

/// A pool whose workers are soon gone.
fn pool(workers: usize) -> ProcessPoolBuilder {
    let pool = ProcessPool::builder().workers(workers);
    pool.idle_timeout(Duration::from_millis(200))
}

/// The other processes that the parent of this one has started.
fn siblings() -> Vec<u32> {
    let parent = rustix::process::getppid()
        .unwrap()
        .as_raw_nonzero()
        .to_string();
    let own = std::process::id();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| {
        let pid = it.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(it.path().join("stat")).ok()?;
        let of = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        (of == parent && pid != own).then_some(pid)
    })
    .collect()
}

#[test]
fn workers_that_kill_each_other_leave_every_item_with_one_outcome() {
    alone(240, || {
        for workers in [1, 2, 5, 13] {
            let start = Instant::now();
            let pool = pool(workers).build();
            let outcomes = foreach_parallel!(0..200_u64, on = process(&pool), |n| {
                if n % 20 == 13 {
                    for victim in siblings() {
                        send(Signal::KILL, victim);
                    }
                }
                sleep(Duration::from_micros(500));
                n
            })
            .outcomes();
            let all = by_index(outcomes, |n| *n, 200);
            for error in all.values().filter_map(|it| it.as_ref().err()) {
                let signal = crash(error).exit().signal_name();
                assert_eq!(signal, Some("SIGKILL"), "{error}");
            }
            let good = all.values().filter(|it| it.is_ok()).count();
            // Each of the ten killers costs its peers the item in hand at most.
            assert!(
                good >= 200 - 10 * (workers - 1),
                "{good} good of {workers} workers"
            );
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{:?}",
                start.elapsed()
            );
        }
    });
}

#[test]
fn a_worker_that_kills_itself_and_the_others_too() {
    alone(120, || {
        let pool = pool(5).build();
        let outcomes = foreach_parallel!(0..100_u64, on = process(&pool), |n| {
            if n % 10 == 3 {
                for victim in siblings().into_iter().chain([std::process::id()]) {
                    send(Signal::KILL, victim);
                }
            }
            sleep(Duration::from_micros(500));
            n
        })
        .outcomes();
        let all = by_index(outcomes, |n| *n, 100);
        for (index, outcome) in all {
            // A killer may be killed by another before it comes to it, but it never lives.
            assert!(index % 10 != 3 || outcome.is_err(), "{index}");
        }
    });
}

/// Leaves a thread behind that panics `after` a while.
fn leave_a_panic(after: Duration) {
    std::thread::spawn(move || {
        sleep(after);
        panic!("late panic");
    });
}

#[test]
fn a_late_panic_of_a_thread_that_an_item_left_behind_costs_nobody() {
    alone(120, || {
        let pool = ProcessPool::builder().workers(1).build();
        let results = foreach_parallel!(0..60_u64, on = process(&pool), |n| {
            if n % 10 == 2 {
                leave_a_panic(Duration::from_millis(n));
            }
            sleep(Duration::from_millis(5));
            (n, std::process::id())
        });
        let all = by_index(results.outcomes(), |it| it.0, 60);
        let pids: BTreeSet<u32> = all.into_values().map(|it| it.unwrap().1).collect();
        assert_eq!(
            pids.len(),
            1,
            "a thread's own panic is no reason for a new worker"
        );
        // After the call, in a worker without work, and in one whose job is over.
        foreach_parallel!(0..1, on = process(&pool), |_n| leave_a_panic(
            Duration::from_millis(20)
        ));
        sleep(Duration::from_millis(100));
        assert!(foreach_parallel!(0..5, on = process(&pool), |n| n).eq(0..5));
        let job = start_job!({
            leave_a_panic(Duration::ZERO);
            5
        });
        assert_eq!(job.join().unwrap(), 5);
    });
}

#[test]
fn a_late_crash_of_a_thread_that_an_item_left_behind_costs_one_item_at_most() {
    alone(120, || {
        let pool = ProcessPool::builder().workers(1).build();
        let results = foreach_parallel!(0..60_u64, on = process(&pool), |n| {
            if n == 20 {
                std::thread::spawn(|| {
                    sleep(Duration::from_millis(30));
                    eprintln!("a thread of item 20");
                    std::process::abort();
                });
            }
            sleep(Duration::from_millis(5));
            n
        });
        let all = by_index(results.outcomes(), |n| *n, 60);
        let failed: Vec<_> = all
            .iter()
            .filter_map(|it| Some((*it.0, it.1.as_ref().err()?)))
            .collect();
        // The result of item 20 was there; the item that ran then is told with whose words those were.
        let [(index, error)] = failed[..] else {
            panic!("{failed:?}")
        };
        assert!(index > 20, "{error}");
        assert!(error.to_string().contains("a thread of item 20"), "{error}");
        // Of a worker without work nobody hears.
        foreach_parallel!(0..1, on = process(&pool), |_n| {
            std::thread::spawn(|| {
                sleep(Duration::from_millis(20));
                std::process::abort();
            });
        });
        sleep(Duration::from_millis(100));
        assert!(foreach_parallel!(0..5, on = process(&pool), |n| n).eq(0..5));
    });
}

#[test]
fn an_item_that_kills_its_worker_each_time_is_given_up_after_its_tries() {
    alone(120, || {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let pool = pool(2).max_items(3).build();
        let outcomes = foreach_parallel!(
            0..60_u64,
            on = process(&pool),
            retry = 3,
            using(log = log.clone()),
            |n| {
                let mut log = fs::File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap();
                let line = format!("{n} {}\n", runspace::attempt());
                log.write_all(line.as_bytes()).unwrap(); // in one go: others write there, too
                if n % 20 == 7 {
                    send(Signal::KILL, std::process::id());
                    sleep(Duration::from_secs(10));
                }
                n
            }
        )
        .outcomes();
        let all = by_index(outcomes, |n| *n, 60);
        let mut tries: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for line in fs::read_to_string(&log).unwrap().lines() {
            let (index, attempt) = line.split_once(' ').unwrap();
            let attempt = attempt.parse().unwrap();
            tries
                .entry(index.parse().unwrap())
                .or_default()
                .push(attempt);
        }
        for (index, outcome) in all {
            if index % 20 == 7 {
                let error = outcome.unwrap_err();
                assert_eq!(crash(&error).exit().signal_name(), Some("SIGKILL"));
                assert_eq!(
                    (error.attempt(), &tries[&index][..]),
                    (4, &[1, 2, 3, 4][..])
                );
            } else {
                // Workers that made room for fresh ones have cost no item a try.
                assert_eq!((outcome.unwrap(), &tries[&index][..]), (index, &[1][..]));
            }
        }
    });
}

#[test]
fn a_worker_for_each_item_of_a_long_row_and_no_item_lost() {
    alone(240, || {
        for (workers, items) in [(1, 1), (3, 1), (4, 2)] {
            let pool = pool(workers).max_items(items).build();
            let outcomes = foreach_parallel!(0..300_u64, on = process(&pool), buffer = 300, |n| {
                (n, std::process::id())
            })
            .outcomes();
            let mut uses: BTreeMap<u32, u64> = BTreeMap::new();
            for outcome in by_index(outcomes, |it| it.0, 300).into_values() {
                *uses.entry(outcome.unwrap().1).or_default() += 1;
            }
            assert!(uses.values().all(|it| *it <= items), "{uses:?}");
        }
    });
}

#[test]
fn a_leak_is_bounded_by_fresh_workers_between_items() {
    alone(240, || {
        const LEAK: u64 = 3 << 20;
        let pool = pool(2).max_growth(60 << 20).build();
        let outcomes = foreach_parallel!(0..300_u64, on = process(&pool), |n| {
            std::mem::forget(std::hint::black_box(vec![1_u8; LEAK as usize]));
            let pages = fs::read_to_string("/proc/self/statm").unwrap();
            let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
            (n, std::process::id(), pages * 4096)
        })
        .outcomes();
        let mut held: BTreeMap<u32, u64> = BTreeMap::new();
        for outcome in by_index(outcomes, |it| it.0, 300).into_values() {
            let (_, pid, bytes) = outcome.unwrap();
            let most = held.entry(pid).or_default();
            *most = bytes.max(*most);
        }
        // A look at its own memory every 10 ms: a worker is late by what it leaks in that time.
        assert!(held.len() >= 4, "{} workers for {} MB", held.len(), 300 * 3);
        assert!(held.values().all(|it| *it < 400 << 20), "{held:?}");
    });
}

#[test]
fn workers_that_go_while_they_are_wanted_lose_no_item() {
    alone(120, || {
        let pool = ProcessPool::builder()
            .workers(3)
            .idle_timeout(Duration::from_millis(10))
            .build();
        for round in 0..60_u64 {
            let sum: u64 = foreach_parallel!(0..6_u64, on = process(&pool), |n| n).sum();
            assert_eq!(sum, 15);
            // About as long as they are kept, so that both happen: one is taken, one goes.
            sleep(Duration::from_micros(9_000 + round % 20 * 100));
        }
        // The same within a call whose items come as slowly.
        let slow = (0..60_u64).inspect(|n| sleep(Duration::from_micros(9_000 + n % 20 * 100)));
        let outcomes = foreach_parallel!(slow, on = process(&pool), |n| n).outcomes();
        assert!(by_index(outcomes, |n| *n, 60).values().all(Result::is_ok));
    });
}

#[test]
fn threads_that_go_while_they_are_wanted_lose_no_item() {
    within(120, || {
        let pool = runspace::RunspacePool::builder()
            .max(3)
            .idle_timeout(Duration::from_millis(10))
            .open()
            .unwrap();
        for round in 0..100_u64 {
            let sum: u64 = foreach_parallel!(0..6_u64, on = pool(&pool), |n| n).sum();
            assert_eq!(sum, 15);
            sleep(Duration::from_micros(9_000 + round % 20 * 100));
        }
    });
}

#[test]
fn the_dead_hand_their_descriptors_back() {
    alone(120, || {
        let pool = pool(2).build();
        let run = || {
            let outcomes = foreach_parallel!(0..40_u64, on = process(&pool), |n| {
                if n % 2 == 0 {
                    std::process::abort();
                }
                (n, std::process::id())
            })
            .outcomes();
            let all = by_index(outcomes, |it| it.0, 40);
            let pids = all.values().filter_map(|it| it.as_ref().err());
            let pids: Vec<u32> = pids.map(|it| crash(it).pid()).collect();
            assert_eq!(pids.len(), 20);
            // Reaped by the time that its item has failed.
            assert!(pids.iter().all(|it| !is_alive(*it)));
            assert!(all.values().filter_map(|it| it.as_ref().err()).all(|it| {
                matches!(it.cause(), Cause::Process(_)) && it.location().file() == file!()
            }));
        };
        run();
        let most = descriptors().len();
        for _ in 0..5 {
            run();
            until(|| descriptors().len() <= most + 8);
        }
    });
}
