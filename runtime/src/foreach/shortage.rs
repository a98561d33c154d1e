//! The threads and processes that the system has refused a call, so that it has fewer workers.
//!
//! A call goes on with the workers there are. It asks for more when some time has passed, longer each time, because
//! a refusal costs the system as much as a start, and items may come every few nanoseconds.

use std::fmt;
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// How long a call that was refused a worker asks for none, at first.
const FIRST: Duration = Duration::from_millis(10);
/// And at most.
const LONGEST: Duration = Duration::from_secs(1);

pub(crate) struct Shortage {
    /// How many workers there were when one was refused; `usize::MAX` while nothing is.
    cap: AtomicUsize,
    /// The most workers that there have been at once.
    most: AtomicUsize,
    refusal: Mutex<Option<Refusal>>,
}

struct Refusal {
    /// How many workers there were to be, at most.
    wanted: usize,
    /// The words of the system.
    reason: String,
    /// When to ask again.
    again: Instant,
    pause: Duration,
}

impl Shortage {
    /// So many workers are at work.
    pub(crate) fn note_working(&self, count: usize) {
        self.most.fetch_max(count, Ordering::Relaxed);
    }

    /// One of the `wanted` workers was refused; there are `left`.
    pub(crate) fn note_refused(&self, left: usize, wanted: usize, reason: &dyn fmt::Display) {
        let mut refusal = self.refusal.lock();
        let before = refusal.as_ref();
        let pause = before.map_or(FIRST, |it| it.pause.saturating_mul(2).min(LONGEST));
        *refusal = Some(Refusal {
            wanted: before.map_or(wanted, |it| it.wanted.max(wanted)),
            reason: reason.to_string(),
            again: Instant::now() + pause,
            pause,
        });
        self.cap.store(left.max(1), Ordering::Relaxed);
    }

    /// A worker was started after all.
    pub(crate) fn note_started(&self) {
        if self.cap.load(Ordering::Relaxed) != usize::MAX {
            self.cap.store(usize::MAX, Ordering::Relaxed);
        }
    }

    /// Whether it is too early to ask for a worker beside `launched`. Never if there is none.
    #[inline]
    pub(crate) fn forbids(&self, launched: usize) -> bool {
        launched >= self.cap.load(Ordering::Relaxed) && self.is_too_early()
    }

    #[cold]
    fn is_too_early(&self) -> bool {
        let refusal = self.refusal.lock();
        refusal.as_ref().is_some_and(|it| Instant::now() < it.again)
    }

    /// How many workers there were, and why no more. `None` if there came to be as many as wanted.
    pub(crate) fn told(&self) -> Option<String> {
        let refusal = self.refusal.lock();
        let Refusal { wanted, reason, .. } = refusal.as_ref()?;
        let most = self.most.load(Ordering::Relaxed);
        let started = most.min(*wanted);
        (started < *wanted)
            .then(|| format!("{started} of {wanted} workers could be started: {reason}"))
    }
}

impl Default for Shortage {
    fn default() -> Self {
        Self {
            cap: AtomicUsize::new(usize::MAX),
            most: AtomicUsize::new(0),
            refusal: Mutex::new(None),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_while_nothing_is_refused() {
        let shortage = Shortage::default();
        shortage.note_working(3);
        assert_eq!(shortage.told(), None);
        assert!(!shortage.forbids(usize::MAX - 1));
    }

    #[test]
    fn a_refusal_is_told_until_all_are_there() {
        let shortage = Shortage::default();
        shortage.note_working(3);
        shortage.note_refused(3, 5, &"no more");
        let said = "3 of 5 workers could be started: no more";
        assert_eq!(shortage.told().as_deref(), Some(said));
        shortage.note_working(5);
        assert_eq!(shortage.told(), None);
    }

    #[test]
    fn after_a_refusal_there_is_a_pause_unless_there_is_no_worker() {
        let shortage = Shortage::default();
        shortage.refusal.lock().replace(Refusal {
            wanted: 5,
            reason: String::new(),
            again: Instant::now(),
            pause: LONGEST,
        });
        shortage.note_refused(2, 5, &"no more");
        assert!(shortage.forbids(2) && shortage.forbids(3));
        assert!(!shortage.forbids(1));
        shortage.note_started();
        assert!(!shortage.forbids(2));
        shortage.note_refused(0, 5, &"no more");
        assert!(!shortage.forbids(0));
    }
}
