//! Why a job has no value to answer.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::handle::Job;
use super::location::JobLocation;
use crate::error::{ItemError, PanicPayload};
#[cfg(feature = "process")]
use crate::process::ProcessError;

/// Why a job has no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum JobErrorKind {
    /// The body panicked, or a value it owned did when the body ended and dropped it.
    Panicked(PanicPayload),
    /// The job never ran, and a value it had captured panicked when it was dropped.
    DropPanicked(PanicPayload),
    /// The job was stopped; nothing failed.
    Stopped,
    /// The job completed without an output, or all of its outputs were received before.
    NoOutput,
    /// The system gave no thread to run on.
    NoThread(io::Error),
    /// An item of the parallel call behind the job failed.
    Item(ItemError),
    /// The process of the job has not brought it to its end: it crashed, was killed, took too long, could not
    /// be started, or a value could not be sent.
    #[cfg(feature = "process")]
    Process(ProcessError),
    /// Waiting for the job would never have ended, because the job waits for the one that asked,
    /// directly or through others. The text names them.
    Deadlock(String),
}

impl fmt::Display for JobErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(payload) => write!(f, "panicked: {}", payload.message()),
            Self::DropPanicked(payload) => write!(
                f,
                "never ran, and a value it owned panicked when dropped: {}",
                payload.message()
            ),
            Self::Stopped => f.write_str("was stopped before it finished"),
            Self::NoOutput => f.write_str("completed without an output to answer"),
            Self::NoThread(error) => write!(
                f,
                "has no thread to run on: {error}; lower the throttle or raise the limit"
            ),
            Self::Item(error) => write!(f, "failed: {error}"),
            #[cfg(feature = "process")]
            Self::Process(error) => write!(f, "{error}"),
            Self::Deadlock(text) => write!(f, "cannot be waited for: {text}"),
        }
    }
}

/// A job that has no value: which, why, and from which line of the source.
///
/// ```
/// use runspace::{JobErrorKind, start_thread_job};
///
/// let job = start_thread_job!(name = "parse", { "x".parse::<i32>().expect("a number") });
/// let error = job.join().unwrap_err();
/// assert_eq!(error.name(), "parse");
/// assert!(matches!(error.kind(), JobErrorKind::Panicked(_)));
/// assert!(error.to_string().contains("a number"));
/// ```
#[derive(Debug)]
pub struct JobError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    name: Arc<str>,
    location: JobLocation,
    kind: JobErrorKind,
}

impl JobError {
    pub(super) fn new(id: u64, name: Arc<str>, location: JobLocation, kind: JobErrorKind) -> Self {
        Self {
            inner: Box::new(Inner {
                id,
                name,
                location,
                kind,
            }),
        }
    }

    /// The number of the job.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Where the job was started, and the thread it ran on.
    #[must_use]
    pub fn location(&self) -> JobLocation {
        self.inner.location
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &JobErrorKind {
        &self.inner.kind
    }

    /// What happened, by value.
    #[must_use]
    pub fn into_kind(self) -> JobErrorKind {
        self.inner.kind
    }

    /// Whether the job was only stopped, rather than failed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.inner.kind, JobErrorKind::Stopped)
    }

    /// Panics on this thread with what happened: the original payload if there is one, else this
    /// error's text.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub fn resume(self) -> ! {
        let text = self.to_string();
        match self.inner.kind {
            JobErrorKind::Panicked(payload) | JobErrorKind::DropPanicked(payload) => {
                payload.resume_as(&text)
            }
            JobErrorKind::Item(error) => error.resume(),
            _ => panic!("{text}"),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            name,
            location,
            kind,
            ..
        } = &*self.inner;
        write!(f, "job `{name}` ({}) {kind}", location.source())
    }
}

impl Error for JobError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.inner.kind {
            JobErrorKind::NoThread(error) => Some(error),
            JobErrorKind::Item(error) => Some(error),
            _ => None,
        }
    }
}

/// A job that was not removed because it has not finished. It holds the job.
///
/// ```
/// use runspace::start_thread_job;
///
/// let (send, receive) = std::sync::mpsc::channel::<i32>();
/// let job = start_thread_job!(name = "slow", using(receive), { receive.recv().unwrap() });
/// let error = job.remove().unwrap_err();
/// assert!(error.to_string().contains("job `slow` "));
/// send.send(7).unwrap();
/// assert_eq!(error.into_job().join().unwrap(), 7);
/// ```
pub struct RemoveError<T> {
    job: Job<T>,
}

impl<T> RemoveError<T> {
    pub(super) fn new(job: Job<T>) -> Self {
        Self { job }
    }

    /// The job, untouched.
    pub fn into_job(self) -> Job<T> {
        self.job
    }
}

impl<T> fmt::Debug for RemoveError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoveError")
            .field("job", &self.job)
            .finish()
    }
}

impl<T> fmt::Display for RemoveError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "job `{}` ({}) is {} and cannot be removed; stop and wait for it first, or call \
             `remove_force`",
            self.job.name(),
            self.job.location().source(),
            self.job.state()
        )
    }
}

impl<T> Error for RemoveError<T> {}
