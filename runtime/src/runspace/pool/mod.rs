//! A few runspaces that share a queue.

mod builder;
mod target;

use std::fmt;
use std::sync::Arc;

pub use builder::RunspacePoolBuilder;
pub(super) use target::Ticket;
pub use target::on_pool;

use super::handle::Handle;
use super::host::{Host, LimitsError};
use super::single::RunspaceState;

/// A few threads that are kept and used again, each with state of its own: PowerShell's
/// `CreateRunspacePool`.
///
/// [`invoke!`](crate::invoke) runs a body on the next runspace that is free. Bodies begin first come,
/// first served, and at most [`max`](Self::max) run at once. The pool opens a runspace when there is
/// work and none is free, and lets those beyond [`min`](Self::min) go that have had nothing to do for
/// a while; the one used last is used first. [`foreach_parallel!`](crate::foreach_parallel) runs on it
/// with `on = pool(&pool)`.
///
/// State belongs to a runspace, not to the pool: a body finds what was left by those that ran on the
/// same one. A body that waits for another of the pool does not count as running meanwhile: if no
/// runspace is free, one more is opened for what it waits for, be it by way of a job, of a parallel call or of another
/// runspace. Nor does an item of a parallel call that emits and waits for its reader, or one that waits for a place of
/// a shared throttle: work of others that is needed is let in beside it.
///
/// # Clones and the end
///
/// Clones are the same pool. When the last is dropped the pool closes, as with
/// [`close`](Self::close): what runs and what waits for its turn come to their ends, and the drop
/// waits for them. While a panic unwinds they are asked to stop first. A body of the pool that drops
/// the last clone does not wait for itself, nor does a destructor of its state. A clone that is kept in the
/// pool's own state keeps the pool, like a ring of `Arc`s: [`close`](Self::close) it.
///
/// ```
/// use std::collections::HashSet;
///
/// use runspace::{RunspacePool, invoke};
///
/// let pool = RunspacePool::builder().min(1).max(4).open().unwrap();
/// let all: Vec<_> = (0..100u64).map(|n| invoke!(&pool, using(n), { n * n })).collect();
/// all.iter().for_each(|it| drop(it.wait()));
/// let threads: HashSet<_> = all.iter().map(|it| it.thread_id()).collect();
/// assert!(threads.len() <= 4);
/// let sum: u64 = all.into_iter().map(|it| it.end().unwrap()).sum();
/// assert_eq!(sum, 328_350);
/// ```
#[derive(Clone)]
pub struct RunspacePool {
    pub(super) handle: Arc<Handle>,
}

impl RunspacePool {
    /// For a pool of its own limits.
    pub fn builder() -> RunspacePoolBuilder {
        RunspacePoolBuilder::default()
    }

    fn host(&self) -> &Arc<Host> {
        self.handle.host()
    }

    /// The number of the pool, from 1, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.host().id()
    }

    /// The name of the pool: what the builder was given, else `RunspacePool` and its number. The
    /// threads are called after it, with numbers.
    #[must_use]
    pub fn name(&self) -> &str {
        self.host().name()
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> RunspaceState {
        RunspaceState::of(self.host())
    }

    /// How many runspaces are kept, however long they have nothing to do.
    #[must_use]
    pub fn min(&self) -> usize {
        self.host().limits().min
    }

    /// How many bodies run at once at most.
    #[must_use]
    pub fn max(&self) -> usize {
        self.host().limits().max
    }

    /// Changes how many runspaces are kept. With a lower minimum those beyond it go when they have
    /// had nothing to do for a while; a higher one opens none by itself.
    ///
    /// # Errors
    /// The minimum would be higher than the maximum.
    pub fn set_min(&self, min: usize) -> Result<(), LimitsError> {
        self.host()
            .set_limits(|limits| super::host::Limits { min, ..limits })
    }

    /// Changes how many bodies run at once. With a higher maximum bodies that wait begin at once. A
    /// lower one ends nothing: none begins until fewer than that many run; runspaces that are idle
    /// go at once, busy ones when they are done. A parallel call that runs on the pool, and that sets no throttle of its
    /// own, follows.
    ///
    /// # Errors
    /// The maximum would be 0, or lower than the minimum.
    ///
    /// ```
    /// use runspace::RunspacePool;
    ///
    /// let pool = RunspacePool::builder().max(2).open().unwrap();
    /// pool.set_max(8).unwrap();
    /// assert_eq!(pool.available(), 8);
    /// let error = pool.set_max(0).unwrap_err();
    /// assert!(error.to_string().contains("at least 1"));
    /// ```
    pub fn set_max(&self, max: usize) -> Result<(), LimitsError> {
        self.host()
            .set_limits(|limits| super::host::Limits { max, ..limits })
    }

    /// How many invocations could begin at once now: the maximum less what runs. 0 when the pool is
    /// closed.
    #[must_use]
    pub fn available(&self) -> usize {
        self.host().available()
    }

    /// How many bodies run now, those included that wait for others, and workers of parallel calls.
    #[must_use]
    pub fn running(&self) -> usize {
        self.host().running()
    }

    /// How many bodies wait for their turn.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.host().queued()
    }

    /// How many runspaces there are now, busy or idle.
    #[must_use]
    pub fn runspaces(&self) -> usize {
        self.host().alive()
    }

    /// Closes the pool and waits until that is done: what runs and what waits for its turn come to
    /// their ends, then the state of each runspace is dropped, on its thread. A new invocation fails
    /// with [`Closed`](crate::InvocationErrorKind::Closed), a new parallel call with an error that says
    /// so; a call that was made before goes on, on other threads if it has to.
    ///
    /// Code that the pool waits for, its own bodies above all, does not wait: there, the pool closes
    /// by itself later. The same goes for what waits to be read: a worker of a call that emits, and that nobody has
    /// read for a second, keeps its runspace until somebody does. Closing twice is harmless.
    ///
    /// ```
    /// use runspace::{RunspacePool, invoke};
    ///
    /// let pool = RunspacePool::builder().max(2).open().unwrap();
    /// let all: Vec<_> = (0..10).map(|n| invoke!(&pool, using(n), { n })).collect();
    /// pool.close();
    /// assert!(all.iter().all(|it| it.is_finished()));
    /// let error = invoke!(&pool, { 11 }).end().unwrap_err();
    /// assert!(error.to_string().ends_with("never ran: that is closed"));
    /// ```
    pub fn close(&self) {
        self.host().close();
    }
}

impl fmt::Debug for RunspacePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunspacePool")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .field("min", &self.min())
            .field("max", &self.max())
            .field("running", &self.running())
            .field("queued", &self.queued())
            .finish()
    }
}
