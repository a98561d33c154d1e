//! What a process has for itself.

use std::sync::{Arc, OnceLock};

use super::child::Supervisor;
use super::pool::{Pool, PoolOptions};
use super::spare::Shelf;
use crate::sync::Mutex;

/// What a process has for itself. A process that its parent has made by `fork`, this code included,
/// finds the parent's things here, without the threads behind them and perhaps with locks that
/// nobody will open: it gets its own.
#[derive(Debug)]
pub(super) struct Place {
    pid: u32,
    pub(super) supervisor: Mutex<Option<Arc<Supervisor>>>,
    pub(super) spares: Shelf,
    /// The pool of calls that name none.
    pub(super) pool: Pool,
    next: OnceLock<Box<Place>>,
}

/// The place of this process.
pub(super) fn place() -> &'static Place {
    static FIRST: OnceLock<Box<Place>> = OnceLock::new();
    let pid = std::process::id();
    let mut link = &FIRST;
    loop {
        let place = link.get_or_init(|| {
            Box::new(Place {
                pid,
                supervisor: Mutex::new(None),
                spares: Shelf::new(),
                pool: Pool::new(PoolOptions::default()),
                next: OnceLock::new(),
            })
        });
        if place.pid == pid {
            return place;
        }
        link = &place.next;
    }
}

/// The pool of calls that name none: as many workers as the calls have places.
pub(crate) fn default_pool() -> Pool {
    place().pool.clone()
}
