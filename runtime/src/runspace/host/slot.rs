//! Where an idle runspace waits for what to do next.

use super::work::Work;

/// What an idle runspace is told.
pub(super) enum Order {
    Run(Work),
    /// Something about the limits has changed: look again how long to stay.
    Look,
    Leave,
}

pub(super) type Slot = crate::slot::Slot<Order>;
