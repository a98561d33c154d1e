//! What differs between the jobs on threads, those in processes, and those fed by a call.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// What is done to the work behind a job when its owner asks for it.
///
/// The job's stop token is set before `stop` is called: a back end whose work looks at the token
/// has nothing to add.
pub(super) trait Backend: Send + Sync {
    /// Makes the work end.
    fn stop(&self) {}

    /// Whether work here can be held at all.
    fn can_hold(&self) -> bool {
        true
    }

    /// Holds the work where it is.
    fn suspend(&self) -> Result<(), SuspendError>;

    /// Lets held work go on.
    fn resume(&self) -> Result<(), SuspendError>;
}

/// Work on threads of this process.
pub(super) struct OnThread;

impl Backend for OnThread {
    fn can_hold(&self) -> bool {
        false
    }

    fn suspend(&self) -> Result<(), SuspendError> {
        Err(SuspendError::new(
            "a job on a thread cannot be suspended: a thread cannot be held from outside \
                   without the locks it has taken; let its body wait on a channel or a condition \
                   variable where it is safe to, or run the work in a process of its own",
        ))
    }

    fn resume(&self) -> Result<(), SuspendError> {
        Err(SuspendError::new(
            "a job on a thread is never suspended, so it cannot be resumed; send its body \
                   what it waits for instead",
        ))
    }
}

/// A job cannot be suspended or resumed. The text says why, and what to do instead.
///
/// ```
/// let job = runspace::start_thread_job!({ 1 });
/// let error = job.suspend().unwrap_err();
/// assert!(error.to_string().contains("condition variable"));
/// ```
#[derive(Debug)]
pub struct SuspendError {
    text: Cow<'static, str>,
}

impl SuspendError {
    pub(super) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into() }
    }
}

impl fmt::Display for SuspendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for SuspendError {}
