//! What was started, and what was not.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::time::SystemTime;

use crate::per_process::PerProcess;
use crate::sync::Mutex;

/// How many records are kept.
const MOST: usize = 1024;

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It was let through.
    Started,
    /// It was let through because the policy is [`Audit`](super::Policy::Audit);
    /// [`ApprovedOnly`](super::Policy::ApprovedOnly) would have refused it.
    WouldBeRefused,
    /// It was refused.
    Refused,
}

/// One start that the policy was asked about. Prints as
/// ``would be refused: job `parse` (src/main.rs:10:5): a block cannot be approved``.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditRecord {
    /// From 1; a gap before the first record there is shows how many older ones were dropped.
    pub number: u64,
    /// When it was asked about, by the clock of the system.
    pub time: SystemTime,
    /// What was to be started, in words: a job and its name, or a file.
    pub what: String,
    /// The line that was to start it.
    pub location: &'static Location<'static>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it was refused, or would have been.
    pub reason: Option<String>,
}

impl fmt::Display for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Started => "started",
            Verdict::WouldBeRefused => "would be refused",
            Verdict::Refused => "refused",
        };
        write!(f, "{verdict}: {} ({})", self.what, self.location)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// What this process has started or refused to start, the oldest first: the last 1024 such records.
/// Under [`Allow`](super::Policy::Allow) nothing is recorded.
///
/// ```
/// use runspace::policy::{self, Policy, Start, Verdict};
///
/// policy::set(Policy::Audit).unwrap();
/// policy::check(Start::Block { name: Some("parse") }).unwrap();
/// let record = &policy::audit()[0];
/// assert_eq!(record.verdict, Verdict::WouldBeRefused);
/// assert!(record.to_string().starts_with("would be refused: job `parse` ("));
/// ```
#[must_use]
pub fn audit() -> Vec<AuditRecord> {
    LOG.lock().records.iter().cloned().collect()
}

/// What this process has been asked.
static LOG: PerProcess<Mutex<Log>> = PerProcess::new(Mutex::default);

/// Notes what was asked, and what the answer was.
pub(super) fn note(
    what: String,
    location: &'static Location<'static>,
    verdict: Verdict,
    reason: Option<String>,
) {
    LOG.lock().add(what, location, verdict, reason);
}

/// The last records.
#[derive(Debug, Default)]
struct Log {
    records: VecDeque<AuditRecord>,
    last: u64,
}

impl Log {
    fn add(
        &mut self,
        what: String,
        location: &'static Location<'static>,
        verdict: Verdict,
        reason: Option<String>,
    ) {
        if self.records.len() == MOST {
            self.records.pop_front();
        }
        self.last += 1;
        self.records.push_back(AuditRecord {
            number: self.last,
            time: SystemTime::now(),
            what,
            location,
            verdict,
            reason,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_records_are_kept_and_numbered() {
        let mut log = Log::default();
        for _ in 0..MOST + 3 {
            log.add("job".to_owned(), Location::caller(), Verdict::Started, None);
        }
        let numbers = log.records.iter().map(|it| it.number);
        assert!(numbers.eq(4..=MOST as u64 + 3));
    }
}
