//! The queues that thread jobs wait in for a place.

use std::fmt;
use std::sync::Arc;

use super::core::Core;
use super::globals::global;
use super::line::{Left, Line};
use super::run;
use crate::debug::Count;
use crate::sync::Mutex;
use crate::waits::{self, Launch, Queue};

/// How many jobs of the process's own queue run at once, unless changed.
const GLOBAL_THROTTLE: usize = 5;

/// Lets so many of its jobs run at once and keeps the others waiting, first come, first served.
///
/// Clones are the same queue. Any number of jobs can wait; one that waits costs some hundred bytes
/// and no thread. A queue that is dropped still runs what is in it.
///
/// # Jobs that wait for jobs
///
/// A job that waits for another (with [`join`](crate::Job::join), [`wait`](crate::Job::wait),
/// [`iter`](crate::Job::iter), [`wait_all`](crate::wait_all) and their like) does not run, so it does
/// not use its place. While it waits it lends the place to a job that it waits for, directly or
/// through others: that job starts at once, ahead of the line. So jobs can be nested to any depth
/// with a throttle of 1. No other job gets the place: a lock that the waiting job holds can keep
/// no stranger in it.
///
/// The same holds for a job that reads the results of a parallel call, made inside or outside of it: it waits for
/// what the items of that call wait for. And it holds for a job that waits for an invocation on a
/// [`Runspace`](crate::Runspace) or a [`RunspacePool`](crate::RunspacePool): for what the body there waits for.
///
/// A wait that would close a ring, of a job that waits for itself by whatever way round, is refused in words. An item keeps
/// the job that has made its call from its end, until the call becomes a job of its own
/// ([`into_job`](crate::Results::into_job)) or is read elsewhere; not in a call that gives its items up in time (`timeout`,
/// `deadline`).
///
/// At most `throttle` jobs run without waiting for another job. The one exception: a job whose wait
/// ends early, because it had a time limit or was for one of several things, such as the results of a call, goes
/// on beside the borrower of its place; then nothing is let in until there is room again.
///
/// The wait has to be seen: threads that a body makes itself, and waits on channels or locks, are
/// not. Of a job that stands for a call, and of one that reads a call, the next output is taken for one that may come as long
/// as the call goes on, whatever its items wait for: wait for the end, where that is what is meant.
///
/// ```
/// use runspace::{JobQueue, start_thread_job};
///
/// let queue = JobQueue::new(1);
/// let inner = queue.clone();
/// let job = start_thread_job!(queue = &queue, using(inner), {
///     let part = start_thread_job!(queue = &inner, { 20 });
///     part.join().unwrap() + 1
/// });
/// assert_eq!(job.join().unwrap(), 21);
/// ```
#[derive(Clone)]
pub struct JobQueue {
    line: Arc<Mutex<Line<Arc<Core>>>>,
}

global! {
    static GLOBAL: JobQueue = JobQueue::with(GLOBAL_THROTTLE);
}

impl JobQueue {
    /// A queue that lets at most `throttle` of its jobs run at once.
    ///
    /// # Panics
    /// `throttle` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(throttle: usize) -> Self {
        check(throttle);
        Self::with(throttle)
    }

    fn with(throttle: usize) -> Self {
        Self {
            line: Arc::new(Mutex::new(Line::new(throttle))),
        }
    }

    /// The queue of the jobs that name none. Its throttle is 5 unless changed.
    ///
    /// ```
    /// use runspace::JobQueue;
    ///
    /// assert_eq!(JobQueue::global().throttle(), 5);
    /// JobQueue::global().set_throttle(8);
    /// assert_eq!(JobQueue::global().throttle(), 8);
    /// ```
    #[must_use]
    pub fn global() -> Self {
        GLOBAL.clone()
    }

    /// How many jobs may run at once.
    #[must_use]
    pub fn throttle(&self) -> usize {
        self.line.lock().throttle()
    }

    /// Changes how many jobs may run at once, from now on. A higher throttle starts waiting jobs at
    /// once. A lower one ends nothing: no job starts until fewer than that many run.
    ///
    /// # Panics
    /// `throttle` is 0.
    #[track_caller]
    pub fn set_throttle(&self, throttle: usize) {
        check(throttle);
        self.line.lock().set_throttle(throttle);
        while let Some(job) = self.next() {
            if !run::launch(job) {
                break;
            }
        }
        waits::lend_within(self.key())
            .into_iter()
            .for_each(|it| it());
    }

    /// How many jobs run now: those that have started, have not ended, and do not wait for another
    /// job.
    #[must_use]
    pub fn running(&self) -> usize {
        self.line.lock().active()
    }

    /// How many jobs wait for a place now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.line.lock().waiting()
    }
}

#[track_caller]
fn check(throttle: usize) {
    assert!(
        throttle > 0,
        "the throttle of a job queue must be at least 1, not 0"
    );
}

// Each of these takes the lock for itself, and gives the job out of it.
impl JobQueue {
    /// A job arrives; answered if it starts at once.
    pub(super) fn arrive(&self, job: &Arc<Core>) -> Option<Arc<Core>> {
        self.line.lock().arrive(job.id(), Arc::clone(job))
    }

    fn next(&self) -> Option<Arc<Core>> {
        self.line.lock().next()
    }

    pub(super) fn cancel(&self, id: u64) -> Option<Arc<Core>> {
        self.line.lock().cancel(id)
    }

    pub(super) fn leave(&self, id: u64) -> Left<Arc<Core>> {
        self.line.lock().leave(id)
    }

    /// A job that was let in has no thread: it waits again, if one runs that will come for it.
    pub(super) fn put_back(&self, job: &Arc<Core>) -> bool {
        self.line.lock().put_back(job.id(), Arc::clone(job))
    }

    pub(super) fn park(&self, id: u64) {
        self.line.lock().park(id);
    }

    pub(super) fn unpark(&self, id: u64) {
        self.line.lock().unpark(id);
    }
}

impl JobQueue {
    /// In words, for a look at where a program hangs.
    pub(super) fn title(&self) -> String {
        self.line.try_lock().map_or_else(
            || "the state is busy".to_owned(),
            |line| {
                let (active, throttle, waiting) = (line.active(), line.throttle(), line.waiting());
                let waiting = Count(waiting, "job");
                format!("{active} of {throttle} places are taken, with {waiting} waiting for one")
            },
        )
    }
}

impl Queue for JobQueue {
    /// Tells queues apart.
    fn key(&self) -> usize {
        Arc::as_ptr(&self.line).addr()
    }

    fn is_waiting(&self, id: u64) -> bool {
        self.line.lock().is_waiting(id)
    }

    fn can_lend(&self, lender: u64) -> bool {
        self.line.lock().can_lend(lender)
    }

    fn lend(&self, lender: u64, to: u64) -> Option<Launch> {
        let job = self.line.lock().lend(lender, to)?;
        Some(Box::new(move || {
            run::launch(job);
        }))
    }
}

impl fmt::Debug for JobQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.lock();
        f.debug_struct("JobQueue")
            .field("throttle", &line.throttle())
            .field("running", &line.active())
            .field("queued", &line.waiting())
            .finish()
    }
}
