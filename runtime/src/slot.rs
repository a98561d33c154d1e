//! Where a thread waits for what it is given.

use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::vigil;

/// Where one thread waits for what others give it. There is room for one thing.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    desk: Mutex<Desk<T>>,
    given: Condvar,
}

#[derive(Debug)]
struct Desk<T> {
    value: Option<T>,
    /// The thread has to be woken for it.
    sleeps: bool,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        let desk = Desk {
            value: None,
            sleeps: false,
        };
        Self {
            desk: Mutex::new(desk),
            given: Condvar::new(),
        }
    }
}

impl<T> Slot<T> {
    /// Gives `value`, in the place of what may lie there.
    pub(crate) fn give(&self, value: T) {
        let mut desk = self.desk.lock();
        desk.value = Some(value);
        self.wake(desk);
    }

    /// Gives `value`, unless something lies there.
    pub(crate) fn give_if_empty(&self, value: T) {
        let mut desk = self.desk.lock();
        desk.value.get_or_insert(value);
        self.wake(desk);
    }

    fn wake(&self, desk: MutexGuard<'_, Desk<T>>) {
        let sleeps = desk.sleeps;
        drop(desk);
        if sleeps {
            self.given.notify_one();
        }
    }

    /// What is given, waiting for it; `None` when there is nothing within the limit.
    pub(crate) fn take(&self, limit: Option<Duration>) -> Option<T> {
        let end = limit.and_then(|it| Instant::now().checked_add(it));
        let left = || end.map(|it| it.saturating_duration_since(Instant::now()));
        let look = || {
            let value = self.desk.lock().value.take();
            (value.is_some() || left() == Some(Duration::ZERO)).then_some(value)
        };
        vigil::keep(look, |_| self.sleep(left))
    }

    fn sleep(&self, left: impl Fn() -> Option<Duration>) -> Option<T> {
        let mut desk = self.desk.lock();
        desk.sleeps = true;
        while desk.value.is_none() {
            desk = match left() {
                None => self.given.wait(desk),
                Some(Duration::ZERO) => break,
                Some(left) => self.given.wait_timeout(desk, left).0,
            };
        }
        desk.sleeps = false;
        desk.value.take()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_given_first_or_last_is_taken_once() {
        let slot = Slot::default();
        slot.give(1);
        slot.give_if_empty(2);
        assert_eq!(slot.take(None), Some(1));
        slot.give_if_empty(2);
        slot.give(3);
        assert_eq!(slot.take(None), Some(3));
        assert_eq!(slot.take(Some(Duration::from_millis(1))), None);
        assert_eq!(slot.take(Some(Duration::ZERO)), None);
    }

    #[test]
    fn who_waits_is_woken() {
        let slot = Arc::new(Slot::default());
        let answer = Arc::new(Slot::default());
        let there = std::thread::spawn({
            let (slot, answer) = (Arc::clone(&slot), Arc::clone(&answer));
            move || {
                while let Some(value) = slot.take(None).filter(|it| *it > 0) {
                    answer.give(value);
                }
            }
        });
        for value in 1..2000 {
            // Each is asleep at some, and awake at others.
            if value % 100 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            slot.give(value);
            assert_eq!(answer.take(Some(Duration::from_secs(20))), Some(value));
        }
        slot.give(0);
        there.join().unwrap();
    }
}
