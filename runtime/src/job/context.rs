//! What a body sees of its own job.

use std::fmt;
use std::panic::resume_unwind;

use super::port::Port;
use super::record::Level;
use crate::error::drop_quietly;
use crate::stop::StopToken;

/// Unwinds out of the body of a job that is stopped. No one but the job layer can make one.
pub(super) struct StopMarker;

/// The job that runs, as its body sees it: the parameter of `|job| ..` in
/// [`start_thread_job!`](crate::start_thread_job).
///
/// ```
/// use runspace::start_thread_job;
///
/// let job = start_thread_job!(|job| {
///     for n in 1..=3 {
///         job.verbose(format!("{n} of 3"));
///         job.emit(n * n);
///     }
/// });
/// assert_eq!(job.iter().collect::<Vec<_>>(), [1, 4, 9]);
/// assert_eq!(job.records().len(), 3);
/// ```
pub struct JobContext<T> {
    inner: Inner<T>,
}

enum Inner<T> {
    /// The job is in this process.
    Here(Port<T>),
    /// This process is only for the body.
    #[cfg(feature = "process")]
    There(Box<dyn There<T> + Send + Sync>),
}

/// A job in the process that started this one.
#[cfg(feature = "process")]
pub(super) trait There<T> {
    fn emit(&self, value: T);
    fn stop_token(&self) -> StopToken;
    fn id(&self) -> u64;
    fn name(&self) -> &str;
    fn record(&self, level: Level, text: String);
}

impl<T> JobContext<T> {
    pub(super) fn new(port: Port<T>) -> Self {
        Self {
            inner: Inner::Here(port),
        }
    }

    #[cfg(feature = "process")]
    pub(super) fn there(job: Box<dyn There<T> + Send + Sync>) -> Self {
        Self {
            inner: Inner::There(job),
        }
    }

    /// Hands one output to whoever holds the job. It never waits: outputs that nobody has received
    /// are kept for as long as someone can.
    ///
    /// It is also where a stop takes effect. Once the job is being stopped, `emit` does not return:
    /// it unwinds out of the body without a report, dropping what the body owns, and the job is
    /// Stopped. So a body that emits for ever ends when it is asked to. In a destructor that runs
    /// because of a panic, and in a program built with `panic = "abort"`, it returns and the value
    /// is dropped; such bodies look at [`stopping`](Self::stopping).
    pub fn emit(&self, value: T) {
        #[cfg(feature = "process")]
        if let Inner::There(job) = &self.inner {
            return job.emit(value); // which does the same where it is
        }
        if !self.stopping() {
            self.deliver(value);
            return;
        }
        drop_quietly(value);
        let can_unwind = cfg!(panic = "unwind") && !std::thread::panicking();
        if can_unwind {
            resume_unwind(Box::new(StopMarker));
        }
    }

    /// What a body returns. Unlike [`emit`](Self::emit) it is taken even when the job is being
    /// stopped: it may be part of the value only, which the state of the job tells.
    pub(super) fn deliver(&self, value: T) {
        match &self.inner {
            Inner::Here(port) => port.deliver(value),
            #[cfg(feature = "process")]
            Inner::There(job) => job.emit(value),
        }
    }

    /// Whether the job was asked to stop.
    #[must_use]
    pub fn stopping(&self) -> bool {
        match &self.inner {
            Inner::Here(port) => port.core.stop_token().is_stopping(),
            #[cfg(feature = "process")]
            Inner::There(job) => job.stop_token().is_stopping(),
        }
    }

    /// The token that a stop of this job sets, to hand to threads and callbacks.
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        match &self.inner {
            Inner::Here(port) => port.core.stop_token().clone(),
            #[cfg(feature = "process")]
            Inner::There(job) => job.stop_token(),
        }
    }

    /// The number of the job, from 1, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        match &self.inner {
            Inner::Here(port) => port.core.id(),
            #[cfg(feature = "process")]
            Inner::There(job) => job.id(),
        }
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.inner {
            Inner::Here(port) => port.core.name(),
            #[cfg(feature = "process")]
            Inner::There(job) => job.name(),
        }
    }

    fn record(&self, level: Level, text: String) {
        match &self.inner {
            Inner::Here(port) => port.core.record(level, text),
            #[cfg(feature = "process")]
            Inner::There(job) => job.record(level, text),
        }
    }

    /// Adds a record of level [`Level::Warning`].
    pub fn warning(&self, text: impl Into<String>) {
        self.record(Level::Warning, text.into());
    }

    /// Adds a record of level [`Level::Information`].
    pub fn information(&self, text: impl Into<String>) {
        self.record(Level::Information, text.into());
    }

    /// Adds a record of level [`Level::Verbose`].
    pub fn verbose(&self, text: impl Into<String>) {
        self.record(Level::Verbose, text.into());
    }

    /// Adds a record of level [`Level::Debug`].
    pub fn debug(&self, text: impl Into<String>) {
        self.record(Level::Debug, text.into());
    }
}

impl<T> fmt::Debug for JobContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("stopping", &self.stopping())
            .finish()
    }
}
