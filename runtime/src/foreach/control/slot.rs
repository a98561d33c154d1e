//! The item that a worker runs, where others can see it and take its end into their hands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Try;
use crate::foreach::lease::{Lease, Mark};
use crate::stop::StopToken;
use crate::sync::Mutex;

/// One worker's item. Whoever takes the run out ends the item: the worker, or the supervisor when
/// its time is over.
pub(crate) struct Slot<T> {
    run: Mutex<Option<Run<T>>>,
    /// Revoked when the supervisor has taken an item: the worker has lost its place, and leaves when it comes back.
    lease: Arc<Lease>,
}

/// An item that runs.
pub(crate) struct Run<T> {
    pub(crate) index: u64,
    pub(crate) attempt: u32,
    pub(crate) since: Instant,
    /// Stops this item alone.
    pub(crate) token: Option<StopToken>,
    /// A copy, to be tried again.
    pub(crate) again: Option<T>,
}

impl<T> Run<T> {
    pub(crate) fn name(&self) -> Try {
        Try {
            index: self.index,
            attempt: self.attempt,
        }
    }
}

impl<T> Slot<T> {
    pub(crate) fn new(lease: &Arc<Lease>) -> Self {
        Self {
            run: Mutex::new(None),
            lease: Arc::clone(lease),
        }
    }

    pub(crate) fn begin(&self, run: Run<T>) {
        *self.run.lock() = Some(run);
    }

    /// The worker's own item, at its end; `None` if it has been taken away.
    pub(crate) fn end(&self) -> Option<Run<T>> {
        self.run.lock().take()
    }

    pub(crate) fn since(&self) -> Option<Instant> {
        self.run.lock().as_ref().map(|run| run.since)
    }

    /// Takes the item away from its worker if it has run for `limit` or more, and calls `abandon`
    /// before the worker can know. Answers with it what of the worker's lane comes before what comes next of the item;
    /// the worker puts in nothing more of it.
    pub(crate) fn take_overdue(
        &self,
        limit: Duration,
        now: Instant,
        abandon: impl FnOnce(),
    ) -> Option<(Run<T>, Option<Mark>)> {
        let mut run = self.run.lock();
        let is_overdue = |run: &Run<T>| now.saturating_duration_since(run.since) >= limit;
        if !run.as_ref().is_some_and(is_overdue) {
            return None;
        }
        // Before the lock is let go of: who finds its item gone knows why.
        abandon();
        let mark = self.lease.revoke();
        run.take().map(|run| (run, mark))
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lease.is_revoked()
    }
}
