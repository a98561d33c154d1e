//! What a job says beside its outputs: warnings, progress in words, errors.

use std::collections::VecDeque;
use std::fmt;
use std::time::SystemTime;

use crate::context;

/// How many records of a job are kept, and how many bytes of text in them.
const MOST_RECORDS: usize = 100_000;
const MOST_BYTES: usize = 16 << 20;

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

    /// Of what a process prints.
    #[cfg(feature = "process")]
    pub(super) fn of_stream(stream: crate::process::child::Stream) -> Self {
        match stream {
            crate::process::child::Stream::Out => Self::Information,
            crate::process::child::Stream::Err => Self::Warning,
        }
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

/// What a job has said. Its memory is bounded, however long the job goes on: the oldest go first.
#[derive(Debug, Default)]
pub(super) struct Log {
    records: VecDeque<Record>,
    /// Of their texts.
    bytes: usize,
    left_out: u64,
}

impl Log {
    pub(super) fn add(&mut self, record: Record) {
        self.bytes += record.text.len();
        self.records.push_back(record);
        let is_much = |it: &Self| it.records.len() > MOST_RECORDS || it.bytes > MOST_BYTES;
        // The last one is kept, whatever its length.
        while self.records.len() > 1 && is_much(self) {
            let oldest = self.records.pop_front();
            self.bytes -= oldest.map_or(0, |it| it.text.len());
            self.left_out += 1;
        }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let first = self.records.front().filter(|_| self.left_out > 0);
        let gap = first.map(|it| Record {
            level: Level::Warning,
            time: it.time,
            text: format!("{} earlier records are not kept", self.left_out),
        });
        gap.into_iter()
            .chain(self.records.iter().cloned())
            .collect()
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn log(texts: impl IntoIterator<Item = String>) -> Log {
        let mut log = Log::default();
        let records = texts.into_iter();
        records.for_each(|it| log.add(Record::now(Level::Information, it)));
        log
    }

    #[test]
    fn a_few_records_are_all_kept() {
        let records = log((0..1000).map(|n| n.to_string())).records();
        assert_eq!(records.len(), 1000);
        assert_eq!(records[0].text, "0");
    }

    #[test]
    fn of_too_many_the_last_are_kept_and_the_others_counted() {
        let records = log((0..MOST_RECORDS + 7).map(|n| n.to_string())).records();
        assert_eq!(records.len(), MOST_RECORDS + 1);
        assert_eq!(
            records[0].to_string(),
            "WARNING: 7 earlier records are not kept"
        );
        assert_eq!(records[1].text, "7");
    }

    #[test]
    fn long_ones_count_by_their_length() {
        let half = "x".repeat(MOST_BYTES / 2);
        let records = log([half.clone(), half, "end".into()]).records();
        assert_eq!(records[0].text, "1 earlier records are not kept");
        assert_eq!(records.last().unwrap().text, "end");
        // One by itself is kept, whatever its length.
        let records = log(["a".into(), "x".repeat(MOST_BYTES + 1)]).records();
        assert_eq!(records[1].text.len(), MOST_BYTES + 1);
    }
}
