//! How long an item may run.

use std::fmt;
use std::time::Duration;

use crate::sync::Mutex;

/// How long one item may run before it is given up: the value of `timeout = ..`, beside a plain
/// [`Duration`].
///
/// ```
/// use std::time::Duration;
///
/// use runspace::{Timeout, foreach_parallel};
///
/// // Three times as long as items usually take, and never less than a second.
/// let limit = Timeout::median(3.0).at_least(Duration::from_secs(1));
/// assert_eq!(foreach_parallel!(0..10, timeout = limit, |n| n).count(), 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeout {
    limit: Limit,
    floor: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Fixed(Duration),
    /// So many times the median.
    Median(f64),
}

impl Timeout {
    /// A fixed time. `timeout = duration` says the same.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self {
            limit: Limit::Fixed(limit),
            floor: Duration::ZERO,
        }
    }

    /// So many times as long as the items of the call take: `factor` times the median of those that
    /// succeeded, the last hundred or so of them. No item is given up before three have. From GNU
    /// parallel's `--timeout 300%`.
    ///
    /// # Panics
    /// If `factor` is not a number above 1.
    #[must_use]
    #[track_caller]
    pub fn median(factor: f64) -> Self {
        assert!(
            factor.is_finite() && factor > 1.0,
            "`Timeout::median({factor})` would give up the half of the items that take longer than the median; \
             give it a number above 1"
        );
        Self {
            limit: Limit::Median(factor),
            floor: Duration::ZERO,
        }
    }

    /// No less than `floor`, whatever the median says: where items are short, the system alone can
    /// make one take a few times as long as the others.
    #[must_use]
    pub fn at_least(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }
}

impl From<Duration> for Timeout {
    fn from(limit: Duration) -> Self {
        Self::after(limit)
    }
}

/// What `timeout = ..` takes.
#[diagnostic::on_unimplemented(
    message = "`timeout` is a `Duration` or a `Timeout`, not `{Self}`",
    label = "not a time; write `Duration::from_secs(..)`, or `Timeout::median(3.0)`"
)]
pub trait IntoTimeout {
    /// The time-out that it means.
    fn into_timeout(self) -> Timeout;
}

impl IntoTimeout for Timeout {
    fn into_timeout(self) -> Timeout {
        self
    }
}

impl IntoTimeout for Duration {
    fn into_timeout(self) -> Timeout {
        self.into()
    }
}

/// The time-out of one call, with what it has seen of its items.
pub(crate) struct Clock {
    timeout: Timeout,
    seen: Mutex<Seen>,
}

/// The latest times of items that succeeded.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    next: usize,
    median: Option<Duration>,
}

/// How many times are kept: enough for a median, few enough to sort now and then.
const KEPT: usize = 101;
/// Before so many have succeeded there is no median.
const FEWEST: usize = 3;

impl Clock {
    pub(crate) fn new(timeout: Timeout) -> Self {
        Self {
            timeout,
            seen: Mutex::default(),
        }
    }

    /// In words, for somebody who looks where a program hangs.
    pub(crate) fn title(&self) -> String {
        match self.timeout.limit {
            Limit::Fixed(limit) => format!("timeout {}", crate::debug::Seconds(limit)),
            Limit::Median(factor) => format!("timeout {factor} times the median"),
        }
    }

    /// How long an item may take now. `None` while that is not known.
    pub(crate) fn limit(&self) -> Option<Duration> {
        let limit = match self.timeout.limit {
            Limit::Fixed(limit) => limit,
            Limit::Median(factor) => {
                let median = self.seen.lock().median?;
                Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(Duration::MAX)
            }
        };
        Some(limit.max(self.timeout.floor))
    }

    /// Whether the limit may become less while an item runs.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self.timeout.limit, Limit::Median(_))
    }

    /// Takes in the time of an item that succeeded.
    pub(crate) fn record(&self, time: Duration) {
        if self.is_moving() {
            self.seen.lock().record(time);
        }
    }
}

impl Seen {
    fn record(&mut self, time: Duration) {
        if self.times.len() < KEPT {
            self.times.push(time);
        } else {
            self.times[self.next] = time;
            self.next = (self.next + 1) % KEPT;
        }
        let count = self.times.len();
        if count >= FEWEST {
            let mut sorted = self.times.clone();
            let (_, median, _) = sorted.select_nth_unstable(count / 2);
            self.median = Some(*median);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_median_is_known_from_the_third_item_on() {
        let clock = Clock::new(Timeout::median(2.0));
        clock.record(SECOND);
        clock.record(SECOND * 9);
        assert_eq!(clock.limit(), None);
        clock.record(SECOND * 2);
        assert_eq!(clock.limit(), Some(SECOND * 4));
    }

    #[test]
    fn a_median_follows_what_items_take_lately() {
        let clock = Clock::new(Timeout::median(2.0).at_least(SECOND));
        for _ in 0..KEPT {
            clock.record(SECOND);
        }
        for _ in 0..=KEPT / 2 {
            clock.record(SECOND / 10);
        }
        assert_eq!(clock.limit(), Some(SECOND), "the floor");
        for _ in 0..KEPT {
            clock.record(SECOND * 5);
        }
        assert_eq!(clock.limit(), Some(SECOND * 10));
    }
}
