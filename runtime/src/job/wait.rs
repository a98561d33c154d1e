//! Waiting for jobs: one, all or any of several.

use std::sync::Arc;
use std::time::Duration;

use self::sealed::Sealed as _;
use super::core::Core;
use super::handle::Job;
use super::signal::{Limit, Signal};
use super::state::JobState;
use super::table::JobEntry;
use crate::debug;
use crate::waits::{self, Deadlock, Until, Waiting, Work};

pub(super) mod sealed {
    use std::sync::Arc;

    use crate::job::core::Core;

    /// Keeps [`AnyJob`](super::AnyJob) to the jobs of this crate.
    pub trait Sealed {
        #[doc(hidden)]
        fn core(&self) -> &Arc<Core>;
    }
}

/// A job, whatever the type of its outputs: a [`Job`] or a [`JobEntry`]. `&dyn AnyJob` lets jobs of
/// different types stand in one list for [`wait_all`] and [`wait_any`].
///
/// It cannot be implemented outside of this crate.
pub trait AnyJob: sealed::Sealed {
    /// The number of the job.
    fn id(&self) -> u64 {
        self.core().id()
    }

    /// The name of the job.
    fn name(&self) -> &str {
        self.core().name()
    }

    /// The state of the job now.
    fn state(&self) -> JobState {
        self.core().state()
    }

    /// Asks the job to stop, as [`Job::stop`] does.
    fn stop(&self) {
        self.core().stop();
    }
}

impl<T> sealed::Sealed for Job<T> {
    fn core(&self) -> &Arc<Core> {
        &self.port.core
    }
}

impl sealed::Sealed for JobEntry {
    fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl<J: AnyJob + ?Sized> sealed::Sealed for &J {
    fn core(&self) -> &Arc<Core> {
        (**self).core()
    }
}

impl<T> AnyJob for Job<T> {}
impl AnyJob for JobEntry {}
impl<J: AnyJob + ?Sized> AnyJob for &J {}

/// Waits until all the jobs have ended. Answers their states, in the order given.
///
/// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
///
/// # Panics
/// The wait would never end because one of the jobs waits for the one that calls this. The text
/// names them.
///
/// ```
/// use runspace::{AnyJob, JobState, start_thread_job, wait_all};
///
/// let number = start_thread_job!({ 6 * 7 });
/// let text = start_thread_job!({ "six times seven".to_owned() });
/// let states = wait_all([&number as &dyn AnyJob, &text]);
/// assert_eq!(states, [JobState::Completed, JobState::Completed]);
///
/// let many: Vec<_> = (0..3).map(|n| start_thread_job!(using(n), { n })).collect();
/// wait_all(&many);
/// ```
#[track_caller]
pub fn wait_all<I>(jobs: I) -> Vec<JobState>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    let ended = all(jobs, Limit::None);
    ended.expect("a wait without a limit ends with its jobs")
}

/// Waits until all the jobs have ended, at most for `limit`. `None` when the time ran out.
///
/// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
///
/// # Panics
/// As [`wait_all`], if the limit is further away than the clock can tell.
#[track_caller]
pub fn wait_all_timeout<I>(jobs: I, limit: Duration) -> Option<Vec<JobState>>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    all(jobs, Limit::after(limit))
}

/// Waits until one of the jobs has ended. Answers its index in `jobs`, the lowest if there are
/// several; `None` if there are no jobs.
///
/// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
///
/// # Panics
/// The wait would never end because each of the jobs waits for the one that calls this. The text
/// names them.
///
/// ```
/// use runspace::{start_thread_job, wait_any};
///
/// let (send, receive) = std::sync::mpsc::channel::<i32>();
/// let slow = start_thread_job!(using(receive), { receive.recv().unwrap() });
/// let quick = start_thread_job!({ 2 });
/// assert_eq!(wait_any([&slow, &quick]), Some(1));
/// send.send(1).unwrap();
/// assert_eq!(slow.join().unwrap(), 1);
/// ```
#[track_caller]
pub fn wait_any<I>(jobs: I) -> Option<usize>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    any(jobs, Limit::None)
}

/// Waits until one of the jobs has ended, at most for `limit`. Answers its index in `jobs`; `None`
/// when the time ran out or there are no jobs.
///
/// A job that calls this lends its place meanwhile; see [`JobQueue`](crate::JobQueue).
///
/// # Panics
/// As [`wait_any`], if the limit is further away than the clock can tell.
#[track_caller]
pub fn wait_any_timeout<I>(jobs: I, limit: Duration) -> Option<usize>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    any(jobs, Limit::after(limit))
}

fn cores<I>(jobs: I) -> Vec<Arc<Core>>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    jobs.into_iter().map(|it| Arc::clone(it.core())).collect()
}

#[track_caller]
fn all<I>(jobs: I, limit: Limit) -> Option<Vec<JobState>>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    let cores = cores(jobs);
    let open: Vec<_> = cores
        .iter()
        .filter(|it| !it.is_finished())
        .cloned()
        .collect();
    if !open.is_empty() {
        let groups = open.iter().map(|it| vec![Arc::clone(it) as _]).collect();
        let waiting = begin(groups, limit);
        let ended = open
            .iter()
            .all(|it| sleep(&[it], limit, || it.is_finished()));
        drop(waiting);
        if !ended {
            return None;
        }
    }
    Some(cores.iter().map(|it| it.state()).collect())
}

#[track_caller]
fn any<I>(jobs: I, limit: Limit) -> Option<usize>
where
    I: IntoIterator,
    I::Item: AnyJob,
{
    let cores = cores(jobs);
    let ended = || cores.iter().position(|it| it.is_finished());
    if cores.is_empty() || ended().is_some() {
        return ended();
    }
    let group = cores.iter().map(|it| Arc::clone(it) as _).collect();
    let waiting = begin(vec![group], limit);
    let targets: Vec<_> = cores.iter().collect();
    sleep(&targets, limit, || ended().is_some());
    drop(waiting);
    ended()
}

#[track_caller]
fn begin(groups: Vec<Vec<Arc<dyn Work>>>, limit: Limit) -> Option<Waiting> {
    match waits::begin(groups, Until::End, limit.ends()) {
        Ok(waiting) => waiting,
        Err(deadlock) => panic!("{deadlock}"),
    }
}

/// Waits for one job's end, or until `ready` says that there is something to see. False when the
/// time ran out.
pub(super) fn one(
    core: &Arc<Core>,
    until: Until,
    limit: Limit,
    ready: impl Fn() -> bool,
) -> Result<bool, Deadlock> {
    if ready() {
        return Ok(true);
    }
    let target = Arc::clone(core) as Arc<dyn Work>;
    let _waiting = waits::begin(vec![vec![target]], until, limit.ends())?;
    Ok(sleep(&[core], limit, ready))
}

/// The end of one job.
#[track_caller]
pub(super) fn end(core: &Arc<Core>, limit: Limit) -> Option<JobState> {
    match one(core, Until::End, limit, || core.is_finished()) {
        Ok(ended) => ended.then(|| core.state()),
        Err(deadlock) => panic!("{deadlock}"),
    }
}

/// Sleeps until `ready`, which is asked again whenever something changes about one of the jobs.
/// False when the time ran out.
fn sleep(cores: &[&Arc<Core>], limit: Limit, ready: impl Fn() -> bool) -> bool {
    let signal = Arc::new(Signal::default());
    let _waits = debug::wait(|| {
        let jobs: Vec<String> = cores.iter().map(|it| it.title()).collect();
        format!("{}{}", jobs.join(" or "), limit.title())
    });
    cores.iter().for_each(|it| it.watch(&signal));
    let mut on_time = true;
    while !ready() && on_time {
        on_time = signal.wait(limit);
    }
    cores.iter().for_each(|it| it.unwatch(&signal));
    on_time || ready()
}
