//! Who may go in and out of a collection, and who waits for it. It knows how many values there are,
//! and nothing of the values themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{AddErrorKind, TakeError};
use crate::context;
use crate::debug;
use crate::stop::{OnStop, StopToken};
use crate::sync::{Condvar, Mutex, MutexGuard};

pub(super) struct Gate {
    count: Mutex<Count>,
    capacity: Option<usize>,
    /// A value has come, or none will.
    to_takers: Condvar,
    /// There is room, or none is needed any more.
    to_adders: Condvar,
}

#[derive(Clone, Copy)]
struct Count {
    values: usize,
    is_complete: bool,
}

/// How long a wait may take.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    Never,
    At(Instant),
    None,
}

impl Limit {
    pub(super) fn after(span: Duration) -> Self {
        match Instant::now().checked_add(span) {
            Some(end) => Self::At(end),
            None => Self::None, // further off than the clock can tell
        }
    }

    /// What is left; `None` for no end.
    fn left(self) -> Option<Duration> {
        match self {
            Self::Never => Some(Duration::ZERO),
            Self::At(end) => Some(end.saturating_duration_since(Instant::now())),
            Self::None => None,
        }
    }
}

/// Why a wait ended without what it was for.
enum Ended {
    Late,
    Stopped,
}

impl Gate {
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            count: Mutex::new(Count {
                values: 0,
                is_complete: false,
            }),
            capacity,
            to_takers: Condvar::new(),
            to_adders: Condvar::new(),
        }
    }

    /// Without a bound, and with so many values inside.
    pub(super) fn with_values(values: usize) -> Self {
        let gate = Self::new(None);
        gate.count.lock().values = values;
        gate
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.count.lock().values
    }

    pub(super) fn is_complete(&self) -> bool {
        self.count.lock().is_complete
    }

    pub(super) fn is_complete_and_empty(&self) -> bool {
        let count = *self.count.lock();
        count.is_complete && count.values == 0
    }

    pub(super) fn complete(&self) {
        self.count.lock().is_complete = true;
        self.to_takers.notify_all();
        self.to_adders.notify_all();
    }

    /// Waits until a value can be added. The answer is inside, alone, until it says what it did.
    pub(super) fn wait_for_room(
        self: &Arc<Self>,
        limit: Limit,
    ) -> Result<Entered<'_>, AddErrorKind> {
        let has_room = |it: &Count| self.capacity.is_none_or(|most| it.values < most);
        let ready = |it: &Count| it.is_complete || has_room(it);
        let (count, ended) = self.wait(&self.to_adders, limit, ready);
        match ended {
            _ if count.is_complete => Err(AddErrorKind::Completed),
            Some(Ended::Late) => Err(AddErrorKind::Full),
            Some(Ended::Stopped) => Err(AddErrorKind::Stopped),
            None => Ok(Entered { gate: self, count }),
        }
    }

    /// Waits until a value can be taken. The answer is inside, alone, until it says what it did.
    pub(super) fn wait_for_value(self: &Arc<Self>, limit: Limit) -> Result<Entered<'_>, TakeError> {
        let ready = |it: &Count| it.is_complete || it.values > 0;
        let (count, ended) = self.wait(&self.to_takers, limit, ready);
        match ended {
            _ if count.values > 0 => Ok(Entered { gate: self, count }),
            Some(Ended::Late) => Err(TakeError::Empty),
            Some(Ended::Stopped) => Err(TakeError::Stopped),
            None => Err(TakeError::Completed),
        }
    }

    /// Waits until `ready`. Answers the lock, and why the wait ended if it was not for that.
    fn wait<'a>(
        self: &'a Arc<Self>,
        on: &Condvar,
        limit: Limit,
        ready: impl Fn(&Count) -> bool,
    ) -> (MutexGuard<'a, Count>, Option<Ended>) {
        let count = self.count.lock();
        if ready(&count) {
            return (count, None);
        }
        if limit.left() == Some(Duration::ZERO) {
            return (count, Some(Ended::Late));
        }
        drop(count);
        // A child, since that leaves its parent when it goes: the wait leaves nothing behind there.
        let stop = context::current_stop().map(|it| it.child());
        if let Some(stop) = &stop {
            stop.listen(self);
        }
        let _waits = debug::wait(|| {
            let what = match std::ptr::eq(on, &raw const self.to_takers) {
                true => "a value of",
                false => "room in",
            };
            format!("{what} a BlockingCollection")
        });
        let (count, ended) = self.sleep(on, limit, stop.as_ref(), ready);
        if ended.is_some() {
            on.notify_one(); // a call that may have been meant for this one goes on to another
        }
        (count, ended)
    }

    fn sleep(
        &self,
        on: &Condvar,
        limit: Limit,
        stop: Option<&StopToken>,
        ready: impl Fn(&Count) -> bool,
    ) -> (MutexGuard<'_, Count>, Option<Ended>) {
        let mut count = self.count.lock();
        loop {
            if ready(&count) {
                return (count, None);
            }
            if stop.is_some_and(StopToken::is_stopping) {
                return (count, Some(Ended::Stopped));
            }
            count = match limit.left() {
                None => on.wait(count),
                Some(Duration::ZERO) => return (count, Some(Ended::Late)),
                Some(left) => on.wait_timeout(count, left).0,
            };
        }
    }
}

impl OnStop for Gate {
    fn on_stop(&self) {
        // Whoever has looked whether to stop, and does not sleep yet, has the lock.
        drop(self.count.lock());
        self.to_takers.notify_all();
        self.to_adders.notify_all();
    }
}

/// Someone who is inside.
pub(super) struct Entered<'a> {
    gate: &'a Gate,
    count: MutexGuard<'a, Count>,
}

impl Entered<'_> {
    pub(super) fn added(mut self) {
        self.count.values += 1;
        self.gate.to_takers.notify_one();
    }

    pub(super) fn taken(mut self) {
        self.count.values -= 1;
        self.gate.to_adders.notify_one();
    }
}
