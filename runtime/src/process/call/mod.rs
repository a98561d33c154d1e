//! One body in a process of its own.

mod here;
mod there;

pub(crate) use here::{Event, Running, call, fresh};
#[cfg(test)]
pub(crate) use there::serve_emitting;
pub(crate) use there::{ChildJob, serve_call, serve_job};
#[cfg(test)]
mod tests;
