//! The handle of a job.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::backend::SuspendError;
use super::error::{JobError, JobErrorKind, RemoveError};
use super::iter::JobIter;
use super::location::JobLocation;
use super::port::Port;
use super::record::Record;
use super::signal::Limit;
use super::state::JobState;
use super::table;
use super::wait;
use crate::error::drop_quietly;
use crate::waits::Until;

/// A block that runs on its own, and what it puts out. Made by
/// [`start_thread_job!`](crate::start_thread_job).
///
/// # Dropping it
///
/// Like a thread whose `JoinHandle` is dropped, a job runs on when its `Job` is dropped; one that
/// waits in its queue still gets its turn. It stays in the table of [`jobs`](crate::jobs) until it
/// ends. Its outputs are dropped as they are made, since nobody can receive them any more.
///
/// # Jobs in jobs
///
/// A job that is started by a job, or by an item of a parallel call, is stopped with it: by a stop of the job or of the
/// call, and by the `timeout` of the item. When the outer one has ended by itself, the inner one runs on; what is around
/// the outer one stops it still.
///
/// ```
/// use runspace::start_thread_job;
///
/// let number = 6;
/// let job = start_thread_job!(using(number), { number * 7 });
/// assert_eq!(job.join().unwrap(), 42);
/// ```
#[must_use = "a job that is dropped runs on by itself and its outputs are lost: keep it, or call \
              `join()` for its value"]
pub struct Job<T> {
    pub(super) port: Port<T>,
}

// What it is.
impl<T> Job<T> {
    /// The number of the job, from 1, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.port.core.id()
    }

    /// The name of the job: what `name = ..` said, else `Job` and its number.
    #[must_use]
    pub fn name(&self) -> &str {
        self.port.core.name()
    }

    /// The state of the job now.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.port.core.state()
    }

    /// Whether there are outputs that nobody has received yet. Of a job that still runs it says
    /// nothing about those to come.
    #[must_use]
    pub fn has_more_data(&self) -> bool {
        self.port.core.has_more_data()
    }

    /// When the job started, by the clock of the system; `None` while it waits in its queue, and for
    /// one that never started.
    #[must_use]
    pub fn started(&self) -> Option<SystemTime> {
        self.port.core.started()
    }

    /// When the job ended, by the clock of the system; `None` until then.
    #[must_use]
    pub fn finished(&self) -> Option<SystemTime> {
        self.port.core.finished()
    }

    /// Where the job was started in the source, and the thread it runs on.
    #[must_use]
    pub fn location(&self) -> JobLocation {
        self.port.core.location()
    }

    /// The macro that started the job, and its line.
    #[must_use]
    pub fn command(&self) -> String {
        self.port.core.command()
    }

    /// What the job has said so far, the oldest first: its warnings and the like, and its error if
    /// it failed. They are kept as long as the job is, up to the last 100,000 of them and 16 MiB of text: of a
    /// job that says more, the first record says how many are not there any more.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.port.core.records()
    }
}

// Its outputs.
impl<T> Job<T> {
    /// Takes the outputs there are now, in the order they were made. It does not wait, and a failure
    /// of the job shows in [`state`](Self::state) only.
    ///
    /// ```
    /// let job = runspace::start_thread_job!(|job| (0..3).for_each(|n| job.emit(n)));
    /// job.wait();
    /// assert_eq!(job.receive(), [0, 1, 2]);
    /// assert!(job.receive().is_empty());
    /// ```
    pub fn receive(&self) -> Vec<T> {
        self.port.take_all().into()
    }

    /// Copies the outputs there are now and leaves them to be received again. It does not wait.
    ///
    /// While it copies, other threads that receive from this job do not find what is being copied.
    ///
    /// # Panics
    /// `T::clone` panics. The outputs are kept.
    ///
    /// ```
    /// let job = runspace::start_thread_job!({ 5 });
    /// job.wait();
    /// assert_eq!(job.receive_keep(), [5]);
    /// assert_eq!(job.receive_keep(), [5]);
    /// ```
    #[must_use]
    pub fn receive_keep(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.port.lend_all().items.iter().cloned().collect()
    }

    /// The outputs as they come, each of them received; it waits for the next one until the job has
    /// ended. A job that was stopped ends it early.
    ///
    /// A job that iterates over another lends its place while it waits; see
    /// [`JobQueue`](crate::JobQueue).
    ///
    /// # Panics
    /// At the end, if the job failed: with the original payload of its panic, or else with the text
    /// of its error. Also when the next output would never come because the job waits for the one
    /// that calls this.
    ///
    /// ```
    /// let job = runspace::start_thread_job!(|job| (1..=4).for_each(|n| job.emit(n)));
    /// assert_eq!(job.iter().sum::<i32>(), 10);
    /// ```
    pub fn iter(&self) -> JobIter<'_, T> {
        JobIter::new(self)
    }

    /// Waits until the job has ended and answers its last output: of a block, its value. The job
    /// leaves the table.
    ///
    /// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
    ///
    /// # Errors
    /// The job failed or was stopped; it has no output left; or it waits for the very job that calls
    /// this, and then it runs on by itself.
    ///
    /// ```
    /// let job = runspace::start_thread_job!({ "six".len() });
    /// assert_eq!(job.join().unwrap(), 3);
    ///
    /// let job = runspace::start_thread_job!({ assert!("six".is_empty(), "not empty") });
    /// assert!(job.join().unwrap_err().to_string().ends_with("panicked: not empty"));
    /// ```
    pub fn join(self) -> Result<T, JobError> {
        let core = &self.port.core;
        let waited = wait::one(core, Until::End, Limit::None, || core.is_finished());
        if let Err(deadlock) = waited {
            return Err(core.error(JobErrorKind::Deadlock(deadlock.to_string())));
        }
        if let Some(failure) = core.take_failure() {
            return Err(core.error(failure));
        }
        let mut outputs = self.port.take_all();
        let last = outputs.pop_back();
        outputs.into_iter().for_each(drop_quietly);
        last.ok_or_else(|| core.error(JobErrorKind::NoOutput))
    }
}

// What is done to it.
impl<T> Job<T> {
    /// Waits until the job has ended. Answers the state it ended in.
    ///
    /// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
    ///
    /// # Panics
    /// The wait would never end because the job waits for the one that calls this. The text names
    /// them.
    #[track_caller]
    pub fn wait(&self) -> JobState {
        let ended = wait::end(&self.port.core, Limit::None);
        ended.expect("a wait without a limit ends with its job")
    }

    /// Waits until the job has ended, at most for `limit`. `None` when the time ran out.
    ///
    /// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
    ///
    /// # Panics
    /// As [`wait`](Self::wait), if the limit is further away than the clock can tell.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let job = runspace::start_thread_job!(using(receive), { receive.recv().is_ok() });
    /// assert_eq!(job.wait_timeout(Duration::from_millis(1)), None);
    /// send.send(()).unwrap();
    /// assert!(job.wait_timeout(Duration::from_secs(60)).is_some());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Option<JobState> {
        wait::end(&self.port.core, Limit::after(limit))
    }

    /// Asks the job to stop, and returns at once. For its end, `job.stop(); job.wait();`.
    ///
    /// A job that waits in its queue is Stopped when this returns, and what it had captured is
    /// dropped. A running body cannot be ended from outside: it ends at its next
    /// [`emit`](crate::JobContext::emit), or where it looks at [`stopping`](crate::stopping) or
    /// sleeps on its [`StopToken`](crate::StopToken). The parallel calls and the jobs that it has
    /// started are asked too. A job that was asked before its body returned ends as Stopped even if the body comes to its
    /// end, on threads and in processes alike: what it has put out can be received, the value that it returned too (not
    /// from a cluster), and [`join`](Self::join) is the error. A body that has done all of its work says that it has
    /// [`finished`](crate::finished); then the job is Completed.
    ///
    /// Asking twice, or asking a job that has ended, is harmless.
    ///
    /// ```
    /// use runspace::{JobState, start_thread_job};
    ///
    /// let job = start_thread_job!(|job| {
    ///     for n in 0.. {
    ///         job.emit(n);
    ///         std::thread::yield_now();
    ///     }
    /// });
    /// job.stop();
    /// assert_eq!(job.wait(), JobState::Stopped);
    /// ```
    pub fn stop(&self) {
        self.port.core.stop();
    }

    /// Holds the job where it is until it is resumed.
    ///
    /// # Errors
    /// The job runs on a thread, or on the threads of a call: those cannot be held from outside. The
    /// text says what to do instead.
    pub fn suspend(&self) -> Result<(), SuspendError> {
        self.port.core.suspend()
    }

    /// Lets a suspended job go on.
    ///
    /// # Errors
    /// The job is one that cannot be suspended.
    pub fn resume(&self) -> Result<(), SuspendError> {
        self.port.core.resume()
    }

    /// Takes the job out of the table and drops its outputs.
    ///
    /// # Errors
    /// The job has not ended. The error holds the job.
    pub fn remove(self) -> Result<(), RemoveError<T>> {
        if self.state().is_finished() {
            Ok(())
        } else {
            Err(RemoveError::new(self))
        }
    }

    /// Asks the job to stop and takes it out of the table at once. It does not wait: a body that runs
    /// still does so until it comes to where it sees the stop, as described at [`stop`](Self::stop).
    pub fn remove_force(self) {
        self.stop();
        table::remove(self.id());
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.port.core.detach();
        self.port.close();
    }
}

impl<'a, T> IntoIterator for &'a Job<T> {
    type Item = T;
    type IntoIter = JobIter<'a, T>;

    fn into_iter(self) -> JobIter<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .field("has_more_data", &self.has_more_data())
            .finish_non_exhaustive()
    }
}
