//! What a process has for itself.

use std::sync::Arc;

use super::child::Supervisor;
use super::pool::{Pool, PoolOptions};
use super::spare::Shelf;
use crate::per_process::PerProcess;
use crate::sync::Mutex;

/// What a process has for itself.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) supervisor: Mutex<Option<Arc<Supervisor>>>,
    pub(super) spares: Shelf,
    /// The pool of calls that name none.
    pub(super) pool: Pool,
}

/// The place of this process.
pub(super) fn place() -> &'static Place {
    static PLACE: PerProcess<Place> = PerProcess::new(|| Place {
        supervisor: Mutex::new(None),
        spares: Shelf::new(),
        pool: Pool::new(PoolOptions::default()),
    });
    &PLACE
}

/// The pool of calls that name none: as many workers as the calls have places.
pub(crate) fn default_pool() -> Pool {
    place().pool.clone()
}
