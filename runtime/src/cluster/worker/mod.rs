//! The side that does the work: a process that was started with `RUNSPACE_WORKER`.
//!
//! [`start`] makes the process a worker before its `main`; [`host`] looks for runs; [`serving`] takes the
//! items of one and sends back what comes of them; they run in [`slot`]s.

mod host;
mod serving;
mod slot;
mod start;

use host::Host;
pub(crate) use slot::{SlotIo, SlotItem, SlotLoop, SlotRecorder};
pub(crate) use start::serve_if_worker;
