//! What a call came to, in a few lines: for the end of a tool's output.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::shortage::Shortage;
use crate::error::ItemError;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the results of a call have come to so far: how many, which failures, what took longest. Made
/// by [`Results::report`](crate::Results::report), and printed when the results have been read.
///
/// Failures are put together by what has happened, each group with how many there are and where the first ones
/// stand. What is different for each of them is left out: the number of a process that has crashed and what it
/// has said, a limit that moves.
///
/// It prints as some lines of text. For programs it has methods, and with serde (a feature of this crate that needs it:
/// `process`, `journal` or `serde`) it is `Serialize`: counts, times in seconds, groups, the slowest items.
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
    /// Why there were fewer workers than the throttle lets there be, if it was so.
    shortage: OnceLock<Arc<Shortage>>,
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
    /// The places in the input of the first three of them, in order, where they are known.
    pub first: Vec<u64>,
    /// The names of the first three that were [added](Report::add_for) with one, as they came.
    pub names: Vec<String>,
}

/// Where a failure stands.
enum First {
    Place(u64),
    Name(String),
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
                shortage: OnceLock::new(),
            }),
        }
    }

    /// Has it say how many workers there were, should there be too few.
    pub(crate) fn with_shortage(self, shortage: &Arc<Shortage>) -> Self {
        let _ = self.shared.shortage.set(Arc::clone(shortage));
        self
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
    ///
    /// # Panics
    /// With the panic of `failure`'s `Display`. Nothing is added then.
    pub fn add(&self, failure: &dyn fmt::Display) {
        // Before the lock: a text may be made with a look at this very report, take its time, or panic.
        let text = failure.to_string();
        let mut tally = self.shared.tally.lock();
        tally.good = tally.good.saturating_sub(1);
        tally.fail(text, None);
    }

    /// Like [`add`](Self::add), with the name of what has failed, a path for example. Failures with the same
    /// text are one group, which has the names of the first three.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let mut results = foreach_parallel!(["a", "b", "c"], |name| std::fs::read(name).map_err(|_| name));
    /// let report = results.report();
    /// for name in results.filter_map(Result::err) {
    ///     report.add_for(&name, &"cannot be read");
    /// }
    /// assert_eq!((report.succeeded(), report.failed()), (0, 3));
    /// assert!(report.to_string().contains("3 x cannot be read ("));
    /// ```
    ///
    /// # Panics
    /// With the panic of a `Display` of the two. Nothing is added then.
    pub fn add_for(&self, name: &dyn fmt::Display, failure: &dyn fmt::Display) {
        let (text, name) = (failure.to_string(), name.to_string());
        let mut tally = self.shared.tally.lock();
        tally.good = tally.good.saturating_sub(1);
        tally.fail(text, Some(First::Name(name)));
    }

    pub(crate) fn note(&self, outcome: Result<(), &ItemError>) {
        let mut tally = self.shared.tally.lock();
        match outcome {
            Ok(()) => tally.good += 1,
            Err(error) if error.is_stopped() => tally.stopped += 1,
            Err(error) => tally.fail(error.kind(), error.index().map(First::Place)),
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
    fn fail(&mut self, text: String, first: Option<First>) {
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
                names: Vec::new(),
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        group.count += 1;
        match first {
            Some(First::Place(index)) => {
                let place = group.first.partition_point(|it| *it < index);
                group.first.insert(place, index);
                group.first.truncate(NAMED);
            }
            Some(First::Name(name)) if group.names.len() < NAMED => group.names.push(name),
            _ => {}
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
        if let Some(shortage) = self.shared.shortage.get().and_then(|it| it.told()) {
            write!(f, "\n  {shortage}")?;
        }
        for group in self.failures() {
            write!(f, "\n  {group}")?;
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

/// As in the text of a report: `3 x panicked: no sevens (items 7, 47, 87)`.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            count,
            first,
            names,
        } = self;
        write!(f, "{count} x {text}")?;
        let mut stands = names.clone();
        let items: Vec<String> = first.iter().map(u64::to_string).collect();
        match items.len() {
            0 => {}
            1 => stands.push(format!("item {}", items[0])),
            _ => stands.push(format!("items {}", items.join(", "))),
        }
        if stands.is_empty() {
            return Ok(());
        }
        let more = *count > (names.len() + first.len()) as u64;
        let more = if more { ", .." } else { "" };
        write!(f, " ({}{more})", stands.join(", "))
    }
}

#[cfg(any(feature = "serde", feature = "process", feature = "journal"))]
mod as_data {
    use serde::ser::{Serialize, SerializeStruct as _, Serializer};

    use super::{Group, Report};

    impl Serialize for Report {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let slowest = self.slowest();
            let slowest = slowest.iter().map(|(index, time)| Slow {
                index: *index,
                seconds: time.as_secs_f64(),
            });
            let mut report = to.serialize_struct("Report", 6)?;
            report.serialize_field("succeeded", &self.succeeded())?;
            report.serialize_field("failed", &self.failed())?;
            report.serialize_field("stopped", &self.stopped())?;
            report.serialize_field("seconds", &self.elapsed().as_secs_f64())?;
            report.serialize_field("failures", &self.failures())?;
            report.serialize_field("slowest", &slowest.collect::<Vec<_>>())?;
            report.end()
        }
    }

    impl Serialize for Group {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut group = to.serialize_struct("Group", 4)?;
            group.serialize_field("text", &self.text)?;
            group.serialize_field("count", &self.count)?;
            group.serialize_field("first", &self.first)?;
            group.serialize_field("names", &self.names)?;
            group.end()
        }
    }

    #[derive(serde::Serialize)]
    struct Slow {
        index: u64,
        seconds: f64,
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
                .fail("broke".to_owned(), Some(First::Place(index)));
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
    fn names_stand_where_places_are_not_known() {
        let report = report();
        for name in ["a", "b", "c", "d"] {
            report.note(Ok(()));
            report.add_for(&name, &"is odd");
        }
        assert_eq!(report.failures()[0].to_string(), "4 x is odd (a, b, c, ..)");
        assert_eq!((report.succeeded(), report.failed()), (0, 4));
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
    fn a_text_is_made_before_the_lock_is_taken() {
        struct Nosy(Report);
        impl fmt::Display for Nosy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "after {} failures", self.0.failed())
            }
        }
        let report = report();
        let (done, seen) = std::sync::mpsc::channel();
        let nosy = Nosy(report.clone());
        let theirs = report.clone();
        // A lock that the thread holds itself would keep it for ever.
        std::thread::spawn(move || {
            theirs.add(&nosy);
            theirs.add_for(&nosy, &nosy);
            let _ = done.send(());
        });
        seen.recv_timeout(Duration::from_secs(20))
            .expect("a `Display` that looks at its report gets an answer");
        assert_eq!(report.failures()[1].names, ["after 1 failures"]);
        struct Bomb;
        impl fmt::Display for Bomb {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no words")
            }
        }
        let added = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| report.add(&Bomb)));
        assert!(added.is_err());
        assert_eq!(report.failed(), 2);
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
