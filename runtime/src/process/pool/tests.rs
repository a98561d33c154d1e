use std::collections::{BTreeMap, VecDeque};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::Failure;
use super::super::child::{NoLines, Stream};
use super::super::entry::Body;
use super::super::link::Start;
use super::super::sys::limits::Limits;
use super::super::testing::{Kept, children, eventually, runs, within};
use super::*;
use crate::context;
use crate::stop::StopToken;

/// What came of all items, by index.
type Ends<R> = BTreeMap<u64, Result<R, (u32, Failure)>>;

/// Runs all of `items` on `places` sessions of `pool` at once. An error for a place is one for all its
/// items.
fn run_all<C, T, R, W>(
    pool: &Pool,
    places: usize,
    items: Vec<T>,
    captures: C,
    limit: Option<Duration>,
    maker: fn(C) -> W,
) -> Ends<R>
where
    C: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned + Send,
    R: Serialize + DeserializeOwned + Send,
    W: Fn(&mut ItemLoop<'_, T, R>),
{
    run_all_to(pool, places, items, captures, limit, maker, Result::unwrap)
}

/// The same, where a worker's state need not come to its end: `finished` is told whether it has.
fn run_all_to<C, T, R, W>(
    pool: &Pool,
    places: usize,
    items: Vec<T>,
    captures: C,
    limit: Option<Duration>,
    maker: fn(C) -> W,
    finished: fn(Result<(), Failure>),
) -> Ends<R>
where
    C: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned + Send,
    R: Serialize + DeserializeOwned + Send,
    W: Fn(&mut ItemLoop<'_, T, R>),
{
    let body = Body::new(serve_run::<C, T, R, W>, maker).unwrap();
    let run = Arc::new(Run::new(Start::here().unwrap(), body, &captures, true).unwrap());
    let items = items.into_iter().enumerate().map(|(index, value)| Item {
        index: index as u64,
        attempt: 1,
        spent: Duration::ZERO,
        value,
    });
    let input: Mutex<VecDeque<Item<T>>> = Mutex::new(items.collect());
    let ends = Mutex::new(Ends::new());
    let stop = StopToken::new();
    std::thread::scope(|scope| {
        for _ in 0..places {
            scope.spawn(|| {
                let lines = Arc::new(NoLines);
                let mut session =
                    Session::open(pool, Arc::clone(&run), lines, &stop, || {}).unwrap();
                let mut own = VecDeque::new();
                loop {
                    let size = session.batch_size();
                    while own.len() < size {
                        let Some(item) = input.lock().unwrap().pop_front() else {
                            break;
                        };
                        own.push_back(item);
                    }
                    if own.is_empty() {
                        break;
                    }
                    let put = |index, end| {
                        let before = ends.lock().unwrap().insert(index, end);
                        assert!(before.is_none(), "item {index} has ended twice");
                    };
                    let mut out = |outcome| match outcome {
                        Outcome::Value(item, value, _) => put(item.index, Ok(value)),
                        Outcome::Failed(item, failure) => {
                            let Item { index, attempt, .. } = item;
                            put(index, Err((attempt, failure)));
                        }
                        Outcome::Output(..) | Outcome::Ended(_) | Outcome::Note(_) => {}
                    };
                    if let Err(failure) = session.batch(&mut own, size, limit, &mut out) {
                        let text = failure.to_string();
                        for item in own.drain(..) {
                            let error = std::io::Error::other(text.clone());
                            put(item.index, Err((item.attempt, Failure::NoProcess(error))));
                        }
                    }
                }
                finished(session.finish(&mut |_| {}));
            });
        }
    });
    ends.into_inner().unwrap()
}

fn pool(workers: usize) -> Pool {
    Pool::new(PoolOptions {
        workers,
        ..PoolOptions::default()
    })
}

fn die(signal: &str) {
    let own = std::process::id().to_string();
    let _ = Command::new("kill").args(["-s", signal, &own]).status();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn items_run_in_workers_that_are_used_again() {
    within(60, || {
        let pool = pool(2);
        let items: Vec<u64> = (0..500).collect();
        let ends = run_all(&pool, 2, items, 10_u64, None, |factor: u64| {
            move |worker: &mut ItemLoop<'_, u64, (u64, u32)>| {
                worker.run(|n| (n * factor, std::process::id()));
            }
        });
        let values: Vec<_> = ends.into_values().map(Result::unwrap).collect();
        assert!(values.iter().map(|it| it.0).eq((0..500).map(|n| n * 10)));
        let mut pids: Vec<u32> = values.iter().map(|it| it.1).collect();
        pids.sort_unstable();
        pids.dedup();
        assert!(
            pids.len() <= 2 && !pids.contains(&std::process::id()),
            "{pids:?}"
        );
        assert_eq!(pool.idle(), pids.len());
        // Another call, of other types, on the same workers.
        let ends = run_all(&pool, 1, vec!["a".to_owned()], (), None, |()| {
            |worker: &mut ItemLoop<'_, String, u32>| worker.run(|_| std::process::id())
        });
        assert!(pids.contains(ends[&0].as_ref().unwrap()));
    });
}

#[test]
fn state_lives_as_long_as_its_worker_serves_the_call() {
    within(60, || {
        let pool = pool(1);
        let maker = |()| {
            |worker: &mut ItemLoop<'_, u8, u32>| {
                let mut count = 0;
                worker.run(|_| {
                    count += 1;
                    count
                });
            }
        };
        for _ in 0..2 {
            let ends = run_all(&pool, 1, vec![0; 20], (), None, maker);
            assert!(ends.into_values().map(Result::unwrap).eq(1..=20));
        }
    });
}

#[test]
fn a_panic_costs_its_item_only() {
    within(60, || {
        let ends = run_all(&pool(2), 2, (0..200).collect(), (), None, |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                worker.run(|n| {
                    assert!(n % 50 != 7, "no {n}");
                    n
                });
            }
        });
        assert_eq!(ends.len(), 200);
        for (index, end) in ends {
            match end {
                Ok(n) => assert_eq!(u64::from(n), index),
                Err((_, Failure::Panicked(panicked))) => {
                    assert_eq!(index % 50, 7);
                    assert_eq!(panicked.message, format!("no {index}"));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_death_costs_its_item_only_and_is_told_by_name() {
    within(120, || {
        let ends = run_all(&pool(2), 2, (0..300).collect(), (), None, |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                worker.run(|n| match n {
                    20 => std::process::exit(0),
                    90 => {
                        eprintln!("the end of ninety");
                        std::process::abort()
                    }
                    150 => {
                        die("KILL");
                        0
                    }
                    151 => {
                        die("SEGV");
                        0
                    }
                    n => n,
                });
            }
        });
        assert_eq!(ends.len(), 300);
        for (index, end) in ends {
            let end = match end {
                Ok(n) => {
                    assert_eq!(u64::from(n), index);
                    continue;
                }
                Err((_, Failure::Crashed(crash))) => crash,
                Err(other) => panic!("item {index}: {other:?}"),
            };
            let text = end.to_string();
            let wanted = match index {
                20 => "exited with code 0",
                90 => "SIGABRT",
                150 => "SIGKILL",
                151 => "SIGSEGV",
                other => panic!("item {other}: {text}"),
            };
            assert!(text.contains(wanted), "{text}");
            assert_eq!(index == 90, text.contains("the end of ninety"), "{text}");
        }
    });
}

#[test]
fn a_killed_idle_worker_costs_nothing() {
    within(60, || {
        let pool = pool(1);
        let maker = |()| |worker: &mut ItemLoop<'_, u32, u32>| worker.run(|_| std::process::id());
        for _ in 0..3 {
            let ends = run_all(&pool, 1, vec![1, 2], (), None, maker);
            let pid = *ends[&0].as_ref().unwrap();
            assert_eq!(ends[&1].as_ref().unwrap(), &pid);
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            eventually("its death", || !runs(pid));
        }
    });
}

#[test]
fn a_state_that_says_much_does_not_wait_for_an_item_that_is_large() {
    within(60, || {
        let maker = |()| {
            |worker: &mut ItemLoop<'_, Vec<u8>, usize>| {
                let job = context::current().job.expect("it runs for a call");
                // More than the channel takes, before it looks at the item, which is more than that too.
                (0..2000).for_each(|_| job.note(1, "a line of what a library logs".repeat(30)));
                worker.run(|bytes| bytes.len());
            }
        };
        let ends = run_all(&pool(1), 1, vec![vec![1; 8 << 20]], (), None, maker);
        assert_eq!(*ends[&0].as_ref().unwrap(), 8 << 20);
    });
}

#[test]
fn workers_that_kill_each_other_leave_every_item_with_one_end() {
    within(120, || {
        let maker = |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                worker.run(|n| {
                    if n % 9 == 5 {
                        let parent = rustix::process::getppid().unwrap().as_raw_nonzero();
                        let own = std::process::id().to_string();
                        let out = Command::new("pgrep")
                            .args(["-P", &parent.to_string()])
                            .output();
                        for other in String::from_utf8_lossy(&out.unwrap().stdout).lines() {
                            if other != own {
                                let _ = Command::new("kill").args(["-9", other]).status();
                            }
                        }
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    n
                });
            }
        };
        // One that has done its last item may be killed as well.
        let finished = |it| assert!(matches!(it, Ok(()) | Err(Failure::Crashed(_))), "{it:?}");
        let items = (0..60).collect();
        let ends = run_all_to(&pool(4), 4, items, (), None, maker, finished);
        assert_eq!(ends.len(), 60);
        let other = ends.values().filter_map(|it| it.as_ref().err());
        for (_, failure) in other {
            assert!(
                matches!(failure, Failure::Crashed(_) | Failure::NoProcess(_)),
                "{failure:?}"
            );
        }
        assert!(ends.values().any(Result::is_ok));
    });
}

#[test]
fn values_that_do_not_cross_cost_their_item_only() {
    #[derive(Debug)]
    struct Fussy(u32, Vec<u8>);
    impl Serialize for Fussy {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeTuple;
            let mut tuple = to.serialize_tuple(2)?;
            // Long enough to have left before what follows fails.
            tuple.serialize_element(&self.1)?;
            if self.0 % 10 == 3 {
                return Err(serde::ser::Error::custom("threes do not travel"));
            }
            tuple.serialize_element(&self.0)?;
            tuple.end()
        }
    }
    impl<'de> serde::Deserialize<'de> for Fussy {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let (bytes, n) = <(Vec<u8>, u32)>::deserialize(from)?;
            match n % 10 {
                4 => Err(serde::de::Error::custom("fours do not arrive")),
                5 => panic!("fives are worse"),
                _ => Ok(Self(n, bytes)),
            }
        }
    }
    within(60, || {
        for length in [3, 50_000] {
            let items = (0..30).map(|n| Fussy(n, vec![n as u8; length])).collect();
            let ends = run_all(&pool(1), 1, items, (), None, |()| {
                |worker: &mut ItemLoop<'_, Fussy, Fussy>| {
                    worker.run(|Fussy(n, bytes)| {
                        assert!(bytes.iter().all(|it| *it == n as u8));
                        Fussy(if n % 10 == 6 { n - 3 } else { n }, bytes)
                    });
                }
            });
            assert_eq!(ends.len(), 30);
            for (index, end) in ends {
                let text = end
                    .as_ref()
                    .map_or_else(|it| it.1.to_string(), |_| String::new());
                let wanted = match index % 10 {
                    3 => "the item (of type",
                    4 => "fours do not arrive",
                    5 => "fives are worse",
                    6 => "threes do not travel",
                    _ => {
                        assert_eq!(u64::from(end.unwrap().0), index);
                        continue;
                    }
                };
                assert!(text.contains(wanted), "{index}: {text}");
            }
        }
    });
}

#[test]
fn an_item_that_takes_too_long_is_ended_and_the_others_run() {
    within(60, || {
        let start = Instant::now();
        let limit = Some(Duration::from_secs(2));
        let ends = run_all(&pool(2), 2, (0..40).collect(), (), limit, |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                worker.run(|n| {
                    if n == 11 {
                        std::thread::sleep(Duration::from_secs(600));
                    }
                    n
                });
            }
        });
        assert!(start.elapsed() < Duration::from_secs(20));
        for (index, end) in &ends {
            match end {
                Ok(_) => assert_ne!(*index, 11),
                Err((_, failure)) => {
                    assert_eq!(*index, 11);
                    assert!(matches!(failure, Failure::TimedOut(_)), "{failure:?}");
                }
            }
        }
        assert_eq!(ends.len(), 40);
    });
}

#[test]
fn workers_are_replaced_after_so_many_items() {
    within(120, || {
        for most in [1, 7] {
            let pool = Pool::new(PoolOptions {
                workers: 2,
                recycle: Recycle {
                    items: Some(most),
                    growth: None,
                },
                ..PoolOptions::default()
            });
            let ends = run_all(&pool, 2, (0..30_u32).collect(), (), None, |()| {
                |worker: &mut ItemLoop<'_, u32, u32>| worker.run(|_| std::process::id())
            });
            let mut uses = BTreeMap::new();
            for end in ends.into_values() {
                *uses.entry(end.unwrap()).or_insert(0) += 1;
            }
            assert_eq!(uses.values().sum::<u64>(), 30);
            assert!(uses.values().all(|it| *it <= most), "{uses:?}");
        }
    });
}

#[test]
fn workers_that_grow_are_replaced() {
    within(120, || {
        let pool = Pool::new(PoolOptions {
            workers: 1,
            recycle: Recycle {
                items: None,
                growth: Some(100 << 20),
            },
            ..PoolOptions::default()
        });
        let ends = run_all(&pool, 1, (0..100_u32).collect(), (), None, |()| {
            |worker: &mut ItemLoop<'_, u32, (u32, u64)>| {
                worker.run(|_| {
                    std::mem::forget(vec![1_u8; 10 << 20]);
                    std::thread::sleep(Duration::from_millis(10));
                    let held = super::super::sys::memory::resident().unwrap();
                    (std::process::id(), held)
                });
            }
        });
        let ends: Vec<_> = ends.into_values().map(Result::unwrap).collect();
        assert!(ends.iter().all(|it| it.1 < 250 << 20), "{ends:?}");
        let mut pids: Vec<u32> = ends.iter().map(|it| it.0).collect();
        pids.dedup();
        assert!(pids.len() >= 5, "{pids:?}");
    });
}

#[test]
fn idle_workers_leave_and_a_dropped_pool_takes_them_along() {
    within(60, || {
        let maker = |()| |worker: &mut ItemLoop<'_, u32, u32>| worker.run(|n| n);
        let short = Pool::new(PoolOptions {
            workers: 2,
            idle: Duration::from_millis(100),
            ..PoolOptions::default()
        });
        run_all(&short, 2, (0..10).collect(), (), None, maker);
        eventually("no idle worker", || {
            short.idle() == 0 && children().is_empty()
        });
        let long = Pool::new(PoolOptions {
            workers: 2,
            idle: Duration::from_secs(600),
            ..PoolOptions::default()
        });
        run_all(&long, 2, (0..10).collect(), (), None, maker);
        assert!(long.idle() > 0);
        drop(long);
        eventually("no child", || children().is_empty());
    });
}

#[test]
fn what_a_pool_sets_is_what_its_workers_have() {
    within(60, || {
        let place = tempfile::tempdir().unwrap();
        let pool = Pool::new(PoolOptions {
            workers: 1,
            variables: vec![
                ("RUNSPACE_A".into(), Some("b".into())),
                ("HOME".into(), None),
            ],
            directory: Some(place.path().to_owned()),
            limits: Limits {
                memory: None,
                cpu: Some(1),
                files: Some(40),
            },
            ..PoolOptions::default()
        });
        let ends = run_all(&pool, 1, vec![0, 1, 2], (), None, |()| {
            |worker: &mut ItemLoop<'_, u32, (Option<String>, bool, String, usize)>| {
                worker.run(|n| {
                    let mut files = vec![];
                    while let Ok(file) = std::fs::File::open("/dev/null") {
                        files.push(file);
                        assert!(files.len() < 1000);
                    }
                    let count = files.len();
                    drop(files);
                    if n == 1 {
                        loop {
                            std::hint::spin_loop();
                        }
                    }
                    let here = std::env::current_dir().unwrap().display().to_string();
                    let home = std::env::var_os("HOME").is_some();
                    (std::env::var("RUNSPACE_A").ok(), home, here, count)
                });
            }
        });
        for index in [0, 2] {
            let (variable, home, here, files) = ends[&index].as_ref().unwrap();
            assert_eq!(variable.as_deref(), Some("b"));
            assert!(!home);
            assert_eq!(
                *here,
                place.path().canonicalize().unwrap().display().to_string()
            );
            assert!(*files < 40, "{files}");
        }
        let text = ends[&1].as_ref().unwrap_err().1.to_string();
        assert!(text.contains("SIGXCPU"), "{text}");
    });
}

#[test]
fn a_memory_limit_costs_the_item_that_meets_it() {
    within(60, || {
        let pool = Pool::new(PoolOptions {
            workers: 1,
            limits: Limits {
                memory: Some(1 << 30),
                ..Limits::default()
            },
            ..PoolOptions::default()
        });
        let ends = run_all(&pool, 1, vec![1_usize, 1 << 31, 2], (), None, |()| {
            |worker: &mut ItemLoop<'_, usize, usize>| worker.run(|size| vec![1_u8; size].len())
        });
        assert_eq!(*ends[&0].as_ref().unwrap(), 1);
        assert_eq!(*ends[&2].as_ref().unwrap(), 2);
        let text = ends[&1].as_ref().unwrap_err().1.to_string();
        assert!(
            text.contains("SIGABRT") && text.contains("memory allocation"),
            "{text}"
        );
    });
}

#[test]
fn a_worker_that_cannot_start_fails_all_promptly() {
    within(60, || {
        let start = Instant::now();
        let ends = run_all(&pool(2), 2, (0..20).collect(), (), None, |()| {
            eprintln!("no luck");
            if true {
                std::process::exit(9);
            }
            |worker: &mut ItemLoop<'_, u32, u32>| worker.run(|n| n)
        });
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(ends.len(), 20);
        for end in ends.into_values() {
            let text = end.unwrap_err().1.to_string();
            assert!(
                text.contains("exited with code 9") && text.contains("no luck"),
                "{text}"
            );
        }
        let ends = run_all(&pool(1), 1, (0..3).collect(), (), None, |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                let init: u32 = "x".parse().expect("a number");
                worker.run(|n| n + init);
            }
        });
        for end in ends.into_values() {
            assert!(end.unwrap_err().1.to_string().contains("a number"));
        }
    });
}

#[test]
fn a_stop_ends_the_item_that_runs_and_gives_the_rest_back() {
    within(60, || {
        let maker = |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                worker.run(|n| {
                    while n == 2 && !crate::stop::stopping() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    if n == 2 {
                        panic!("asked to stop");
                    }
                    n
                });
            }
        };
        let pool = pool(1);
        let body = Body::new(serve_run::<(), u32, u32, _>, maker).unwrap();
        let run = Arc::new(Run::new(Start::here().unwrap(), body, &(), false).unwrap());
        let stop = StopToken::new();
        let mut session: Session<u32, u32> =
            Session::open(&pool, run, Arc::new(NoLines), &stop, || {}).unwrap();
        let mut items: VecDeque<Item<u32>> = (0..5)
            .map(|n| Item {
                index: n.into(),
                attempt: 1,
                spent: Duration::ZERO,
                value: n,
            })
            .collect();
        let token = stop.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            token.stop();
        });
        let mut ends = vec![];
        let end = session.batch(&mut items, 5, None, &mut |outcome| match outcome {
            Outcome::Value(item, ..) => ends.push((item.index, true)),
            Outcome::Failed(item, failure) => {
                assert!(
                    matches!(failure, Failure::Panicked(_) | Failure::Stopped),
                    "{failure:?}"
                );
                ends.push((item.index, false));
            }
            other => panic!("{other:?}"),
        });
        stopper.join().unwrap();
        assert_eq!(ends[..3], [(0, true), (1, true), (2, false)]);
        assert!(matches!(end, Err(Failure::Stopped)), "{end:?}");
        assert!(items.iter().all(|it| it.index > 2));
        drop(session);
    });
}

#[test]
fn a_place_that_is_not_free_is_waited_for_in_turn_or_until_a_stop() {
    within(60, || {
        let pool = pool(1);
        let stop = StopToken::new();
        let first = pool.place(&stop, || {}).unwrap();
        static SERVED: AtomicU64 = AtomicU64::new(0);
        let stopped = StopToken::new();
        std::thread::scope(|scope| {
            let gives_up = scope.spawn(|| pool.place(&stopped, || {}).is_none());
            let waits = scope.spawn(|| {
                let place = pool.place(&stop, || {}).unwrap();
                SERVED.fetch_add(1, Ordering::SeqCst);
                drop(place);
            });
            std::thread::sleep(Duration::from_millis(50));
            stopped.stop();
            assert!(gives_up.join().unwrap());
            assert_eq!(SERVED.load(Ordering::SeqCst), 0);
            drop(first);
            waits.join().unwrap();
        });
    });
}

#[test]
fn emitting_bodies_and_prints_of_items() {
    within(60, || {
        let maker = |()| {
            |worker: &mut ItemLoop<'_, u32, u32>| {
                worker.run_emitting(|n, item| {
                    println!("item {n}");
                    (0..n).for_each(|it| item.emit(it));
                });
            }
        };
        let pool = pool(1);
        let body = Body::new(serve_run::<(), u32, u32, _>, maker).unwrap();
        let run = Arc::new(Run::new(Start::here().unwrap(), body, &(), false).unwrap());
        let lines = Arc::new(Kept::default());
        let stop = StopToken::new();
        let sink = Arc::clone(&lines);
        let mut session: Session<u32, u32> = Session::open(&pool, run, sink, &stop, || {}).unwrap();
        let mut told = vec![];
        let items = [3, 0, 2]
            .into_iter()
            .enumerate()
            .map(|(index, value)| Item {
                index: index as u64,
                attempt: 2,
                value,
                spent: Duration::ZERO,
            });
        let mut items: VecDeque<Item<u32>> = items.collect();
        session
            .batch(&mut items, 3, None, &mut |outcome| match outcome {
                Outcome::Output(index, value) => told.push((index, Some(value))),
                Outcome::Ended(item) => told.push((item.index, None)),
                other => panic!("{other:?}"),
            })
            .unwrap();
        session.finish(&mut |_| {}).unwrap();
        let wanted = [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)];
        let outputs: Vec<_> = told
            .iter()
            .filter_map(|it| it.1.map(|value| (it.0, value)))
            .collect();
        assert_eq!(outputs, wanted);
        assert_eq!(told.iter().filter(|it| it.1.is_none()).count(), 3);
        assert_eq!(lines.of(Stream::Out), ["item 3", "item 0", "item 2"]);
    });
}
