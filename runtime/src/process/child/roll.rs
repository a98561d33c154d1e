//! The children of this process that are alive, for an interrupt to find them.

use std::sync::{Arc, Weak};

use super::handle::{Handle, Shared};
use crate::per_process::PerProcess;
use crate::sync::Mutex;

static ROLL: PerProcess<Mutex<Roll>> = PerProcess::new(Mutex::default);

#[derive(Default)]
struct Roll {
    children: Vec<Weak<Shared>>,
    /// When there are so many, those that are gone are taken out.
    full: usize,
    /// None may live any more.
    closed: bool,
}

pub(super) fn enlist(child: &Arc<Shared>) {
    let mut roll = ROLL.lock();
    if roll.children.len() >= roll.full {
        roll.children.retain(|it| it.strong_count() > 0);
        roll.full = (2 * roll.children.len()).max(16);
    }
    roll.children.push(Arc::downgrade(child));
    let closed = roll.closed;
    drop(roll);
    if closed {
        Handle(Arc::clone(child)).kill();
    }
}

/// Whether all are to be killed, and this process then.
pub(super) fn is_closed() -> bool {
    ROLL.lock().closed
}

/// Kills all children with their groups, and whichever is made from now on.
pub(crate) fn kill_all() {
    let mut roll = ROLL.lock();
    roll.closed = true;
    let children: Vec<_> = roll
        .children
        .iter()
        .filter_map(Weak::upgrade)
        .map(Handle)
        .collect();
    drop(roll);
    children.iter().for_each(Handle::kill);
}
