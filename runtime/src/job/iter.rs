//! A job's outputs as they come.

use std::fmt;
use std::iter::FusedIterator;

use super::error::JobErrorKind;
use super::handle::Job;
use super::port::Found;
use super::signal::Limit;
use super::wait;
use crate::waits::Until;

/// The outputs of a job, waiting for each until the job has ended. Made by [`Job::iter`].
#[must_use = "outputs come when it is read"]
pub struct JobIter<'a, T> {
    job: &'a Job<T>,
    done: bool,
}

impl<'a, T> JobIter<'a, T> {
    pub(super) fn new(job: &'a Job<T>) -> Self {
        Self { job, done: false }
    }

    /// The job has ended: its failure goes on here.
    #[track_caller]
    fn end(&mut self) -> Option<T> {
        self.done = true;
        let core = &self.job.port.core;
        match core.take_failure() {
            None | Some(JobErrorKind::Stopped) => None,
            Some(kind) => core.error(kind).resume(),
        }
    }
}

impl<T> Iterator for JobIter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        let port = &self.job.port;
        while !self.done {
            match port.take_one() {
                Found::Output(value) => return Some(value),
                Found::End => return self.end(),
                Found::NotYet => {}
            }
            // Another thread may receive what this one was woken for: then it waits again.
            if let Err(deadlock) =
                wait::one(&port.core, Until::Output, Limit::None, || port.is_ready())
            {
                panic!("{deadlock}");
            }
        }
        None
    }
}

impl<T> FusedIterator for JobIter<'_, T> {}

impl<T> fmt::Debug for JobIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobIter")
            .field("job", self.job)
            .field("done", &self.done)
            .finish()
    }
}
