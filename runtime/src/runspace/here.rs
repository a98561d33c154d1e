//! Which runspace a thread is, and what it runs.

use std::cell::RefCell;
use std::sync::Arc;

use super::host::{Host, Seat};
use crate::context::{self, Context};
use crate::sync::thread_local;
use crate::waits::Frame;

thread_local! {
    static RUNNING: RefCell<Option<Arc<Seat>>> = RefCell::default();
}

/// Says, until the answer is dropped, that this thread runs the work of `seat`.
pub(super) fn enter(seat: &Arc<Seat>) -> Entered {
    RUNNING.with(|it| it.replace(Some(Arc::clone(seat))));
    let frame = Some(Frame::of(Arc::clone(seat) as _));
    Entered {
        _entered: context::enter(Context {
            frame,
            ..Context::default()
        }),
    }
}

/// A runspace's thread runs one piece of work after the other, never one in another.
pub(super) struct Entered {
    _entered: context::Entered,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let gone = RUNNING.try_with(RefCell::take);
        drop(gone);
    }
}

/// The work that this thread runs, if it is a runspace of `host`.
pub(super) fn seat_on(host: &Arc<Host>) -> Option<Arc<Seat>> {
    let seat = RUNNING.try_with(|it| it.borrow().clone()).ok().flatten()?;
    let is_of = seat.host().is_some_and(|it| Arc::ptr_eq(&it, host));
    is_of.then_some(seat)
}
