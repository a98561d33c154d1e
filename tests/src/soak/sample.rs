//! What this process has at a moment.

use std::fmt;
use std::fs;
use std::io;
use std::time::Duration;

/// What this process has at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    /// Calls that were made before.
    pub(crate) calls: u64,
    /// Resident memory, in KiB: what the allocator has got from the system and not given back.
    pub(crate) memory: u64,
    /// What of it the program holds, in KiB.
    pub(crate) held: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) children: u64,
    /// Children that have ended and were not waited for.
    pub(crate) zombies: u64,
}

impl Sample {
    pub(crate) const HEAD: &str =
        "seconds,calls,memory_kib,held_kib,descriptors,threads,children,zombies";

    pub(crate) fn take(at: Duration, calls: u64) -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let number = |name: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(name));
            line.and_then(|it| it.split_whitespace().next()?.parse().ok())
                .ok_or_else(|| io::Error::other(format!("/proc/self/status has no {name}")))
        };
        let (children, zombies) = children()?;
        Ok(Self {
            at,
            calls,
            memory: number("VmRSS:")?,
            held: held(),
            // Without the one that the folder is read by.
            descriptors: fs::read_dir("/proc/self/fd")?.count() as u64 - 1,
            threads: number("Threads:")?,
            children,
            zombies,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs_f64();
        write!(
            f,
            "{seconds:.1},{},{},{},{},{},{},{}",
            self.calls,
            self.memory,
            self.held,
            self.descriptors,
            self.threads,
            self.children,
            self.zombies
        )
    }
}

/// What is allocated just now, in KiB.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a call of the C library")]
fn held() -> u64 {
    // SAFETY: it takes nothing, and answers numbers.
    let now = unsafe { libc::mallinfo2() };
    (now.uordblks + now.hblkhd) as u64 / 1024
}

/// Only that C library says it.
#[cfg(not(target_env = "gnu"))]
fn held() -> u64 {
    0
}

/// How many children there are, and how many of them are zombies.
fn children() -> io::Result<(u64, u64)> {
    let own = std::process::id().to_string();
    let (mut all, mut zombies) = (0, 0);
    for entry in fs::read_dir("/proc")?.flatten() {
        // One that has gone meanwhile is none.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let mut words = stat.rsplit(')').next().unwrap_or("").split_whitespace();
        let state = words.next();
        if words.next() == Some(&own) {
            all += 1;
            zombies += u64::from(state == Some("Z"));
        }
    }
    Ok((all, zombies))
}
