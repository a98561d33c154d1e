//! Why an invocation has no value.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;

use crate::error::PanicPayload;

/// Why an invocation has no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvocationErrorKind {
    /// The body panicked, or a value it owned did when the body ended and dropped it.
    Panicked(PanicPayload),
    /// The `init` of the pool panicked on the runspace that was to run the body.
    InitPanicked(PanicPayload),
    /// It never ran, and a value it had captured panicked when it was dropped.
    DropPanicked(PanicPayload),
    /// It was stopped; nothing failed.
    Stopped,
    /// The runspace or the pool was closed before it was invoked.
    Closed,
    /// The system gave no thread to run on, and no other runspace of the pool could take it.
    NoThread(io::Error),
    /// Waiting for it would never have ended, because it waits for the code that asked, directly or
    /// through others, or is queued behind it. The text names them.
    Deadlock(String),
}

impl InvocationErrorKind {
    /// The same in words, for those who ask after the first: a panic's payload can be had once.
    pub(super) fn repeat(&self) -> Self {
        let message =
            |payload: &PanicPayload| PanicPayload::new(Box::new(payload.message().to_owned()));
        match self {
            Self::Panicked(payload) => Self::Panicked(message(payload)),
            Self::InitPanicked(payload) => Self::InitPanicked(message(payload)),
            Self::DropPanicked(payload) => Self::DropPanicked(message(payload)),
            Self::Stopped => Self::Stopped,
            Self::Closed => Self::Closed,
            Self::NoThread(error) => {
                Self::NoThread(io::Error::new(error.kind(), error.to_string()))
            }
            Self::Deadlock(text) => Self::Deadlock(text.clone()),
        }
    }
}

impl fmt::Display for InvocationErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(payload) => write!(f, "panicked: {}", payload.message()),
            Self::InitPanicked(payload) => {
                write!(f, "could not start: init panicked: {}", payload.message())
            }
            Self::DropPanicked(payload) => write!(
                f,
                "never ran, and a value it owned panicked when dropped: {}",
                payload.message()
            ),
            Self::Stopped => f.write_str("was stopped before it finished"),
            Self::Closed => f.write_str("never ran: that is closed"),
            Self::NoThread(error) => write!(
                f,
                "has no thread to run on: {error}; lower the maximum or raise the limit"
            ),
            Self::Deadlock(text) => write!(f, "cannot be waited for: {text}"),
        }
    }
}

/// An invocation that has no value: which, where, why, and from which line of the source.
///
/// ```
/// use runspace::{InvocationErrorKind, Runspace, invoke};
///
/// let runspace = Runspace::builder().name("parser").open().unwrap();
/// let invocation = invoke!(&runspace, { "x".parse::<i32>().expect("a number") });
/// let error = invocation.end().unwrap_err();
/// assert!(matches!(error.kind(), InvocationErrorKind::Panicked(_)));
/// assert!(error.to_string().contains("on runspace `parser` panicked: a number"));
/// ```
#[derive(Debug)]
pub struct InvocationError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    name: Arc<str>,
    place: String,
    location: &'static Location<'static>,
    kind: InvocationErrorKind,
}

impl InvocationError {
    /// `place` is the runspace or pool, as a text calls it.
    pub(super) fn new(
        id: u64,
        name: Arc<str>,
        place: String,
        location: &'static Location<'static>,
        kind: InvocationErrorKind,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                id,
                name,
                place,
                location,
                kind,
            }),
        }
    }

    /// The number of the invocation.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The name of the invocation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The call in the source that made it.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.inner.location
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &InvocationErrorKind {
        &self.inner.kind
    }

    /// What happened, by value.
    #[must_use]
    pub fn into_kind(self) -> InvocationErrorKind {
        self.inner.kind
    }

    /// Whether it was only stopped, rather than failed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.inner.kind, InvocationErrorKind::Stopped)
    }

    /// Panics on this thread with what happened: the original payload if there is one, else this
    /// error's text.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub fn resume(self) -> ! {
        use InvocationErrorKind::{DropPanicked, InitPanicked, Panicked};
        let text = self.to_string();
        match self.inner.kind {
            Panicked(payload) | InitPanicked(payload) | DropPanicked(payload) => {
                payload.resume_as(&text)
            }
            _ => panic!("{text}"),
        }
    }
}

impl fmt::Display for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            name,
            place,
            location,
            kind,
            ..
        } = &*self.inner;
        write!(f, "invocation `{name}` ({location}) on {place} {kind}")
    }
}

impl Error for InvocationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.inner.kind {
            InvocationErrorKind::NoThread(error) => Some(error),
            _ => None,
        }
    }
}
