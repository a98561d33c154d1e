//! `on = process`: worker processes that are used again, and what becomes of a call when they die.
//!
//! After each test a census is taken: no child, no zombie, no descriptor more than before it.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{Cause, Exit, ItemError, ProcessPool, ProcessPoolBuilder, Retry, foreach_parallel};
use rustix::process::Signal;
use support::bodies::{Odd, assert_lines, broken, leave_at_once, print_lines, to_a_full_disk};
use support::census::{
    Census, alone, by_index, children, crash, descriptors, die, failure_of_call, is_alive, send,
};
use support::until;

/// A pool of two, whose workers are soon gone.
fn two() -> ProcessPoolBuilder {
    ProcessPool::builder()
        .workers(2)
        .idle_timeout(Duration::from_millis(200))
}

/// The consumer waits for an item that has failed, and every worker for the consumer.
#[test]
fn a_further_try_waits_for_no_output() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(2).build();
        let results = foreach_parallel!(
            0..8_u64,
            ordered = true,
            retry = Retry::every(2, Duration::from_millis(20)),
            on = process(&pool),
            |n, item| {
                assert!(n % 3 != 0 || item.attempt() > 1, "the first try of {n}");
                (0..1000).for_each(|k| item.emit(1000 * n + k));
            }
        );
        let all: Vec<u64> = results.collect();
        assert!(all.into_iter().eq(0..8_000));
    });
}

#[test]
fn the_census_sees_a_child_and_a_descriptor() {
    alone(60, || {
        let before = Census::take();
        assert!(before.left().is_empty());
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let name = format!("child {} ", child.id());
        assert!(before.left().iter().any(|it| it.starts_with(&name)));
        child.kill().unwrap();
        // Dead, and not waited for.
        until(|| before.left().contains(&format!("{name}Z")));
        let left = before.settle(Duration::from_millis(50)).unwrap_err();
        assert_eq!(left.len(), 1, "{left:?}");
        child.wait().unwrap();
        assert!(before.left().is_empty(), "{:?}", before.left());
        let file = File::open("/dev/null").unwrap();
        let left = before.left();
        assert!(
            matches!(&left[..], [it] if it.ends_with("/dev/null")),
            "{left:?}"
        );
        drop(file);
        assert!(before.left().is_empty());
    });
}

#[test]
fn a_crash_costs_its_own_item_and_says_how() {
    alone(120, || {
        let pool = two().build();
        let outcomes = foreach_parallel!(0..40_u64, on = process(&pool), |n| {
            if n % 8 == 3 {
                eprintln!("last words of {n}");
            }
            match n {
                3 => std::process::abort(),
                11 => std::process::exit(0),
                19 => std::process::exit(3),
                27 => die(Signal::SEGV),
                35 => die(Signal::KILL),
                _ => n,
            }
        })
        .outcomes();
        let all = by_index(outcomes, |n| *n, 40);
        let failed: Vec<&ItemError> = all.values().filter_map(|it| it.as_ref().err()).collect();
        assert_eq!(failed.len(), 5, "{failed:?}");
        let own = std::process::id();
        let mut pids = BTreeSet::new();
        for (error, (index, exit, signal, words)) in failed.iter().zip([
            (3, Exit::Signal(6), Some("SIGABRT"), "was killed by SIGABRT"),
            (
                11,
                Exit::Code(0),
                None,
                "exited with code 0 before its result was there",
            ),
            (19, Exit::Code(3), None, "exited with code 3"),
            (
                27,
                Exit::Signal(11),
                Some("SIGSEGV"),
                "was killed by SIGSEGV",
            ),
            (
                35,
                Exit::Signal(9),
                Some("SIGKILL"),
                "because memory ran out",
            ),
        ]) {
            let crash = crash(error);
            let text = error.to_string();
            assert_eq!(error.index(), Some(index));
            assert_eq!((crash.exit(), crash.exit().signal_name()), (exit, signal));
            assert!(crash.pid() != own && pids.insert(crash.pid()), "{text}");
            let last = format!("last words of {index}");
            assert_eq!(crash.stderr().last(), Some(&last), "{text}");
            assert_eq!(error.location().file(), file!());
            for part in [
                words,
                &last,
                &format!("item {index} "),
                &format!("pid {}", crash.pid()),
            ] {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
        }
    });
}

#[test]
fn a_panic_is_told_with_its_place_and_keeps_the_worker() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let line = line!() + 2;
        let outcomes = foreach_parallel!(0..9_u64, on = process(&pool), |n| {
            assert!(n != 4, "no {n}");
            (n, std::process::id())
        })
        .outcomes();
        let all = by_index(outcomes, |it| it.0, 9);
        let pids: BTreeSet<u32> = all
            .values()
            .filter_map(|it| Some(it.as_ref().ok()?.1))
            .collect();
        assert_eq!(pids.len(), 1);
        let error = all[&4].as_ref().unwrap_err();
        assert!(matches!(error.cause(), Cause::Panicked(_)));
        let place = format!("process_pool.rs:{line}");
        let text = error.to_string();
        assert!(text.contains("no 4") && text.contains(&place), "{text}");
    });
}

#[test]
fn workers_killed_at_random_cost_no_item_but_their_own() {
    alone(240, || {
        let pool = ProcessPool::builder()
            .workers(3)
            .idle_timeout(Duration::from_millis(200))
            .build();
        let (seen, victims) = channel::<u32>();
        // Kills, at uneven times, whoever has answered last.
        let killer = std::thread::spawn(move || {
            let mut killed = 0_usize;
            let mut random = 0x2545_f491_u32;
            while let Ok(first) = victims.recv() {
                let pid = victims.try_iter().last().unwrap_or(first);
                if children().contains_key(&pid) && send(Signal::KILL, pid) {
                    killed += 1;
                }
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sleep(Duration::from_micros(u64::from(random >> 16) / 4 + 2000));
            }
            killed
        });
        let outcomes = foreach_parallel!(0..2000_u64, on = process(&pool), |n| {
            sleep(Duration::from_micros(n % 7 * 200));
            (n, std::process::id())
        })
        .outcomes()
        .inspect(|outcome| {
            if let Ok((_, pid)) = outcome {
                let _ = seen.send(*pid);
            }
        });
        let all = by_index(outcomes, |it| it.0, 2000);
        drop(seen);
        let killed = killer.join().unwrap();
        let failed: Vec<&ItemError> = all.values().filter_map(|it| it.as_ref().err()).collect();
        assert!(
            killed > 3 && !failed.is_empty(),
            "{killed} killed, {} failed",
            failed.len()
        );
        assert!(
            failed.len() <= killed,
            "{} failed of {killed} kills",
            failed.len()
        );
        for error in failed {
            assert_eq!(
                crash(error).exit().signal_name(),
                Some("SIGKILL"),
                "{error}"
            );
        }
    });
}

#[test]
fn a_worker_killed_while_idle_costs_nothing() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        for _ in 0..10 {
            let pids: Vec<u32> =
                foreach_parallel!(0..3, on = process(&pool), |_n| std::process::id()).collect();
            assert!(send(Signal::KILL, pids[0]));
        }
    });
}

#[test]
fn an_item_that_kills_a_kept_worker_fails_and_has_run_once() {
    alone(60, || {
        let folder = tempfile::tempdir().unwrap();
        let pool = ProcessPool::builder().workers(1).build();
        // In one piece with the run, and in several.
        for size in [0, 100, 10_000, 100_000, 1_000_000] {
            let warm = foreach_parallel!([size], on = process(&pool), |n: usize| n);
            assert!(warm.eq([size]));
            let path = folder.path().join(size.to_string());
            let item = (path.clone(), vec![1_u8; size]);
            let mut outcomes =
                foreach_parallel!([item], on = process(&pool), |item: (PathBuf, Vec<u8>)| {
                    let (path, bytes) = item;
                    let mut file = File::options().create(true).append(true).open(path);
                    file.as_mut().unwrap().write_all(b".").unwrap();
                    send(Signal::KILL, std::process::id());
                    bytes.len()
                })
                .outcomes();
            let error = outcomes.next().unwrap().unwrap_err();
            assert_eq!(crash(&error).exit().signal_name(), Some("SIGKILL"));
            assert!(outcomes.next().is_none());
            assert_eq!(fs::read(path).unwrap().len(), 1, "runs of {size} bytes");
        }
    });
}

#[test]
fn a_reader_that_waits_for_a_place_itself_has_its_result() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs");
        let first = foreach_parallel!([path.clone()], on = process(&pool), |path| {
            fs::write(path, "").unwrap();
            sleep(Duration::from_millis(200));
            1
        });
        until(|| path.exists());
        let second = foreach_parallel!([2], on = process(&pool), |n| n);
        let second: Vec<_> = second.outcomes().collect();
        assert!(matches!(second[..], [Ok(2)]), "{second:?}");
        assert!(first.eq([1]));
    });
}

#[test]
fn a_call_that_nobody_reads_yet_runs_all_the_same() {
    alone(60, || {
        let folder = tempfile::tempdir().unwrap();
        let pool = ProcessPool::builder().workers(1).build();
        let path = folder.path().join("ran");
        let first = foreach_parallel!([path.clone()], on = process(&pool), |path| {
            fs::write(path, "").unwrap();
            1
        });
        until(|| path.exists());
        // The one place of the pool is free again, although the result has not been read.
        let second = foreach_parallel!([2], on = process(&pool), |n| n);
        assert!(second.eq([2]));
        assert!(first.eq([1]));
        drop(foreach_parallel!(
            [path.clone()],
            on = process(&pool),
            |path| {
                fs::remove_file(path).unwrap();
            }
        ));
        assert!(!path.exists(), "a dropped call has run");
    });
}

#[test]
fn workers_are_used_again_and_go_when_idle() {
    alone(60, || {
        let pool = ProcessPool::builder()
            .workers(2)
            .idle_timeout(Duration::from_secs(2))
            .build();
        let run = || -> BTreeSet<u32> {
            foreach_parallel!(0..200, on = process(&pool), |_n| {
                sleep(Duration::from_micros(100));
                std::process::id()
            })
            .collect()
        };
        let first = run();
        assert!((1..=2).contains(&first.len()), "{first:?}");
        assert!(!first.contains(&std::process::id()));
        let second = run();
        assert!(!first.is_disjoint(&second), "{first:?} and then {second:?}");
        until(|| first.iter().chain(&second).all(|pid| !is_alive(*pid)));
        assert!(run().is_disjoint(&first));
    });
}

#[test]
fn the_workers_of_a_pool_go_with_it() {
    alone(60, || {
        let pool = ProcessPool::builder()
            .workers(2)
            .idle_timeout(Duration::from_secs(1000))
            .build();
        let copy = pool.clone();
        let pids: BTreeSet<u32> =
            foreach_parallel!(0..20, on = process(&pool), |_n| std::process::id()).collect();
        drop(pool);
        sleep(Duration::from_millis(50));
        assert!(pids.iter().any(|pid| is_alive(*pid)));
        drop(copy);
        until(|| pids.iter().all(|pid| !is_alive(*pid)));
    });
}

#[test]
fn the_common_workers_go_when_idle() {
    alone(60, || {
        let pids: BTreeSet<u32> = foreach_parallel!(0..20, on = process, throttle = 2, |_n| {
            std::process::id()
        })
        .collect();
        assert!(pids.len() <= 2);
        until(|| pids.iter().all(|pid| !is_alive(*pid)));
    });
}

#[test]
fn a_worker_for_each_item() {
    alone(120, || {
        let pool = two().max_items(1).build();
        let all: Vec<(u64, u32)> =
            foreach_parallel!(0..60_u64, on = process(&pool), ordered = true, |n| {
                (n, std::process::id())
            })
            .collect();
        assert!(all.iter().map(|it| it.0).eq(0..60));
        let pids: BTreeSet<u32> = all.iter().map(|it| it.1).collect();
        assert_eq!(pids.len(), 60);
    });
}

#[test]
fn a_worker_that_grows_is_replaced() {
    alone(120, || {
        let pool = ProcessPool::builder()
            .workers(1)
            .max_growth(30 << 20)
            .build();
        let pids: Vec<u32> = foreach_parallel!(0..60, on = process(&pool), ordered = true, |_n| {
            std::mem::forget(std::hint::black_box(vec![1_u8; 3 << 20]));
            sleep(Duration::from_millis(11)); // a worker does not look at itself more often
            std::process::id()
        })
        .collect();
        assert_eq!(pids.len(), 60);
        let pids: BTreeSet<u32> = pids.into_iter().collect();
        assert!((4..=10).contains(&pids.len()), "{} workers", pids.len());
    });
}

#[test]
fn the_limit_of_memory_costs_the_item_that_passes_it() {
    alone(60, || {
        let pool = two().memory(400 << 20).build();
        let outcomes = foreach_parallel!(0..12_u64, on = process(&pool), |n| {
            let size = if n == 5 { 1 << 30 } else { 1 << 20 };
            std::hint::black_box(vec![1_u8; size]).len();
            n
        })
        .outcomes();
        for (index, outcome) in by_index(outcomes, |n| *n, 12) {
            match outcome {
                Ok(_) => assert_ne!(index, 5),
                Err(error) => {
                    assert_eq!(index, 5, "{error}");
                    let crash = crash(&error);
                    assert_eq!(crash.exit().signal_name(), Some("SIGABRT"));
                    assert!(
                        error.to_string().contains("memory allocation of"),
                        "{error}"
                    );
                }
            }
        }
    });
}

#[test]
fn the_limit_of_processor_time_costs_the_item_that_passes_it() {
    alone(120, || {
        let pool = two().cpu_time(Duration::from_secs(1)).build();
        let outcomes = foreach_parallel!(0..6_u64, on = process(&pool), |n| {
            if n == 2 {
                loop {
                    std::hint::spin_loop();
                }
            }
            n
        })
        .outcomes();
        for (index, outcome) in by_index(outcomes, |n| *n, 6) {
            match outcome {
                Ok(_) => assert_ne!(index, 2),
                Err(error) => {
                    assert_eq!(index, 2, "{error}");
                    assert_eq!(
                        crash(&error).exit().signal_name(),
                        Some("SIGXCPU"),
                        "{error}"
                    );
                }
            }
        }
    });
}

#[test]
fn surroundings_of_a_pool() {
    alone(60, || {
        let folder = tempfile::tempdir().unwrap();
        let expected = folder.path().canonicalize().unwrap();
        let pool = two()
            .open_files(40)
            .env("RUNSPACE_POOL_TEST", "here")
            .env_remove("PATH")
            .current_dir(folder.path())
            .build();
        let seen = foreach_parallel!(0..4, on = process(&pool), |_n| {
            let mut files = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                files.push(file);
            }
            let most = files.len();
            drop(files);
            let variable = std::env::var("RUNSPACE_POOL_TEST").ok();
            (
                variable,
                std::env::var_os("PATH").is_some(),
                std::env::current_dir().unwrap(),
                most,
            )
        });
        for (variable, has_path, here, most) in seen {
            assert_eq!((variable.as_deref(), has_path), (Some("here"), false));
            assert_eq!(here, expected);
            assert!((20..40).contains(&most), "{most} files");
        }
        let other = foreach_parallel!(0..1, on = process, |_n| std::env::current_dir().unwrap());
        assert!(other.eq([std::env::current_dir().unwrap()]));
    });
}

#[test]
fn a_directory_that_is_not_there_fails_the_call_in_words() {
    alone(60, || {
        let pool = two().current_dir("/nowhere/at/all").build();
        let outcomes = foreach_parallel!(0..50, on = process(&pool), |n| n).outcomes();
        let text = failure_of_call(outcomes).to_string();
        assert!(text.contains("/nowhere/at/all"), "{text}");
    });
}

#[test]
fn an_init_that_panics_fails_the_call_once() {
    alone(60, || {
        let pool = two().build();
        let results = foreach_parallel!(
            0..100_u64,
            on = process(&pool),
            init(state = broken()),
            |n| {
                state += n;
                state
            }
        );
        let error = failure_of_call(results.outcomes());
        assert!(matches!(error.cause(), Cause::InitPanicked(_)), "{error:?}");
        assert!(error.to_string().contains("no state today"), "{error}");
        // The pool is as good as before.
        assert_eq!(
            foreach_parallel!(0..10_u64, on = process(&pool), |n| n).sum::<u64>(),
            45
        );
    });
}

#[test]
fn a_worker_that_dies_in_init_every_time_ends_the_call() {
    alone(60, || {
        let pool = two().build();
        let results = foreach_parallel!(
            0..100_u64,
            on = process(&pool),
            init(it = leave_at_once()),
            |n| { n + it }
        );
        let error = failure_of_call(results.outcomes());
        assert_eq!(crash(&error).exit(), Exit::Code(7));
        assert!(error.to_string().contains("cannot begin"), "{error}");
    });
}

#[test]
fn a_value_that_does_not_cross_fails_its_item_and_keeps_the_worker() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let items = foreach_parallel!((0..9).map(Odd), on = process(&pool), |it| {
            (u64::from(it.0), std::process::id())
        });
        let items = by_index(items.outcomes(), |it| it.0, 9);
        let results = foreach_parallel!(0..9_u8, on = process(&pool), |n| (
            Odd(n),
            std::process::id()
        ));
        let results = by_index(results.outcomes(), |it| u64::from(it.0.0), 9);
        let pids: BTreeSet<u32> = items
            .values()
            .filter_map(|it| Some(it.as_ref().ok()?.1))
            .collect();
        let later: BTreeSet<u32> = results
            .values()
            .filter_map(|it| Some(it.as_ref().ok()?.1))
            .collect();
        assert_eq!((pids.len(), &pids), (1, &later));
        let items = items.into_iter().filter_map(|it| Some((it.0, it.1.err()?)));
        let results = results
            .into_iter()
            .filter_map(|it| Some((it.0, it.1.err()?)));
        for failed in [items.collect::<Vec<_>>(), results.collect()] {
            let [(3, three), (5, five)] = &failed[..] else {
                panic!("{failed:?}")
            };
            assert!(
                three.to_string().contains("three is not written"),
                "{three}"
            );
            assert!(five.to_string().contains("five is not read"), "{five}");
            assert!(
                three.to_string().contains("Odd") && five.to_string().contains("Odd"),
                "{five}"
            );
        }
    });
}

#[test]
fn captures_that_do_not_cross_fail_the_call_in_words() {
    alone(60, || {
        for (it, words) in [
            (Odd(3), "three is not written"),
            (Odd(5), "five is not read"),
        ] {
            let pool = two().build();
            let results = foreach_parallel!(0..50_u8, on = process(&pool), using(it), |n| n + it.0);
            let text = failure_of_call(results.outcomes()).to_string();
            assert!(text.contains(words), "{text}");
        }
    });
}

#[test]
fn what_bodies_print_comes_out_line_by_line_and_corrupts_nothing() {
    if std::env::var_os("BODIES_THAT_PRINT").is_some() {
        print_lines(&two().build());
        return;
    }
    alone(120, || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "what_bodies_print_comes_out_line_by_line_and_corrupts_nothing",
            ])
            .args(["--nocapture", "--quiet"])
            .env("BODIES_THAT_PRINT", "1")
            .output()
            .unwrap();
        assert_lines(&output);
    });
}

#[test]
fn a_body_may_take_its_stdout_away() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let results = foreach_parallel!(0..20_u64, on = process(&pool), ordered = true, |n| {
            if n == 4 {
                to_a_full_disk();
            }
            let _ = writeln!(std::io::stdout(), "line {n}");
            n
        });
        assert!(results.eq(0..20));
    });
}

#[test]
fn a_drop_ends_workers_that_do_not_listen() {
    alone(60, || {
        for stop in [false, true] {
            let pool = two().grace(Duration::from_millis(100)).build();
            let mut results = foreach_parallel!(0_u64.., on = process(&pool), |_n, job| {
                job.emit(std::process::id());
                loop {
                    sleep(Duration::from_secs(1));
                }
            });
            let pids: BTreeSet<u32> = results.by_ref().take(2).collect();
            assert_eq!(pids.len(), 2);
            let start = Instant::now();
            match stop {
                true => results.stop(),
                false => drop(results),
            }
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{:?}",
                start.elapsed()
            );
            until(|| pids.iter().all(|pid| !is_alive(*pid)));
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{:?}",
                start.elapsed()
            );
        }
    });
}

#[test]
fn a_drop_takes_what_a_worker_has_started_along() {
    alone(60, || {
        let pool = ProcessPool::builder()
            .workers(1)
            .grace(Duration::from_millis(100))
            .build();
        let mut results = foreach_parallel!(0..1, on = process(&pool), |_n, job| {
            let child = Command::new("sh")
                .args(["-c", "trap '' TERM; sleep 1000"])
                .spawn();
            job.emit(child.unwrap().id());
            sleep(Duration::from_secs(1000));
        });
        let grandchild = results.next().unwrap();
        assert!(is_alive(grandchild));
        drop(results);
        until(|| !is_alive(grandchild));
    });
}

#[test]
fn large_items_come_through_whole() {
    alone(120, || {
        let pool = two().build();
        let items = (0..40_u8).map(|n| vec![n; 1 << 20]);
        let results = foreach_parallel!(items, on = process(&pool), ordered = true, |mut item| {
            item[0] = item[0].wrapping_add(1);
            item
        });
        for (n, item) in (0_u8..).zip(results) {
            assert_eq!((item.len(), item[0]), (1 << 20, n + 1));
            assert!(item[1..].iter().all(|it| *it == n));
        }
    });
}

#[test]
fn a_worker_that_dies_while_it_writes_a_large_result_costs_that_item() {
    alone(120, || {
        let pool = two().build();
        let outcomes = foreach_parallel!(0..30_u64, on = process(&pool), |n| {
            if n % 10 == 4 {
                std::thread::spawn(|| {
                    sleep(Duration::from_millis(2));
                    std::process::abort();
                });
            }
            let last = if n % 10 == 4 { 200 << 20 } else { 1 << 20 };
            (n, vec![1_u8; last])
        })
        .outcomes()
        .map(|it| it.map(|it| it.0));
        for (index, outcome) in by_index(outcomes, |it| *it, 30) {
            match outcome {
                Ok(_) => assert_ne!(index % 10, 4),
                Err(error) => {
                    assert_eq!(index % 10, 4, "{error}");
                    assert_eq!(crash(&error).exit().signal_name(), Some("SIGABRT"));
                }
            }
        }
    });
}

#[test]
fn a_call_in_a_worker() {
    alone(120, || {
        let pool = two().build();
        let results = foreach_parallel!(0..4_u64, on = process(&pool), ordered = true, |n| {
            foreach_parallel!(0..n, on = process, throttle = 2, |m| m).sum::<u64>()
        });
        assert!(results.eq([0, 0, 1, 3]));
    });
}

#[test]
fn a_thousand_items_leave_no_descriptor_in_a_worker() {
    alone(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let counts: Vec<usize> =
            foreach_parallel!(0..1000, on = process(&pool), ordered = true, |_n| {
                descriptors().len()
            })
            .collect();
        assert_eq!(counts.first(), counts.last());
    });
}

#[test]
fn an_item_is_tried_again_in_a_fresh_worker_and_knows_which_try_it_is() {
    alone(60, || {
        let outcomes: Vec<_> = foreach_parallel!(
            0..6_u32,
            on = process,
            throttle = 2,
            ordered = true,
            retry = 2,
            |n| {
                match (n, runspace::attempt()) {
                    (1, 1) => std::process::abort(),
                    (2, 1 | 2) => panic!("try {}", runspace::attempt()),
                    (3, _) => std::process::exit(7),
                    (_, attempt) => (n, attempt),
                }
            }
        )
        .outcomes()
        .collect();
        let good: Vec<_> = outcomes
            .iter()
            .filter_map(|it| it.as_ref().ok().copied())
            .collect();
        assert_eq!(good, [(0, 1), (1, 2), (2, 3), (4, 1), (5, 1)]);
        let error = outcomes[3].as_ref().unwrap_err();
        assert_eq!((error.index(), error.attempt()), (Some(3), 3));
    });
}
