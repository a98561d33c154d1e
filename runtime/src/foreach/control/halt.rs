//! When a call has had enough.

use crate::sync::atomic::{AtomicU64, Ordering};

/// When a call starts no more items, and what becomes of those that run: the value of `halt = ..`.
///
/// A rule is one of *soon* or *now*, and one or more of *fail*, *success* and *done*, each as a
/// count or as a percentage. The first that is met ends the call. The grammar is that of GNU
/// parallel's `--halt`.
///
/// An item has *failed* when it panicked, crashed, ran out of time, or answered an `Err`. It has
/// *succeeded* when it answered anything else. *Done* is either. An item that is tried again counts
/// once, when it has ended for good.
///
/// Those that run beside the one that is enough may bring the count above it, by one less than the
/// throttle at most. For this, a worker process and a slot of a cluster are sent their next item when the
/// end of the last one is known, where several cheap ones are with them at once otherwise.
///
/// Items that do not run any more end as [stopped](crate::ItemError::is_stopped), which iteration over
/// the results passes over.
///
/// ```
/// use runspace::{Halt, foreach_parallel};
///
/// // The first that answers wins, and the others are stopped.
/// let first = foreach_parallel!(["a", "b", "7"], halt = Halt::now().success(1), |text| text.parse::<i32>())
///     .find_map(Result::ok);
/// assert_eq!(first, Some(7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a `Halt` without `fail`, `success` or `done` halts nothing"]
pub struct Halt {
    now: bool,
    fail: Option<Amount>,
    success: Option<Amount>,
    done: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Count(u64),
    /// Of the input's items if it says how many there are, else of those that have ended.
    Percent(f64),
}

impl Halt {
    const fn new(now: bool) -> Self {
        Self {
            now,
            fail: None,
            success: None,
            done: None,
        }
    }

    /// Starts no more items, and lets those that run come to their end. They are not told to stop, so their values are
    /// results like any other.
    pub const fn soon() -> Self {
        Self::new(false)
    }

    /// Starts no more items, and stops those that run: as [`Results::stop_token`](crate::Results::stop_token)
    /// does, so a process is ended and a body on a thread sees [`stopping`](crate::stopping). What a body returns after
    /// that is no result, and counts as neither: its item ends as stopped, unless the body says that it has
    /// [`finished`](crate::finished).
    pub const fn now() -> Self {
        Self::new(true)
    }

    /// Halts when `count` items have failed.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn fail(mut self, count: u64) -> Self {
        self.fail = Some(Amount::count(count));
        self
    }

    /// Halts when `percent` of the items have failed: of all items if the input says how many there are
    /// ([`Iterator::size_hint`]), else of those that have ended, and then not before three have failed.
    ///
    /// # Panics
    /// Unless `percent` is above 0 and at most 100.
    #[track_caller]
    pub fn fail_percent(mut self, percent: f64) -> Self {
        self.fail = Some(Amount::percent(percent));
        self
    }

    /// Halts when `count` items have succeeded. `Halt::now().success(1)` is a race.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn success(mut self, count: u64) -> Self {
        self.success = Some(Amount::count(count));
        self
    }

    /// Halts when `percent` of the items have succeeded; of which, see [`fail_percent`](Self::fail_percent).
    ///
    /// # Panics
    /// Unless `percent` is above 0 and at most 100.
    #[track_caller]
    pub fn success_percent(mut self, percent: f64) -> Self {
        self.success = Some(Amount::percent(percent));
        self
    }

    /// Halts when `count` items have ended, whichever way.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn done(mut self, count: u64) -> Self {
        self.done = Some(Amount::count(count));
        self
    }

    /// Halts when `percent` of the items have ended, whichever way.
    ///
    /// # Panics
    /// Unless `percent` is above 0 and at most 100. The call panics if its input does not say how many
    /// items it has.
    #[track_caller]
    pub fn done_percent(mut self, percent: f64) -> Self {
        self.done = Some(Amount::percent(percent));
        self
    }
}

impl Amount {
    #[track_caller]
    fn count(count: u64) -> Self {
        assert!(
            count > 0,
            "a call that halts at 0 items would never run one; give it at least 1"
        );
        Self::Count(count)
    }

    #[track_caller]
    fn percent(percent: f64) -> Self {
        assert!(
            percent > 0.0 && percent <= 100.0,
            "{percent} is not a percentage of items; give it a number above 0 and up to 100"
        );
        Self::Percent(percent)
    }

    /// Whether `count` items of a kind are enough, `done` having ended in all.
    fn is_met(self, count: u64, done: u64, total: Option<u64>) -> bool {
        /// As few as these say nothing of the rest.
        const FEW: u64 = 3;
        match self {
            Self::Count(enough) => count >= enough,
            Self::Percent(percent) => match total {
                Some(total) => reaches(count, total, percent),
                None => count >= FEW && reaches(count, done, percent),
            },
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share, of which 52 bits will do"
)]
fn reaches(part: u64, whole: u64, percent: f64) -> bool {
    part > 0 && part as f64 * 100.0 >= whole as f64 * percent
}

/// The rule of one call, and how far it has come.
#[derive(Debug)]
pub(crate) struct Tally {
    rule: Halt,
    total: Option<u64>,
    good: AtomicU64,
    bad: AtomicU64,
}

/// What the end of an item means for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoOn,
    Soon,
    Now,
}

impl Tally {
    /// # Panics
    /// If the rule asks for a part of all items and nobody knows how many there are.
    #[track_caller]
    pub(crate) fn new(rule: Halt, total: Option<u64>) -> Self {
        assert!(
            total.is_some() || !matches!(rule.done, Some(Amount::Percent(_))),
            "`done_percent` needs an input that says how many items it has; give it a `Vec` or a range, or use `done(count)`"
        );
        Self {
            rule,
            total,
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
        }
    }

    pub(crate) fn count(&self, good: bool) -> Verdict {
        let counter = if good { &self.good } else { &self.bad };
        counter.fetch_add(1, Ordering::SeqCst);
        let good = self.good.load(Ordering::SeqCst);
        let bad = self.bad.load(Ordering::SeqCst);
        let done = good + bad;
        let Halt {
            now,
            fail,
            success,
            done: any,
        } = self.rule;
        let met = [(fail, bad), (success, good), (any, done)]
            .into_iter()
            .any(|(amount, count)| amount.is_some_and(|it| it.is_met(count, done, self.total)));
        match (met, now) {
            (false, _) => Verdict::GoOn,
            (true, false) => Verdict::Soon,
            (true, true) => Verdict::Now,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn run(rule: Halt, total: Option<u64>, ends: &[bool]) -> Option<usize> {
        let tally = Tally::new(rule, total);
        ends.iter()
            .position(|good| tally.count(*good) != Verdict::GoOn)
    }

    #[test]
    fn counts_are_of_their_own_kind() {
        assert_eq!(
            run(Halt::now().fail(2), None, &[false, true, true, false]),
            Some(3)
        );
        assert_eq!(
            run(Halt::now().success(2), None, &[false, true, true, false]),
            Some(2)
        );
        assert_eq!(
            run(Halt::soon().done(3), None, &[false, true, true, false]),
            Some(2)
        );
        assert_eq!(
            run(Halt::soon().fail(3), None, &[false, true, true, false]),
            None
        );
    }

    #[test]
    fn the_first_rule_that_is_met_counts() {
        let rule = Halt::now().fail(3).success(2);
        assert_eq!(run(rule, None, &[true, false, false, true]), Some(3));
        assert_eq!(run(rule, None, &[true, false, false, false]), Some(3));
    }

    #[test]
    fn a_percentage_is_of_all_items_where_they_are_counted() {
        let ends = [false, true, false, true];
        assert_eq!(
            run(Halt::now().fail_percent(20.0), Some(10), &ends),
            Some(2)
        );
        assert_eq!(
            run(Halt::now().done_percent(40.0), Some(10), &ends),
            Some(3)
        );
    }

    #[test]
    fn a_percentage_of_what_has_ended_waits_for_three() {
        let rule = Halt::now().fail_percent(50.0);
        assert_eq!(run(rule, None, &[false, false, true, true, false]), Some(4));
    }

    #[test]
    #[should_panic(expected = "how many items")]
    fn a_part_of_nobody_knows_how_many() {
        let _ = Tally::new(Halt::soon().done_percent(50.0), None);
    }
}
