//! The states a job goes through.

use std::fmt;

/// Where a job is in its life.
///
/// ```text
/// NotStarted ──> Running <──> Suspended
///     │             │
///     │             ├──> Stopping ──> Stopped
///     │             ├──> Failed
///     └──> Stopped  └──> Completed
/// ```
///
/// A job that is Stopping may end as Failed or Completed too: its body panics, or had returned before it was asked.
///
/// It prints as PowerShell prints it, which is the name of the variant.
///
/// ```
/// use runspace::{JobState, start_thread_job};
///
/// let job = start_thread_job!({ 1 + 1 });
/// assert_eq!(job.wait(), JobState::Completed);
/// assert_eq!(job.state().to_string(), "Completed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// It waits in its queue for a place.
    NotStarted,
    /// Its body runs, or waits for something.
    Running,
    /// It is held until it is resumed. Threads cannot be.
    Suspended,
    /// It was asked to stop and has not ended yet.
    Stopping,
    /// Its body came to its end.
    Completed,
    /// Its body panicked, or it could not be run at all.
    Failed,
    /// It was asked to stop before its body returned, and has ended. However much of its work it had done by then, it is
    /// not Completed unless the body says that it has [`finished`](crate::finished).
    Stopped,
}

impl JobState {
    /// Whether this state is an end: nothing of the job runs any more, and the state stays.
    ///
    /// ```
    /// use runspace::JobState;
    ///
    /// assert!(JobState::Failed.is_finished());
    /// assert!(!JobState::Stopping.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotStarted => "NotStarted",
            Self::Running => "Running",
            Self::Suspended => "Suspended",
            Self::Stopping => "Stopping",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Stopped => "Stopped",
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn three_states_are_ends() {
        use JobState::*;
        for state in [Completed, Failed, Stopped] {
            assert!(state.is_finished(), "{state}");
        }
        for state in [NotStarted, Running, Suspended, Stopping] {
            assert!(!state.is_finished(), "{state}");
        }
    }

    #[test]
    fn a_state_fills_the_width_it_is_given() {
        assert_eq!(format!("{:<10}|", JobState::Failed), "Failed    |");
    }
}
