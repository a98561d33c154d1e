//! The states an invocation goes through.

use std::fmt;

/// Where an invocation is in its life. It prints as the name of the variant.
///
/// ```text
/// NotStarted ──> Running ──> Completed
///     │             ├──> Failed
///     │             └──> Stopping ──> Stopped
///     └──> Stopped, Failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvocationState {
    /// It waits for its turn.
    NotStarted,
    /// Its body runs, or waits for something.
    Running,
    /// It was asked to stop and has not ended yet.
    Stopping,
    /// Its body came to its end.
    Completed,
    /// Its body panicked, or it could not be run at all.
    Failed,
    /// It was asked to stop and has ended, however much of its work it had done by then.
    Stopped,
}

impl InvocationState {
    /// Whether this state is an end: nothing of the invocation runs any more, and the state stays.
    ///
    /// ```
    /// use runspace::InvocationState;
    ///
    /// assert!(InvocationState::Failed.is_finished());
    /// assert!(!InvocationState::Stopping.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

impl fmt::Display for InvocationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotStarted => "NotStarted",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Stopped => "Stopped",
        })
    }
}
