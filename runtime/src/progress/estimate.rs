//! How long a call will still take.

#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

/// What is expected of one call, from one look to the next.
///
/// The time of an item is the time since the first of them began, over those that have ended: so
/// the items that run at once, and what they wait for, are all in it. There is nothing to go by
/// before the first has ended. Between two ends the time that is left runs down, and an estimate that is up to a tenth
/// longer than that is not shown, so that it does not jitter. The rule is GNU parallel's.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    /// When the last item is expected to end, since the first began.
    end: Option<Duration>,
}

impl Estimate {
    /// How long it takes from now on. `working`: the time since the first item began; `ended` of
    /// `total` items have.
    pub(super) fn look(&mut self, working: Duration, ended: u64, total: u64) -> Option<Duration> {
        if ended == 0 {
            return None;
        }
        let ahead = total.saturating_sub(ended);
        let left = times(working, as_f64(ahead) / as_f64(ended));
        let shown = self.end.map(|end| end.saturating_sub(working));
        let left = match shown {
            Some(shown) if left >= shown && left <= times(shown, 1.1) => shown,
            _ => {
                self.end = working.checked_add(left);
                left
            }
        };
        Some(left)
    }
}

/// `Duration::MAX` for what is longer: an input may say that it has `u64::MAX` items.
fn times(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a guess, of which 52 bits will do"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    #[test]
    fn what_takes_longer_than_a_duration_can_tell_is_the_longest_there_is() {
        let mut estimate = Estimate::default();
        for working in [2.0, 2.1, 1e9] {
            let left = estimate.look(secs(working), 1, u64::MAX);
            assert_eq!(left, Some(Duration::MAX));
        }
    }

    #[test]
    fn nothing_is_expected_before_the_first_has_ended() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.look(secs(100.0), 0, 10), None);
        assert_eq!(estimate.look(secs(100.0), 1, 10), Some(secs(900.0)));
    }

    #[test]
    fn the_rest_takes_as_long_an_item_as_what_has_ended() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.look(secs(4.0), 2, 10), Some(secs(16.0)));
        assert_eq!(estimate.look(secs(6.0), 6, 10), Some(secs(4.0)));
        assert_eq!(estimate.look(secs(10.0), 10, 10), Some(Duration::ZERO));
    }

    #[test]
    fn a_small_rise_is_not_shown_and_a_large_one_is() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.look(secs(10.0), 5, 10), Some(secs(10.0)));
        // By itself 10.2: the item that runs takes a little longer than those before it.
        assert_eq!(estimate.look(secs(10.2), 5, 10), Some(secs(9.8)));
        assert_eq!(estimate.look(secs(20.0), 5, 10), Some(secs(20.0)));
    }

    #[test]
    fn more_than_there_should_be_is_no_time_less_than_none() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.look(secs(10.0), 101, 100), Some(Duration::ZERO));
        assert_eq!(
            estimate.look(secs(20.0), u64::MAX, 100),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn what_no_clock_can_count_is_no_panic() {
        let mut estimate = Estimate::default();
        let left = estimate.look(secs(1e9), 1, 1_000_000_000);
        assert!(left.is_some());
    }
}
