//! What a start macro's options become.

use std::sync::Arc;

use super::queue::JobQueue;

/// The options of a job: its name and its queue.
#[derive(Clone, Debug, Default)]
pub struct JobOptions {
    pub(super) name: Option<Arc<str>>,
    pub(super) queue: Option<JobQueue>,
}

impl JobOptions {
    /// No name, the queue of the process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A name for errors and the job table. Without one it is `Job` and the job's number. Two jobs
    /// may have the same.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The queue to wait in for a place. Without one it is [`JobQueue::global`].
    #[must_use]
    pub fn queue(mut self, queue: &JobQueue) -> Self {
        self.queue = Some(queue.clone());
        self
    }
}
