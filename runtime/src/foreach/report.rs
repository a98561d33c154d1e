//! What a call came to, in a few lines: for the end of a tool's output.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::ItemError;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the results of a call have come to so far: how many, which failures, what took longest. Made
/// by [`Results::report`](crate::Results::report), and printed when the results have been read.
///
/// Failures are put together by their text, each group with how many there are and where the first ones
/// stand.
///
/// ```
/// use runspace::foreach_parallel;
///
/// let mut results = foreach_parallel!(0..100, |n| assert!(n % 40 != 7, "no sevens"));
/// let report = results.report();
/// let good = results.outcomes().filter(Result::is_ok).count();
/// assert_eq!((good, report.failed()), (97, 3));
/// assert!(report.to_string().contains("3 x panicked: no sevens (items 7, 47, 87)"));
/// ```
#[derive(Clone)]
pub struct Report {
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    tally: Mutex<Tally>,
    slowest: Arc<Slowest>,
}

#[derive(Default)]
struct Tally {
    good: u64,
    stopped: u64,
    failed: u64,
    groups: Vec<Group>,
    end: Option<Instant>,
}

/// Failures with the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// What happened, without saying to which item.
    pub text: String,
    /// To how many.
    pub count: u64,
    /// The places in the input of the first three of them, in order.
    pub first: Vec<u64>,
}

/// How many of each kind are named.
const NAMED: usize = 3;
/// The most groups that are kept apart; what is different from all of them is counted as one.
const GROUPS: usize = 100;

impl Report {
    pub(crate) fn new(start: Instant, slowest: Arc<Slowest>) -> Self {
        slowest.is_wanted.store(true, Ordering::Relaxed);
        Self {
            shared: Arc::new(Shared {
                start,
                tally: Mutex::default(),
                slowest,
            }),
        }
    }

    /// Results that have been read.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.shared.tally.lock().good
    }

    /// Failures that have been read or [added](Self::add).
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.tally.lock().failed
    }

    /// Items that were stopped.
    #[must_use]
    pub fn stopped(&self) -> u64 {
        self.shared.tally.lock().stopped
    }

    /// The failures by their text, the most frequent first.
    #[must_use]
    pub fn failures(&self) -> Vec<Group> {
        let mut groups = self.shared.tally.lock().groups.clone();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups
    }

    /// The items that took longest, at most three: their places in the input, and their times.
    #[must_use]
    pub fn slowest(&self) -> Vec<(u64, Duration)> {
        self.shared.slowest.items()
    }

    /// Since the call began; to its end, when its results have been read to the end.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let end = self.shared.tally.lock().end;
        end.unwrap_or_else(Instant::now)
            .saturating_duration_since(self.shared.start)
    }

    /// Adds a failure that the caller has found in a result: an `Err`, or something that cannot be.
    /// It stands beside those of the call, and one success less is counted.
    pub fn add(&self, failure: &dyn fmt::Display) {
        let mut tally = self.shared.tally.lock();
        tally.good = tally.good.saturating_sub(1);
        tally.fail(failure.to_string(), None);
    }

    pub(crate) fn note(&self, outcome: Result<(), &ItemError>) {
        let mut tally = self.shared.tally.lock();
        match outcome {
            Ok(()) => tally.good += 1,
            Err(error) if error.is_stopped() => tally.stopped += 1,
            Err(error) => tally.fail(error.what().to_string(), error.index()),
        }
    }

    pub(crate) fn close(&self) {
        self.shared
            .tally
            .lock()
            .end
            .get_or_insert_with(Instant::now);
    }
}

impl Tally {
    fn fail(&mut self, text: String, index: Option<u64>) {
        self.failed += 1;
        let known = self.groups.iter().position(|group| group.text == text);
        let at = known.unwrap_or_else(|| {
            let text = match self.groups.len() {
                GROUPS.. => String::from("something else"),
                _ => text,
            };
            let last = self.groups.len().checked_sub(1);
            if let Some(last) = last.filter(|last| self.groups[*last].text == text) {
                return last;
            }
            self.groups.push(Group {
                text,
                count: 0,
                first: Vec::new(),
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        group.count += 1;
        if let Some(index) = index {
            let place = group.first.partition_point(|it| *it < index);
            group.first.insert(place, index);
            group.first.truncate(NAMED);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (succeeded, failed, stopped) = (self.succeeded(), self.failed(), self.stopped());
        write!(f, "{succeeded} done in {:.1?}", self.elapsed())?;
        if failed > 0 {
            write!(f, ", {failed} failed")?;
        }
        if stopped > 0 {
            write!(f, ", {stopped} stopped")?;
        }
        for Group { text, count, first } in self.failures() {
            write!(f, "\n  {count} x {text}")?;
            let items: Vec<String> = first.iter().map(u64::to_string).collect();
            let more = if count > NAMED as u64 { ", .." } else { "" };
            match items.len() {
                0 => {}
                1 => write!(f, " (item {}{more})", items[0])?,
                _ => write!(f, " (items {}{more})", items.join(", "))?,
            }
        }
        let slowest: Vec<String> = self
            .slowest()
            .iter()
            .map(|(index, time)| format!("item {index} ({time:.1?})"))
            .collect();
        if !slowest.is_empty() {
            write!(f, "\nslowest: {}", slowest.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("succeeded", &self.succeeded())
            .field("failed", &self.failed())
            .field("stopped", &self.stopped())
            .finish_non_exhaustive()
    }
}

/// The items that took longest.
#[derive(Debug, Default)]
pub(crate) struct Slowest {
    is_wanted: AtomicBool,
    /// What an item has to exceed, in nanoseconds.
    least: AtomicU64,
    items: Mutex<Vec<(u64, Duration)>>,
}

impl Slowest {
    /// Whether somebody wants to know: items then go one by one.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, index: u64, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if nanos <= self.least.load(Ordering::Relaxed) {
            return;
        }
        let mut items = self.items.lock();
        // A further try is the same item.
        items.retain(|it| it.0 != index || it.1 > time);
        if items.iter().any(|it| it.0 == index) {
            return;
        }
        let place = items.partition_point(|it| it.1 > time);
        items.insert(place, (index, time));
        items.truncate(NAMED);
        if let (NAMED, Some(last)) = (items.len(), items.last()) {
            let least = u64::try_from(last.1.as_nanos()).unwrap_or(u64::MAX);
            self.least.store(least, Ordering::Relaxed);
        }
    }

    fn items(&self) -> Vec<(u64, Duration)> {
        self.items.lock().clone()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new(Instant::now(), Arc::default())
    }

    #[test]
    fn failures_are_grouped_by_their_text() {
        let report = report();
        for _ in 0..9 {
            report.note(Ok(()));
        }
        for index in [9, 3, 7, 1] {
            report
                .shared
                .tally
                .lock()
                .fail("broke".to_owned(), Some(index));
        }
        report.add(&"odd");
        let text = report.to_string();
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        assert!(
            first.starts_with("8 done in ") && first.ends_with(", 5 failed"),
            "{text}"
        );
        assert_eq!(lines.next(), Some("  4 x broke (items 1, 3, 7, ..)"));
        assert_eq!(lines.next(), Some("  1 x odd"));
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn texts_without_end_take_no_memory_without_end() {
        let report = report();
        for n in 0..10_000 {
            report.add(&n);
        }
        let groups = report.failures();
        assert_eq!(groups.len(), GROUPS + 1);
        assert_eq!(groups[0].count, 10_000 - GROUPS as u64);
        assert_eq!(report.failed(), 10_000);
    }

    #[test]
    fn the_slowest_three_are_known_each_once() {
        let slowest = Slowest::default();
        let second = Duration::from_secs(1);
        for (index, time) in [(0, 1), (1, 5), (2, 3), (3, 4), (1, 2), (4, 9)] {
            slowest.note(index, second * time);
        }
        assert_eq!(
            slowest.items(),
            [(4, second * 9), (1, second * 5), (3, second * 4)]
        );
    }
}
