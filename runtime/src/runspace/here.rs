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

/// Whether this thread is a runspace of `host`, and runs something.
pub(super) fn is_runspace_of(host: &Arc<Host>) -> bool {
    let is_of = |it: &RefCell<Option<Arc<Seat>>>| {
        let host_of = it.borrow().as_ref().and_then(|seat| seat.host());
        host_of.is_some_and(|it| Arc::ptr_eq(&it, host))
    };
    RUNNING.try_with(is_of).unwrap_or(false)
}
