//! Shared by the integration tests: every test has a time limit of its own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::io::Write;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `body` on a thread of its own and answers what it answers; its panic is raised again.
///
/// A body that is late hangs: the test's name is printed and the process aborted, since a hung
/// thread cannot be ended and would hide which test it was.
pub fn within<R: Send + 'static>(secs: u64, body: impl FnOnce() -> R + Send + 'static) -> R {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, waiting) = channel::<()>();
    let runner = thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let _done = done; // closes the channel, however the body ends
            body()
        })
        .expect("a thread for the test");
    if let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_secs(secs)) {
        // Written straight to stderr: what is printed in a test is kept back, and lost on abort.
        let line = format!("\n{name}: not done after {secs} s; aborting\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        std::process::abort();
    }
    match runner.join() {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}

/// Waits until `condition` holds; for states that another thread reaches in its own time. The
/// time limit of the test is what ends a wait in vain.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether `condition` holds throughout `span`.
pub fn throughout(span: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if !condition() {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Runs `body` within `secs` in a process of its own that has address space for a few thread stacks only,
/// so that the system soon refuses it a thread. For a test that does nothing else; `name` is its name.
#[cfg(target_os = "linux")]
pub fn with_few_threads(name: &str, secs: u64, body: impl FnOnce() + Send + 'static) {
    const MARK: &str = "FEW_THREADS";
    if std::env::var_os(MARK).is_some() {
        return within(secs, body);
    }
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 3000000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MARK, "1")
        .env("RUST_MIN_STACK", (256_usize << 20).to_string())
        .status()
        .unwrap();
    assert!(status.success());
}
