//! How items end that have run elsewhere.

use std::time::Duration;

use super::control::{End, Try};
use super::exit::Exit;
use super::lane::Event;
use crate::context;
use crate::error::{Cause, drop_caught, drop_quietly};
use crate::judge::Judgement;
use crate::process::entry::Note;
use crate::trace;

/// The item has a value, which may be that of a failure. Its body was not told to stop before it returned, or was done
/// nevertheless: that is decided where it runs, since only there it is known what the body could see.
pub(super) fn value<T, R>(
    exit: &Exit<T, R>,
    name: Try,
    item: T,
    value: R,
    judgement: Judgement,
    time: Duration,
) {
    if let Some(cause) = exit.call().why_no_value(false) {
        drop_quietly(value);
        return failed(exit, name, item, false, cause, time);
    }
    let pause = match judgement {
        Judgement::Again => exit.pause_after(name.attempt),
        _ => None,
    };
    match pause {
        Some(pause) => {
            exit.keep_for_later(name, item, pause, Some(time));
            drop_quietly(value);
        }
        None => {
            if !let_go(exit, name, item, time) {
                return drop_quietly(value);
            }
            let end = match judgement {
                Judgement::Good => End::Good,
                Judgement::Bad | Judgement::Again => End::Bad,
            };
            exit.settle(name, end, Event::Value(name.index, value), Some(time));
        }
    }
}

/// The item, which emits, has come to its end.
pub(super) fn ended<T, R>(exit: &Exit<T, R>, name: Try, item: T, time: Duration) {
    if let Some(cause) = exit.call().why_no_value(false) {
        drop_quietly(item);
        return exit.end_failed(name, cause, Some(time));
    }
    if let_go(exit, name, item, time) {
        exit.settle(name, End::Good, Event::Ended(name.index), Some(time));
    }
}

/// Drops the item that has stayed here, before its end is told. False if its destructor panicked: that
/// is its end then, as it is where the body drops it, and no other item hears of it.
fn let_go<T, R>(exit: &Exit<T, R>, name: Try, item: T, time: Duration) -> bool {
    let dropped = drop_caught(item);
    dropped
        .map_err(|payload| exit.end_failed(name, Cause::DropPanicked(payload), Some(time)))
        .is_ok()
}

/// The item has failed; another try `may_pass`.
pub(super) fn failed<T, R>(
    exit: &Exit<T, R>,
    name: Try,
    item: T,
    may_pass: bool,
    cause: Cause,
    time: Duration,
) {
    let pause = may_pass.then(|| exit.pause_after(name.attempt));
    match pause.flatten() {
        Some(pause) => {
            #[cfg(feature = "journal")]
            exit.note_cause(name.index, &cause);
            exit.keep_for_later(name, item, pause, Some(time));
        }
        None => {
            // It has failed already: that its destructor panics as well is told by the panic hook.
            drop_quietly(item);
            exit.end_failed(name, cause, Some(time));
        }
    }
}

/// A call has no records: those of the job that it is part of, as on threads.
pub(super) fn take_note(note: Note) {
    note.event.iter().for_each(trace::raise);
    // What is raised in a worker process is on its way to the records of its job.
    if note.event.is_some() && trace::forwards() {
        return;
    }
    if let Some(job) = context::current().job {
        job.note(note.level, note.text);
    }
}
