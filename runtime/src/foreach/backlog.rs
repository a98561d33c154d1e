//! How far the outputs of a lane are ahead of the consumer, and where their emitter waits for it: flow control by
//! credit.
//!
//! Each emitter has a signal of its own, for the conditions of no two of them are the same: room in
//! its lane, and, in a call that is read in order, its turn. A signal that they shared would have to wake all of
//! them for each output.

use super::signal::Signal;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Outputs that the consumer has not had; and whether it has to look at `low`. In one word, so that
    /// no output is handed out between a look at their number and the request to be told.
    count: AtomicUsize,
    /// The low-water mark: with so many left, or fewer, there is room.
    low: AtomicUsize,
    /// The item whose emitter waits.
    item: AtomicU64,
    signal: Signal,
}

/// The bit of `count` that says that the low-water mark is of interest.
const WATCHED: usize = 1 << (usize::BITS - 1);

impl Backlog {
    /// How many outputs the consumer has not had.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire) & !WATCHED
    }

    /// An output is about to be put in.
    pub(super) fn push(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The consumer has had an output. True if there is room now that was waited for.
    pub(super) fn hand_out(&self) -> bool {
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before & !WATCHED > 0, "an output is handed out twice");
        let left = (before & !WATCHED).saturating_sub(1);
        if before & WATCHED == 0 || left > self.low.load(Ordering::Relaxed) {
            return false;
        }
        self.signal.notify();
        true
    }

    /// From here on the consumer says when no more than `low` outputs are left, if it hands one out then. True if
    /// that is so already.
    pub(super) fn watch(&self, low: usize) -> bool {
        self.low.store(low, Ordering::Relaxed);
        let count = self.count.fetch_or(WATCHED, Ordering::AcqRel);
        count & !WATCHED <= low
    }

    pub(super) fn unwatch(&self) {
        self.count.fetch_and(!WATCHED, Ordering::Relaxed);
    }

    /// Whether the low-water mark has been reached that is watched for.
    #[cfg(feature = "cluster")]
    pub(super) fn is_low(&self) -> bool {
        let count = self.count.load(Ordering::Acquire);
        count & WATCHED != 0 && count & !WATCHED <= self.low.load(Ordering::Relaxed)
    }

    /// Sleeps until `ready` answers something.
    pub(super) fn wait<V>(&self, ready: impl FnMut() -> Option<V>) -> V {
        self.signal.wait(ready)
    }

    /// Has the emitter look again.
    pub(crate) fn wake(&self) {
        self.signal.notify();
    }

    pub(super) fn set_item(&self, index: u64) {
        self.item.store(index, Ordering::Relaxed);
    }

    /// The item whose emitter waits.
    pub(super) fn item(&self) -> u64 {
        self.item.load(Ordering::Relaxed)
    }
}
