//! How a pool is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::RunspacePool;
use crate::DEFAULT_THROTTLE;
use crate::runspace::context::RunspaceContext;
use crate::runspace::error::OpenError;
use crate::runspace::handle::Handle;
use crate::runspace::host::{Host, Init, Limits, Numbers};

/// How long a runspace is kept that has nothing to do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

static POOLS: Numbers = Numbers::new();

/// Makes a [`RunspacePool`].
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `open()`"]
pub struct RunspacePoolBuilder {
    min: Option<usize>,
    max: Option<usize>,
    name: Option<Arc<str>>,
    init: Option<Init>,
    idle_timeout: Option<Duration>,
}

impl RunspacePoolBuilder {
    /// How many runspaces are kept, however long they have nothing to do. They too are opened only
    /// when there is work for them. Without it: 1.
    pub fn min(mut self, min: usize) -> Self {
        self.min = Some(min);
        self
    }

    /// How many bodies run at once at most. Without it: [`DEFAULT_THROTTLE`], 5, or the minimum if
    /// that is higher.
    pub fn max(mut self, max: usize) -> Self {
        self.max = Some(max);
        self
    }

    /// A name, for errors and for the threads. Without one it is `RunspacePool` and the pool's number.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Runs `init` once on each runspace, on its thread, before the first body. If it panics, the
    /// invocation that was to run there fails with
    /// [`InitPanicked`](crate::InvocationErrorKind::InitPanicked), and it is run again for the next.
    ///
    /// Without it, nothing is run. A second one, or an
    /// [`init_with_state`](Self::init_with_state), replaces the first.
    pub fn init(self, init: impl Fn() + Send + Sync + 'static) -> Self {
        self.init_with_state(move |_| init())
    }

    /// As [`init`](Self::init), for state that the bodies find on their runspace.
    ///
    /// ```
    /// use runspace::{RunspacePool, invoke};
    ///
    /// struct Greeting(&'static str);
    ///
    /// let pool = RunspacePool::builder()
    ///     .max(2)
    ///     .init_with_state(|rs| drop(rs.set_state(Greeting("hello"))))
    ///     .open()
    ///     .unwrap();
    /// let greeting = invoke!(&pool, |rs| rs.try_state::<Greeting>().map(|it| it.0));
    /// assert_eq!(greeting.end().unwrap(), Some("hello"));
    /// ```
    pub fn init_with_state(
        mut self,
        init: impl Fn(&mut RunspaceContext) + Send + Sync + 'static,
    ) -> Self {
        self.init = Some(Arc::new(init));
        self
    }

    /// How long a runspace beyond the minimum is kept that has nothing to do. Its state goes with
    /// it. Without it: one minute.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = Some(idle_timeout);
        self
    }

    /// Opens the pool. It starts no thread before there is work.
    ///
    /// # Errors
    /// The maximum is 0, or lower than the minimum.
    pub fn open(self) -> Result<RunspacePool, OpenError> {
        let min = self.min.unwrap_or(1).min(self.max.unwrap_or(usize::MAX));
        let min = self.min.unwrap_or(min);
        let max = self.max.unwrap_or(DEFAULT_THROTTLE.max(min));
        let limits = Limits { min, max }.check()?;
        let id = POOLS.next();
        let name = self.name;
        let name = name.unwrap_or_else(|| format!("RunspacePool{id}").into());
        let idle_timeout = self.idle_timeout.unwrap_or(IDLE_TIMEOUT);
        let host = Host::pool(id, name, limits, self.init, idle_timeout);
        let host = Arc::new(host);
        crate::debug::enlist(&host);
        let handle = Handle::new(host);
        Ok(RunspacePool { handle })
    }
}

impl fmt::Debug for RunspacePoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunspacePoolBuilder")
            .field("min", &self.min)
            .field("max", &self.max)
            .field("name", &self.name)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}
