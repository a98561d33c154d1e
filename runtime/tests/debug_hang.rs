//! A program that hangs says what waits for what.
#![cfg(target_os = "linux")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use runspace::collections::BlockingCollection;
use runspace::{
    JobQueue, Runspace, RunspacePool, Throttle, debug, foreach_parallel, invoke, start_thread_job,
};
use support::{in_changed_process, within};

const VARIABLE: &str = "RUNSPACE_DEBUG_HANG";

/// Runs `body`, which hangs, in a process of its own that watches its waits. Answers what that says the first time,
/// after which it is killed. `name` is that of the test.
fn told(name: &str, body: impl FnOnce()) -> String {
    told_times(name, 1, body)
}

/// The same, until it has said it so many times.
fn told_times(name: &str, times: usize, body: impl FnOnce()) -> String {
    const MARK: &str = "HANGS";
    if std::env::var_os(MARK).is_some_and(|it| it == name) {
        body();
        panic!("the body was to hang");
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--quiet"]);
    let command = command.env(MARK, name).env(VARIABLE, "0.3");
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let name = name.to_owned();
    let text = within(60, move || {
        let mut text = String::new();
        let mut left = times;
        for line in stderr.lines() {
            let line = line.unwrap();
            // The last line of what a process says; its workers say theirs in between.
            let is_last = line.starts_with("threads:") && text.contains(&format!("process {pid}:"));
            text += &line;
            text += "\n";
            left -= usize::from(is_last);
            if left == 0 {
                return text;
            }
        }
        panic!("{name} has ended, and said:\n{text}");
    });
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

fn here(line: u32) -> String {
    format!("{}:{line}:", file!())
}

/// Never returns.
fn hang() -> u64 {
    loop {
        thread::park();
    }
}

#[test]
fn a_call_whose_item_does_not_return() {
    let line = line!() + 2;
    let text = told("a_call_whose_item_does_not_return", || {
        foreach_parallel!(0..9, throttle = 2, ordered = true, buffer = 3, |n| {
            if n == 4 { hang() } else { n }
        })
        .wait();
    });
    assert_says(
        &text,
        &[
            "a wait has lasted 0.",
            &here(line),
            "the reader of the call at",
            ": item 4\n",
            "on threads, ordered; throttle 2, window 5; 1 worker",
            "4 consumed, 1 running",
            "the next result to be read is that of item 4",
            "item 4 (try 1) runs for",
        ],
    );
}

#[test]
fn a_call_whose_input_does_not_come_back() {
    let line = line!() + 3;
    let text = told("a_call_whose_input_does_not_come_back", || {
        let input = (0..9).inspect(|n| assert!(*n < 3 || hang() == 0));
        foreach_parallel!(input, name = "slow input", |n| n).wait();
    });
    assert_says(
        &text,
        &[
            "`slow input`",
            &here(line),
            "the feeder is in `next` of the input",
            "3 taken, 3 consumed, 0 running",
            "any item",
        ],
    );
}

#[test]
fn a_call_that_nobody_reads() {
    let text = told("a_call_that_nobody_reads", || {
        let _unread = foreach_parallel!(0..9, throttle = 1, buffer = 1, |n| n);
        hang();
    });
    assert_says(
        &text,
        &[
            "the feeder of the call at",
            "room, which comes when results are read",
            "the feeder is not in `next` of the input",
            "2 taken, 0 consumed",
        ],
    );
}

#[test]
fn an_item_that_emits_more_than_is_read() {
    let text = told("an_item_that_emits_more_than_is_read", || {
        let _unread = foreach_parallel!(0..1, buffer = 1, |n, job| {
            (0..99).for_each(|it| job.emit(it + n));
        });
        hang();
    });
    assert_says(
        &text,
        &[
            "a reader of what item 0 has emitted",
            "1 in the middle of an item",
        ],
    );
}

#[cfg(feature = "rayon")]
#[test]
fn a_call_on_rayon_and_a_sequential_one() {
    let text = told("a_call_on_rayon_and_a_sequential_one", || {
        thread::spawn(|| foreach_parallel!(0..2, on = sequential, |_| hang()).wait());
        foreach_parallel!(0..2, on = rayon, |_| hang()).wait();
    });
    assert_says(
        &text,
        &["on rayon's global pool", "on the thread of its reader"],
    );
}

#[test]
fn a_job_and_one_that_waits_for_it() {
    let line = line!() + 4;
    let text = told("a_job_and_one_that_waits_for_it", || {
        let queue = JobQueue::new(1);
        let _queued = start_thread_job!(queue = &queue, { hang() });
        let hangs = start_thread_job!(name = "hangs", { hang() });
        let waits = start_thread_job!(name = "waits", using(hangs), { hangs.join().unwrap() });
        let _behind = start_thread_job!(name = "behind", queue = &queue, { 0 });
        waits.join().unwrap();
    });
    assert_says(
        &text,
        &[
            "`hangs` (start_thread_job! at ",
            &format!("debug_hang.rs:{line})"),
            "`waits` (start_thread_job! at",
            "): Running for",
            "`behind` (start_thread_job! at",
            "): NotStarted",
            "1 of 1 places are taken, with 1 job waiting for one",
            "job `waits` waits for the end of job `hangs`",
        ],
    );
}

#[test]
fn an_invocation_and_the_end_of_its_runspace() {
    let line = line!() + 4;
    let text = told("an_invocation_and_the_end_of_its_runspace", || {
        let runspace = Runspace::builder().name("reports").open().unwrap();
        let pool = RunspacePool::builder().max(1).name("pool").open().unwrap();
        let hangs = invoke!(&runspace, name = "hangs", { hang() });
        let behind = invoke!(&runspace, name = "behind", { 0 });
        let on_pool = invoke!(&pool, { hang() });
        thread::spawn(move || drop(behind.end()));
        thread::spawn(move || runspace.close());
        thread::spawn(move || drop(on_pool.end()));
        drop(hangs.end());
    });
    assert_says(
        &text,
        &[
            &here(line),
            "the end of invocation `hangs`",
            "the end of all that runspace `reports` runs, to close it",
            "runspace `reports`, closing: 1 of 1 threads",
            "leaving; 1 running, 1 queued",
            "invocation `behind`",
            "is queued",
            "pool `pool`: 1 of 1 threads",
            " runs for ",
        ],
    );
}

#[test]
fn a_pool_with_workers_of_a_call() {
    let text = told("a_pool_with_workers_of_a_call", || {
        let pool = RunspacePool::builder().max(1).name("pool").open().unwrap();
        foreach_parallel!(0..2, on = pool(&pool), |_| hang()).wait();
    });
    assert_says(&text, &["on pool `pool`", "`a parallel call` runs"]);
}

#[test]
fn a_shared_throttle_without_a_free_place() {
    let text = told("a_shared_throttle_without_a_free_place", || {
        let one = Throttle::named("database", 1);
        let hangs = foreach_parallel!(0..1, throttle = &one, |_| hang());
        let waits = foreach_parallel!(0..1, throttle = &one, |_| hang());
        thread::spawn(move || waits.wait());
        hangs.wait();
    });
    assert_says(
        &text,
        &[
            "the throttle `database`: 1 of 1 places taken, 1 wait for one",
            "a worker: a place of the throttle `database`",
        ],
    );
}

#[test]
fn a_blocking_collection_and_a_scope() {
    let text = told("a_blocking_collection_and_a_scope", || {
        let values = BlockingCollection::<u8>::bounded(1);
        let full = BlockingCollection::bounded(1);
        full.add(1).unwrap();
        thread::spawn(move || full.add(2));
        thread::spawn(|| {
            runspace::scope(|s| {
                let (begun, begins) = channel();
                let unread = foreach_parallel!(0..1, within = s, using(begun), |_| {
                    begun.send(()).unwrap();
                    hang()
                });
                std::mem::forget(unread);
                begins.recv().unwrap();
            });
        });
        let _ = values.take();
    });
    assert_says(
        &text,
        &[
            "a value of a BlockingCollection",
            "room in a BlockingCollection",
            "the end of all that runs in a scope",
        ],
    );
}

#[test]
fn it_is_said_again_at_growing_intervals_and_no_more_often() {
    let name = "it_is_said_again_at_growing_intervals_and_no_more_often";
    let text = told_times(name, 3, || {
        let many: Vec<_> = (0..20)
            .map(|_| thread::spawn(|| foreach_parallel!(0..1, |_| hang()).wait()))
            .collect();
        many.into_iter().for_each(|it| it.join().unwrap());
    });
    let lasted: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split_once("a wait has lasted ")?.1.split(' ').next())
        .map(|it| it.parse().unwrap())
        .collect();
    let [first, second, third] = lasted[..] else {
        panic!("{lasted:?}");
    };
    assert!(second - first > 0.15 && third - second > 0.45, "{lasted:?}");
}

#[test]
fn a_name_does_not_break_the_lines() {
    let text = told("a_name_does_not_break_the_lines", || {
        start_thread_job!(name = "two\nlines", { hang() }).wait();
    });
    assert_says(&text, &["`two lines`"]);
}

#[cfg(feature = "process")]
mod processes {
    use runspace::{ProcessPool, start_job};

    use super::*;

    #[test]
    fn an_item_in_a_process_and_what_its_worker_says() {
        let line = line!() + 3;
        let name = "processes::an_item_in_a_process_and_what_its_worker_says";
        let text = told_times(name, 2, || {
            foreach_parallel!(0..1, on = process, throttle = 2, |n| {
                // What the worker itself waits for, it says itself.
                let inner = foreach_parallel!(0..1, name = "inner", |_| hang());
                inner.sum::<u64>() + n
            })
            .wait();
        });
        assert_says(
            &text,
            &[
                &here(line),
                "on processes; throttle 2",
                "an answer of process ",
                " to item 0, which it was sent",
                ", a worker, or one that is kept ready, started ",
                "the reader of `inner`",
            ],
        );
        // Of two processes, and no line of one in a line of the other.
        let heads = text.lines().filter(|it| it.contains("a wait has lasted"));
        let mut pids: Vec<&str> = heads
            .map(|it| it.strip_prefix("runspace: process ").expect(it))
            .map(|it| it.split(':').next().unwrap())
            .collect();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 2, "{text}");
    }

    #[test]
    fn a_pool_of_processes_without_a_free_worker() {
        let name = "processes::a_pool_of_processes_without_a_free_worker";
        let text = told(name, || {
            let pool = ProcessPool::builder().workers(1).build();
            let (hangs, waits) = (pool.clone(), pool);
            thread::spawn(move || foreach_parallel!(0..2, on = process(&hangs), |_| hang()).wait());
            foreach_parallel!(0..2, on = process(&waits), |_| hang()).wait();
        });
        assert_says(
            &text,
            &["a worker of a pool of 1 worker at most, which others have"],
        );
    }

    #[test]
    fn a_job_in_a_process() {
        let line = line!() + 2;
        let text = told("processes::a_job_in_a_process", || {
            start_job!(name = "far", { hang() }).wait();
        });
        assert_says(
            &text,
            &[
                &format!("debug_hang.rs:{line})"),
                "`far` (start_job! at",
                "): Running for",
                ", process ",
            ],
        );
    }
}

#[test]
fn a_value_that_is_no_time_is_refused_in_words() {
    let name = "a_value_that_is_no_time_is_refused_in_words";
    let set = |command: &mut Command| _ = command.env(VARIABLE, "soon");
    let ended = in_changed_process(name, set, || {
        assert_eq!(foreach_parallel!(0..9, |n| n).count(), 9);
        assert_eq!(foreach_parallel!(0..9, |n| n).count(), 9);
    })
    .well();
    let said = "RUNSPACE_DEBUG_HANG is `soon`, which is no number";
    assert_eq!(ended.err.matches(said).count(), 1, "{ended:?}");
}

#[test]
fn without_the_variable_nothing_is_said_and_no_thread_looks() {
    let name = "without_the_variable_nothing_is_said_and_no_thread_looks";
    let unset = |command: &mut Command| _ = command.env_remove(VARIABLE);
    let ended = in_changed_process(name, unset, || {
        let text = || {
            let (go_on, gate) = channel::<()>();
            let gate = std::sync::Mutex::new(gate);
            let results = foreach_parallel!(0..1, name = "unread", using(gate), |_| {
                gate.lock().unwrap().recv().is_ok()
            });
            let text = debug::dump_waits();
            go_on.send(()).unwrap();
            results.wait();
            text
        };
        let before = text();
        assert!(!before.contains("unread"), "{before}");
        debug::track();
        let after = text();
        assert!(after.contains("`unread`"), "{after}");
        assert!(!after.contains("runspace-hang"), "{after}");
    })
    .well();
    assert_eq!(ended.err, "");
}

/// What hangs holds stderr, and a lock of ours by way of the user's code that runs under none.
#[test]
fn who_holds_stderr_is_told_of_all_the_same() {
    let text = told("who_holds_stderr_is_told_of_all_the_same", || {
        let _held = std::io::stderr().lock();
        foreach_parallel!(0..1, |_| hang()).wait();
    });
    assert_says(&text, &["the reader of the call at"]);
}

#[test]
fn calls_that_come_and_go_under_watch_leave_nothing_and_end_right() {
    let name = "calls_that_come_and_go_under_watch_leave_nothing_and_end_right";
    let set = |command: &mut Command| _ = command.env(VARIABLE, "600");
    in_changed_process(name, set, || {
        for _ in 0..50 {
            let sum: u64 = foreach_parallel!(0..100_u64, throttle = 4, |n| n).sum();
            assert_eq!(sum, 4950);
        }
        let text = debug::dump_waits();
        // Threads of a call may be on their way back to those that are kept.
        support::until(|| !debug::dump_waits().contains("calls:"));
        assert!(text.lines().count() < 400, "{text}");
        assert!(debug::dump_waits().contains("waits:\n  none"), "{text}");
    })
    .well();
}
