//! Runspaces: threads that are kept, with state that survives from one body to the next.
//!
//! [`Runspace`] is one of them, [`RunspacePool`] a few that share a queue. Both are handles of a
//! [`host`], which has the queue, the threads and the rules. What [`invoke!`](crate::invoke) starts
//! is an [`Invocation`].
//!
//! Beside that stands [`waits`](crate::waits), which lets bodies wait for other work where that can end, and says
//! where it cannot. [`here`] tells which runspace a thread is.
//!
//! No lock is held while code of the user's runs. Where two are held, they were taken in this
//! order: waits, a host's line.

mod context;
mod error;
mod handle;
mod here;
mod host;
mod invocation;
mod options;
mod pool;
mod single;

use std::panic::Location;
use std::sync::Arc;

pub use context::RunspaceContext;
pub use error::{OpenError, OpenErrorKind};
pub use host::LimitsError;
pub use invocation::{Invocation, InvocationError, InvocationErrorKind, InvocationState};
pub use options::InvokeOptions;
pub use pool::{RunspacePool, RunspacePoolBuilder, on_pool};
pub use single::{Runspace, RunspaceBuilder, RunspaceState};

use host::Host;

use crate::capture::AllMoved;
use crate::values::{Made, Output};

mod sealed {
    use std::sync::Arc;

    use super::host::Host;

    /// Keeps [`Invoke`](super::Invoke) to this crate.
    pub trait Sealed {
        #[doc(hidden)]
        #[allow(private_interfaces, reason = "nobody else can call it")]
        fn host(&self) -> &Arc<Host>;
    }
}

/// What a body can be invoked on: `&Runspace` or `&RunspacePool`.
///
/// It cannot be implemented outside of this crate.
#[diagnostic::on_unimplemented(
    message = "a body cannot be invoked on `{Self}`",
    label = "not a runspace or a pool",
    note = "it can be invoked on a `&Runspace` or a `&RunspacePool`: write `invoke!(&runspace, ..)`"
)]
pub trait Invoke: sealed::Sealed {}

impl sealed::Sealed for &Runspace {
    #[allow(private_interfaces, reason = "nobody else can call it")]
    fn host(&self) -> &Arc<Host> {
        self.handle.host()
    }
}

impl sealed::Sealed for &RunspacePool {
    #[allow(private_interfaces, reason = "nobody else can call it")]
    fn host(&self) -> &Arc<Host> {
        self.handle.host()
    }
}

impl Invoke for &Runspace {}
impl Invoke for &RunspacePool {}

/// Starts a body. What `invoke!` expands to.
#[track_caller]
pub fn invoke<X, C, M, R>(
    target: X,
    options: InvokeOptions,
    captures: C,
    maker: M,
    _: Made<R>,
) -> Invocation<R>
where
    X: Invoke,
    C: AllMoved + 'static,
    M: FnOnce(C) -> R + Send + 'static,
    R: Output + 'static,
{
    let body = move |_: &mut RunspaceContext| maker(captures);
    Invocation::start(target.host(), options.name, Location::caller(), body)
}

/// Starts a body that is given its runspace. What `invoke!` with `|rs|` expands to.
#[track_caller]
pub fn invoke_with_state<X, C, M, R>(
    target: X,
    options: InvokeOptions,
    captures: C,
    maker: M,
    _: Made<R>,
) -> Invocation<R>
where
    X: Invoke,
    C: AllMoved + 'static,
    M: FnOnce(C, &mut RunspaceContext) -> R + Send + 'static,
    R: Output + 'static,
{
    let body = move |runspace: &mut RunspaceContext| maker(captures, runspace);
    Invocation::start(target.host(), options.name, Location::caller(), body)
}
