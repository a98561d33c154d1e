//! Where an idle runspace waits for what to do next.

use std::time::Duration;

use super::work::Work;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::vigil;

/// What an idle runspace is told.
pub(super) enum Order {
    Run(Work),
    /// Something about the limits has changed: look again how long to stay.
    Look,
    Leave,
}

#[derive(Default)]
pub(super) struct Slot {
    desk: Mutex<Desk>,
    given: Condvar,
}

#[derive(Default)]
struct Desk {
    order: Option<Order>,
    /// The runspace has to be woken for it.
    sleeps: bool,
}

impl Slot {
    /// Tells the runspace what to do. Whoever calls this has taken the slot off the idle ones.
    pub(super) fn give(&self, order: Order) {
        let mut desk = self.desk.lock();
        desk.order = Some(order);
        self.wake(desk);
    }

    /// Has the runspace look again, unless it has been told something in the meantime.
    pub(super) fn nudge(&self) {
        let mut desk = self.desk.lock();
        desk.order.get_or_insert(Order::Look);
        self.wake(desk);
    }

    fn wake(&self, desk: MutexGuard<'_, Desk>) {
        let sleeps = desk.sleeps;
        drop(desk);
        if sleeps {
            self.given.notify_one();
        }
    }

    /// The next order; `None` when there is none within the limit.
    pub(super) fn take(&self, limit: Option<Duration>) -> Option<Order> {
        let look = || self.desk.lock().order.take().map(Some);
        vigil::keep(look, |_| self.sleep(limit))
    }

    fn sleep(&self, limit: Option<Duration>) -> Option<Order> {
        let mut desk = self.desk.lock();
        desk.sleeps = true;
        let mut late = false;
        while desk.order.is_none() && !late {
            match limit {
                None => desk = self.given.wait(desk),
                Some(limit) => (desk, late) = self.given.wait_timeout(desk, limit),
            }
        }
        desk.sleeps = false;
        desk.order.take()
    }
}
