//! A body on its way through a runspace, and the handle that stands for it.

mod core;
mod error;
mod state;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

pub(super) use self::core::{Core, End};
pub use error::{InvocationError, InvocationErrorKind};
pub use state::InvocationState;

use super::context::RunspaceContext;
use super::host::Host;
use crate::context;
use crate::error::drop_quietly;
use crate::sync::Mutex;
use crate::waits::{self, Until};

/// A body that runs on a [`Runspace`](crate::Runspace) or a [`RunspacePool`](crate::RunspacePool), and
/// the value it will have. Made by [`invoke!`](crate::invoke).
///
/// [`end`](Self::end) waits for the value. It takes the invocation, so it cannot be called twice.
///
/// # Dropping it
///
/// Like a job, an invocation runs on when it is dropped; one that waits for its turn still gets it.
/// Its value is dropped when it is made, and so is its failure.
///
/// # Stopping
///
/// What stops the code that makes an invocation, a stop of its job or of its parallel call, stops
/// the invocation too. When that call has ended by itself, what is around it does.
///
/// What a body returns after it was told to stop is not the value of the invocation, which is Stopped then, unless the body
/// says that it has [`finished`](crate::finished).
///
/// # Invocations that wait for invocations
///
/// A body may wait for another invocation. On a pool that is always possible: what it waits for is
/// let in at once when no runspace is free, as if the one that waits had lent its own. A
/// [`Runspace`](crate::Runspace) runs one body at a time, so a body on it cannot wait for one that is
/// queued behind it: such a wait is an error that says so, at once. That holds whatever stands between: jobs, the items of
/// parallel calls, other runspaces. Waits through threads and channels that bodies use among themselves are not seen.
///
/// ```
/// use runspace::{Runspace, invoke};
///
/// let runspace = Runspace::open().unwrap();
/// let number = 6;
/// let invocation = invoke!(&runspace, using(number), { number * 7 });
/// assert_eq!(invocation.end().unwrap(), 42);
/// ```
#[must_use = "an invocation that is dropped runs on by itself and its value is lost: keep it, or \
              call `end()` for its value"]
pub struct Invocation<R> {
    core: Arc<Core>,
    value: Arc<Mutex<Option<R>>>,
}

impl<R: Send + 'static> Invocation<R> {
    /// Starts `body` on `host`.
    pub(super) fn start(
        host: &Arc<Host>,
        name: Option<Arc<str>>,
        source: &'static Location<'static>,
        body: impl FnOnce(&mut RunspaceContext) -> R + Send + 'static,
    ) -> Self {
        let value = Arc::new(Mutex::new(None));
        let inside = Arc::clone(&value);
        let body = move |runspace: &mut RunspaceContext| {
            let value = body(runspace);
            context::note_return();
            *inside.lock() = Some(value);
        };
        let core = Core::new(host, name, source, Box::new(body));
        core.start(host);
        Self { core, value }
    }
}

// What it is.
impl<R> Invocation<R> {
    /// The number of the invocation, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.core.seat().id()
    }

    /// The name of the invocation: what `name = ..` said, else `Invocation` and its number.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.seat().name()
    }

    /// The call in the source that made it.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.core.source()
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> InvocationState {
        self.core.state()
    }

    /// Whether it has ended, one way or the other, so that [`end`](Self::end) does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state().is_finished()
    }

    /// The thread that it runs on or ran on; `None` before it starts, and if it never did.
    #[must_use]
    pub fn thread_id(&self) -> Option<ThreadId> {
        self.core.thread()
    }

    /// The number of the runspace that it runs on or ran on; `None` before it starts, and if it
    /// never did.
    #[must_use]
    pub fn runspace_id(&self) -> Option<u64> {
        self.core.runspace()
    }
}

// What is done to it.
impl<R> Invocation<R> {
    /// Asks it to stop, and returns at once.
    ///
    /// One that waits for its turn is Stopped when this returns, and what it had captured is
    /// dropped. A running body cannot be ended from outside: it ends where it looks at
    /// [`stopping`](crate::stopping) or sleeps on its [`StopToken`](crate::StopToken). The parallel
    /// calls and the invocations that it has made are asked too. One that has been asked ends as
    /// Stopped even if its body comes to its end; its value is dropped.
    ///
    /// Asking twice, or asking one that has ended, is harmless.
    ///
    /// ```
    /// use runspace::{InvocationState, Runspace, invoke, stopping};
    ///
    /// let runspace = Runspace::open().unwrap();
    /// let invocation = invoke!(&runspace, {
    ///     while !stopping() {
    ///         std::thread::yield_now();
    ///     }
    /// });
    /// invocation.stop();
    /// assert_eq!(invocation.wait(), InvocationState::Stopped);
    /// ```
    pub fn stop(&self) {
        self.core.stop();
    }

    /// Waits for the end. Answers the state it ended in.
    ///
    /// # Panics
    /// The wait would never end because the invocation waits for the code that asks, or is queued
    /// behind it on its runspace. The text names them.
    #[track_caller]
    pub fn wait(&self) -> InvocationState {
        match self.wait_until(None) {
            Ok(_) => self.state(),
            Err(deadlock) => panic!("{}", self.core.error(deadlock)),
        }
    }

    /// Waits for the end, at most for `limit`. `None` when the time ran out.
    ///
    /// # Panics
    /// As [`wait`](Self::wait), if the limit is further away than the clock can tell.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use runspace::{Runspace, invoke};
    ///
    /// let runspace = Runspace::open().unwrap();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let invocation = invoke!(&runspace, using(receive), { receive.recv().is_ok() });
    /// assert_eq!(invocation.wait_timeout(Duration::from_millis(1)), None);
    /// send.send(()).unwrap();
    /// assert!(invocation.wait_timeout(Duration::from_secs(60)).is_some());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Option<InvocationState> {
        // A time that the clock cannot tell is none.
        let until = Instant::now().checked_add(limit);
        match self.wait_until(until) {
            Ok(ended) => ended.then(|| self.state()),
            Err(deadlock) => panic!("{}", self.core.error(deadlock)),
        }
    }

    /// Waits for the end and answers the value.
    ///
    /// # Errors
    /// It failed or was stopped; the runspace was closed; or it waits for the code that calls this,
    /// or is queued behind it, and then it goes on by itself.
    ///
    /// ```
    /// use runspace::{Runspace, invoke};
    ///
    /// let runspace = Runspace::open().unwrap();
    /// let invocation = invoke!(&runspace, { assert!("six".is_empty(), "not empty") });
    /// assert!(invocation.end().unwrap_err().to_string().ends_with("panicked: not empty"));
    /// ```
    pub fn end(self) -> Result<R, InvocationError> {
        self.wait_until(None).map_err(|it| self.core.error(it))?;
        if let Some(failure) = self.core.take_failure() {
            return Err(self.core.error(failure));
        }
        let value = self.value.lock().take();
        Ok(value.expect("what has completed has a value"))
    }

    /// False when the time ran out.
    fn wait_until(&self, until: Option<Instant>) -> Result<bool, InvocationErrorKind> {
        if self.is_finished() {
            return Ok(true);
        }
        let target = Arc::clone(self.core.seat()) as Arc<dyn waits::Work>;
        let waiting = waits::begin(vec![vec![target]], Until::End, until.is_some());
        let _waiting = waiting.map_err(|it| InvocationErrorKind::Deadlock(it.to_string()))?;
        Ok(self.core.wait(until))
    }
}

impl<R> Drop for Invocation<R> {
    fn drop(&mut self) {
        let value = self.value.lock().take();
        drop_quietly(value);
    }
}

impl<R> fmt::Debug for Invocation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
