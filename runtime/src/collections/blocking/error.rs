//! Why a value was not added, or not taken.

use std::error::Error;
use std::fmt;

/// A value that was not added to a [`BlockingCollection`](super::BlockingCollection). It holds the
/// value.
///
/// ```
/// use runspace::collections::{AddErrorKind, BlockingCollection};
///
/// let line = BlockingCollection::bounded(1);
/// line.try_add("a").unwrap();
/// let error = line.try_add("b").unwrap_err();
/// assert_eq!(error.kind(), AddErrorKind::Full);
/// assert_eq!(error.into_inner(), "b");
/// ```
pub struct AddError<T> {
    value: T,
    kind: AddErrorKind,
}

/// Why a value was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddErrorKind {
    /// There was no room, or none in time.
    Full,
    /// [`complete_adding`](super::BlockingCollection::complete_adding) was called.
    Completed,
    /// The code that waited for room was asked to stop.
    Stopped,
}

impl<T> AddError<T> {
    pub(super) fn new(value: T, kind: AddErrorKind) -> Self {
        Self { value, kind }
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> AddErrorKind {
        self.kind
    }

    /// The value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> fmt::Debug for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("AddError");
        out.field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AddErrorKind::Full => "the collection is full",
            AddErrorKind::Completed => "the collection takes nothing any more: adding is complete",
            AddErrorKind::Stopped => "a stop came before there was room in the collection",
        })
    }
}

impl<T> Error for AddError<T> {}

/// Why no value was taken from a [`BlockingCollection`](super::BlockingCollection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TakeError {
    /// There was none in time.
    Empty,
    /// There is none and there will be none: adding is complete.
    Completed,
    /// The code that waited for a value was asked to stop.
    Stopped,
}

impl fmt::Display for TakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the collection is empty",
            Self::Completed => "the collection is empty and adding is complete",
            Self::Stopped => "a stop came before there was a value in the collection",
        })
    }
}

impl Error for TakeError {}
