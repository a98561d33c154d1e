//! Signals: sent to a child's group, set up in a child, and by name.

#![allow(unsafe_code)]

use std::ffi::c_int;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Sends `signal` to the group that `leader` leads and to the leader itself, in case it has moved to
/// another group. The caller knows that the leader has not been reaped: its number is not another's.
pub(crate) fn send_to_group(leader: Pid, signal: Signal) {
    // A process that has just been made may not have its group yet, and may have it a moment later.
    let sent = kill_process_group(leader, signal);
    if sent.is_err() || rustix::process::getpgid(Some(leader)) != Ok(leader) {
        let _ = kill_process(leader, signal);
    }
}

/// Ends this process and, if it leads a group, whatever else is in it.
pub(crate) fn kill_own_group() -> ! {
    let own = rustix::process::getpid();
    if rustix::process::getpgrp() == own {
        let _ = kill_process_group(own, Signal::KILL);
    }
    let _ = kill_process(own, Signal::KILL);
    std::process::abort()
}

unsafe extern "C" {
    safe fn signal(number: c_int, action: usize) -> usize;
    /// `set` is of the C library's type, which no field of matters here; its size does.
    fn sigprocmask(how: c_int, set: *const [u64; 16], before: *mut [u64; 16]) -> c_int;
}

/// The state that Rust programs start in, and nothing blocked that the parent happens to block: a
/// blocked SIGTERM could not end the child.
pub(crate) fn set_defaults() {
    const IGNORE: usize = 1;
    const SET: c_int = 2;
    signal(Signal::PIPE.as_raw(), IGNORE);
    // SAFETY: 128 bytes are what Linux C libraries use for a set of signals, all zero is the empty
    // one, and a null pointer says that the set before is not wanted.
    unsafe { sigprocmask(SET, &[0; 16], std::ptr::null_mut()) };
}

/// What people call a signal.
pub(crate) fn name(number: i32) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    NAMES.get(place).copied()
}
