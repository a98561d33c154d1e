//! `ctrl_c()`: once to come to an end, twice to be ended. Typed on a terminal.
//!
//! Each test runs one of the programs below in a process of its own.

#![cfg(all(feature = "ctrl_c", feature = "process", target_os = "linux"))]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, exit};
use std::thread::sleep;
use std::time::Duration;

use runspace::{
    JobQueue, JobState, ctrl_c, foreach_parallel, interrupted, jobs, pipeline, start_job,
    start_thread_job,
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
        "threads" => threads(),
        "processes" => processes(),
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

fn threads() {
    ctrl_c().unwrap();
    ctrl_c().unwrap();
    finish(foreach_parallel!(0..100, name = "slow", throttle = 3, |n| work(n)).count());
}

fn processes() {
    ctrl_c().unwrap();
    let done = foreach_parallel!(0..100, name = "slow", throttle = 3, on = process, |n| {
        // It may stand where workers come past.
        ctrl_c().unwrap();
        work(n)
    });
    finish(done.count());
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
        assert_eq!(census(name), [""; 0], "{raw}");
        raw
    })
}

fn all_of(raw: &str, what: &str) -> usize {
    raw.matches(what).count()
}

#[test]
fn once_lets_items_on_threads_end_and_starts_none() {
    let raw = once("threads", 3);
    assert!(raw.contains("stopping: no new items; 3 running;"), "{raw}");
    assert!(raw.contains("3 items of `slow` ("), "{raw}");
    assert_eq!(
        (all_of(&raw, "begin "), all_of(&raw, "end ")),
        (3, 3),
        "{raw}"
    );
    assert!(raw.contains("done 3;"), "{raw}");
}

#[test]
fn once_lets_items_in_processes_end_and_starts_none() {
    let raw = once("processes", 3);
    assert!(raw.contains("stopping: no new items; 3 running;"), "{raw}");
    assert_eq!(
        (all_of(&raw, "begin "), all_of(&raw, "end ")),
        (3, 3),
        "{raw}"
    );
    assert!(raw.contains("done 3;"), "{raw}");
}

#[test]
fn once_lets_items_go_through_all_stages() {
    let raw = once("stages", 3);
    assert!(raw.contains("3 items of `first` ("), "{raw}");
    for n in 0..3 {
        let ends = [format!("end {n};"), format!("end {};", n + 500)];
        assert!(ends.iter().all(|it| raw.contains(it)), "{raw}");
    }
    assert_eq!(all_of(&raw, "begin "), 6, "{raw}");
    assert!(raw.contains("done 3;"), "{raw}");
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
