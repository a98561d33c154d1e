//! How a process becomes a worker, before its own `main`, and what it does then.
//!
//! A worker is started as this executable with a variable that marks it. A constructor in here
//! looks for that variable in every process; in a worker it
//! takes the channel off standard input, lets the constructors that follow its own run, serves the
//! parent, and exits. `main` does not run. Programs that have opted into
//! `main_will_serve` get there through their `main` instead.

mod body;
mod environment;
mod greeting;
mod io;
mod panics;
mod start;
mod template;

pub use super::sys::image::Init as Constructor;
pub(crate) use body::{Body, NotInProgram, Order, Pointer, Serve};
use environment::set_environment;
pub(crate) use greeting::{Greeting, Opening, Refusal};
pub(crate) use io::{ChildIo, CodecReport, Note, Sender, Setup, What, flush_output, leave};
pub(crate) use panics::{Panicked, catch};
pub use start::constructor_of_main;
#[cfg(not(feature = "cluster"))]
pub use start::serve_if_worker;
pub(crate) use start::{DEPTH_VARIABLE, MARKER, depth, is_unborn_worker, marker};
#[cfg(feature = "cluster")]
pub(crate) use start::{main_serves, serve_if_worker};
