//! Where an idle runspace waits for what to do next.

use std::time::Duration;

use super::work::Work;
use crate::sync::{Condvar, Mutex};

/// What an idle runspace is told.
pub(super) enum Order {
    Run(Work),
    /// Something about the limits has changed: look again how long to stay.
    Look,
    Leave,
}

#[derive(Default)]
pub(super) struct Slot {
    order: Mutex<Option<Order>>,
    given: Condvar,
}

impl Slot {
    /// Tells the runspace what to do. Whoever calls this has taken the slot off the idle ones.
    pub(super) fn give(&self, order: Order) {
        *self.order.lock() = Some(order);
        self.given.notify_one();
    }

    /// Has the runspace look again, unless it has been told something in the meantime.
    pub(super) fn nudge(&self) {
        self.order.lock().get_or_insert(Order::Look);
        self.given.notify_one();
    }

    /// The next order; `None` when there is none within the limit.
    pub(super) fn take(&self, limit: Option<Duration>) -> Option<Order> {
        let mut order = self.order.lock();
        loop {
            if order.is_some() {
                return order.take();
            }
            match limit {
                None => order = self.given.wait(order),
                Some(limit) => {
                    let late;
                    (order, late) = self.given.wait_timeout(order, limit);
                    if late {
                        return order.take();
                    }
                }
            }
        }
    }
}
