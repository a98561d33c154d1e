//! Limits that a child sets for itself, and those that a process has.
//!
//! `unsafe` in this module: the call of the C library that reads a limit. That of rustix takes for granted that it
//! succeeds, where a filter on system calls may forbid it.

#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// What a worker process may use. `None` leaves a limit as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Bytes of address space.
    pub(crate) memory: Option<u64>,
    /// Seconds of processor time, over all its items.
    pub(crate) cpu: Option<u64>,
    /// Descriptors open at once.
    pub(crate) files: Option<u64>,
}

impl Limits {
    /// Sets them for this process. None is raised above what the system allows it.
    pub(crate) fn apply(&self) -> io::Result<()> {
        if let Some(bytes) = self.memory {
            lower(Resource::As, bytes, 0)?;
        }
        if let Some(seconds) = self.cpu {
            // A second between SIGXCPU, which tells what happened, and SIGKILL.
            lower(Resource::Cpu, seconds, 1)?;
        }
        if let Some(files) = self.files {
            lower(Resource::Nofile, files, 0)?;
        }
        Ok(())
    }
}

/// Whole seconds, rounded up: what the system counts processor time in.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    let begun = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(begun)
}

/// # Panics
/// On 0.
#[track_caller]
pub(crate) fn check_memory(bytes: u64) {
    assert!(
        bytes > 0,
        "a process with no memory cannot run; give `memory` the bytes of its address space, or leave it out"
    );
}

/// # Panics
/// On no time. The system takes a limit of 0 seconds for one of 1.
#[track_caller]
pub(crate) fn check_cpu_time(limit: Duration) {
    assert!(
        !limit.is_zero(),
        "a process with no processor time cannot run; give `cpu_time` at least a second, or leave it out"
    );
}

/// # Panics
/// On 0.
#[track_caller]
pub(crate) fn check_open_files(count: u64) {
    assert!(
        count > 0,
        "a process that may open no file cannot run; give `open_files` at least 1, or leave it out"
    );
}

fn lower(resource: Resource, to: u64, slack: u64) -> io::Result<()> {
    let most = get(resource)?.maximum.unwrap_or(u64::MAX);
    let new = Rlimit {
        current: Some(to.min(most)),
        maximum: Some(to.saturating_add(slack).min(most)),
    };
    Ok(setrlimit(resource, new)?)
}

/// A limit of this process.
///
/// # Errors
/// The system does not tell.
pub(crate) fn get(resource: Resource) -> io::Result<Rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the system writes one of these.
    if unsafe { libc::getrlimit(resource as _, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let given = |value| (value != libc::RLIM_INFINITY).then_some(value);
    Ok(Rlimit {
        current: given(limit.rlim_cur),
        maximum: given(limit.rlim_max),
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_the_system_says() {
        for resource in [Resource::Nofile, Resource::As, Resource::Core] {
            assert_eq!(get(resource).unwrap(), rustix::process::getrlimit(resource));
        }
    }
}
