//! What can go wrong between machines.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why work on a cluster has no value: the server cannot be reached or used, nobody came to do the work, or those
/// who did have been lost.
///
/// Prints as a sentence with what to do.
///
/// ```
/// use runspace::cluster::{Cluster, ClusterErrorKind};
///
/// let error = Cluster::builder("nats://127.0.0.1:1").key("a secret of some length").connect().unwrap_err();
/// assert_eq!(error.kind(), ClusterErrorKind::Connect);
/// assert!(error.to_string().contains("nats://127.0.0.1:1"));
/// ```
#[derive(Clone)]
pub struct ClusterError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ClusterErrorKind,
    text: String,
}

/// The kinds of [`ClusterError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClusterErrorKind {
    /// An option or a variable of the environment says something that cannot be used.
    Options,
    /// There is no key, or one that is too short.
    Key,
    /// No server answers there, or it does not let this program in.
    Connect,
    /// The server is too old.
    Version,
    /// The server has no JetStream, or does not let this program use it.
    JetStream,
    /// A request to the server has failed.
    Server,
    /// The server could not be reached for longer than the `outage` that is allowed.
    Outage,
    /// The body cannot be found by other processes.
    NotInProgram,
    /// A value cannot be written or read.
    Value,
    /// No worker of this build came in time.
    NoWorker,
    /// An item was delivered as often as is allowed, and no worker came to its end with it.
    Poison,
    /// The worker that ran it was lost when nobody could be given the item any more.
    WorkerLost,
    /// The worker's own process for the item crashed or could not be had.
    Worker,
    /// Where it was made, this process was another one: it has been forked since.
    Forked,
}

impl ClusterError {
    pub(crate) fn new(kind: ClusterErrorKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            inner: Arc::new(Inner { kind, text }),
        }
    }

    /// A request has failed.
    pub(crate) fn server(what: &str, error: impl fmt::Display) -> Self {
        Self::new(
            ClusterErrorKind::Server,
            format!("the NATS server could not {what}: {error}"),
        )
    }

    /// Which kind of thing it was.
    #[must_use]
    pub fn kind(&self) -> ClusterErrorKind {
        self.inner.kind
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

impl fmt::Debug for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterError")
            .field("kind", &self.inner.kind)
            .field("text", &self.inner.text)
            .finish()
    }
}

impl Error for ClusterError {}
