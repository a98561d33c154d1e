//! What the tests of several areas share.

use std::process::Command;
use std::time::{Duration, Instant};

use runspace::{Crash, Job, ProcessPool, ProcessPoolBuilder};

pub use crate::support::census::process_error;

pub const MS: Duration = Duration::from_millis(1);

/// So many worker processes, which are soon gone.
pub fn workers(count: usize) -> ProcessPoolBuilder {
    ProcessPool::builder()
        .workers(count)
        .idle_timeout(200 * MS)
        .grace(100 * MS)
}

/// Two of them.
pub fn pair() -> ProcessPool {
    workers(2).build()
}

/// A process for each item.
pub fn fresh() -> ProcessPool {
    workers(2).max_items(1).build()
}

/// How the process of a job has ended.
#[track_caller]
pub fn crash_of<T: std::fmt::Debug>(job: Job<T>) -> Crash {
    let error = process_error(job);
    error
        .crash()
        .unwrap_or_else(|| panic!("no crash: {error}"))
        .clone()
}

/// Fails if `run` takes longer than a machine that is busy with other tests explains.
#[track_caller]
pub fn promptly<R>(run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let value = run();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    value
}

#[track_caller]
pub fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// A program that is deaf to all but SIGKILL.
pub fn deaf() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM HUP INT; while :; do sleep 0.1; done"]);
    command
}
