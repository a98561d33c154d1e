//! A copy of this process, made by `fork`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Runs `body` in a copy of this process, for thirty seconds.
pub fn in_fork(what: &str, body: impl FnOnce()) {
    #![allow(unsafe_code)]
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(code: i32) -> !;
    }
    // SAFETY: what the copy does is what is tried here: the C library's own locks are in order in it,
    // and it ends below, without a way back into the test's harness.
    let pid = unsafe { fork() };
    if pid == 0 {
        let ended = catch_unwind(AssertUnwindSafe(body));
        // SAFETY: it ends this process.
        unsafe { _exit(if ended.is_ok() { 42 } else { 1 }) }
    }
    let pid = Pid::from_raw(pid).expect("a copy");
    let start = Instant::now();
    loop {
        match waitpid(Some(pid), WaitOptions::NOHANG).unwrap() {
            Some((_, status)) => {
                assert_eq!(status.exit_status(), Some(42), "{what}: {status:?}");
                return;
            }
            None if start.elapsed() > Duration::from_secs(30) => {
                kill_process(pid, Signal::KILL).unwrap();
                let _ = waitpid(Some(pid), WaitOptions::empty());
                panic!("{what} hangs in the copy");
            }
            None => sleep(Duration::from_millis(2)),
        }
    }
}
