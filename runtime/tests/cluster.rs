//! The promises about a cluster, with a real server and workers that are processes of this program.

#![cfg(all(target_os = "linux", feature = "cluster"))]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use runspace::cluster::{ClusterErrorKind, status};
use runspace::{Cause, Cluster, Job, Level, Plan, foreach_parallel, start_job};
use rustix::process::Signal;
use support::census::{by_index, die};
use support::nats::{KEY, Server, Worker};
use support::{until, within};

/// The lines that items have written into a file: who ran what.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// For bodies: adds a line to a file, in one piece.
fn note(path: &Path, line: &str) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn items_run_in_workers_and_results_come_back() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let worker = server.worker(2);
        let offset = 10_u64;
        let results = foreach_parallel!(
            0..200_u64,
            on = cluster(&cluster),
            ordered = true,
            using(offset),
            |n| (n + offset, std::process::id())
        );
        let expected = (10..210).map(|n| (n, worker.pid()));
        assert!(results.eq(expected));
        let status = status(&cluster, Duration::from_millis(500)).unwrap();
        assert!(status.runs.is_empty(), "nothing is left: {status}");
        assert_eq!(status.workers.len(), 1);
        assert_eq!(status.workers[0].pid, worker.pid());
        assert_eq!(status.workers[0].done, 200);
    });
}

#[test]
fn what_is_large_travels_too() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        let table = vec![7_u8; 3 << 20];
        let items = (0..4_u8).map(|n| vec![n; (1 << 20) + usize::from(n)]);
        let results = foreach_parallel!(
            items,
            on = cluster(&cluster),
            ordered = true,
            using(table),
            |item| {
                let mut answer = item;
                answer.push(table[table.len() - 1]);
                answer
            }
        );
        for (n, result) in (0..4_u8).zip(results) {
            let mut expected = vec![n; (1 << 20) + usize::from(n)];
            expected.push(7);
            assert!(result == expected, "item {n}");
        }
    });
}

#[test]
fn a_worker_that_is_killed_costs_no_item() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server
            .builder()
            .ack_wait(Duration::from_millis(1500))
            .connect()
            .unwrap();
        let mut first = server.worker(2);
        let second = server.worker(2);
        let mut results = foreach_parallel!(0..60_u64, on = cluster(&cluster), |n| {
            std::thread::sleep(Duration::from_millis(100));
            (n, std::process::id())
        });
        let mut all: Vec<(u64, u32)> = results.by_ref().take(10).collect();
        first.kill();
        all.extend(results);
        all.sort_unstable();
        assert!(all.iter().map(|it| it.0).eq(0..60));
        assert!(
            all.iter().any(|it| it.1 == first.pid()) && all.iter().any(|it| it.1 == second.pid())
        );
    });
}

/// How many items go through the death of the server.
const MANY: u64 = if cfg!(debug_assertions) {
    3_000
} else {
    20_000
};

#[test]
fn a_server_that_is_killed_costs_no_result() {
    within(240, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server
            .builder()
            .ack_wait(Duration::from_secs(5))
            .connect()
            .unwrap();
        let _workers = [server.worker(2), server.worker(2)];
        let start = Instant::now();
        let results = foreach_parallel!(0..MANY, on = cluster(&cluster), throttle = 64, |n| n);
        let mut seen = vec![0_u8; usize::try_from(MANY).unwrap()];
        let mut count = 0;
        for n in results {
            seen[usize::try_from(n).unwrap()] += 1;
            count += 1;
            if count == MANY / 3 || count == MANY / 2 {
                server.kill();
                server.run();
            }
        }
        let took = start.elapsed();
        let status = status(&cluster, Duration::from_millis(500)).unwrap();
        let ran: u64 = status.workers.iter().map(|it| it.done).sum();
        println!(
            "{count} results of {MANY} in {took:.1?}, the server killed and started again twice; {} items ran once more",
            ran.saturating_sub(MANY)
        );
        let wrong: Vec<usize> = (0..seen.len()).filter(|n| seen[*n] != 1).collect();
        assert!(wrong.is_empty(), "not exactly once: {wrong:?}");
    });
}

#[test]
fn an_item_that_kills_its_worker_ends_as_an_error_and_takes_no_other_along() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let builder = server.builder().ack_wait(Duration::from_millis(1000));
        let cluster = builder.max_deliver(2).connect().unwrap();
        let mut workers = [server.worker(2), server.worker(2), server.worker(2)];
        let outcomes = foreach_parallel!(0..200_u64, on = cluster(&cluster), |n| {
            if n == 70 {
                die(Signal::KILL);
            }
            n
        })
        .outcomes();
        let all = by_index(outcomes, |n| *n, 200);
        for (index, outcome) in all {
            match outcome {
                Ok(n) => assert_eq!(n, index),
                Err(error) => {
                    assert_eq!(index, 70, "{error}");
                    assert!(matches!(error.cause(), Cause::Cluster(_)), "{error}");
                    // The second worker runs it in a process.
                    assert!(error.to_string().contains("SIGKILL"), "{error}");
                }
            }
        }
        let alive = workers
            .iter_mut()
            .filter_map(|it| it.is_running().then_some(()));
        assert_eq!(alive.count(), 2);
    });
}

#[test]
fn an_item_that_no_worker_survives_ends_as_an_error() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let builder = server.builder().ack_wait(Duration::from_millis(1000));
        let cluster = builder.max_deliver(2).connect().unwrap();
        let mut workers = [server.worker(1), server.worker(1), server.worker(1)];
        let pids: Vec<u32> = workers.iter().map(Worker::pid).collect();
        let outcomes = foreach_parallel!(
            0..6_u64,
            on = cluster(&cluster),
            throttle = 1,
            using(pids),
            |n| {
                if n == 3 {
                    // From its own process it still gets at the worker.
                    if !pids.contains(&std::process::id()) {
                        let worker = rustix::process::getppid().unwrap();
                        let _ = rustix::process::kill_process(worker, Signal::KILL);
                    }
                    die(Signal::KILL);
                }
                n
            }
        )
        .outcomes();
        let all = by_index(outcomes, |n| *n, 6);
        for (index, outcome) in all {
            match outcome {
                Ok(n) => assert_eq!(n, index),
                Err(error) => {
                    assert_eq!(index, 3, "{error}");
                    let Cause::Cluster(cause) = error.cause() else {
                        panic!("{error}")
                    };
                    assert_eq!(cause.kind(), ClusterErrorKind::Poison);
                    assert!(error.to_string().contains("2 times"), "{error}");
                }
            }
        }
        let alive = workers
            .iter_mut()
            .filter_map(|it| it.is_running().then_some(()));
        assert_eq!(alive.count(), 1);
    });
}

#[test]
fn in_isolation_a_crash_costs_one_item_and_no_worker() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.builder().isolate(true).connect().unwrap();
        let mut worker = server.worker(2);
        let own = worker.pid();
        let outcomes = foreach_parallel!(0..12_u64, on = cluster(&cluster), using(own), |n| {
            assert!(std::process::id() != own && n != 3, "item three");
            if n == 7 {
                std::process::abort();
            }
            n
        })
        .outcomes();
        let all = by_index(outcomes, |n| *n, 12);
        for (index, outcome) in all {
            match (index, outcome) {
                (3, Err(error)) => assert!(error.to_string().contains("item three"), "{error}"),
                (7, Err(error)) => {
                    let Cause::Cluster(cause) = error.cause() else {
                        panic!("{error}")
                    };
                    assert_eq!(cause.kind(), ClusterErrorKind::Worker);
                    assert!(error.to_string().contains("SIGABRT"), "{error}");
                }
                (index, outcome) => assert_eq!(outcome.unwrap(), index),
            }
        }
        assert!(worker.is_running());
    });
}

#[test]
fn in_isolation_an_item_out_of_time_is_ended() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker_with(1, |it| {
            it.env("RUNSPACE_ISOLATE", "1");
        });
        let outcomes = foreach_parallel!(
            0..3_u64,
            on = cluster(&cluster),
            timeout = Duration::from_millis(700),
            |n| {
                if n == 1 {
                    std::thread::sleep(Duration::from_secs(600));
                }
                n
            }
        )
        .outcomes();
        let all = by_index(outcomes, |n| *n, 3);
        assert!(matches!(
            all[&1].as_ref().unwrap_err().cause(),
            Cause::TimedOut(_)
        ));
        assert!(all[&0].is_ok() && all[&2].is_ok());
    });
}

/// The last item that a worker was given takes the place of those behind it along, when it is given up: nothing comes any more that
/// would bring another thread.
#[test]
fn what_waits_behind_an_item_out_of_time_is_run() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(1);
        // Quick ones: a worker has some of them in hand before they run.
        let outcomes = foreach_parallel!(
            0..400_u64,
            on = cluster(&cluster),
            timeout = Duration::from_millis(700),
            |n| {
                if n == 390 {
                    std::thread::sleep(Duration::from_secs(600));
                }
                n
            }
        )
        .outcomes();
        for (index, outcome) in by_index(outcomes, |n| *n, 400) {
            match outcome {
                Ok(n) => assert_eq!(n, index),
                Err(error) => {
                    assert_eq!(index, 390, "{error}");
                    assert!(matches!(error.cause(), Cause::TimedOut(_)), "{error}");
                }
            }
        }
    });
}

/// What a slot makes for itself, which takes its time to go.
struct Lingers;

impl Drop for Lingers {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_secs(4));
    }
}

/// A thread of a worker that has had nothing to do for ten seconds goes. What comes while it is going must not wait for it.
#[test]
fn an_item_that_comes_while_its_slot_goes_is_run() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(1);
        let items = (0..2_u64).inspect(|n| {
            std::thread::sleep(Duration::from_secs(12 * n));
        });
        let results = foreach_parallel!(
            items,
            on = cluster(&cluster),
            ordered = true,
            init(_lingers = Lingers),
            |n| n
        );
        assert!(results.eq(0..2));
    });
}

#[test]
fn an_item_that_is_run_again_emits_as_much_as_it_wants() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server
            .builder()
            .ack_wait(Duration::from_millis(1000))
            .connect()
            .unwrap();
        let _workers = [server.worker(1), server.worker(1)];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let results = foreach_parallel!(
            0..1_u64,
            on = cluster(&cluster),
            ordered = true,
            using(path.clone()),
            |_, job| {
                note(&path, "begun");
                for n in 0..2_000_u64 {
                    if n == 100 && lines(&path).len() == 1 {
                        die(Signal::KILL);
                    }
                    job.emit(n);
                }
            }
        );
        assert!(results.eq(0..2_000));
        assert_eq!(lines(&path).len(), 2);
    });
}

/// An output that knows how many of its kind this process has.
struct Counted(u64);

/// How many there are, and the most that there were.
static LIVE: AtomicI64 = AtomicI64::new(0);
static MOST: AtomicI64 = AtomicI64::new(0);

impl Counted {
    fn new(number: u64) -> Self {
        let live = LIVE.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(live, Ordering::SeqCst);
        Self(number)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

impl serde::Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u64::deserialize(from).map(Self::new)
    }
}

#[test]
fn outputs_that_are_read_in_order_wait_on_the_server() {
    /// How many outputs an item has, and how many come before it is its turn.
    const EACH: u64 = 1_000;
    const NEAR: i64 = 64;
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        let mut outcomes = foreach_parallel!(
            0..6_u64,
            on = cluster(&cluster),
            ordered = true,
            throttle = 2,
            buffer = 4,
            |n, job| {
                for k in 0..EACH {
                    assert!(n != 3 || k < 500, "item three has had enough");
                    job.emit(Counted::new(n * EACH + k));
                }
            }
        )
        .outcomes();
        let first = outcomes.next().unwrap().unwrap();
        assert_eq!(first.0, 0);
        drop(first);
        // Nobody has to be read for an item to come to its end.
        until(|| {
            let status = status(&cluster, Duration::from_millis(200)).unwrap();
            status.workers.first().is_some_and(|it| it.done == 6)
        });
        std::thread::sleep(Duration::from_millis(300));
        let mut expected = (1..6 * EACH).filter(|n| n / EACH != 3 || n % EACH < 500);
        let mut failed = 0;
        let mut count = 0;
        for outcome in outcomes {
            match outcome {
                Ok(output) => assert_eq!(Some(output.0), expected.next()),
                Err(error) => {
                    assert_eq!(error.index(), Some(3), "{error}");
                    assert!(error.to_string().contains("item three"), "{error}");
                    failed += 1;
                }
            }
            count += 1;
            if count == 1_500 {
                server.kill();
                server.run();
            }
        }
        assert_eq!((expected.next(), failed), (None, 1));
        let most = MOST.load(Ordering::SeqCst);
        // Those of all items that are near, and as many of the one whose turn it is.
        assert!(most <= 6 * NEAR + NEAR + 10, "{most} at once");
    });
}

/// The dispatcher hears of each output that the reader takes and that makes room for others: it need not look by
/// itself.
#[test]
fn many_outputs_in_order_wake_the_dispatcher() {
    within(300, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        runspace::__private::watch_wakes();
        let before = runspace::__private::late_wakes();
        for outputs in [64_u64, 65, 400] {
            let results = foreach_parallel!(
                0..20_u64,
                on = cluster(&cluster),
                ordered = true,
                using(outputs),
                |item, job| {
                    for n in 0..outputs {
                        job.emit((item, n));
                    }
                }
            );
            let all = (0..20).flat_map(|item| (0..outputs).map(move |n| (item, n)));
            assert!(results.eq(all));
        }
        let late = runspace::__private::late_wakes() - before;
        assert_eq!(late, 0, "waits that only their time limit has ended");
    });
}

#[test]
fn items_that_take_longer_than_the_ack_wait_run_once() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server
            .builder()
            .ack_wait(Duration::from_millis(1500))
            .connect()
            .unwrap();
        let _workers = [server.worker(2), server.worker(2)];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let results =
            foreach_parallel!(0..4_u64, on = cluster(&cluster), using(path.clone()), |n| {
                note(&path, &n.to_string());
                std::thread::sleep(Duration::from_secs(4));
                n
            });
        let mut all: Vec<u64> = results.collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        assert_eq!(lines(&path).len(), 4, "{:?}", lines(&path));
    });
}

#[test]
fn a_worker_that_is_told_to_leave_finishes_and_hands_back() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        // So long that nothing would be delivered again within the test if it were not handed back.
        let cluster = server
            .builder()
            .ack_wait(Duration::from_secs(100))
            .connect()
            .unwrap();
        let mut first = server.worker(2);
        let second = server.worker(2);
        let mut results = foreach_parallel!(0..40_u64, on = cluster(&cluster), |n| {
            std::thread::sleep(Duration::from_millis(150));
            (n, std::process::id())
        });
        let mut all: Vec<(u64, u32)> = results.by_ref().take(6).collect();
        first.term();
        all.extend(results);
        all.sort_unstable();
        assert!(all.iter().map(|it| it.0).eq(0..40));
        assert_eq!(first.wait(), Some(0), "{}", first.said());
        assert!(all.iter().filter(|it| it.1 == second.pid()).count() > 20);
    });
}

#[test]
fn a_worker_that_is_told_to_leave_leaves_without_a_server_too() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.builder().outage(Duration::from_secs(2));
        let cluster = cluster.connect().unwrap();
        let with_grace = |slots: usize| {
            server.worker_with(slots, |it| {
                it.env("RUNSPACE_GRACE", "1");
            })
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let mut busy = with_grace(1);
        let outcomes = foreach_parallel!(
            0..1_u64,
            on = cluster(&cluster),
            using(path.clone()),
            |_| {
                note(&path, "begun");
                std::thread::sleep(Duration::from_secs(600));
            }
        );
        until(|| !lines(&path).is_empty());
        let mut idle = with_grace(1);
        until(|| {
            let status = status(&cluster, Duration::from_millis(200)).unwrap();
            status.workers.len() == 2
        });
        server.kill();
        // They have seen it.
        std::thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        for worker in [&mut idle, &mut busy] {
            worker.term();
            assert_eq!(worker.wait(), Some(0), "{}", worker.said());
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            start.elapsed()
        );
        let failed = outcomes
            .outcomes()
            .find_map(|it| it.err().filter(|it| !it.is_stopped()))
            .unwrap();
        assert!(matches!(failed.cause(), Cause::Cluster(_)), "{failed}");
    });
}

#[test]
fn workers_join_a_run_that_is_under_way() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let results = foreach_parallel!(0..30_u64, on = cluster(&cluster), |n| {
            std::thread::sleep(Duration::from_millis(50));
            (n, std::process::id())
        });
        std::thread::sleep(Duration::from_millis(300));
        let first = server.worker(1);
        let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
        let mut second = None;
        for (_, pid) in results {
            *seen.entry(pid).or_default() += 1;
            second.get_or_insert_with(|| server.worker(1));
        }
        let second = second.unwrap();
        assert_eq!(seen.values().sum::<u64>(), 30);
        assert!(
            seen.contains_key(&first.pid()) && seen.contains_key(&second.pid()),
            "{seen:?}"
        );
    });
}

/// This program with another build id.
fn another_build(folder: &Path) -> std::path::PathBuf {
    let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // The note: its name's length, its content's length, its kind, its name.
    let head = [4_u32, 20, 3].map(u32::to_le_bytes).concat();
    let note = [&head[..], b"GNU\0"].concat();
    match bytes.windows(note.len()).position(|it| it == note) {
        Some(at) => bytes[at + note.len()] ^= 0xff,
        // The hash of the file takes its place.
        None => bytes.extend_from_slice(b"another"),
    }
    let path = folder.join("another");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_worker_of_another_build_is_refused_with_both_hashes() {
    within(120, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server
            .builder()
            .worker_timeout(Duration::from_secs(4))
            .connect()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let worker = Worker::start(&another_build(folder.path()), &server.url(), 1, |_| {});
        let outcomes: Vec<_> = foreach_parallel!(0..3_u64, on = cluster(&cluster), |n| n)
            .outcomes()
            .collect();
        let failed = |it: &&runspace::ItemError| !it.is_stopped();
        let error = outcomes
            .iter()
            .filter_map(|it| it.as_ref().err())
            .find(failed)
            .unwrap();
        let Cause::Cluster(cause) = error.cause() else {
            panic!("{error}")
        };
        assert_eq!(cause.kind(), ClusterErrorKind::NoWorker);
        let text = error.to_string();
        let build = |text: &str, before: &str| {
            let rest = text
                .split(before)
                .nth(1)
                .unwrap_or_else(|| panic!("{text}"));
            rest.chars()
                .take_while(char::is_ascii_hexdigit)
                .collect::<String>()
        };
        let own = build(&text, "(build ");
        let other = build(&text, "is of build ");
        assert!(
            own.len() >= 16 && other.len() >= 16 && own != other,
            "{text}"
        );
        // It says so itself.
        until(|| worker.said().contains("is of another build"));
        assert!(
            worker.said().contains(&own) && worker.said().contains(&other),
            "{}",
            worker.said()
        );
        // One that was named a run ends with an error.
        let outcomes = foreach_parallel!(0..1_u64, on = cluster(&cluster), |n| n);
        let mut run = None;
        until(|| {
            run = status(&cluster, Duration::from_millis(100))
                .unwrap()
                .runs
                .pop();
            run.is_some()
        });
        let run = run.unwrap().run;
        let mut named = Worker::start(&folder.path().join("another"), &server.url(), 1, |it| {
            it.env("RUNSPACE_RUN", &run);
        });
        assert_eq!(named.wait(), Some(1));
        drop(worker);
        outcomes.stop();
    });
}

#[test]
fn a_worker_for_one_run_ends_with_it() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let results = foreach_parallel!(0..5_u64, on = cluster(&cluster), |n| n);
        let mut run = None;
        until(|| {
            run = status(&cluster, Duration::from_millis(100))
                .unwrap()
                .runs
                .pop();
            run.is_some()
        });
        let run = run.unwrap();
        assert!(run.title.contains("cluster.rs"), "{run:?}");
        let mut worker = server.worker_with(1, |it| {
            it.env("RUNSPACE_RUN", &run.run);
        });
        assert_eq!(results.count(), 5);
        assert_eq!(worker.wait(), Some(0), "{}", worker.said());
    });
}

#[test]
fn who_has_not_the_key_gets_no_code_run() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let worker = server.worker(1);
        let stranger = server
            .builder()
            .key("another key than that of the tests")
            .worker_timeout(Duration::from_secs(3))
            .connect()
            .unwrap();
        let outcomes = foreach_parallel!(
            0..2_u64,
            on = cluster(&stranger),
            using(path.clone()),
            |n| {
                note(&path, &n.to_string());
                n
            }
        );
        let failed = outcomes
            .outcomes()
            .filter_map(Result::err)
            .find(|it| !it.is_stopped());
        let failed = failed.expect("no worker has come");
        assert!(matches!(failed.cause(), Cause::Cluster(_)), "{failed}");
        assert!(lines(&path).is_empty());
        until(|| worker.said().contains("refused the announcement of a run"));
    });
}

/// Speaks to the server as anyone can who may publish.
fn publish(server: &Server, subject: &str, payload: &[u8]) {
    let address = server.url();
    let mut stream = std::net::TcpStream::connect(address.trim_start_matches("nats://")).unwrap();
    stream
        .write_all(b"CONNECT {\"verbose\":false}\r\n")
        .unwrap();
    write!(stream, "PUB {subject} {}\r\n", payload.len()).unwrap();
    stream.write_all(payload).unwrap();
    stream.write_all(b"\r\nPING\r\n").unwrap();
    let mut said = Vec::new();
    let mut part = [0; 1024];
    while !said.windows(4).any(|it| it == b"PONG") {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&part[..read]);
    }
}

#[test]
fn a_forged_message_is_refused() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let results =
            foreach_parallel!(0..2_u64, on = cluster(&cluster), using(path.clone()), |n| {
                note(&path, &n.to_string());
                std::thread::sleep(Duration::from_millis(500));
                n
            });
        let mut run = None;
        until(|| {
            run = status(&cluster, Duration::from_millis(100))
                .unwrap()
                .runs
                .pop();
            run.is_some()
        });
        let run = run.unwrap().run;
        for size in [0, 5, 40, 4000] {
            publish(&server, &format!("runspace.i.{run}"), &vec![b'x'; size]);
            publish(&server, &format!("runspace.r.{run}"), &vec![b'x'; size]);
            publish(&server, &format!("runspace.ctl.{run}"), &vec![b'x'; size]);
            publish(&server, &format!("runspace.note.{run}"), &vec![b'x'; size]);
            publish(&server, "runspace.run.0123", &vec![b'x'; size]);
        }
        // With room for what is forged beside the items.
        let worker = server.worker(8);
        let mut all: Vec<u64> = results.collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
        assert_eq!(lines(&path).len(), 2);
        until(|| {
            worker
                .said()
                .contains("refused a message among the items of run")
        });
    });
}

#[test]
fn a_server_that_is_too_old_is_refused_by_its_version() {
    within(60, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let info = "INFO {\"server_id\":\"X\",\"server_name\":\"old\",\"version\":\"2.9.10\",\"proto\":1,\
                        \"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\"max_payload\":1048576,\"jetstream\":true}\r\n";
            stream.write_all(info.as_bytes()).unwrap();
            let mut part = [0; 4096];
            while let Ok(read) = stream.read(&mut part) {
                if read == 0
                    || part[..read].windows(4).any(|it| it == b"PING")
                        && stream.write_all(b"PONG\r\n").is_err()
                {
                    break;
                }
            }
        });
        let error = Cluster::builder(format!("nats://{address}"))
            .key(KEY)
            .connect()
            .unwrap_err();
        assert_eq!(error.kind(), ClusterErrorKind::Version, "{error}");
        assert!(
            error
                .to_string()
                .contains("version 2.9.10; 2.10 is the oldest"),
            "{error}"
        );
    });
}

#[test]
fn what_cannot_be_connected_says_what_to_do() {
    within(60, || {
        let error = Cluster::builder("nats://127.0.0.1:1")
            .key("short")
            .connect()
            .unwrap_err();
        assert_eq!(error.kind(), ClusterErrorKind::Key);
        let error = Cluster::builder("").key(KEY).connect().unwrap_err();
        assert_eq!(error.kind(), ClusterErrorKind::Options);
        let error = Cluster::builder("nats://127.0.0.1:1")
            .key(KEY)
            .connect()
            .unwrap_err();
        assert_eq!(error.kind(), ClusterErrorKind::Connect, "{error}");
        let error = Cluster::builder("nats://127.0.0.1:1")
            .key(KEY)
            .credentials_file("/nowhere/at.all")
            .connect()
            .unwrap_err();
        assert!(error.to_string().contains("/nowhere/at.all"), "{error}");
    });
}

#[test]
fn a_server_that_goes_away_for_good_ends_the_call() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server
            .builder()
            .outage(Duration::from_secs(2))
            .connect()
            .unwrap();
        let _worker = server.worker(1);
        let mut results = foreach_parallel!(0_u64.., on = cluster(&cluster), throttle = 1, |n| {
            std::thread::sleep(Duration::from_millis(20));
            n
        })
        .outcomes();
        assert!(results.next().unwrap().is_ok());
        server.kill();
        let start = Instant::now();
        let failed = results
            .find_map(|it| it.err().filter(|it| !it.is_stopped()))
            .unwrap();
        let Cause::Cluster(cause) = failed.cause() else {
            panic!("{failed}")
        };
        assert_eq!(cause.kind(), ClusterErrorKind::Outage, "{failed}");
        drop(results);
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn a_drop_stops_what_runs_and_leaves_nothing_on_the_server() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let mut results = foreach_parallel!(
            0_u64..,
            on = cluster(&cluster),
            throttle = 2,
            using(path.clone()),
            |n| {
                if n > 3 {
                    note(&path, "began");
                    while !runspace::stopping() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    note(&path, "ended");
                }
                n
            }
        );
        assert!(results.next().is_some());
        until(|| !lines(&path).is_empty());
        drop(results);
        let count = |word: &str| lines(&path).iter().filter(|it| *it == word).count();
        assert_eq!(count("began"), count("ended"), "{:?}", lines(&path));
        let status = status(&cluster, Duration::from_millis(200)).unwrap();
        assert!(status.runs.is_empty(), "{status}");
    });
}

#[test]
fn an_item_has_one_key_however_often_it_runs() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let results = foreach_parallel!(
            0..4_u64,
            on = cluster(&cluster),
            retry = 2,
            using(path.clone()),
            |n, job| {
                note(&path, &format!("{n} {}", job.key()));
                assert!(job.attempt() == 3, "once more");
                job.emit(n);
            }
        );
        assert_eq!(results.count(), 4);
        let all = lines(&path);
        assert_eq!(all.len(), 12, "{all:?}");
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), 4, "{all:?}");
    });
}

#[test]
fn a_job_runs_on_the_cluster() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let worker = server.worker(2);
        let number = 6;
        let job = start_job!(on = cluster(&cluster), name = "answer", using(number), {
            (number * 7, std::process::id())
        });
        assert_eq!(job.name(), "answer");
        let (answer, process) = job.join().unwrap();
        // It has a process of its own, beside the worker.
        assert!(answer == 42 && process != worker.pid() && process != std::process::id());
        let limit = 3_u32;
        let job = start_job!(on = cluster(&cluster), using(limit), |job| {
            for n in 1..=limit {
                job.information(format!("{n} of {limit}"));
                job.emit(n * n);
            }
        });
        assert_eq!(job.iter().collect::<Vec<_>>(), [1, 4, 9]);
        job.wait();
        let records: Vec<String> = job.records().iter().map(|it| it.text.clone()).collect();
        assert_eq!(records, ["1 of 3", "2 of 3", "3 of 3"]);
        let job = start_job!(on = cluster(&cluster), {
            assert!(std::process::id() == 0, "a reason");
        });
        let error = job.join().unwrap_err();
        assert!(error.to_string().contains("a reason"), "{error}");
        assert!(job_cannot_be_suspended(&cluster).contains("cannot be suspended"));
    });
}

#[test]
fn what_a_job_prints_comes_home_and_its_crash_costs_no_worker() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let mut worker = server.worker(2);
        let job = start_job!(on = cluster(&cluster), {
            println!("to stdout");
            eprintln!("to stderr");
            print!("and the rest");
            7
        });
        job.wait();
        let said = |job: &Job<i32>| -> Vec<(Level, String)> {
            let records = job.records();
            records
                .iter()
                .map(|it| (it.level, it.text.clone()))
                .collect()
        };
        let mut records = said(&job);
        // The two are two pipes.
        records.sort_by_key(|it| it.0);
        let expected = [
            (Level::Warning, "to stderr".to_owned()),
            (Level::Information, "to stdout".to_owned()),
            (Level::Information, "and the rest".to_owned()),
        ];
        assert_eq!(records, expected);
        assert_eq!(job.join().unwrap(), 7);
        let job = start_job!(on = cluster(&cluster), |job| {
            job.information("noted");
            println!("printed");
            #[cfg(feature = "tracing")]
            tracing::warn!("an event");
            job.emit(1);
            std::process::abort();
        });
        job.wait();
        let texts: Vec<String> = said(&job).into_iter().map(|it| it.1).collect();
        let has = |text: &str| texts.iter().any(|it| it == text);
        assert!(has("noted") && has("printed"), "{texts:?}");
        let has_event = texts.iter().any(|it| it.contains("an event"));
        assert_eq!(has_event, cfg!(feature = "tracing"), "{texts:?}");
        assert_eq!(job.receive(), [1]);
        let error = job.join().unwrap_err();
        assert!(error.to_string().contains("SIGABRT"), "{error}");
        assert!(worker.is_running());
        assert_eq!(worker.printed(), "");
        // Where a worker may start no process, it is the place.
        worker.term();
        worker.wait();
        let strict = server.worker_with(1, |it| {
            it.env("RUNSPACE_POLICY", "deny");
        });
        let job = start_job!(on = cluster(&cluster), { std::process::id() });
        assert_eq!(job.join().unwrap(), strict.pid());
    });
}

/// Of many items on many machines: with the worker, where whoever looks after the machine looks.
#[test]
fn what_an_item_prints_stays_with_its_worker() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let isolated = server.builder().isolate(true).connect().unwrap();
        let worker = server.worker(1);
        for cluster in [&cluster, &isolated] {
            let results = foreach_parallel!(0..2_u64, on = cluster(cluster), |n| {
                println!("item {n} on stdout");
                eprintln!("item {n} on stderr");
                n
            });
            assert_eq!(results.count(), 2);
        }
        let all = |text: String| text.matches(" on std").count() == 4;
        until(|| all(worker.printed()) && all(worker.said()));
    });
}

fn job_cannot_be_suspended(cluster: &Cluster) -> String {
    let job = start_job!(on = cluster(cluster), {
        while !runspace::stopping() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let error = job.suspend().unwrap_err().to_string();
    job.stop();
    job.wait();
    assert_eq!(job.state(), runspace::JobState::Stopped);
    error
}

#[test]
fn a_plan_may_be_a_cluster() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let _worker = server.worker(2);
        let url = server.url();
        let ended = support::in_changed_process(
            "a_plan_may_be_a_cluster",
            |command| {
                command
                    .env("RUNSPACE_PLAN", format!("cluster:{url}"))
                    .env("RUNSPACE_KEY", KEY);
            },
            || {
                let own = std::process::id();
                let sum: u64 = foreach_parallel!(1..=10_u64, on = plan, using(own), |n| {
                    assert!(std::process::id() != own, "elsewhere");
                    // A level further down: here, one after the other.
                    foreach_parallel!([n], on = plan, |n| n).sum::<u64>()
                })
                .sum();
                assert_eq!(sum, 55);
            },
        );
        ended.well();
        assert_eq!(
            "cluster:nats://a:1".parse(),
            Ok(Plan::Cluster("nats://a:1".to_owned()))
        );
    });
}

#[test]
fn stages_of_a_pipeline_run_there() {
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        let sum: u64 = runspace::pipeline!(
            (1..=50_u64)
                | foreach_parallel(on = cluster(&cluster), throttle = 4, |n| n * 2)
                | filter(|n| n % 4 == 0)
                | foreach_parallel(on = cluster(&cluster), |n| n + 1)
                | sum()
        );
        let expected: u64 = (1..=50)
            .map(|n| n * 2)
            .filter(|n| n % 4 == 0)
            .map(|n| n + 1)
            .sum();
        assert_eq!(sum, expected);
    });
}

/// With a server and workers that are somewhere else: `runtime/tests/link-cut` runs it while it cuts the link to them for six
/// seconds.
#[test]
#[ignore = "takes the addresses of a server from RUNSPACE_TEST_URL"]
fn a_link_that_is_cut_costs_nothing_but_time() {
    within(120, || {
        let url = std::env::var("RUNSPACE_TEST_URL").expect("the address of a server");
        let builder = Cluster::builder(url)
            .key(KEY)
            .ack_wait(Duration::from_secs(3));
        let cluster = builder.connect().unwrap();
        let start = Instant::now();
        let results = foreach_parallel!(0..1_500_u64, on = cluster(&cluster), throttle = 8, |n| {
            std::thread::sleep(Duration::from_millis(40));
            n
        });
        let mut seen = vec![0_u8; 1_500];
        let mut longest = Duration::ZERO;
        let mut last = Instant::now();
        for n in results {
            seen[usize::try_from(n).unwrap()] += 1;
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        assert!(seen.iter().all(|it| *it == 1), "{seen:?}");
        println!(
            "1500 of 1500 results, none twice, in {:.1?}; the longest silence {longest:.1?}",
            start.elapsed()
        );
        assert!(
            longest > Duration::from_secs(5),
            "the link has not been cut: {longest:?}"
        );
    });
}

/// The same with workers that come by themselves, of which one is killed: `runtime/tests/slurm` has Slurm start them.
#[test]
#[ignore = "takes the addresses of a server from RUNSPACE_TEST_URL"]
fn workers_that_somebody_else_has_started() {
    within(300, || {
        let url = std::env::var("RUNSPACE_TEST_URL").expect("the address of a server");
        let builder = Cluster::builder(url)
            .key(KEY)
            .ack_wait(Duration::from_secs(2));
        let cluster = builder.connect().unwrap();
        until(|| {
            let status = status(&cluster, Duration::from_millis(200)).unwrap();
            status.workers.len() >= 2
        });
        let results = foreach_parallel!(0..400_u64, on = cluster(&cluster), |n| {
            std::thread::sleep(Duration::from_millis(20));
            (n, std::process::id())
        });
        let mut by_worker: BTreeMap<u32, u64> = BTreeMap::new();
        let mut seen = vec![0_u8; 400];
        let mut killed = None;
        for (n, pid) in results {
            seen[usize::try_from(n).unwrap()] += 1;
            *by_worker.entry(pid).or_default() += 1;
            // It is on this machine, as all of them are here.
            if by_worker.len() == 2 && killed.is_none() && n > 100 {
                support::census::send(Signal::KILL, pid);
                killed = Some(pid);
            }
        }
        assert!(seen.iter().all(|it| *it == 1), "{seen:?}");
        println!(
            "400 of 400 results, none twice, by worker: {by_worker:?}; killed meanwhile: {killed:?}"
        );
    });
}
