//! Why there is no runspace.

use std::error::Error;
use std::fmt;
use std::io;

use super::host::LimitsError;

/// A runspace or a pool that could not be opened.
#[derive(Debug)]
pub struct OpenError {
    kind: OpenErrorKind,
}

/// Why a runspace or a pool could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The minimum and the maximum of the pool do not go together.
    Limits(LimitsError),
    /// The system gave no thread for the runspace.
    NoThread(io::Error),
}

impl OpenError {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &OpenErrorKind {
        &self.kind
    }

    /// What happened, by value.
    #[must_use]
    pub fn into_kind(self) -> OpenErrorKind {
        self.kind
    }
}

impl From<LimitsError> for OpenError {
    fn from(error: LimitsError) -> Self {
        let kind = OpenErrorKind::Limits(error);
        Self { kind }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        let kind = OpenErrorKind::NoThread(error);
        Self { kind }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OpenErrorKind::Limits(error) => error.fmt(f),
            OpenErrorKind::NoThread(error) => {
                write!(f, "there is no thread for the runspace: {error}")
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            OpenErrorKind::Limits(error) => Some(error),
            OpenErrorKind::NoThread(error) => Some(error),
        }
    }
}
