//! Threads and processes that cannot be started: some of them, one after the other, or any of the system calls that
//! their start takes.

use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use runspace::{
    ItemError, Job, JobQueue, ProcessPool, foreach_parallel, start_job, start_thread_job,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::{MS, assert_has, promptly};
use crate::stage::{Row, again, note, part, pool, process, threads};
use crate::support::census::by_index;
use crate::support::inject::{Calls, Fails, forbid, inject};

pub const ROWS: &[Row] = &[
    Row {
        id: "C4",
        name: "thread_cannot_start",
        fault: "A thread cannot be started (EAGAIN): one, or all from some one on; the throttle is lowered later",
        outcome: "A call goes on with the workers there are, and its report says how many of how many they were, and why. With none, or without its feeder or supervisor, it fails in words, and calls whose results it reads are stopped. A job waits for a thread of its queue; where none runs, it fails in words.",
        tests: &[
            threads(c4_some).named("threads_some"),
            threads(c4_lowered).named("threads_throttle_lowered"),
            threads(c4_none).named("threads_none"),
            threads(c4_jobs).named("threads_jobs"),
        ],
        elsewhere: "In processes: C5. Rayon's pool: runtime/tests/few_workers.rs.",
    },
    Row {
        id: "C5",
        name: "process_cannot_start",
        fault: "The limit of processes leaves room for a few workers, and the throttle asks for 64; `prlimit64` is forbidden",
        outcome: "A call goes on with the workers whose processes could be started, and its report says how many; its own threads do not take their room. Limits that cannot be read keep nothing from running, and nothing that was started earlier is used then.",
        tests: &[
            pool(c5_pool).unprivileged(),
            pool(c5_no_limits).named("pool_no_prlimit"),
            process(c5_process),
        ],
        elsewhere: "On threads: C4.",
    },
    Row {
        id: "C6",
        name: "nth_call_fails",
        fault: "The n-th system call of those that make a thread, a process, a pipe, a pair of sockets, a file in memory fails, once or from then on; n = 1, 2, .. until none does",
        outcome: "Each item has one outcome, or the call has one failure in words. Nothing hangs, and nothing is left.",
        tests: &[
            threads(c6_threads).within(120),
            process(c6_process).within(120),
            pool(c6_pool).within(120),
        ],
        elsewhere: "More kinds of calls and jobs: runtime/tests/nth_start_fails.rs.",
    },
];

const REFUSED: &str = "Resource temporarily unavailable";

/// Runs `body` in a process of its own that `spoil` has done something to.
fn spoilt(spoil: fn() -> io::Result<()>, body: fn()) {
    if part().is_some() {
        spoil().unwrap();
        body();
        std::process::exit(0);
    }
    let output = again("spoilt").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn naps(n: u64) -> u64 {
    sleep(2 * MS);
    n
}

fn c4_some() {
    let spoil = || inject(Calls::Starts, Fails::From(4)).map(drop);
    spoilt(spoil, || {
        let mut results = foreach_parallel!(0..60_u64, throttle = 5, |n| naps(n));
        let report = results.report();
        by_index(results.outcomes(), |n| *n, 60)
            .into_values()
            .for_each(|it| assert!(it.is_ok()));
        let said = format!("3 of 5 workers could be started: {REFUSED}");
        assert_has(&report.to_string(), &["60 done", &said]);
    });
}

fn c4_lowered() {
    // The third worker, after the supervisor, the feeder and two workers.
    let spoil = || inject(Calls::Starts, Fails::Once(5)).map(drop);
    spoilt(spoil, || {
        let limit = Duration::from_secs(20);
        let items = (0..100_u64).inspect(|_| ());
        let results = foreach_parallel!(items, throttle = 6, timeout = limit, |n| naps(n));
        let throttle = results.throttle();
        let mut outcomes = results.outcomes();
        let mut all: Vec<_> = outcomes.by_ref().take(6).collect();
        throttle.set(1);
        all.extend(promptly(|| outcomes.collect::<Vec<_>>()));
        let all = by_index(all.into_iter(), |n| *n, 100);
        assert!(all.values().all(Result::is_ok));
    });
}

fn is_refusal(error: &ItemError) -> bool {
    error.to_string().contains(REFUSED)
}

fn c4_none() {
    let spoil = || inject(Calls::Starts, Fails::From(1)).map(drop);
    spoilt(spoil, || {
        let limit = Duration::from_secs(20);
        let plain = foreach_parallel!(0..9_u64, |n| n);
        let fed = foreach_parallel!((0..9_u64).inspect(|_| ()), timeout = limit, |n| n);
        let first = foreach_parallel!(0..9_u64, |n| n);
        let second = foreach_parallel!(first, throttle = 2, |n| n);
        for results in [plain, fed, second] {
            let errors: Vec<_> = promptly(|| results.outcomes().filter_map(Result::err).collect());
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(is_refusal(&errors[0]), "{errors:?}");
        }
        let job = foreach_parallel!(0..9_u64, |n| n).into_job();
        assert_has(&job.join().unwrap_err().to_string(), &[REFUSED]);
    });
}

fn c4_jobs() {
    let spoil = || inject(Calls::Starts, Fails::From(2)).map(drop);
    spoilt(spoil, || {
        let queue = JobQueue::new(4);
        let (go, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let held = start_thread_job!(queue = &queue, using(wait), {
            let _ = wait.lock().unwrap().recv();
        });
        let jobs: Vec<Job<u64>> = (0..5_u64)
            .map(|n| start_thread_job!(queue = &queue, using(n), { n }))
            .collect();
        let other = start_thread_job!(queue = &JobQueue::new(4), { 1 });
        assert_has(
            &other.join().unwrap_err().to_string(),
            &["no thread", REFUSED],
        );
        drop(go);
        assert!(held.join().is_ok());
        let sum: u64 = jobs.into_iter().map(|it| it.join().unwrap()).sum();
        assert_eq!(sum, 10);
    });
}

fn c5_pool() {
    let limit = getrlimit(Resource::Nproc);
    // This process, what looks after children, and a few workers: each is a thread here and two there.
    setrlimit(
        Resource::Nproc,
        Rlimit {
            current: Some(in_use() + 12),
            ..limit
        },
    )
    .unwrap();
    let mut results = foreach_parallel!(0..200_u64, on = process, throttle = 64, |n| naps(n));
    let report = results.report();
    let all = promptly(|| by_index(results.outcomes(), |n| *n, 200));
    assert!(all.values().all(Result::is_ok));
    let said = report.to_string();
    assert_has(
        &said,
        &["200 done", " of 64 workers could be started: ", REFUSED],
    );
    note(said.lines().nth(1).unwrap_or_default().trim());
    setrlimit(Resource::Nproc, limit).unwrap();
}

/// How many threads this user has, all processes together.
fn in_use() -> u64 {
    let own = rustix::process::getuid().as_raw().to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let threads = all.filter_map(|it| {
        let status = std::fs::read_to_string(it.path().join("status")).ok()?;
        let word = |name: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(name))?;
            line.split_whitespace().next().map(str::to_owned)
        };
        (word("Uid:")? == own).then(|| word("Threads:")?.parse::<u64>().ok())?
    });
    threads.sum()
}

fn c5_no_limits() {
    spoilt(
        || forbid(libc::SYS_prlimit64),
        || {
            let sum: u64 = foreach_parallel!(0..100_u64, on = process, throttle = 2, |n| n).sum();
            assert_eq!(sum, 4950);
        },
    );
}

fn c5_process() {
    spoilt(
        || forbid(libc::SYS_prlimit64),
        || {
            for n in 0..3_u64 {
                assert_eq!(start_job!(using(n), { n }).join().unwrap(), n);
            }
            assert_eq!(start_job!(file = "echo", args = ["a"]).join().unwrap(), "a");
        },
    );
}

/// Runs `body` in processes of their own, in each of which another call fails.
fn each_fails(body: fn()) {
    if let Some(part) = part() {
        let (mode, number) = part.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        let fails = if mode == "once" {
            Fails::Once(number)
        } else {
            Fails::From(number)
        };
        let count = inject(Calls::All, fails).unwrap();
        body();
        println!("\nmade {}", count.get());
        std::process::exit(0);
    }
    let mut tries = 0;
    for mode in ["once", "from"] {
        for number in 1_u64.. {
            tries += 1;
            let output = again(&format!("{mode} {number}")).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let made = said.lines().find_map(|it| it.strip_prefix("made "));
            let made = made.and_then(|it| it.parse::<u64>().ok());
            let errors = String::from_utf8_lossy(&output.stderr);
            let made = made.unwrap_or_else(|| panic!("{mode} {number}: {said}{errors}"));
            if made < number {
                break;
            }
        }
    }
    note(format!("{tries} tries"));
}

/// Each of so many items has one outcome, or the call has failed in words.
fn judge(outcomes: impl Iterator<Item = Result<u64, ItemError>>, count: u64) {
    let all: Vec<_> = promptly(|| outcomes.collect());
    let (of_items, of_call): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|it| it.as_ref().map_or_else(|it| it.index().is_some(), |_| true));
    match &of_call[..] {
        [] => {
            let all = by_index(of_items.into_iter(), |n| *n, count);
            assert!(
                all.values()
                    .all(|it| it.as_ref().map_or_else(is_in_words, |_| true))
            );
        }
        [error] => assert!(error.as_ref().is_err_and(is_in_words), "{error:?}"),
        more => panic!("{more:?}"),
    }
}

fn is_in_words(error: &ItemError) -> bool {
    let said = error.to_string();
    said.contains(REFUSED) || said.contains("Too many open files")
}

fn c6_threads() {
    each_fails(|| {
        let limit = Duration::from_secs(20);
        let items = (0..12_u64).inspect(|_| ());
        let results = foreach_parallel!(
            items,
            throttle = 3,
            timeout = limit,
            retry = 1,
            ordered = true,
            |n| naps(n)
        );
        judge(results.outcomes(), 12);
    });
}

fn c6_pool() {
    each_fails(|| {
        let workers = ProcessPool::builder().workers(2).max_items(4).build();
        let items = (0..12_u64).inspect(|_| ());
        judge(
            foreach_parallel!(items, on = process(&workers), |n| naps(n)).outcomes(),
            12,
        );
    });
}

fn c6_process() {
    each_fails(|| {
        let jobs: Vec<Job<u64>> = (0..3_u64)
            .map(|n| start_job!(using(n), { naps(n) }))
            .collect();
        for (n, job) in jobs.into_iter().enumerate() {
            match promptly(|| job.join()) {
                Ok(value) => assert_eq!(value, n as u64),
                Err(error) => {
                    let said = error.to_string();
                    let refused = said.contains(REFUSED) || said.contains("Too many open files");
                    assert!(refused, "{said}");
                }
            }
        }
    });
}
