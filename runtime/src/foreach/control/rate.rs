//! How many items start in a given time.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// How many items start in a given time: the value of `rate = ..`. Clones share it, so it can
/// limit several calls together.
///
/// Items start evenly spaced, unless a [`burst`](Self::burst) is allowed, first come, first served. A further try
/// of an item counts as a start. No thread wakes at the very moment it asked for: what one has woken too late by, up
/// to 20 ms, is made up for by the starts that follow, so that high rates are reached too, and are the mean
/// of what happens rather than its upper bound.
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
    count: NonZeroU32,
    period: Duration,
    burst: NonZeroU32,
    made: Instant,
    schedule: Arc<Mutex<Schedule>>,
}

impl Rate {
    fn new(count: NonZeroU32, period: Duration) -> Self {
        Self::of(count, period, NonZeroU32::MIN)
    }

    fn of(count: NonZeroU32, period: Duration, burst: NonZeroU32) -> Self {
        let schedule = Schedule::new(count, period, burst);
        Self {
            count,
            period,
            burst,
            made: Instant::now(),
            schedule: Arc::new(Mutex::new(schedule)),
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
        Self::of(self.count, self.period, count)
    }

    /// How long until the next item may start; zero when this one may, which then counts.
    #[cfg(feature = "cluster")]
    pub(crate) fn ask(&self) -> Duration {
        let now = self.made.elapsed();
        self.schedule.lock().ask(now)
    }

    /// A place in the line of those who wait for a start.
    pub(super) fn stand(&self) -> Standing<'_> {
        let ticket = self.schedule.lock().stand();
        Standing { rate: self, ticket }
    }
}

/// Waits for a start; dropped without one, it leaves the line.
pub(super) struct Standing<'a> {
    rate: &'a Rate,
    ticket: u64,
}

impl Standing<'_> {
    /// How long until this one may start; zero when it may, which then counts.
    pub(super) fn ask(&self) -> Duration {
        let now = self.rate.made.elapsed();
        self.rate.schedule.lock().ask_in_line(self.ticket, now)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.rate.schedule.lock().leave(self.ticket);
    }
}

/// When items start: the generic cell rate algorithm, with a line of those who wait.
///
/// The time of a start is a multiple of `period / count`, which is no whole number of nanoseconds. So times are
/// counted here in nanoseconds times `count`, where it is just `period`; all of it fits into 128 bits some
/// thousand times over.
struct Schedule {
    count: u128,
    /// From one start to the next.
    step: u128,
    /// How much earlier than by the schedule an item may start, if no other has lately: the burst.
    early: u128,
    /// The theoretical arrival time: when the next item would start if all of them were evenly spaced.
    next: u128,
    /// By how much the schedule is behind because a thread has woken too late.
    late: u128,
    /// The waiters, in the order in which they came.
    line: VecDeque<u64>,
    last: u64,
    /// One who is not in the line was told to wait.
    has_refused: bool,
}

/// The longest delay of a wake-up that is made up for: on a machine under load it is some ms.
const LATEST: Duration = Duration::from_millis(20);

impl Schedule {
    fn new(count: NonZeroU32, period: Duration, burst: NonZeroU32) -> Self {
        let step = period.as_nanos();
        Self {
            count: count.get().into(),
            step,
            early: u128::from(burst.get().saturating_sub(1)).saturating_mul(step),
            next: 0,
            late: 0,
            line: VecDeque::new(),
            last: 0,
            has_refused: false,
        }
    }

    fn stand(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.line.push_back(self.last);
        self.last
    }

    fn leave(&mut self, ticket: u64) {
        if let Ok(at) = self.line.binary_search(&ticket) {
            self.line.remove(at);
        }
        if self.line.is_empty() {
            self.has_refused = false;
        }
    }

    /// Asked by one who is not in the line, so behind all who are.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "a cluster's"))]
    fn ask(&mut self, now: Duration) -> Duration {
        let has_slept = std::mem::take(&mut self.has_refused);
        let wait = self.ask_behind(self.line.len(), now, has_slept);
        self.has_refused = !wait.is_zero();
        wait
    }

    /// Asked by one in the line: more than once, if it has to wait.
    fn ask_in_line(&mut self, ticket: u64, now: Duration) -> Duration {
        let Ok(at) = self.line.binary_search(&ticket) else {
            return Duration::ZERO; // it has started
        };
        let has_slept = self.has_refused;
        let wait = self.ask_behind(at, now, has_slept);
        if wait.is_zero() {
            self.line.remove(at);
        }
        self.has_refused = !self.line.is_empty() || !wait.is_zero();
        wait
    }

    /// Asked behind `before` others. `has_slept`: somebody waited for this start, so if it is late the wake-up was.
    fn ask_behind(&mut self, before: usize, now: Duration, has_slept: bool) -> Duration {
        let now = now.as_nanos().saturating_mul(self.count);
        let ahead = u128::try_from(before).unwrap_or(u128::MAX);
        let theirs = ahead.saturating_mul(self.step);
        let due = self.next.saturating_add(theirs).saturating_sub(self.early);
        if due > now {
            let wait = due.saturating_sub(now).div_ceil(self.count);
            return Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        }
        let behind = now.saturating_sub(self.next.saturating_sub(self.early));
        let latest = LATEST.as_nanos().saturating_mul(self.count);
        self.late = match has_slept {
            true => behind.min(latest),
            // No call has asked for a while.
            false if behind > latest => 0,
            false => behind.min(self.late),
        };
        // After a pause the schedule begins anew, but for what a wake-up has cost.
        let start = self.next.max(now.saturating_sub(self.late));
        self.next = start.saturating_add(self.step);
        Duration::ZERO
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate")
            .field("count", &self.count)
            .field("period", &self.period)
            .field("burst", &self.burst)
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
        Rate::new(not_zero(self), Duration::from_secs(1))
    }

    fn per_minute(self) -> Rate {
        Rate::new(not_zero(self), Duration::from_secs(60))
    }

    fn per_hour(self) -> Rate {
        Rate::new(not_zero(self), Duration::from_secs(3600))
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// `workers` threads that start items as they may, and do nothing else, in a model of time: each sleeps as long
    /// as it is told and then wakes `overrun` too late. Answers when items started within `span`.
    fn starts(rate: &Rate, workers: usize, overrun: Duration, span: Duration) -> Vec<Duration> {
        let mut schedule = rate.schedule.lock();
        let mut sleepers: Vec<(Duration, u64)> = (0..workers)
            .map(|_| (Duration::ZERO, schedule.stand()))
            .collect();
        let mut starts = Vec::new();
        loop {
            let (now, ticket) = *sleepers.iter().min().expect("a worker");
            sleepers.retain(|it| it.1 != ticket);
            if now >= span {
                return starts;
            }
            let wait = schedule.ask_in_line(ticket, now);
            let next = if wait.is_zero() {
                starts.push(now);
                // An item takes no time to speak of.
                (
                    now.saturating_add(Duration::from_nanos(100)),
                    schedule.stand(),
                )
            } else {
                (now.saturating_add(wait).saturating_add(overrun), ticket)
            };
            sleepers.push(next);
        }
    }

    #[test]
    fn a_rate_is_reached_however_late_threads_wake() {
        for count in [10_u32, 100, 1_000, 10_000, 100_000] {
            // A second, or ten thousand starts.
            let expected = count.min(10_000);
            let span = Duration::from_secs(1) * expected / count;
            for workers in [1, 2, 5, 32] {
                for overrun in [Duration::ZERO, 60 * MS / 1000, MS, 5 * MS] {
                    let starts = starts(&count.per_second(), workers, overrun, span);
                    let what = format!("{count}: {} by {workers}, {overrun:?}", starts.len());
                    // What comes after the last sleep is not seen.
                    assert!(starts.len() >= (expected * 94 / 100) as usize, "{what}");
                    // One at the beginning.
                    assert!(starts.len() <= expected as usize + 1, "{what}");
                }
            }
        }
    }

    #[test]
    fn starts_are_evenly_spaced_where_threads_wake_in_time() {
        let starts = starts(&100.per_second(), 5, Duration::ZERO, Duration::from_secs(1));
        for pair in starts.windows(2) {
            assert_eq!(pair[1] - pair[0], 10 * MS);
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let rate = 100.per_second();
        let mut schedule = rate.schedule.lock();
        let mut now = Duration::ZERO;
        for _ in 0..3 {
            // A long time in which nobody asks.
            now += Duration::from_secs(60);
            let first = schedule.stand();
            assert!(schedule.ask_in_line(first, now).is_zero());
            let second = schedule.stand();
            assert_eq!(schedule.ask_in_line(second, now), 10 * MS);
            now += 10 * MS;
            assert!(schedule.ask_in_line(second, now).is_zero());
        }
    }

    #[test]
    fn a_burst_starts_at_once_and_comes_back_in_its_time() {
        let rate = 100.per_second().burst(10);
        let at_once = |starts: &[Duration]| starts.iter().filter(|it| **it < MS).count();
        let starts = starts(&rate, 1, Duration::ZERO, Duration::from_secs(1));
        assert_eq!(at_once(&starts), 10);
        assert_eq!(starts.len(), 109);
    }

    #[test]
    fn one_that_leaves_the_line_costs_the_others_nothing() {
        let rate = 1.per_second();
        let mut schedule = rate.schedule.lock();
        let line: Vec<u64> = (0..4).map(|_| schedule.stand()).collect();
        let second = Duration::from_secs(1);
        assert!(schedule.ask_in_line(line[0], Duration::ZERO).is_zero());
        assert_eq!(schedule.ask_in_line(line[3], Duration::ZERO), 3 * second);
        schedule.leave(line[1]);
        schedule.leave(line[2]);
        assert_eq!(schedule.ask_in_line(line[3], Duration::ZERO), second);
    }

    #[test]
    fn the_largest_numbers_overflow_nothing() {
        for rate in [u32::MAX.per_second(), 1.per_hour(), u32::MAX.per_hour()] {
            for rate in [rate.clone(), rate.burst(u32::MAX)] {
                let mut schedule = rate.schedule.lock();
                for now in [Duration::ZERO, MS, Duration::MAX, Duration::MAX] {
                    let ticket = schedule.stand();
                    let _ = schedule.ask_in_line(ticket, now);
                    schedule.leave(ticket);
                    let _ = schedule.ask(now);
                }
            }
        }
    }
}
