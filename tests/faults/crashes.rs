//! Bodies that end badly, and processes that are ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{
    Cause, Exit, ItemError, Job, JobErrorKind, foreach_parallel, start_job, start_thread_job,
};
use rustix::process::Signal;

use crate::common::{MS, assert_has, crash_of, fresh, pair, process_error, promptly, workers};
use crate::stage::{Row, note, pool, process, skip, threads};
use crate::support::census::{by_index, children, crash, descriptors, die, is_alive, send};
use crate::support::until;

pub const ROWS: &[Row] = &[
    Row {
        id: "A1",
        name: "panic_or_err",
        fault: "A body panics, or answers an `Err`",
        outcome: "That item or job fails and no other; index, message and source line are kept. An `Err` is a value.",
        tests: &[threads(a1_threads), process(a1_process), pool(a1_pool)],
        elsewhere: "",
    },
    Row {
        id: "A2",
        name: "exit_abort_or_segfault",
        fault: "A body leaves with `exit(0)`, aborts, or touches what is not there",
        outcome: "That item or job fails, with exit code or the signal's name, and the process's number. Code 0 without a result is a failure.",
        tests: &[process(a2_process), pool(a2_pool)],
        elsewhere: "On threads it ends the whole program: that is what processes are for.",
    },
    Row {
        id: "A3",
        name: "killed_in_mid_task",
        fault: "SIGKILL in the middle of a task; the system kills it because memory runs out",
        outcome: "As A2, by the name of SIGKILL, with the hint that memory may have run out; where the control group counts such kills, as a fact.",
        tests: &[
            process(a3_process),
            process(a3_process_out_of_memory).named("process_out_of_memory"),
            pool(a3_pool),
        ],
        elsewhere: "A thread cannot be killed.",
    },
    Row {
        id: "A4",
        name: "idle_worker_killed",
        fault: "SIGKILL for a worker without work",
        outcome: "The next item runs, and none is lost.",
        tests: &[process(a4_process), pool(a4_pool)],
        elsewhere: "Threads cannot be killed.",
    },
    Row {
        id: "A5",
        name: "workers_kill_each_other",
        fault: "1, 2, 5 and 13 workers kill each other and themselves",
        outcome: "Every item has exactly one outcome, in bounded time; a killer costs each of its peers the item in hand at most.",
        tests: &[
            pool(a5_each_other).within(240),
            pool(a5_itself_too).named("pool_itself_too").within(120),
        ],
        elsewhere: "A process per job has no peers: A3. Threads cannot be killed.",
    },
    Row {
        id: "A11",
        name: "dies_while_it_writes",
        fault: "A worker dies in the middle of a large result",
        outcome: "That item or job fails; no other is affected or waits.",
        tests: &[process(a11_process), pool(a11_pool).within(120)],
        elsewhere: "On threads nothing is written.",
    },
    Row {
        id: "A15",
        name: "left_thread_panics_late",
        fault: "A thread that an item has left behind panics, or aborts, after the item's result",
        outcome: "The result stays good. A panic costs nobody anything. An abort costs the worker: one item at most, which is told with the last words of that thread.",
        tests: &[
            threads(a15_threads),
            process(a15_process),
            pool(a15_pool).within(120),
            pool(a15_abort).named("pool_abort").within(120),
        ],
        elsewhere: "",
    },
    Row {
        id: "A32",
        name: "no_zombie",
        fault: "Forty processes crash",
        outcome: "Each is reaped by the time that its failure is told, and has given its descriptors back.",
        tests: &[process(a32_process), pool(a32_pool).within(120)],
        elsewhere: "On threads there is no child.",
    },
    Row {
        id: "A38",
        name: "kills_its_worker_each_time",
        fault: "An item kills its worker at each try",
        outcome: "It fails after its tries, the run goes on, and workers that make room for fresh ones on purpose cost no item a try.",
        tests: &[pool(a38_pool).within(120)],
        elsewhere: "A job is not tried again, and threads cannot be killed.",
    },
    Row {
        id: "A42",
        name: "an_error_of_its_own",
        fault: "Many items fail in the same way",
        outcome: "Each has an error of its own: index, cause, process.",
        tests: &[threads(a42_threads), process(a42_process), pool(a42_pool)],
        elsewhere: "",
    },
    Row {
        id: "B7",
        name: "stack_overflow",
        fault: "A body overflows its stack",
        outcome: "That item or job fails, by the name of the signal; the next one runs.",
        tests: &[process(b7_process), pool(b7_pool)],
        elsewhere: "On threads it ends the whole program.",
    },
    Row {
        id: "B10",
        name: "payload_of_a_panic",
        fault: "A panic whose payload is no text, or panics when it is dropped",
        outcome: "The payload is kept as it is on threads; from processes the failure is told; a drop that panics ends nothing else.",
        tests: &[threads(b10_threads), process(b10_process), pool(b10_pool)],
        elsewhere: "",
    },
];

/// Which of a hundred items fail: every tenth.
fn is_bad(n: u64) -> bool {
    n % 10 == 3
}

type Parsed = Result<u64, String>;

fn parse(n: u64) -> Parsed {
    assert!(!is_bad(n), "no {n}");
    if n % 10 == 5 {
        Err(format!("{n} is no number"))
    } else {
        Ok(n)
    }
}

macro_rules! panic_or_err {
    ($($on:tt)*) => {{
        let results = foreach_parallel!(0..100_u64, on = $($on)*, name = "tens", ordered = true, |n| parse(n));
        let outcomes: Vec<_> = results.outcomes().collect();
        assert_eq!(outcomes.len(), 100);
        for (n, outcome) in (0..).zip(outcomes) {
            match outcome {
                Ok(value) if n % 10 == 5 => assert_eq!(value.unwrap_err(), format!("{n} is no number")),
                Ok(value) => assert_eq!(value, Ok(n)),
                Err(error) => {
                    assert!(is_bad(n) && error.index() == Some(n), "{error}");
                    assert!(matches!(error.cause(), Cause::Panicked(_)), "{error:?}");
                    assert_eq!((error.call_name(), error.attempt()), (Some("tens"), 1));
                    assert_eq!(error.location().file(), file!());
                    assert_has(&error.to_string(), &[&format!("no {n}"), "crashes.rs"]);
                }
            }
        }
    }};
}

fn a1_threads() {
    panic_or_err!(thread);
    panic_or_err!(rayon);
    let jobs: Vec<Job<Parsed>> = (0..20)
        .map(|n| start_thread_job!(using(n), { parse(n) }))
        .collect();
    one_in_ten_fails(jobs);
}

fn a1_pool() {
    panic_or_err!(process(&pair()));
}

fn a1_process() {
    let jobs: Vec<Job<Parsed>> = (0..20)
        .map(|n| start_job!(using(n), { parse(n) }))
        .collect();
    one_in_ten_fails(jobs);
}

fn one_in_ten_fails(jobs: Vec<Job<Parsed>>) {
    for (n, job) in (0..).zip(jobs) {
        match job.join() {
            Ok(value) => assert_eq!((value.is_ok(), is_bad(n)), (n % 10 != 5, false)),
            Err(error) => {
                assert!(is_bad(n), "{error}");
                assert!(
                    matches!(error.kind(), JobErrorKind::Panicked(_)),
                    "{error:?}"
                );
                assert_has(&error.to_string(), &[&format!("no {n}"), "crashes.rs"]);
            }
        }
    }
}

/// Ways to leave, and what is said of them.
const WAYS: [(u64, Exit, Option<&str>, &str); 5] = [
    (
        0,
        Exit::Code(0),
        None,
        "exited with code 0 before its result was there",
    ),
    (1, Exit::Code(3), None, "exited with code 3"),
    (2, Exit::Signal(6), Some("SIGABRT"), "was killed by SIGABRT"),
    (
        3,
        Exit::Signal(11),
        Some("SIGSEGV"),
        "was killed by SIGSEGV",
    ),
    (4, Exit::Signal(9), Some("SIGKILL"), "was killed by SIGKILL"),
];

fn leave(way: u64) -> ! {
    eprintln!("last words of {way}");
    match way {
        0 => std::process::exit(0),
        1 => std::process::exit(3),
        2 => std::process::abort(),
        3 => die(Signal::SEGV),
        _ => die(Signal::KILL),
    }
}

fn a2_process() {
    let jobs: Vec<Job<u64>> = (0..5_u64)
        .map(|n| start_job!(using(n), { leave(n) }))
        .collect();
    for (job, (way, exit, signal, words)) in jobs.into_iter().zip(WAYS) {
        let error = process_error(job);
        let crash = error.crash().unwrap();
        assert_eq!((crash.exit(), crash.exit().signal_name()), (exit, signal));
        let (pid, last) = (
            format!("pid {}", crash.pid()),
            format!("last words of {way}"),
        );
        assert_has(&error.to_string(), &[words, &pid, &last]);
    }
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

fn a2_pool() {
    let pool = pair();
    let outcomes = foreach_parallel!(0..50_u64, on = process(&pool), |n| {
        if n % 10 == 7 {
            leave(n / 10);
        }
        n
    });
    let all = by_index(outcomes.outcomes(), |n| *n, 50);
    let mut pids = BTreeSet::from([std::process::id()]);
    for (index, outcome) in all {
        let Err(error) = outcome else {
            assert_ne!(index % 10, 7);
            continue;
        };
        assert_eq!(index % 10, 7, "{error}");
        let (way, exit, signal, words) = WAYS[usize::try_from(index / 10).unwrap()];
        let crash = crash(&error);
        assert_eq!((crash.exit(), crash.exit().signal_name()), (exit, signal));
        assert!(pids.insert(crash.pid()), "{error}");
        let (pid, last) = (
            format!("pid {}", crash.pid()),
            format!("last words of {way}"),
        );
        assert_has(
            &error.to_string(),
            &[words, &pid, &last, &format!("item {index} ")],
        );
    }
}

fn a3_process() {
    let job: Job<u8> = start_job!(|job| {
        job.emit(1);
        sleep(Duration::from_secs(1000));
    });
    assert_eq!(job.iter().next(), Some(1));
    let pid = job.location().process().unwrap();
    assert!(send(Signal::KILL, pid));
    let error = process_error(job);
    assert_eq!(error.crash().unwrap().pid(), pid);
    assert_has(
        &error.to_string(),
        &["was killed by SIGKILL", "because memory ran out"],
    );
    assert!(!is_alive(pid));
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

/// A control group that this process may make: `None` where it may not.
struct Group(std::path::PathBuf);

impl Group {
    const LIMIT: u64 = 120 << 20;

    fn new() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = |line: &str| {
            line.rsplit(':')
                .next()
                .unwrap_or("/")
                .trim_end_matches('/')
                .to_owned()
        };
        let name = format!("runspace-fault-{}", std::process::id());
        let version_1 = own.lines().find(|it| it.contains(":memory:"));
        let (base, file) = match version_1 {
            Some(line) => (
                format!("/sys/fs/cgroup/memory{}", path(line)),
                "memory.limit_in_bytes",
            ),
            None => (
                format!("/sys/fs/cgroup{}", path(own.lines().next()?)),
                "memory.max",
            ),
        };
        let group = Self(std::path::Path::new(&base).join(name));
        fs::create_dir(&group.0).ok()?;
        // Dropped where this fails, and so removed.
        fs::write(group.0.join(file), Self::LIMIT.to_string()).ok()?;
        fs::write(group.0.join("cgroup.procs"), std::process::id().to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let above = self.0.parent().unwrap().join("cgroup.procs");
        let _ = fs::write(above, std::process::id().to_string());
        // The spares of this process are in it, and cannot be told to leave.
        until(|| {
            let left = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            left.trim().is_empty()
        });
        let _ = fs::remove_dir(&self.0);
    }
}

fn a3_process_out_of_memory() {
    let Some(_group) = Group::new() else {
        skip("this user may not make a control group with a limit of memory");
    };
    let job = start_job!({
        let mut held = Vec::new();
        loop {
            held.push(std::hint::black_box(vec![1_u8; 4 << 20]));
        }
    });
    let error = process_error::<()>(job);
    assert_eq!(
        error.crash().unwrap().exit().signal_name(),
        Some("SIGKILL"),
        "{error}"
    );
    let kills = error.crash().unwrap().oom_kills();
    note(format!("kills that the control group told: {kills}"));
    assert_has(&error.to_string(), &["because memory ran out"]);
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

fn a3_pool() {
    let pool = pair();
    let outcomes = foreach_parallel!(0..20_u64, on = process(&pool), |n, item| {
        item.emit((n, std::process::id()));
        if n == 4 {
            sleep(Duration::from_secs(1000));
        }
    })
    .outcomes();
    let mut seen = BTreeSet::new();
    let mut failed = None;
    for outcome in outcomes {
        match outcome {
            Ok((n, pid)) => {
                assert!(seen.insert(n));
                assert!(n != 4 || send(Signal::KILL, pid));
            }
            Err(error) => {
                assert!(failed.replace(error).is_none());
            }
        }
    }
    assert!(seen.into_iter().eq(0..20));
    let error = failed.unwrap();
    assert_eq!(error.index(), Some(4));
    assert_has(
        &error.to_string(),
        &["was killed by SIGKILL", "because memory ran out"],
    );
}

/// A process per job has no idle workers, but a spare and the template that makes it.
fn a4_process() {
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
    for n in 0..20_u64 {
        // Whichever of the two are there; the template may be at a copy just now.
        until(|| !children().is_empty());
        let spares: Vec<u32> = children().into_keys().collect();
        for pid in &spares {
            send(Signal::KILL, *pid);
        }
        until(|| !spares.iter().any(|it| is_alive(*it)));
        assert_eq!(start_job!(using(n), { n }).join().unwrap(), n);
    }
}

fn a4_pool() {
    let pool = workers(1).idle_timeout(Duration::from_secs(100)).build();
    for _ in 0..10 {
        let results = foreach_parallel!(0..3, on = process(&pool), |_n| std::process::id());
        let pids: Vec<u32> = results.collect();
        assert_eq!(pids.len(), 3);
        assert!(send(Signal::KILL, pids[0]));
    }
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

fn a5_each_other() {
    for count in [1, 2, 5, 13] {
        let start = Instant::now();
        let pool = workers(count).build();
        let outcomes = foreach_parallel!(0..200_u64, on = process(&pool), |n| {
            if n % 20 == 13 {
                for victim in siblings() {
                    send(Signal::KILL, victim);
                }
            }
            sleep(Duration::from_micros(500));
            n
        });
        let all = by_index(outcomes.outcomes(), |n| *n, 200);
        for error in all.values().filter_map(|it| it.as_ref().err()) {
            assert_eq!(
                crash(error).exit().signal_name(),
                Some("SIGKILL"),
                "{error}"
            );
        }
        let good = all.values().filter(|it| it.is_ok()).count();
        // Each of the ten killers costs its peers the item in hand at most.
        assert!(
            good >= 200 - 10 * (count - 1),
            "{good} good of {count} workers"
        );
        let took = start.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
}

fn a5_itself_too() {
    let pool = workers(5).build();
    let outcomes = foreach_parallel!(0..100_u64, on = process(&pool), |n| {
        if n % 10 == 3 {
            for victim in siblings().into_iter().chain([std::process::id()]) {
                send(Signal::KILL, victim);
            }
        }
        sleep(Duration::from_micros(500));
        n
    });
    for (index, outcome) in by_index(outcomes.outcomes(), |n| *n, 100) {
        // A killer may be killed by another before it comes to it, but it never lives.
        assert!(index % 10 != 3 || outcome.is_err(), "{index}");
    }
}

/// Aborts while a result of this many bytes is written or read.
fn abort_soon() {
    std::thread::spawn(|| {
        sleep(2 * MS);
        std::process::abort();
    });
}

fn a11_process() {
    let others: Vec<Job<usize>> = (0..4)
        .map(|_| start_job!({ vec![1_u8; 1 << 20].len() }))
        .collect();
    let job = start_job!({
        abort_soon();
        vec![1_u8; 200 << 20]
    });
    let crash = promptly(|| crash_of(job));
    assert_eq!(crash.exit().signal_name(), Some("SIGABRT"));
    for job in others {
        assert_eq!(job.join().unwrap(), 1 << 20);
    }
}

fn a11_pool() {
    let pool = pair();
    let outcomes = foreach_parallel!(0..30_u64, on = process(&pool), |n| {
        if n % 10 == 4 {
            abort_soon();
        }
        let last = if n % 10 == 4 { 200 << 20 } else { 1 << 20 };
        (n, vec![1_u8; last])
    });
    let outcomes = outcomes.outcomes().map(|it| it.map(|it| it.0));
    for (index, outcome) in by_index(outcomes, |it| *it, 30) {
        match outcome {
            Ok(_) => assert_ne!(index % 10, 4),
            Err(error) => {
                assert_eq!(index % 10, 4, "{error}");
                assert_eq!(crash(&error).exit().signal_name(), Some("SIGABRT"));
            }
        }
    }
}

/// Leaves a thread behind that panics `after` a while.
fn leave_a_panic(after: Duration) {
    std::thread::spawn(move || {
        sleep(after);
        panic!("late panic");
    });
}

fn a15_threads() {
    let results = foreach_parallel!(0..60_u64, throttle = 2, |n| {
        if n % 10 == 2 {
            leave_a_panic(Duration::from_millis(n));
        }
        sleep(5 * MS);
        n
    });
    assert!(
        by_index(results.outcomes(), |n| *n, 60)
            .values()
            .all(Result::is_ok)
    );
}

fn a15_process() {
    for after in [0, 1, 10] {
        let job = start_job!(using(after), {
            leave_a_panic(Duration::from_millis(after));
            5
        });
        assert_eq!(job.join().unwrap(), 5);
    }
}

fn a15_pool() {
    let pool = workers(1).idle_timeout(Duration::from_secs(100)).build();
    let results = foreach_parallel!(0..60_u64, on = process(&pool), |n| {
        if n % 10 == 2 {
            leave_a_panic(Duration::from_millis(n));
        }
        sleep(5 * MS);
        (n, std::process::id())
    });
    let all = by_index(results.outcomes(), |it| it.0, 60);
    let pids: BTreeSet<u32> = all.into_values().map(|it| it.unwrap().1).collect();
    assert_eq!(
        pids.len(),
        1,
        "a thread's own panic is no reason for a new worker"
    );
    // After the call, in a worker without work.
    foreach_parallel!(0..1, on = process(&pool), |_n| leave_a_panic(20 * MS));
    sleep(100 * MS);
    assert!(foreach_parallel!(0..5, on = process(&pool), |n| n).eq(0..5));
}

fn a15_abort() {
    let pool = workers(1).build();
    let results = foreach_parallel!(0..60_u64, on = process(&pool), |n| {
        if n == 20 {
            std::thread::spawn(|| {
                sleep(30 * MS);
                eprintln!("a thread of item 20");
                std::process::abort();
            });
        }
        sleep(5 * MS);
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
    assert_has(&error.to_string(), &["a thread of item 20"]);
    // Of a worker without work nobody hears.
    foreach_parallel!(0..1, on = process(&pool), |_n| {
        std::thread::spawn(|| {
            sleep(20 * MS);
            std::process::abort();
        });
    });
    sleep(100 * MS);
    assert!(foreach_parallel!(0..5, on = process(&pool), |n| n).eq(0..5));
}

fn a32_process() {
    for round in 0..4 {
        let jobs: Vec<Job<u8>> = (0..10)
            .map(|_| start_job!({ std::process::abort() }))
            .collect();
        for job in jobs {
            let pid = crash_of(job).pid();
            assert!(!children().contains_key(&pid), "{pid} in round {round}");
        }
    }
}

fn a32_pool() {
    let pool = pair();
    let run = || {
        let outcomes = foreach_parallel!(0..40_u64, on = process(&pool), |n| {
            if n % 2 == 0 {
                std::process::abort();
            }
            n
        });
        let mut count = 0;
        for outcome in outcomes.outcomes() {
            let Err(error) = outcome else { continue };
            count += 1;
            // Reaped by the time that its item has failed.
            assert!(!children().contains_key(&crash(&error).pid()), "{error}");
        }
        assert_eq!(count, 20);
    };
    run();
    let most = descriptors().len();
    for _ in 0..5 {
        run();
        until(|| descriptors().len() <= most + 8);
    }
}

fn a38_pool() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let pool = workers(2).max_items(3).build();
    let outcomes = foreach_parallel!(
        0..60_u64,
        on = process(&pool),
        retry = 3,
        using(log = log.clone()),
        |n| {
            let log = fs::File::options().create(true).append(true).open(&log);
            let line = format!("{n} {}\n", runspace::attempt());
            log.unwrap().write_all(line.as_bytes()).unwrap(); // in one go: others write there, too
            if n % 20 == 7 {
                send(Signal::KILL, std::process::id());
                sleep(Duration::from_secs(10));
            }
            n
        }
    );
    let all = by_index(outcomes.outcomes(), |n| *n, 60);
    let mut tries: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for line in fs::read_to_string(&log).unwrap().lines() {
        let (index, attempt) = line.split_once(' ').unwrap();
        let tries = tries.entry(index.parse().unwrap()).or_default();
        tries.push(attempt.parse().unwrap());
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
}

/// Errors of this many items, each of which has its index, and its message.
fn are_their_own(errors: &[ItemError], count: u64) {
    let indices: BTreeSet<u64> = errors.iter().filter_map(ItemError::index).collect();
    assert!(indices.into_iter().eq(0..count), "{errors:?}");
    for error in errors {
        assert_has(
            &error.to_string(),
            &[&format!("no {}.", error.index().unwrap())],
        );
    }
}

macro_rules! all_fail {
    ($($on:tt)*) => {{
        let results = foreach_parallel!(0..40_u64, on = $($on)*, |n| assert!(n > 99, "no {n}."));
        let errors: Vec<_> = results.outcomes().map(Result::unwrap_err).collect();
        are_their_own(&errors, 40);
    }};
}

fn a42_threads() {
    all_fail!(thread);
    all_fail!(rayon);
}

fn a42_process() {
    all_fail!(process(&fresh()));
    let jobs: Vec<Job<()>> = (0..20_u64)
        .map(|n| start_job!(using(n), { panic!("no {n}.") }))
        .collect();
    for (n, job) in jobs.into_iter().enumerate() {
        let (id, error) = (job.id(), job.join().unwrap_err());
        assert_eq!(error.id(), id);
        assert_has(&error.to_string(), &[&format!("no {n}.")]);
    }
}

fn a42_pool() {
    all_fail!(process(&pair()));
    let pool = pair();
    let results = foreach_parallel!(0..10_u64, on = process(&pool), |n| {
        eprintln!("no {n}.");
        if n < 99 {
            std::process::abort()
        }
    });
    let errors: Vec<_> = results.outcomes().map(Result::unwrap_err).collect();
    are_their_own(&errors, 10);
    let pids: BTreeSet<u32> = errors.iter().map(|it| crash(it).pid()).collect();
    assert_eq!(pids.len(), 10);
}

#[allow(unconditional_recursion)]
fn down(depth: &[u8; 4096]) -> u8 {
    std::hint::black_box(down(std::hint::black_box(depth))) + depth[0]
}

fn b7_process() {
    let crash = crash_of(start_job!({ down(&[1; 4096]) }));
    assert!(crash.exit().signal_name().is_some(), "{crash}");
    note(crash.exit().signal_name().unwrap());
    assert_eq!(start_job!({ 1 }).join().unwrap(), 1);
}

fn b7_pool() {
    let pool = pair();
    let results = foreach_parallel!(0..20_u64, on = process(&pool), |n| {
        if n == 7 {
            u64::from(down(&[1; 4096]))
        } else {
            n
        }
    });
    for (index, outcome) in by_index(results.outcomes(), |n| *n, 20) {
        match outcome {
            Ok(_) => assert_ne!(index, 7),
            Err(error) => {
                assert_eq!(index, 7, "{error}");
                note(crash(&error).exit().signal_name().unwrap());
            }
        }
    }
}

/// A payload whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("bomb");
    }
}

fn raise(n: u64) -> u64 {
    match n % 10 {
        3 => std::panic::panic_any(n),
        7 => std::panic::panic_any(Bomb),
        _ => n,
    }
}

macro_rules! payloads {
    ($($on:tt)*) => {{
        let outcomes = foreach_parallel!(0..40_u64, on = $($on)*, |n| raise(n));
        let all = by_index(outcomes.outcomes(), |n| *n, 40);
        for (index, outcome) in &all {
            assert_eq!(outcome.is_err(), [3, 7].contains(&(index % 10)), "{outcome:?}");
        }
        all
    }};
}

fn b10_threads() {
    for all in [payloads!(thread), payloads!(rayon)] {
        for (index, outcome) in all.into_iter().filter(|it| it.0 % 10 == 3) {
            let Cause::Panicked(payload) = outcome.unwrap_err().into_cause() else {
                panic!("another failure")
            };
            assert_eq!(payload.into_value().downcast_ref(), Some(&index));
        }
    }
}

fn b10_process() {
    for n in [3, 7, 8_u64] {
        let job = start_job!(using(n), { raise(n) });
        assert_eq!(job.join().ok(), (n == 8).then_some(8));
    }
}

fn b10_pool() {
    let all = payloads!(process(&pair()));
    assert!(all.into_values().filter_map(Result::err).all(|it| {
        matches!(it.cause(), Cause::Panicked(_)) && it.to_string().contains("crashes.rs")
    }));
}
