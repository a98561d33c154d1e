//! How many items move at a time: measured, not set.
//!
//! A worker takes as many items at once as it is expected to finish in [`BATCH_TIME`]; so the cost
//! of a hand-over is shared by many items when they are cheap, and items that take long go one by one.
//! The same figure sets the buffer of a call that does not set its own: what is worth having ready
//! is what runs in a few milliseconds.

use std::time::Duration;

use crate::sync::atomic::{AtomicU64, Ordering};

/// What one batch is expected to take.
const BATCH_TIME: u64 = 50_000;
/// The most items of a batch.
const BATCH_MOST: u64 = 256;
/// Where items move in batches of so many, every nanosecond counts.
pub(crate) const CHEAP: usize = 64;
/// To take half of less work than this from another worker costs more than it saves.
const FEW_TIME: u64 = 5_000;
/// Items that cost more than this are handed over at once, whatever the wake-up costs.
const URGENT_TIME: u64 = 500_000;
/// Work kept ready for each worker: some times what a sleeper may doze.
const READY_TIME: u64 = 4_000_000;
/// The most items that a call keeps ready when it sets no buffer. A reader that is faster than the workers
/// sleeps until there is a good part of it: with a fourth of this a wake-up was a third of the cost of a
/// cheap item, with four times this nothing was gained.
const READY_MOST: u64 = 16_384;
/// Work kept ready for places that are far away, whatever their number: some times a round trip.
const FAR_TIME: u64 = 100_000_000;
/// The most items of it.
const FAR_MOST: u64 = 4096;
/// The cost before anything is measured.
const UNKNOWN: u64 = u64::MAX;

/// What an item of this call costs, as seen lately.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Nanoseconds an item. Workers overwrite each other's figure: any recent one will do.
    cost: AtomicU64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            cost: AtomicU64::new(UNKNOWN),
        }
    }

    /// Takes in that `count` items took `time`.
    pub(crate) fn record(&self, time: Duration, count: u64) {
        if cfg!(loom) {
            return; // a model must not depend on the clock
        }
        let time = u64::try_from(time.as_nanos()).unwrap_or(UNKNOWN - 1);
        let sample = (time / count.max(1)).max(1);
        let cost = self.cost.load(Ordering::Relaxed);
        let cost = if cost == UNKNOWN {
            sample
        } else if sample < cost {
            cost.midpoint(sample)
        } else {
            // One batch that lost its core for a while must not look like costly items.
            sample.min(cost.saturating_mul(2).max(1_000))
        };
        self.cost.store(cost, Ordering::Relaxed);
    }

    /// How many items a worker may take at once.
    pub(crate) fn batch(&self) -> usize {
        let cost = self.cost.load(Ordering::Relaxed);
        (BATCH_TIME / cost).clamp(1, BATCH_MOST) as usize
    }

    /// So many items are as well left to the worker that has them, if it goes on with them. None while nothing is
    /// known, and where they are not cheap.
    pub(crate) fn few(&self) -> usize {
        (FEW_TIME / self.cost.load(Ordering::Relaxed)) as usize
    }

    /// Whether each item is worth a wake-up of its own. Also while nothing is known yet.
    pub(crate) fn is_urgent(&self) -> bool {
        self.cost.load(Ordering::Relaxed) > URGENT_TIME
    }

    /// The buffer of a call that leaves it to us.
    pub(crate) fn buffer(&self, throttle: usize) -> usize {
        let throttle = throttle as u64;
        let cost = self.cost.load(Ordering::Relaxed);
        let ready = throttle.saturating_mul(READY_TIME / cost).min(READY_MOST);
        usize::try_from(ready.max(throttle.saturating_mul(2))).unwrap_or(usize::MAX)
    }

    /// The same for a call whose items run far away, where the cost of an item is the time between the ends of two.
    pub(crate) fn remote_buffer(&self, throttle: usize) -> usize {
        let least = (throttle as u64).saturating_mul(2);
        let cost = self.cost.load(Ordering::Relaxed);
        let ready = (FAR_TIME / cost).min(FAR_MOST);
        usize::try_from(ready.max(least)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_batched_before_anything_is_known() {
        let pace = Pace::new();
        assert_eq!(pace.batch(), 1);
        assert_eq!(pace.buffer(5), 10);
    }

    #[test]
    fn cheap_items_go_in_batches_and_costly_ones_alone() {
        let pace = Pace::new();
        pace.record(Duration::from_nanos(320), 32);
        assert_eq!(pace.batch(), 256);
        assert_eq!(pace.buffer(2), 16_384);
        let pace = Pace::new();
        pace.record(Duration::from_millis(1), 1);
        assert_eq!(pace.batch(), 1);
        assert_eq!(pace.buffer(2), 8);
    }

    #[test]
    fn one_slow_batch_does_not_end_batching_but_several_do() {
        let pace = Pace::new();
        pace.record(Duration::from_nanos(320), 32);
        pace.record(Duration::from_millis(10), 1);
        assert!(!pace.is_urgent());
        for _ in 0..16 {
            pace.record(Duration::from_millis(10), 1);
        }
        assert!(pace.is_urgent());
    }

    #[test]
    fn a_huge_throttle_overflows_nothing() {
        let pace = Pace::new();
        assert_eq!(pace.buffer(usize::MAX), usize::MAX);
        pace.record(Duration::from_nanos(1), 1);
        assert_eq!(pace.buffer(usize::MAX), usize::MAX);
    }
}
