//! Moments that a user's duration leads to. `Instant + Duration` panics where the sum is beyond what the
//! clock can tell, and `Duration::MAX` is what users write for "no limit"; so such a moment is `None`
//! here: it never comes.

#![deny(clippy::arithmetic_side_effects)]

use std::time::{Duration, Instant};

/// The moment `span` from now; `None` for one that never comes.
pub(crate) fn after(span: Duration) -> Option<Instant> {
    later(Instant::now(), span)
}

/// The moment `span` after `start`; `None` for one that never comes.
pub(crate) fn later(start: Instant, span: Duration) -> Option<Instant> {
    start.checked_add(span)
}

/// What is left until `end`, zero once it has come; `None` where it never does.
pub(crate) fn left(end: Option<Instant>) -> Option<Duration> {
    end.map(|end| end.saturating_duration_since(Instant::now()))
}

/// Whether `end` has come at `now`.
pub(crate) fn has_come(end: Option<Instant>, now: Instant) -> bool {
    end.is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_beyond_the_clock_never_comes() {
        let now = Instant::now();
        for far in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            assert_eq!(later(now, far), None);
            assert_eq!(left(after(far)), None);
            assert!(!has_come(later(now, far), now));
        }
    }

    #[test]
    fn a_moment_that_is_now_has_come() {
        let now = Instant::now();
        assert!(has_come(later(now, Duration::ZERO), now));
        assert_eq!(left(after(Duration::ZERO)), Some(Duration::ZERO));
    }
}
