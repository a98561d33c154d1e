//! Child processes of this executable that run its own code.
//!
//! Layers, each on those before it: [`wire`] (frames and values), [`sys`] (what the system does),
//! [`entry`] (how a process becomes a worker, and its side of the channel), [`child`] (processes and
//! their end), [`link`] (a worker and the channel to it), [`call`] and [`spare`] (one body in a
//! fresh process), pools and programs.

pub(crate) mod call;
pub(crate) mod child;
pub(crate) mod entry;
mod failure;
mod link;
mod place;
pub(crate) mod pool;
pub(crate) mod program;
mod spare;
mod surroundings;
mod sys;
#[cfg(test)]
mod testing;
pub(crate) mod wire;

pub use child::{Crash, Exit};
#[cfg(not(feature = "cluster"))]
pub use entry::serve_if_worker;
pub use entry::{Constructor, constructor_of_main};
#[cfg(feature = "cluster")]
pub(crate) use entry::{main_serves, serve_if_worker};
pub(crate) use failure::Failure;
pub use failure::ProcessError;
pub(crate) use link::Start;
pub(crate) use place::default_pool;
#[cfg(feature = "cluster")]
pub(crate) use sys::image::{build_hash, inits_after};
pub(crate) use sys::limits;
#[cfg(feature = "cluster")]
pub(crate) use sys::own::has_rights_of_file;
#[cfg(feature = "cluster")]
pub(crate) use sys::signal::set_defaults as set_default_signals;

/// Takes over the policy of the parent, in a worker.
fn policy_of_parent(policy: &[u8]) {
    crate::policy::take_over(policy);
}
