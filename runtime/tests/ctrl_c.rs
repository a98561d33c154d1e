//! `ctrl_c()`: once to come to an end, twice to be ended. Typed on a terminal.
//!
//! Each test runs one of the programs below in a process of its own.

#![cfg(all(feature = "ctrl_c", feature = "process", target_os = "linux"))]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, exit};
use std::thread::sleep;
use std::time::Duration;

use runspace::{
    JobQueue, JobState, RunspacePool, ctrl_c, foreach_parallel, interrupted, jobs, pipeline,
    start_job, start_thread_job,
};
use support::{until, within};
use terminal::OnTerminal;

const PROGRAM: &str = "CTRL_C_TEST_PROGRAM";

/// Starts `name`, a program below.
fn start(name: &str) -> OnTerminal {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "programs", "--nocapture", "--quiet"])
        .env(PROGRAM, mark(name))
        .env("RAYON_NUM_THREADS", "2")
        .env("RUST_BACKTRACE", "0");
    OnTerminal::start(&command)
}

/// What the program and all that it starts have in their environment, and no other process has.
fn mark(name: &str) -> String {
    format!("{name} of {}", std::process::id())
}

/// Those that are there of the program and of what it has started.
fn census(name: &str) -> Vec<String> {
    let mark = format!("{PROGRAM}={}", mark(name));
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let marked = processes.filter_map(|it| {
        let environment = std::fs::read(it.path().join("environ")).ok()?;
        let is_marked = environment
            .split(|it| *it == 0)
            .any(|it| it == mark.as_bytes());
        is_marked.then(|| std::fs::read_to_string(it.path().join("comm")).unwrap_or_default())
    });
    marked.collect()
}

#[test]
fn programs() {
    let Ok(mark) = std::env::var(PROGRAM) else {
        return;
    };
    let name = mark.split(" of ").next().unwrap();
    match name {
        "threads" => once_on!(thread),
        "rayon" => once_on!(rayon),
        "pool" => once_on!(pool(&pool())),
        "processes" => once_on!(process),
        "sequential" => once_on!(sequential),
        "endless on threads" => endless_on!(thread),
        "endless on rayon" => endless_on!(rayon),
        "endless on pool" => endless_on!(pool(&pool())),
        "endless on processes" => endless_on!(process),
        "endless on sequential" => endless_on!(sequential),
        "endless stages" => endless_stages(),
        "stages" => stages(),
        "nested" => nested(),
        "jobs" => queued_jobs(),
        "endless" => endless(),
        "without" => without(),
        "ignoring" => ignoring(),
        #[cfg(feature = "progress")]
        "bar" => bar(),
        other => panic!("there is no {other}"),
    }
}

fn work(n: u32) -> u32 {
    println!("begin {n};");
    sleep(Duration::from_millis(1500));
    println!("end {n};");
    n
}

fn finish(done: usize) -> ! {
    println!("done {done}; interrupted: {}", interrupted());
    // A call that comes too late runs nothing.
    let late = foreach_parallel!(0..3, |n| work(1000 + n)).count();
    let job = start_thread_job!({ work(2000) });
    let process = start_job!({ work(3000) });
    assert_eq!(
        (job.wait(), process.wait()),
        (JobState::Stopped, JobState::Stopped)
    );
    exit(if interrupted() && late == 0 { 7 } else { 0 })
}

fn pool() -> RunspacePool {
    RunspacePool::builder().max(3).open().unwrap()
}

/// A call on some back end, of which what runs comes to its end.
macro_rules! once_on {
    ($($on:tt)*) => {{
        ctrl_c().unwrap();
        let done = foreach_parallel!(0..100, name = "slow", throttle = 2, on = $($on)*, |n| {
            // It may stand where workers come past.
            ctrl_c().unwrap();
            work(n)
        });
        finish(done.count());
    }};
}

/// One whose bodies look at nothing.
macro_rules! endless_on {
    ($($on:tt)*) => {{
        ctrl_c().unwrap();
        let results = foreach_parallel!(0..100, name = "endless", throttle = 2, on = $($on)*, |n| {
            println!("begin {n};");
            sleep(Duration::from_secs(1000));
        });
        finish(results.count())
    }};
}

use {endless_on, once_on};

fn endless_stages() {
    ctrl_c().unwrap();
    finish(pipeline!(
        0..100
            | foreach_parallel(throttle = 2, |n: u32| n)
            | foreach_parallel(name = "endless", throttle = 2, on = process, |n| {
                println!("begin {n};");
                sleep(Duration::from_secs(1000));
            })
            | count()
    ))
}

fn stages() {
    ctrl_c().unwrap();
    finish(pipeline!(
        0..100
            | foreach_parallel(name = "first", throttle = 3, |n| work(n))
            | foreach_parallel(name = "second", throttle = 3, |n| work(n + 500))
            | count()
    ));
}

/// An item goes on with all that it consists of.
fn nested() {
    ctrl_c().unwrap();
    let results = foreach_parallel!(0..100, name = "outer", throttle = 1, |n: u32| {
        let sum: u32 = foreach_parallel!(0..6, throttle = 2, move |part| {
            println!("begin {n};");
            sleep(Duration::from_millis(300));
            part
        })
        .sum();
        let job = start_thread_job!({ sum + 1 });
        job.join().unwrap()
    });
    let all: Vec<_> = results.collect();
    println!("sums {all:?};");
    finish(all.len());
}

fn queued_jobs() {
    ctrl_c().unwrap();
    let queue = JobQueue::new(2);
    let started: Vec<_> = (0..8)
        .map(|n| start_thread_job!(name = format!("job{n}"), queue = &queue, { work(n) }))
        .collect();
    let done = started
        .iter()
        .filter(|it| it.wait() == JobState::Completed)
        .count();
    assert_eq!(
        jobs()
            .iter()
            .filter(|it| it.state() == JobState::Stopped)
            .count(),
        6
    );
    finish(done);
}

/// Nothing of this ends by itself within the time of a test, and nothing looks whether it is to stop.
fn endless() {
    ctrl_c().unwrap();
    let _job = start_job!(name = "process", {
        sleep(Duration::from_secs(1000));
    });
    let _shell = start_job!(
        name = "program",
        file = "sh",
        args = [
            "-c",
            "trap '' INT TERM; sleep 1000 & sleep 1000; sleep 1000"
        ]
    );
    let threads = foreach_parallel!(0..4, throttle = 1, |_| sleep(Duration::from_secs(1000)));
    let items = foreach_parallel!(0..4, throttle = 2, on = process, |n| {
        println!("begin {n};");
        sleep(Duration::from_secs(1000));
    });
    items.wait();
    threads.wait();
}

fn ignoring() {
    ctrl_c().unwrap();
    let done = foreach_parallel!(0..4, throttle = 2, |n| work(n)).count();
    println!("done {done}; interrupted: {}", interrupted());
    exit(0);
}

fn without() {
    foreach_parallel!(0..4, throttle = 2, on = process, |n| work(n)).wait();
}

#[cfg(feature = "progress")]
fn bar() {
    ctrl_c().unwrap();
    finish(foreach_parallel!(0..100, throttle = 3, progress = "Working", |n| work(n)).count());
}

fn count(of: &OnTerminal, what: &str) -> usize {
    of.terminal.raw().matches(what).count()
}

/// Interrupts `name` once when `begun` items run; answers what it has printed.
fn once(name: &'static str, begun: usize) -> String {
    within(60, move || {
        let mut program = start(name);
        until(|| count(&program, "begin ") >= begun);
        program.terminal.interrupt();
        let (status, terminal) = program.end();
        let raw = terminal.raw();
        assert_eq!(status.code(), Some(7), "{raw}");
        assert!(raw.contains("press Ctrl-C again to kill"), "{raw}");
        assert!(raw.contains("interrupted: true"), "{raw}");
        // A worker may take a moment to see that its parent is gone.
        until(|| census(name).is_empty());
        raw
    })
}

/// No item begins when it has been told that none does.
fn none_begins_late(raw: &str) {
    let (_, after) = raw.split_once("stopping: no new items").unwrap();
    assert!(!after.contains("begin "), "{raw}");
}

fn all_of(raw: &str, what: &str) -> usize {
    raw.matches(what).count()
}

fn once_on_back_end(name: &'static str, count: usize) {
    let raw = once(name, count);
    none_begins_late(&raw);
    assert!(
        raw.contains(&format!("stopping: no new items; {count} running;")),
        "{raw}"
    );
    let items = if count == 1 { "item" } else { "items" };
    assert!(
        raw.contains(&format!("{count} {items} of `slow` (")),
        "{raw}"
    );
    assert_eq!(
        (all_of(&raw, "begin "), all_of(&raw, "end ")),
        (count, count),
        "{raw}"
    );
    assert!(raw.contains(&format!("done {count};")), "{raw}");
}

#[test]
fn once_lets_items_on_threads_end_and_starts_none() {
    once_on_back_end("threads", 2);
}

#[cfg(feature = "rayon")]
#[test]
fn once_lets_items_on_rayon_end_and_starts_none() {
    once_on_back_end("rayon", 2);
}

#[test]
fn once_lets_items_on_a_pool_end_and_starts_none() {
    once_on_back_end("pool", 2);
}

#[test]
fn once_lets_items_in_processes_end_and_starts_none() {
    once_on_back_end("processes", 2);
}

#[test]
fn once_lets_the_item_on_the_readers_thread_end_and_starts_none() {
    once_on_back_end("sequential", 1);
}

#[test]
fn once_starts_no_item_in_any_stage() {
    // The first three have come to the second stage, and others are in the first.
    let raw = once("stages", 6);
    none_begins_late(&raw);
    assert!(raw.contains(" of `first` ("), "{raw}");
    let number = |it: &str| it.split(';').next().unwrap().parse::<u32>().unwrap();
    let of = |what: &str| -> BTreeSet<u32> { raw.split(what).skip(1).map(number).collect() };
    let (begun, ended) = (of("begin "), of("end "));
    assert!(begun.len() >= 6, "{raw}");
    assert_eq!(begun, ended, "what was begun comes to its end: {raw}");
    // And only what has come out of the last stage has gone through all.
    let through = ended.iter().filter(|it| **it >= 500).count();
    assert!(raw.contains(&format!("done {through};")), "{raw}");
}

#[test]
fn once_leaves_an_item_all_that_it_consists_of() {
    let raw = once("nested", 1);
    assert!(raw.contains("1 item of `outer` ("), "{raw}");
    assert_eq!(all_of(&raw, "begin "), 6, "{raw}");
    assert!(raw.contains("sums [16];"), "{raw}");
}

#[test]
fn once_starts_no_queued_job() {
    let raw = once("jobs", 2);
    none_begins_late(&raw);
    assert!(raw.contains("stopping: no new items; 2 running;"), "{raw}");
    assert!(
        raw.contains("the job `job0`") && raw.contains("the job `job1`"),
        "{raw}"
    );
    assert_eq!(
        (all_of(&raw, "begin "), all_of(&raw, "end ")),
        (2, 2),
        "{raw}"
    );
    assert!(raw.contains("done 2;"), "{raw}");
}

#[test]
fn twice_kills_everything() {
    within(60, || {
        let mut program = start("endless");
        until(|| count(&program, "begin ") >= 2);
        // The program, two workers, the job, the shell and what that has started.
        let is_all =
            |it: &[String]| it.len() >= 7 && it.iter().filter(|it| *it == "sleep\n").count() == 2;
        until(|| is_all(&census("endless")));
        program.terminal.interrupt();
        until(|| count(&program, "press Ctrl-C again to kill") > 0);
        assert!(program.child.try_wait().unwrap().is_none());
        assert!(is_all(&census("endless")), "{:?}", census("endless"));
        program.terminal.interrupt();
        let (status, terminal) = program.end();
        let raw = terminal.raw();
        assert_eq!(status.code(), Some(130), "{raw}");
        for running in [
            "1 item of ",
            "2 items of ",
            "`process`",
            "`program`",
            "5 running",
        ] {
            assert!(raw.contains(running), "{running}: {raw}");
        }
        // What is killed may take a moment to be gone where init has to reap it.
        until(|| census("endless").is_empty());
    });
}

/// Bodies that look at nothing: once tells of them, twice ends them.
fn twice_on_back_end(name: &'static str, running: usize) {
    within(60, move || {
        let mut program = start(name);
        until(|| count(&program, "begin ") >= running);
        program.terminal.interrupt();
        until(|| count(&program, "press Ctrl-C again to kill") > 0);
        program.terminal.interrupt();
        let (status, terminal) = program.end();
        let raw = terminal.raw();
        assert_eq!(status.code(), Some(130), "{raw}");
        let items = if running == 1 { "item" } else { "items" };
        assert!(
            raw.contains(&format!("no new items; {running} running;"))
                && raw.contains(&format!("{running} {items} of `endless` (")),
            "{raw}"
        );
        assert!(raw.contains("runspace: killed"), "{raw}");
        assert_eq!(all_of(&raw, "begin "), running, "{raw}");
        until(|| census(name).is_empty());
    });
}

#[test]
fn twice_kills_what_runs_on_threads() {
    twice_on_back_end("endless on threads", 2);
}

#[cfg(feature = "rayon")]
#[test]
fn twice_kills_what_runs_on_rayon() {
    twice_on_back_end("endless on rayon", 2);
}

#[test]
fn twice_kills_what_runs_on_a_pool() {
    twice_on_back_end("endless on pool", 2);
}

#[test]
fn twice_kills_what_runs_in_processes() {
    twice_on_back_end("endless on processes", 2);
}

#[test]
fn twice_kills_what_runs_on_the_readers_thread() {
    twice_on_back_end("endless on sequential", 1);
}

#[test]
fn twice_kills_what_runs_in_a_stage() {
    twice_on_back_end("endless stages", 2);
}

/// A script that puts a program in the background has it ignore SIGINT.
#[test]
fn where_it_is_ignored_it_stays_so() {
    within(60, || {
        let mut command = Command::new("sh");
        let exe = std::env::current_exe().unwrap();
        command
            .args(["-c", "trap '' INT; exec \"$0\" \"$@\""])
            .arg(exe)
            .args(["--exact", "programs", "--nocapture", "--quiet"])
            .env(PROGRAM, mark("ignoring"));
        let mut program = OnTerminal::start(&command);
        until(|| count(&program, "begin ") >= 2);
        program.terminal.interrupt();
        let (status, terminal) = program.end();
        let raw = terminal.raw();
        assert!(status.success(), "{raw}");
        assert_eq!(all_of(&raw, "end "), 4, "{raw}");
        assert!(raw.contains("done 4; interrupted: false"), "{raw}");
    });
}

#[test]
fn without_it_ctrl_c_ends_the_program_and_its_workers() {
    within(60, || {
        let mut program = start("without");
        until(|| count(&program, "begin ") >= 2);
        program.terminal.interrupt();
        let (status, terminal) = program.end();
        assert_eq!(status.signal(), Some(2), "{}", terminal.raw());
        until(|| census("without").is_empty());
    });
}

#[cfg(feature = "progress")]
#[test]
fn what_is_told_stands_above_the_bar() {
    let raw = once("bar", 3);
    let frames = terminal::frames(&raw);
    let is_whole = |it: &String| {
        it.ends_with("runspace: stopping: no new items; 3 running; press Ctrl-C again to kill")
    };
    assert!(frames.last().unwrap().iter().any(is_whole), "{raw:?}");
    assert!(raw.contains("Working: stopped at 3 of 100"), "{raw:?}");
}
