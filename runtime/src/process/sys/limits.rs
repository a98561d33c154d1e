//! Limits that a child sets for itself.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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

fn lower(resource: Resource, to: u64, slack: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let new = Rlimit {
        current: Some(to.min(most)),
        maximum: Some(to.saturating_add(slack).min(most)),
    };
    Ok(setrlimit(resource, new)?)
}
