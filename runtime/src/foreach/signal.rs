//! Sleeping until something changes, at next to no cost for those who change it.
//!
//! An event count: a sleeper announces itself, looks once more, then sleeps; a thread that makes a change
//! looks whether a sleeper is announced. [`Signal::notify`] orders the two with a full fence and can
//! never be missed. [`Signal::hint`] leaves the fence out, for paths that run every few
//! nanoseconds: a sleeper that a hint misses looks again by itself within a millisecond. A sleeper
//! in its first millisecond *dozes*: hints let it be, so that a fast producer does not pay for
//! waking it at every item.
//!
//! A call reaches the sleepers that were announced before it, and no others. With a count of calls alone, a
//! sleeper that looks, finds nothing and lies down again would take the call of another that has not got
//! up yet, and that one would sleep on: a lost wake-up. [`Signal::notify`] wakes *any* of the sleepers: it is for
//! changes that are of use to each of them. Where their conditions differ it is [`Signal::notify_all`], or
//! each has a signal of its own.

use std::time::Duration;

use crate::sync::atomic::{AtomicUsize, Ordering, fence};
use crate::sync::{Condvar, Mutex};

pub use net::{late_wakes, watch_wakes};

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
    /// How many calls there have been.
    calls: u64,
}

/// What a sleeper has from its announcement: how many calls there had been. One more, and it is called.
#[derive(Clone, Copy)]
struct Ticket(u64);

impl Beds {
    fn is_called(&self, ticket: Ticket) -> bool {
        self.calls != ticket.0
    }
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
        beds.calls = beds.calls.wrapping_add(1);
        self.asleep.store(beds.asleep, Ordering::Relaxed);
        drop(beds);
        if count == 1 {
            self.wake.notify_one();
        } else {
            self.wake.notify_all();
        }
    }

    /// Sleeps until `ready` answers something. `ready` runs without any lock held.
    #[track_caller]
    pub(crate) fn wait<V>(&self, ready: impl FnMut() -> Option<V>) -> V {
        self.wait_with(ready, || Duration::MAX)
    }

    /// Like [`wait`](Self::wait), and looks again after `longest` at the latest: for changes that
    /// come with time and without a call.
    ///
    /// The sleeper stays announced from one look to the next when its time limit ends its sleep, so that a change
    /// between the two has its call like any other.
    #[track_caller]
    pub(crate) fn wait_with<V>(
        &self,
        mut ready: impl FnMut() -> Option<V>,
        longest: impl Fn() -> Duration,
    ) -> V {
        let mut limit = DOZE;
        let mut deep = None;
        let mut ticket = self.announce();
        let mut late = None;
        loop {
            if let Some(value) = ready() {
                if let Some(late) = late {
                    self.note_late_wake(ticket, late);
                }
                self.withdraw(ticket);
                return value;
            }
            let longest = longest();
            let look = net::Look::new(longest);
            late = None;
            if self.sleep(ticket, limit.min(longest)) {
                deep = None;
                limit = DOZE;
                ticket = self.announce();
            } else if deep.is_none() {
                deep = Some(Deep::new(&self.deep));
            } else {
                // A hint may miss a sleeper that has just become deep, but no later one.
                late = look.filter(|_| limit > DOZE);
                limit = (limit * 4).min(LONGEST);
            }
        }
    }

    /// Counts a wait that its time limit has ended, unless its call comes yet: the thread that made the change may
    /// be about to call.
    #[cold]
    #[track_caller]
    fn note_late_wake(&self, ticket: Ticket, look: net::Look) {
        if !look.is_over() && !self.is_called_within(ticket, net::PATIENCE) {
            net::note_late_wake();
        }
    }

    fn announce(&self) -> Ticket {
        let mut beds = self.beds.lock();
        beds.asleep += 1;
        self.asleep.store(beds.asleep, Ordering::Relaxed);
        let ticket = Ticket(beds.calls);
        drop(beds);
        fence(Ordering::SeqCst);
        ticket
    }

    fn withdraw(&self, ticket: Ticket) {
        self.leave(&mut self.beds.lock(), ticket);
    }

    /// Takes a sleeper out of the count. It need not be one that was counted as called, though it was: where
    /// several were announced, a call for one of them may be heard by two.
    fn leave(&self, beds: &mut Beds, ticket: Ticket) {
        if beds.is_called(ticket) && beds.called > 0 {
            beds.called -= 1;
        } else {
            beds.asleep -= 1;
            self.asleep.store(beds.asleep, Ordering::Relaxed);
        }
    }

    /// True when called, and the sleeper is no longer announced; false when the time ran out, and it still is.
    fn sleep(&self, ticket: Ticket, limit: Duration) -> bool {
        let mut beds = self.beds.lock();
        let mut late = false;
        while !beds.is_called(ticket) && !late {
            (beds, late) = self.wake.wait_timeout(beds, limit);
        }
        let called = beds.is_called(ticket);
        if called {
            self.leave(&mut beds, ticket);
        }
        called
    }

    /// Whether a call comes within `limit`, for a sleeper that has seen its change already: the thread that
    /// made it may be about to call.
    fn is_called_within(&self, ticket: Ticket, limit: Duration) -> bool {
        let mut beds = self.beds.lock();
        let mut late = false;
        while !beds.is_called(ticket) && !late {
            (beds, late) = self.wake.wait_timeout(beds, limit);
        }
        beds.is_called(ticket)
    }
}

/// The time limit of a sleep is a safety net. Tests ask that it catches nothing: no change has come that a sleeper
/// was not told of.
mod net {
    use std::panic::Location;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    static LATE: AtomicUsize = AtomicUsize::new(0);

    /// How long a change may be there before its call. The thread that makes both may lose its processor between them.
    pub(super) const PATIENCE: Duration = Duration::from_secs(5);

    /// From here on late wakes are counted, which takes some time for each of them.
    pub fn watch_wakes() {
        IS_WATCHED.store(true, Ordering::Relaxed);
    }

    /// How many sleepers of this process have found, when their time ran out, what they were not called for.
    pub fn late_wakes() -> usize {
        LATE.load(Ordering::Relaxed)
    }

    /// A sleep that is watched: when the condition of its sleeper may hold by time alone.
    #[derive(Clone, Copy)]
    pub(super) struct Look {
        until: Option<Instant>,
    }

    impl Look {
        /// `None` where late wakes are not counted.
        pub(super) fn new(longest: Duration) -> Option<Self> {
            IS_WATCHED.load(Ordering::Relaxed).then(|| Self {
                until: Instant::now().checked_add(longest),
            })
        }

        pub(super) fn is_over(self) -> bool {
            self.until.is_some_and(|until| until <= Instant::now())
        }
    }

    #[track_caller]
    pub(super) fn note_late_wake() {
        LATE.fetch_add(1, Ordering::Relaxed);
        let place = Location::caller();
        crate::print::err(&format!(
            "runspace: the wait at {place} was ended by its time limit, and by no call"
        ));
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
