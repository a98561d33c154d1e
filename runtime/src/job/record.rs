//! What a job says beside its outputs: warnings, progress in words, errors.

use std::fmt;
use std::time::SystemTime;

use crate::context;

/// How much a [`Record`] matters. The order is that of PowerShell's streams, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Something failed. The failure of the job itself leaves one.
    Error,
    /// Something the user of the job should look at.
    Warning,
    /// Something worth knowing.
    Information,
    /// What the job is doing, for those who ask.
    Verbose,
    /// For those who look for a mistake.
    Debug,
}

/// As numbers, for the layers below and for other processes.
impl Level {
    const ALL: [Self; 5] = [
        Self::Error,
        Self::Warning,
        Self::Information,
        Self::Verbose,
        Self::Debug,
    ];

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn of_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Information)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Information => "INFORMATION",
            Self::Verbose => "VERBOSE",
            Self::Debug => "DEBUG",
        })
    }
}

/// One thing a job said, and when. Prints as `WARNING: the disk is nearly full`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// When it was said, by the clock of the system.
    pub time: SystemTime,
    /// What was said.
    pub text: String,
}

impl Record {
    pub(super) fn now(level: Level, text: String) -> Self {
        let time = SystemTime::now();
        Self { level, time, text }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, self.text)
    }
}

/// Adds a record to the job that this code runs for, from any depth below its body, the items of
/// a parallel call in it included. Outside of a job it does nothing.
///
/// ```
/// use runspace::{Level, record, start_thread_job};
///
/// fn read(path: &str) -> usize {
///     record(Level::Verbose, format!("reading {path}"));
///     path.len()
/// }
///
/// let job = start_thread_job!({ read("a.txt") });
/// job.wait();
/// assert_eq!(job.records()[0].to_string(), "VERBOSE: reading a.txt");
/// ```
pub fn record(level: Level, text: impl Into<String>) {
    if let Some(job) = context::current().job {
        job.note(level.number(), text.into());
    }
}
