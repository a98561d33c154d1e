//! Dropping what nobody wants any more.
//!
//! The results of a call that are dropped untouched run every item to its end, because a call as a bare statement is
//! meant for its effects. An input that is let go because its reader has failed or was stopped is something else: its
//! own calls are stopped, as with any other results that are dropped part-way.

use std::cell::Cell;

use crate::error::{PanicPayload, drop_caught};

std::thread_local! {
    static UNDER_WAY: Cell<bool> = const { Cell::new(false) };
}

/// Drops `value`; parallel calls whose results are part of it are stopped.
pub(crate) fn release<T>(value: T) -> Result<(), PanicPayload> {
    let before = set(true);
    let dropped = drop_caught(value);
    set(before);
    dropped
}

/// Whether this thread is dropping what nobody wants any more.
pub(crate) fn is_under_way() -> bool {
    UNDER_WAY.try_with(Cell::get).unwrap_or(false)
}

fn set(value: bool) -> bool {
    UNDER_WAY.try_with(|it| it.replace(value)).unwrap_or(false)
}
