//! Sleeping until something changes, at next to no cost for those who change it.
//!
//! An event count: a sleeper announces itself, looks once more, then sleeps; who makes a change
//! looks whether anyone is announced. [`Signal::notify`] orders the two with a full fence and can
//! never be missed. [`Signal::hint`] leaves the fence out, for paths that run every few
//! nanoseconds: a sleeper that a hint misses looks again by itself within a millisecond. A sleeper
//! in its first millisecond *dozes*: hints let it be, so that a fast producer does not pay for
//! waking it at every item.

use std::time::Duration;

use crate::sync::atomic::{AtomicUsize, Ordering, fence};
use crate::sync::{Condvar, Mutex};

/// The longest that anything waits because a hint was missed: the crate's "about a millisecond".
const DOZE: Duration = Duration::from_millis(1);
/// How often a long sleeper looks by itself. Only a safety net: hints reach it.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Signal {
    beds: Mutex<Beds>,
    wake: Condvar,
    /// `beds.asleep`, to be read without the lock.
    asleep: AtomicUsize,
    /// How many of them are past their doze.
    deep: AtomicUsize,
}

#[derive(Debug, Default)]
struct Beds {
    /// Announced and not yet called.
    asleep: usize,
    /// Called and not yet up.
    called: usize,
}

impl Signal {
    /// Whether anyone sleeps who has not been called yet. May be a moment out of date.
    pub(crate) fn has_sleeper(&self) -> bool {
        self.asleep.load(Ordering::Relaxed) > 0
    }

    /// How many sleep who have not been called yet. May be a moment out of date.
    pub(crate) fn sleepers(&self) -> usize {
        self.asleep.load(Ordering::Relaxed)
    }

    /// Wakes one sleeper, if there is one. What was changed before this call is seen by whoever
    /// goes to sleep after it.
    pub(crate) fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.has_sleeper() {
            self.call(1);
        }
    }

    /// Like [`notify`](Self::notify), for everyone.
    pub(crate) fn notify_all(&self) {
        fence(Ordering::SeqCst);
        if self.has_sleeper() {
            self.call(usize::MAX);
        }
    }

    /// Wakes one sleeper that is past its doze, if one can be seen without a fence.
    #[inline]
    pub(crate) fn hint(&self) {
        if cfg!(loom) {
            return self.notify();
        }
        if self.deep.load(Ordering::Relaxed) > 0 {
            self.call(1);
        }
    }

    #[cold]
    fn call(&self, most: usize) {
        let mut beds = self.beds.lock();
        let count = beds.asleep.min(most);
        if count == 0 {
            return;
        }
        beds.asleep -= count;
        beds.called += count;
        self.asleep.store(beds.asleep, Ordering::Relaxed);
        drop(beds);
        if count == 1 {
            self.wake.notify_one();
        } else {
            self.wake.notify_all();
        }
    }

    /// Sleeps until `ready` answers something. `ready` runs without any lock held.
    pub(crate) fn wait<V>(&self, ready: impl FnMut() -> Option<V>) -> V {
        self.wait_with(ready, || LONGEST)
    }

    /// Like [`wait`](Self::wait), and looks again after `longest` at the latest: for changes that
    /// come with time and that nobody tells of.
    pub(crate) fn wait_with<V>(
        &self,
        mut ready: impl FnMut() -> Option<V>,
        longest: impl Fn() -> Duration,
    ) -> V {
        let mut limit = DOZE;
        let mut deep = None;
        loop {
            self.announce();
            if let Some(value) = ready() {
                self.withdraw();
                return value;
            }
            if self.sleep(limit.min(longest())) {
                deep = None;
                limit = DOZE;
            } else if deep.is_none() {
                deep = Some(Deep::new(&self.deep));
            } else {
                limit = (limit * 4).min(LONGEST);
            }
        }
    }

    fn announce(&self) {
        let mut beds = self.beds.lock();
        beds.asleep += 1;
        self.asleep.store(beds.asleep, Ordering::Relaxed);
        drop(beds);
        fence(Ordering::SeqCst);
    }

    fn withdraw(&self) {
        let mut beds = self.beds.lock();
        if beds.asleep > 0 {
            // A call that is under way is left for the others: it may be meant for what they need.
            beds.asleep -= 1;
            self.asleep.store(beds.asleep, Ordering::Relaxed);
        } else {
            beds.called -= 1;
        }
    }

    /// True when called, false when the time ran out.
    fn sleep(&self, limit: Duration) -> bool {
        let mut beds = self.beds.lock();
        let mut late = false;
        while beds.called == 0 && !late {
            (beds, late) = self.wake.wait_timeout(beds, limit);
        }
        let called = beds.called > 0;
        if called {
            beds.called -= 1;
        } else {
            beds.asleep -= 1;
            self.asleep.store(beds.asleep, Ordering::Relaxed);
        }
        called
    }
}

/// Counts a sleeper as deep from one look at its condition to the next, so that no hint between
/// the two is lost.
struct Deep<'a>(&'a AtomicUsize);

impl<'a> Deep<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Deep<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
