//! How many items start in a given time.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// How many items start in a given time: the value of `rate = ..`. Clones share it, so it can
/// limit several calls together.
///
/// Items start evenly spaced, unless a [`burst`](Self::burst) is allowed. A further try of an item
/// counts as a start.
///
/// ```
/// use runspace::{PerTime, foreach_parallel};
///
/// let service = 1_000.per_second().burst(10);
/// assert_eq!(foreach_parallel!(0..20, rate = &service, |n| n).count(), 20);
/// // In the call itself, the trait need not be imported.
/// assert_eq!(foreach_parallel!(0..20, rate = 1_000.per_second(), |n| n).count(), 20);
/// ```
#[derive(Clone)]
pub struct Rate {
    quota: Quota,
    limiter: Arc<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Rate {
    fn new(quota: Quota) -> Self {
        let quota = quota.allow_burst(NonZeroU32::MIN);
        Self {
            quota,
            limiter: Arc::new(RateLimiter::direct(quota)),
            clock: DefaultClock::default(),
        }
    }

    /// Lets up to `count` items start at once after a pause; 1 when left out.
    ///
    /// # Panics
    /// On 0.
    #[must_use]
    #[track_caller]
    pub fn burst(self, count: u32) -> Self {
        let count = NonZeroU32::new(count).expect("a burst of 0 items would never start one");
        let quota = self.quota.allow_burst(count);
        Self {
            quota,
            limiter: Arc::new(RateLimiter::direct(quota)),
            clock: self.clock,
        }
    }

    /// How long until the next item may start; zero when this one may, which then counts.
    pub(crate) fn ask(&self) -> Duration {
        match self.limiter.check() {
            Ok(()) => Duration::ZERO,
            Err(later) => later
                .wait_time_from(self.clock.now())
                .max(Duration::from_nanos(1)),
        }
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate")
            .field("one_in", &self.quota.replenish_interval())
            .field("burst", &self.quota.burst_size())
            .finish_non_exhaustive()
    }
}

/// Numbers of items in a given time.
pub trait PerTime {
    /// So many a second.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    fn per_second(self) -> Rate;

    /// So many a minute.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    fn per_minute(self) -> Rate;

    /// So many an hour.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    fn per_hour(self) -> Rate;
}

impl PerTime for u32 {
    fn per_second(self) -> Rate {
        Rate::new(Quota::per_second(not_zero(self)))
    }

    fn per_minute(self) -> Rate {
        Rate::new(Quota::per_minute(not_zero(self)))
    }

    fn per_hour(self) -> Rate {
        Rate::new(Quota::per_hour(not_zero(self)))
    }
}

#[track_caller]
fn not_zero(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("a rate of 0 items would never start one")
}

/// What `rate = ..` takes.
#[diagnostic::on_unimplemented(
    message = "`rate` is a `Rate`, not `{Self}`",
    label = "not a rate; write `50.per_second()`"
)]
pub trait IntoRate {
    /// The rate that it means.
    fn into_rate(self) -> Rate;
}

impl IntoRate for Rate {
    fn into_rate(self) -> Rate {
        self
    }
}

impl IntoRate for &Rate {
    fn into_rate(self) -> Rate {
        self.clone()
    }
}
