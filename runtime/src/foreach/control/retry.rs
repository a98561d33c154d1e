//! Trying an item again.

#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often an item that has failed is tried again, and after how long a pause: the value of
/// `retry = ..`, beside a plain number.
///
/// What has failed is an item that panicked, crashed, ran out of its `timeout`, or answered an `Err`; with
/// `retry_if = |result| ..` an answer is tried again if the closure says so of it, `Err` or not. The
/// body learns which try it is from [`attempt`](crate::attempt), and the last try's end is the item's.
///
/// While an item waits for its next try others run in its place.
///
/// ```
/// use std::time::Duration;
///
/// use runspace::{Retry, foreach_parallel};
///
/// let retry = Retry::exponential(5, Duration::from_millis(1));
/// let results: Vec<Result<u32, &str>> = foreach_parallel!([7], retry = retry, |n| {
///     if runspace::attempt() < 3 { Err("not yet") } else { Ok(n) }
/// })
/// .collect();
/// assert_eq!(results, [Ok(7)]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    times: u32,
    pause: Pause,
}

#[derive(Clone, Copy, Debug)]
enum Pause {
    None,
    Fixed(Duration),
    /// The first, and the longest; see [`Retry::exponential`].
    Growing(Duration, Duration),
}

impl Retry {
    /// Tries an item again up to `times` times, at once. `retry = times` says the same.
    #[must_use]
    pub fn times(times: u32) -> Self {
        Self {
            times,
            pause: Pause::None,
        }
    }

    /// Tries an item again up to `times` times, each after the same pause. After one that no clock can tell, such
    /// as `Duration::MAX`, there is no other try: the item waits until the call is stopped or has no more time.
    #[must_use]
    pub fn every(times: u32, pause: Duration) -> Self {
        Self {
            times,
            pause: Pause::Fixed(pause),
        }
    }

    /// Tries an item again up to `times` times. The first pause is `first`, and each other one
    /// twice as long, up to a minute (see [`at_most`](Self::at_most)), and up to as much again is added by
    /// chance, so that items that failed together do not come back together.
    #[must_use]
    pub fn exponential(times: u32, first: Duration) -> Self {
        Self {
            times,
            pause: Pause::Growing(first, first.max(Duration::from_secs(60))),
        }
    }

    /// The longest pause of [`exponential`](Self::exponential), before what chance adds; a minute when left out.
    #[must_use]
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.pause = match self.pause {
            Pause::None => Pause::None,
            Pause::Fixed(pause) => Pause::Fixed(pause.min(longest)),
            Pause::Growing(first, _) => Pause::Growing(first.min(longest), longest),
        };
        self
    }

    /// The pause after try number `attempt`, if there is another one.
    pub(crate) fn after(&self, attempt: u32) -> Option<Duration> {
        if attempt > self.times {
            return None;
        }
        Some(match self.pause {
            Pause::None => Duration::ZERO,
            Pause::Fixed(pause) => pause,
            Pause::Growing(first, longest) => {
                let pauses = ExponentialBuilder::default()
                    .with_min_delay(first)
                    .with_max_delay(longest)
                    .with_factor(2.0)
                    .with_jitter()
                    .without_max_times();
                let before = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                // A pause that stays the same from some try on need not be counted up to.
                let mut pauses = pauses.build().skip(before.min(64));
                pauses.next().unwrap_or(longest)
            }
        })
    }
}

impl From<u32> for Retry {
    fn from(times: u32) -> Self {
        Self::times(times)
    }
}

/// What `retry = ..` takes.
#[diagnostic::on_unimplemented(
    message = "`retry` is how often an item is tried again, a `u32`, or a `Retry`, not `{Self}`",
    label = "not a number of tries; write `3`, or `Retry::exponential(3, pause)`"
)]
pub trait IntoRetry {
    /// The rule that it means.
    fn into_retry(self) -> Retry;
}

impl IntoRetry for Retry {
    fn into_retry(self) -> Retry {
        self
    }
}

impl IntoRetry for u32 {
    fn into_retry(self) -> Retry {
        self.into()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_tries_and_no_more() {
        let retry = Retry::times(2);
        assert_eq!(retry.after(1), Some(Duration::ZERO));
        assert_eq!(retry.after(2), Some(Duration::ZERO));
        assert_eq!(retry.after(3), None);
        assert_eq!(Retry::times(0).after(1), None);
    }

    #[test]
    fn the_first_pause_is_no_longer_than_the_longest_either() {
        for first in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            let retry = Retry::exponential(u32::MAX, first);
            assert!(retry.after(u32::MAX).unwrap() >= first);
            let retry = retry.at_most(Duration::from_secs(1));
            for attempt in [1, 2, u32::MAX] {
                assert!(retry.after(attempt).unwrap() <= Duration::from_secs(2));
            }
        }
        let retry = Retry::exponential(u32::MAX, Duration::ZERO);
        assert_eq!(retry.after(u32::MAX), Some(Duration::ZERO));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let first = Duration::from_millis(100);
        let retry = Retry::exponential(10, first).at_most(first * 4);
        for (attempt, times) in [(1, 1), (2, 2), (3, 4), (4, 4), (9, 4)] {
            let pause = retry.after(attempt).unwrap();
            assert!(pause >= first * times, "{attempt}: {pause:?}");
            assert!(pause <= first * times * 2, "{attempt}: {pause:?}");
        }
    }
}
