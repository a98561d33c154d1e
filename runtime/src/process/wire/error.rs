//! What can be wrong with a frame, and with a value inside one.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::PanicPayload;

/// The other side sent what is no frame, or could not be read from.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// Reading failed.
    Io(io::Error),
    /// The stream ended inside a frame.
    Cut,
    /// No frame has this kind, or none has it where this one came.
    Kind(u8),
    /// A length that no frame of this kind has.
    Length(u8, u64),
    /// No memory for a frame of this length.
    Memory(u64),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the channel cannot be read: {error}"),
            Self::Cut => f.write_str("the channel ended in the middle of a message"),
            Self::Kind(kind) => write!(
                f,
                "a message of kind {kind} came, which is unknown or out of place"
            ),
            Self::Length(kind, length) => {
                write!(
                    f,
                    "a message of kind {kind} claims the impossible length {length}"
                )
            }
            Self::Memory(length) => write!(f, "no memory for a message of {length} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A value could not be written or read.
#[derive(Debug)]
pub(crate) enum CodecError {
    /// A long run of bytes could not be sent ahead of its value.
    Io(io::Error),
    /// The value, or its bytes, are at fault.
    Value(Box<str>),
    /// The code of the value's type panicked in this direction.
    Panicked(Direction, PanicPayload),
}

/// Which code of a value's type was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Serialize,
    Deserialize,
}

impl Direction {
    /// Runs the code of a value's type. Its panic becomes an error of that value, because an unwinding
    /// reader or writer would take along the frame, the lock on it and all other values in hand.
    #[inline]
    pub(super) fn guard<R>(
        self,
        run: impl FnOnce() -> Result<R, CodecError>,
    ) -> Result<R, CodecError> {
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
            let payload = PanicPayload::new(payload);
            Err(CodecError::Panicked(self, payload))
        })
    }
}

impl CodecError {
    pub(crate) fn value(text: impl Into<Box<str>>) -> Self {
        Self::Value(text.into())
    }

    /// Deeper than `most` would need a stack that a thread may not have.
    pub(super) fn too_deep(most: u32) -> Self {
        Self::value(format!(
            "it nests more than {most} values deep, as a linked list or a long chain of boxes does; \
             send its parts in a `Vec`, with indices for what links them"
        ))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Value(text) => f.write_str(text),
            Self::Panicked(direction, payload) => {
                write!(f, "its `{direction:?}` panicked: {}", payload.message())
            }
        }
    }
}

impl std::error::Error for CodecError {}

impl serde::ser::Error for CodecError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        /// What serde says of a `Path` that is no text.
        const NO_TEXT: &str = "path contains invalid UTF-8 characters";
        let mut text = text.to_string();
        if text == NO_TEXT {
            text += ", and serde sends a path as text; send `path.into_os_string()` instead, which is sent as it is";
        }
        Self::value(text)
    }
}

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::value(text.to_string())
    }
}
