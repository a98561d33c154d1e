//! Frames and values: what travels between a process and its children.
//!
//! A frame is a kind byte, a length and that many bytes; a value is written with serde, without
//! field names or type tags, for a reader that is the same build. Long runs of bytes and numbers
//! leave the value and travel as frames of their own, from the sender's memory to the receiver's
//! final allocation, so that they cost about as much as copying them.
//!
//! Nothing in here knows of processes: the reader takes what bytes arrive, from whomever, and
//! answers with a frame or an error. A length is believed only as far as its bytes have come.

mod de;
mod error;
mod frame;
mod raw;
mod ser;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "cluster"))]
pub(crate) use de::from_bytes;
#[cfg(feature = "cluster")]
pub(crate) use de::front;
pub(crate) use error::{CodecError, Direction, FrameError};
pub(crate) use frame::{Frame, FrameReader, FrameWriter, Kind, Label, SendError, Sink, Source};
pub(crate) use raw::copy;
pub(crate) use ser::to_bytes;
