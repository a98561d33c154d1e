//! A worker's right to put outputs of its item in front of the consumer, which ends when the item is taken
//! from it.
//!
//! An item that is given up ends in another queue than its outputs are in, and goes on there if it is tried
//! again. So that nothing of it comes after its end, nor an output of one try after those of the next, two things
//! are made sure of. The old holder puts in nothing more: it does so under the lock under which the lease is
//! revoked. And the consumer reads what it did put in first: the one that takes the item over is told where
//! the old holder's queue stood, a [`Mark`], and puts that into its own queue before anything of the item.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// A place in a lane: whatever was put in before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(super) lane: usize,
    /// How many places of the lane are before it.
    pub(super) upto: u64,
}

/// The right of a worker to its items, as long as they are its own.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    is_revoked: AtomicBool,
    /// Where the worker's lane stood after the last output; none if there was none.
    mark: Mutex<Option<Mark>>,
}

impl Lease {
    /// Keeps the lease from being revoked, until what is answered is dropped, which is given the new mark. `None`
    /// if it was revoked.
    pub(super) fn hold(&self) -> Option<MutexGuard<'_, Option<Mark>>> {
        let mark = self.mark.lock();
        (!self.is_revoked.load(Ordering::Relaxed)).then_some(mark)
    }

    /// Takes the worker's right away. Answers what of its lane comes before the next event of its item.
    pub(crate) fn revoke(&self) -> Option<Mark> {
        let mark = self.mark.lock();
        self.is_revoked.store(true, Ordering::SeqCst);
        *mark
    }

    /// Where the worker's lane stood after the last output.
    pub(super) fn mark(&self) -> Option<Mark> {
        *self.mark.lock()
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::SeqCst)
    }
}
