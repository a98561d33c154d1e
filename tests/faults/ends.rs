//! Time limits, stops, Ctrl-C and the death of the parent: what runs ends, with all that it has started.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use runspace::{Cause, ItemError, Job, ctrl_c, foreach_parallel, start_job, start_thread_job};
use rustix::process::{Signal, getpid, kill_process};

use crate::common::{MS, assert_has, deaf, process_error, promptly, workers};
use crate::stage::{Ended, Row, Test, again, part, pool, process, threads};
use crate::support::census::{children, is_alive, send};
use crate::support::until;
use crate::terminal::OnTerminal;

pub const ROWS: &[Row] = &[
    Row {
        id: "A14",
        name: "grandchild_holds_the_pipes",
        fault: "A body starts a daemon that holds stdout and stderr open, and answers",
        outcome: "The result is there at once: nobody waits for the end of a pipe.",
        tests: &[process(a14_process), pool(a14_pool)],
        elsewhere: "On threads there is no pipe to hold open.",
    },
    Row {
        id: "A16",
        name: "out_of_time",
        fault: "An item or a job takes longer than its `timeout`, and looks whether it is to stop",
        outcome: "It is reported at once as out of time, its place is free, the others go on.",
        tests: &[threads(a16_threads), process(a16_process), pool(a16_pool)],
        elsewhere: "",
    },
    Row {
        id: "A17",
        name: "out_of_time_and_deaf",
        fault: "The same, where SIGTERM is ignored",
        outcome: "It is asked, told (SIGTERM) and ended (SIGKILL), within the grace; its process is gone.",
        tests: &[process(a17_process), pool(a17_pool)],
        elsewhere: "A thread cannot be ended: the item is reported, its thread left to itself (A16), and the row of promises says so.",
    },
    Row {
        id: "A18",
        name: "out_of_time_with_children",
        fault: "The same, with programs that it has started and that ignore SIGTERM",
        outcome: "They are gone with it: it is the whole process group that is ended.",
        tests: &[process(a18_process), pool(a18_pool)],
        elsewhere: "What a body on a thread starts is its own.",
    },
    Row {
        id: "A19",
        name: "ctrl_c",
        fault: "Ctrl-C on a terminal, once and twice, with `ctrl_c()`",
        outcome: "Once: nothing new starts, what runs ends, and what that is is told. Twice: all is killed, the exit code is 130, no process is left.",
        tests: &[
            threads(a19_threads),
            threads(a19_threads_twice).named("threads_twice"),
            process(a19_process),
            process(a19_process_twice).named("process_twice"),
            pool(a19_pool),
            pool(a19_pool_twice).named("pool_twice"),
        ],
        elsewhere: "",
    },
    Row {
        id: "A20",
        name: "parent_killed",
        fault: "SIGKILL for the program, while its workers work, wait, are held, or have started others",
        outcome: "All of them are gone within two seconds, and with each what it has started in its group. What leaves its group as a daemon does stays.",
        tests: &[
            dies(process(held_and_let_go)),
            dies(process(kept_ready)).named("process_kept_ready"),
            dies(pool(with_what_they_started)),
            dies(pool(in_batches)).named("pool_in_batches"),
            dies(pool(workers_of_workers)).named("pool_of_workers"),
        ],
        elsewhere: "Threads go with their process.",
    },
];

/// Starts what leaves its group, as a daemon does, and holds open what the worker prints into.
fn daemon() -> u32 {
    let daemon = Command::new("setsid").args(["sleep", "600"]).spawn();
    daemon.unwrap().id()
}

fn a14_process() {
    let left = promptly(|| start_job!({ daemon() }).join().unwrap());
    assert!(send(Signal::KILL, left));
}

fn a14_pool() {
    let pool = workers(1).build();
    let left: Vec<u32> = promptly(|| {
        let results = foreach_parallel!(0..5, on = process(&pool), |_n| daemon());
        let left = results.collect();
        drop(pool);
        left
    });
    assert_eq!(left.len(), 5);
    for pid in left {
        assert!(send(Signal::KILL, pid));
    }
}

const LIMIT: Duration = Duration::from_millis(400);

/// Item 2 of six is out of time, and told to stop.
macro_rules! out_of_time {
    ($body:expr, $($on:tt)*) => {{
        let results = foreach_parallel!(
            0..6_u64, on = $($on)*, throttle = 2, ordered = true, timeout = LIMIT,
            |n| {
                let body: fn(u64) = $body;
                if n == 2 {
                    body(n);
                }
                n
            }
        );
        let outcomes: Vec<Result<u64, ItemError>> = promptly(|| results.outcomes().collect());
        assert_eq!(outcomes.len(), 6);
        for (n, outcome) in (0..).zip(outcomes) {
            match outcome {
                Ok(value) => assert!(value == n && n != 2),
                Err(error) => {
                    assert_eq!(error.index(), Some(2), "{error}");
                    assert!(matches!(error.cause(), Cause::TimedOut(limit) if *limit == LIMIT), "{error}");
                }
            }
        }
    }};
}

fn obedient(_: u64) {
    while !runspace::stopping() {
        sleep(MS);
    }
}

fn a16_threads() {
    out_of_time!(obedient, thread);
    out_of_time!(obedient, rayon);
}

fn a16_pool() {
    out_of_time!(obedient, process(&workers(2).build()));
}

fn a16_process() {
    let job = start_job!(timeout = LIMIT, { obedient(0) });
    let error = promptly(|| process_error(job));
    assert!(error.is_timeout(), "{error}");
    assert_has(&error.to_string(), &["took longer than 400ms"]);
    assert_eq!(
        start_job!(timeout = Duration::from_secs(60), { 5 })
            .join()
            .unwrap(),
        5
    );
}

/// From here on SIGTERM does nothing to this process.
fn ignore_sigterm() {
    #![allow(unsafe_code)]
    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
    }
    const IGNORE: usize = 1;
    // SAFETY: to ignore a signal runs no code.
    unsafe { signal(Signal::TERM.as_raw(), IGNORE) };
}

fn is_deaf(_: u64) {
    ignore_sigterm();
    loop {
        sleep(Duration::from_secs(1));
    }
}

fn a17_process() {
    let job = start_job!(timeout = LIMIT, grace = 200 * MS, { is_deaf(0) });
    until(|| job.location().process().is_some());
    let pid = job.location().process().unwrap();
    let error = promptly(|| process_error(job));
    assert!(error.is_timeout(), "{error}");
    until(|| !is_alive(pid));
}

fn a17_pool() {
    out_of_time!(is_deaf, process(&workers(2).build()));
}

/// Starts what is deaf, writes down who it is, and waits for it.
fn starts_the_deaf(_: u64) {
    let mut deaf = deaf().spawn().unwrap();
    let path = std::env::temp_dir().join("deaf");
    std::fs::write(path, deaf.id().to_string()).unwrap();
    let _ = deaf.wait();
}

fn deaf_is_gone() {
    let path = std::env::temp_dir().join("deaf");
    let pid: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    until(|| !is_alive(pid));
    std::fs::remove_file(path).unwrap();
}

fn a18_process() {
    let job = start_job!(timeout = Duration::from_secs(2), grace = 200 * MS, {
        starts_the_deaf(0)
    });
    let error = promptly(|| process_error(job));
    assert!(error.is_timeout(), "{error}");
    deaf_is_gone();
}

fn a18_pool() {
    let pool = workers(2).build();
    let timeout = Duration::from_secs(2);
    let results = foreach_parallel!(0..6_u64, on = process(&pool), timeout = timeout, |n| {
        if n == 2 {
            starts_the_deaf(n);
        }
        n
    });
    let errors: Vec<ItemError> = promptly(|| results.outcomes().filter_map(Result::err).collect());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].index(), Some(2));
    deaf_is_gone();
}

fn work(n: u32) -> u32 {
    println!("begin {n};");
    sleep(Duration::from_millis(1500));
    println!("end {n};");
    n
}

/// Never ends by itself, and does not look whether it is to stop.
fn endless(n: u32) {
    println!("begin {n};");
    sleep(Duration::from_secs(1000));
}

/// Interrupts a program on a terminal once, when `begun` items run.
fn once(begun: usize, program: fn() -> usize) {
    if part().is_some() {
        ctrl_c().unwrap();
        let done = program();
        println!("done {done}; interrupted: {};", runspace::interrupted());
        std::process::exit(7);
    }
    let mut running = OnTerminal::start(&again("interrupted"));
    until(|| running.terminal.raw().matches("begin ").count() >= begun);
    running.terminal.interrupt();
    let (status, terminal) = running.end();
    let raw = terminal.raw();
    assert_eq!(status.code(), Some(7), "{raw}");
    let told = format!("stopping: no new items; {begun} running;");
    let done = format!("done {begun}; interrupted: true;");
    assert_has(&raw, &["press Ctrl-C again to kill", &told, &done]);
    let count = |what: &str| raw.matches(what).count();
    assert_eq!((count("begin "), count("end ")), (begun, begun), "{raw}");
}

/// Interrupts it twice.
fn twice(begun: usize, program: fn()) {
    if part().is_some() {
        ctrl_c().unwrap();
        program();
        unreachable!("it does not end by itself");
    }
    let mut running = OnTerminal::start(&again("interrupted"));
    until(|| running.terminal.raw().matches("begin ").count() >= begun);
    running.terminal.interrupt();
    until(|| {
        running
            .terminal
            .raw()
            .contains("press Ctrl-C again to kill")
    });
    assert!(running.child.try_wait().unwrap().is_none());
    running.terminal.interrupt();
    let (status, terminal) = promptly(|| running.end());
    assert_eq!(
        status.code(),
        Some(130),
        "{:?} {}",
        status.signal(),
        terminal.raw()
    );
}

fn a19_threads() {
    once(3, || {
        foreach_parallel!(0..100, name = "slow", throttle = 3, |n| work(n)).count()
    });
}

fn a19_threads_twice() {
    twice(2, || {
        let _job = start_thread_job!({ endless(0) });
        foreach_parallel!(0..100, throttle = 1, |n| endless(n)).wait();
    });
}

fn a19_process() {
    once(2, || {
        let jobs: Vec<Job<u32>> = (0..2)
            .map(|n| {
                start_job!(using(n), |job| {
                    println!("begin {n};");
                    sleep(Duration::from_millis(1500));
                    println!("end {n};");
                    job.emit(n);
                })
            })
            .collect();
        // What they print is theirs.
        for (n, job) in jobs.iter().enumerate() {
            let has_begun = || job.records().iter().any(|it| it.text.starts_with("begin"));
            until(has_begun);
            println!("begin {n};");
        }
        let done = jobs.into_iter().enumerate().map(|(n, job)| {
            job.join().unwrap();
            println!("end {n};");
        });
        done.count()
    });
}

fn a19_process_twice() {
    twice(1, || {
        let job: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
        let program = start_job!(
            file = "sh",
            args = ["-c", "trap '' INT TERM; sleep 1000 & sleep 1000"]
        );
        until(|| job.location().process().is_some() && program.location().process().is_some());
        println!("begin 1;");
        job.wait();
        program.wait();
    });
}

fn a19_pool() {
    once(3, || {
        foreach_parallel!(0..100, name = "slow", on = process, throttle = 3, |n| work(
            n
        ))
        .count()
    });
}

fn a19_pool_twice() {
    twice(2, || {
        foreach_parallel!(0..100, on = process, throttle = 2, |n| endless(n)).wait()
    });
}

const fn dies(test: Test) -> Test {
    test.killed_by(Signal::KILL).then(|ended: &Ended| {
        assert!(
            ended.lingered < Duration::from_secs(2),
            "{:?}",
            ended.lingered
        );
    })
}

/// At least so many processes are to be gone.
fn be_killed(least: usize, others: impl IntoIterator<Item = u32>) -> ! {
    let wards: BTreeSet<u32> = others.into_iter().chain(children().into_keys()).collect();
    assert!(
        wards.len() >= least && wards.iter().all(|it| is_alive(*it)),
        "{wards:?}"
    );
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("killed")
}

fn with_what_they_started() {
    let pool = workers(3).build();
    let mut results = foreach_parallel!(0_u32.., on = process(&pool), |_n, item| {
        // In the worker's group.
        let deaf = deaf().spawn();
        item.emit((std::process::id(), deaf.unwrap().id()));
        sleep(Duration::from_secs(1000));
    });
    let three: Vec<(u32, u32)> = results.by_ref().take(3).collect();
    be_killed(
        6,
        three.into_iter().flat_map(|(worker, deaf)| [worker, deaf]),
    );
}

fn in_batches() {
    let pool = workers(2).build();
    let results = foreach_parallel!(0_u64.., on = process(&pool), |n| vec![n; 1000]);
    let mut results = results.skip(500);
    assert!(results.next().is_some());
    be_killed(2, []);
}

fn kept_ready() {
    let pool = workers(2).idle_timeout(Duration::from_secs(1000)).build();
    let sum: u32 = foreach_parallel!(0..8, on = process(&pool), |n| {
        sleep(20 * MS);
        n
    })
    .sum();
    assert_eq!(sum, 28);
    let job = start_job!({ std::process::id() }).join().unwrap();
    until(|| !children().contains_key(&job));
    // Two workers, and a template with one copy.
    until(|| children().len() >= 4);
    be_killed(4, []);
}

fn held_and_let_go() {
    let held: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
    let alone: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
    until(|| held.location().process().is_some() && alone.location().process().is_some());
    // It cannot look after itself while it is held.
    held.suspend().unwrap();
    drop(alone);
    be_killed(2, []);
}

fn workers_of_workers() {
    let mut results = foreach_parallel!(0..2_u32, on = process, throttle = 2, |_n, item| {
        let inner: Job<u32> = start_job!(|job| {
            job.emit(std::process::id());
            sleep(Duration::from_secs(1000));
        });
        item.emit((std::process::id(), inner.iter().next().unwrap()));
        inner.wait();
    });
    let two: Vec<(u32, u32)> = results.by_ref().take(2).collect();
    be_killed(4, two.into_iter().flat_map(|(outer, inner)| [outer, inner]));
}
