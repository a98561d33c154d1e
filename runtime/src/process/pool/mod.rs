//! Worker processes that are used again.
//!
//! A *run* is one parallel call. It has a *session* for each of its places: a worker at a time, which
//! is told the body and the captures once, and is sent items in batches. A worker that dies fails the
//! item it was running; the rest of its batch goes to the next worker of the session.

mod session;
mod shared;
#[cfg(test)]
mod tests;
mod there;

pub(crate) use session::{Item, Outcome, Run, Session, Watch};
pub(crate) use shared::{Pool, PoolOptions};
#[cfg(feature = "cluster")]
pub(crate) use there::ChildItem;
#[cfg(test)]
pub(crate) use there::serve_run;
pub(crate) use there::{ItemLoop, Recycle, There, Wear, serve_items};
