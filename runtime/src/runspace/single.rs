//! A runspace by itself.

use std::fmt;
use std::sync::Arc;

use super::error::OpenError;
use super::handle::Handle;
use super::host::{Host, RUNSPACES};

/// One thread that is kept, with state that survives from one body to the next: PowerShell's
/// `CreateRunspace`.
///
/// [`invoke!`](crate::invoke) runs a body on it and answers an [`Invocation`](crate::Invocation).
/// Bodies run one at a time, first come, first served: PowerShell refuses a second one while the
/// first runs, here it waits for its turn. [`is_busy`](Self::is_busy) tells.
///
/// With a second form, `|rs| ..`, a body reaches the state; see
/// [`RunspaceContext`](crate::RunspaceContext). What it leaves in thread-local variables is there
/// for the next body too.
///
/// # Clones and the end
///
/// Clones are the same runspace. When the last is dropped the runspace closes, as with
/// [`close`](Self::close): what runs and what waits for its turn come to their ends, and the drop
/// waits for them. While a panic unwinds they are asked to stop first. A body of the runspace that
/// drops the last clone does not wait for itself, nor does a destructor of its state. A clone that is kept in the
/// runspace's own state keeps it, like a ring of `Arc`s: [`close`](Self::close) it.
///
/// ```
/// use runspace::{Runspace, invoke};
///
/// let runspace = Runspace::open().unwrap();
/// for word in ["one", "two"] {
///     let _ = invoke!(&runspace, using(word), |rs| { rs.state::<Vec<&str>>().push(word) });
/// }
/// let words = invoke!(&runspace, |rs| rs.state::<Vec<&str>>().join(" "));
/// assert_eq!(words.end().unwrap(), "one two");
/// ```
#[derive(Clone)]
pub struct Runspace {
    pub(super) handle: Arc<Handle>,
}

impl Runspace {
    /// Opens a runspace: starts its thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn open() -> Result<Self, OpenError> {
        Self::builder().open()
    }

    /// For a runspace with a name.
    pub fn builder() -> RunspaceBuilder {
        RunspaceBuilder { name: None }
    }

    fn host(&self) -> &Host {
        self.handle.host()
    }

    /// The number of the runspace, from 1, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.host().id()
    }

    /// The name of the runspace: what the builder was given, else `Runspace` and its number. Its
    /// thread has the same name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.host().name()
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> RunspaceState {
        RunspaceState::of(self.host())
    }

    /// Whether a body runs now, so that a new one would wait for its turn.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.host().running() > 0
    }

    /// How many invocations wait for their turn.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.host().queued()
    }

    /// Closes the runspace and waits until that is done: what runs and what waits for its turn come
    /// to their ends, then the state is dropped, on the thread of the runspace. A new invocation
    /// fails with [`Closed`](crate::InvocationErrorKind::Closed). For a quicker end, stop the
    /// invocations first.
    ///
    /// Code that the runspace waits for, its own bodies above all, does not wait: there, the
    /// runspace closes by itself later. Closing twice is harmless.
    ///
    /// ```
    /// use runspace::{Runspace, RunspaceState, invoke};
    ///
    /// let runspace = Runspace::open().unwrap();
    /// runspace.close();
    /// assert_eq!(runspace.state(), RunspaceState::Closed);
    /// assert!(invoke!(&runspace, { 1 }).end().is_err());
    /// ```
    pub fn close(&self) {
        self.handle.host().close();
    }
}

impl fmt::Debug for Runspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runspace")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .field("is_busy", &self.is_busy())
            .field("queued", &self.queued())
            .finish()
    }
}

/// Makes a [`Runspace`].
///
/// ```
/// use runspace::Runspace;
///
/// let runspace = Runspace::builder().name("database").open().unwrap();
/// assert_eq!(runspace.name(), "database");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open()`"]
pub struct RunspaceBuilder {
    name: Option<Arc<str>>,
}

impl RunspaceBuilder {
    /// A name, for errors and for the thread. Without one it is `Runspace` and the runspace's number.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Opens the runspace: starts its thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn open(self) -> Result<Runspace, OpenError> {
        let id = RUNSPACES.next();
        let name = self.name.unwrap_or_else(|| format!("Runspace{id}").into());
        let host = Arc::new(Host::single(id, name));
        crate::debug::enlist(&host);
        host.open()?;
        let handle = Handle::new(host);
        Ok(Runspace { handle })
    }
}

/// Whether a runspace or a pool takes invocations. It prints as the name of the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunspaceState {
    /// It does.
    Opened,
    /// It does not any more; something still runs or waits for its turn.
    Closing,
    /// It does not, and nothing of it is left.
    Closed,
}

impl RunspaceState {
    pub(super) fn of(host: &Host) -> Self {
        if host.is_closed() {
            Self::Closed
        } else if host.is_closing() {
            Self::Closing
        } else {
            Self::Opened
        }
    }
}

impl fmt::Display for RunspaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Opened => "Opened",
            Self::Closing => "Closing",
            Self::Closed => "Closed",
        })
    }
}
