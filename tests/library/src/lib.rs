//! A library that runs things in other processes, and does not tell.

#![cfg(target_os = "linux")]

use runspace::{foreach_parallel, start_job};

/// The square of `n`, and the process that has computed it.
///
/// # Errors
/// There is no process.
pub fn square(n: u64) -> Result<(u64, u32), String> {
    let job = start_job!(using(n), { (n * n, std::process::id()) });
    job.join().map_err(|error| error.to_string())
}

/// The squares below that of `n`, computed in worker processes.
#[must_use]
pub fn squares(n: u64) -> Vec<u64> {
    foreach_parallel!(0..n, on = process, throttle = 2, ordered = true, |n| n * n).collect()
}

/// What the main thread of a worker is called: nothing, if `main` has not begun.
///
/// # Errors
/// There is no process.
pub fn name_of_worker_thread() -> Result<Option<String>, String> {
    let job = start_job!({ std::thread::current().name().map(str::to_owned) });
    job.join().map_err(|error| error.to_string())
}

pub use runspace;

/// The macros, passed on.
pub mod parallel {
    pub use runspace::{foreach_parallel as each, start_job, start_thread_job};
}
