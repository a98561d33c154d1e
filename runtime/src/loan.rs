//! What an item lends that has a place of a shared throttle.

use std::sync::Arc;

use crate::sync::atomic::{AtomicBool, Ordering};

/// A place of a throttle, as it is lent by the item that has it: to the calls that the item makes, and to those of
/// jobs and invocations that work for it. The throttle itself decides to whom; see `Gate::pass`.
#[derive(Clone)]
pub(crate) struct Loan {
    throttle: usize,
    place: Arc<Place>,
    /// It is seen from a job or an invocation, of which there may be many: one at a time uses it.
    is_for_others: bool,
}

struct Place {
    /// The item has ended.
    is_gone: AtomicBool,
    /// The item waits for its reader, and others have the place meanwhile.
    is_away: AtomicBool,
    is_used: AtomicBool,
}

impl Loan {
    /// Of an item that begins. `throttle` tells one throttle from another.
    pub(crate) fn new(throttle: usize) -> Self {
        Self {
            throttle,
            place: Arc::new(Place {
                is_gone: AtomicBool::new(false),
                is_away: AtomicBool::new(false),
                is_used: AtomicBool::new(false),
            }),
            is_for_others: false,
        }
    }

    pub(crate) fn throttle(&self) -> usize {
        self.throttle
    }

    /// Whether it is the item's own code that has it: no other uses it then.
    pub(crate) fn is_own(&self) -> bool {
        !self.is_for_others
    }

    pub(crate) fn for_others(&self) -> Arc<Self> {
        Arc::new(Self {
            is_for_others: true,
            ..self.clone()
        })
    }

    pub(crate) fn is_there(&self) -> bool {
        !self.place.is_gone.load(Ordering::SeqCst)
    }

    /// The item has ended, and its place is another's.
    pub(crate) fn end(&self) {
        self.place.is_gone.store(true, Ordering::SeqCst);
    }

    /// The item gives its place back until it has been read, or has taken one again.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.place.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Whether there is a place now to be used with it.
    pub(crate) fn is_at_hand(&self) -> bool {
        self.is_there() && !self.place.is_away.load(Ordering::SeqCst)
    }

    /// Takes it, if nobody has.
    pub(crate) fn take(&self) -> bool {
        self.is_at_hand() && !self.place.is_used.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn give_back(&self) {
        self.place.is_used.store(false, Ordering::SeqCst);
    }
}
