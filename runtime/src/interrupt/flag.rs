//! Whether the program was interrupted: for the layers below, which start nothing new then.

use crate::context;
use crate::stop::StopToken;
use crate::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn set() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

pub(crate) fn is_set() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Whether the code that runs now is part of no item and no job.
pub(crate) fn is_outermost() -> bool {
    context::current_stop().is_none()
}

/// Stops what is about to start too late, unless it is part of an item or a job that goes on.
pub(crate) fn stop_if_late(stop: &StopToken) {
    if is_set() && is_outermost() {
        stop.stop();
    }
}
