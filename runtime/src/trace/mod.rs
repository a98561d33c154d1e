//! What the crate `tracing` is told of calls, items and jobs: in whose surroundings code runs, which
//! spans there are, and what child processes have said.
//!
//! Without the feature `tracing` the same names stand for nothing, take no room and do nothing, so
//! that the rest of the crate need not ask. Nothing here knows of any other module but `sync` and `error`.

#[cfg(all(feature = "tracing", feature = "process"))]
mod child;
#[cfg(not(feature = "tracing"))]
mod none;
#[cfg(feature = "tracing")]
mod spans;

#[cfg(all(feature = "tracing", feature = "process"))]
pub(crate) use child::{forwards, send_home};
#[cfg(not(feature = "tracing"))]
pub(crate) use none::{InPlace, Items, Place, call, job};
#[cfg(all(not(feature = "tracing"), feature = "process"))]
pub(crate) use none::{RECORDED, forwards, raise, send_home, wanted};
#[cfg(feature = "tracing")]
pub(crate) use spans::{InPlace, Items, Place, call, job};
#[cfg(all(feature = "tracing", feature = "process"))]
pub(crate) use spans::{RECORDED, raise, wanted};

/// What runs an item.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runner {
    /// The thread that says so.
    ThisThread,
    /// A process, whose number is said later.
    #[cfg(feature = "process")]
    Process,
}

/// An event of a child process.
#[cfg(feature = "process")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Said {
    /// From 1 for an error to 5 for a trace.
    pub(crate) level: u8,
    pub(crate) target: String,
    pub(crate) message: String,
    /// The other fields, as `name=value name=value`.
    pub(crate) fields: String,
    /// The process it was said in; `None` for the one that sends it.
    pub(crate) pid: Option<u32>,
}

#[cfg(feature = "process")]
impl Said {
    /// The message with its fields behind it.
    pub(crate) fn line(&self) -> String {
        let Self {
            message, fields, ..
        } = self;
        match (message.is_empty(), fields.is_empty()) {
            (_, true) => message.clone(),
            (true, false) => fields.clone(),
            (false, false) => format!("{message} {fields}"),
        }
    }
}
