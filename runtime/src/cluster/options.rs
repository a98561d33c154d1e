//! `Cluster`, and how it is set up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::connect::{Access, Connection};
use super::error::{ClusterError, ClusterErrorKind};
use crate::per_process::PerProcess;
use crate::sync::Mutex;

/// A cluster: a NATS server, and the workers that are connected to it.
///
/// `on = cluster(&cluster)` runs a loop on every machine that has a worker of this very program, which is started there as
/// `RUNSPACE_WORKER=nats://host:4222 program`. Clones are the same connection.
///
/// ```no_run
/// use runspace::cluster::Cluster;
/// use runspace::foreach_parallel;
///
/// # fn main() -> Result<(), runspace::cluster::ClusterError> {
/// let cluster = Cluster::connect("nats://localhost:4222")?; // with RUNSPACE_KEY set, here and for workers
/// let sum: u64 = foreach_parallel!(1..=1000_u64, on = cluster(&cluster), |n| n * n).sum();
/// assert_eq!(sum, 333_833_500);
/// # Ok(())
/// # }
/// ```
///
/// See [the module](crate::cluster) for what is promised.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(crate) connection: Arc<Connection>,
    pub(crate) settings: Settings,
}

/// The longest time that a dead worker may go unnoticed for.
const LONGEST_ACK_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What calls on a cluster are like.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ack_wait: Duration,
    pub(crate) max_deliver: u32,
    pub(crate) isolate: bool,
    pub(crate) replicas: usize,
    pub(crate) outage: Duration,
    pub(crate) worker_timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ack_wait: Duration::from_secs(30),
            max_deliver: 5,
            isolate: false,
            replicas: 1,
            outage: Duration::from_secs(300),
            worker_timeout: None,
        }
    }
}

impl Cluster {
    /// Connects to the NATS server at `url`, with the key in the variable `RUNSPACE_KEY`.
    ///
    /// Several servers of one NATS cluster may stand behind each other, separated by commas. A URL that begins with `tls://` asks for
    /// TLS; one may have `user:password@` in it.
    ///
    /// # Errors
    /// There is no key; no server is there, or it does not let this program in; it is older than 2.10 or has no JetStream.
    pub fn connect(url: impl Into<String>) -> Result<Self, ClusterError> {
        Self::builder(url).connect()
    }

    /// The connection that all calls of this process share which name nothing but an address.
    pub(crate) fn shared(url: &str) -> Result<Self, ClusterError> {
        static SHARED: PerProcess<Mutex<HashMap<String, Cluster>>> =
            PerProcess::new(Mutex::default);
        let mut shared = SHARED.lock();
        if let Some(cluster) = shared.get(url) {
            return Ok(cluster.clone());
        }
        let cluster = Self::connect(url)?;
        shared.insert(url.to_owned(), cluster.clone());
        Ok(cluster)
    }

    /// The settings of a connection, at their defaults.
    pub fn builder(url: impl Into<String>) -> ClusterBuilder {
        ClusterBuilder {
            url: url.into(),
            key: None,
            access: Access::default(),
            settings: Settings::default(),
        }
    }

    /// Where it is connected to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.connection.url
    }
}

/// The settings of a [`Cluster`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use runspace::cluster::Cluster;
///
/// # fn main() -> Result<(), runspace::cluster::ClusterError> {
/// let cluster = Cluster::builder("tls://nats.example.org:4222")
///     .credentials_file("/etc/runspace/user.creds")
///     .root_certificates("/etc/runspace/ca.pem")
///     .ack_wait(Duration::from_secs(60))
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until `connect` makes a connection with them"]
pub struct ClusterBuilder {
    url: String,
    key: Option<String>,
    access: Access,
    settings: Settings,
}

impl ClusterBuilder {
    /// The secret that clients and workers share, of at least 16 bytes. Without it that is `RUNSPACE_KEY`.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The file with a user's JWT and seed, as `nsc` writes it. Without it that is `RUNSPACE_CREDENTIALS`, if set.
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.access.credentials = Some(path.into());
        self
    }

    /// The seed of an nkey, which begins with `SU`. Without it that is `RUNSPACE_NKEY`, if set.
    pub fn nkey(mut self, seed: impl Into<String>) -> Self {
        self.access.nkey = Some(seed.into());
        self
    }

    /// A token that the server asks for.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.access.token = Some(token.into());
        self
    }

    /// A name and a password that the server asks for.
    pub fn user_and_password(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.access.user = Some((user.into(), password.into()));
        self
    }

    /// A file of certificates, in PEM, of which one has to have signed that of the server. Without it those are
    /// `RUNSPACE_TLS_CA`, if set, and those of the system.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.access.roots.push(path.into());
        self
    }

    /// The certificate of this program and its key, in PEM files. Without it those are `RUNSPACE_TLS_CERT` and
    /// `RUNSPACE_TLS_KEY`, if set.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.access.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Whether a connection without TLS will do; it does unless this says so or the URL begins with `tls://`.
    pub fn require_tls(mut self, required: bool) -> Self {
        self.access.require_tls = required;
        self
    }

    /// The server begins with TLS, and says who it is after that (`handshake_first` in its settings).
    pub fn tls_first(mut self) -> Self {
        self.access.tls_first = true;
        self
    }

    /// How long a worker may be silent about an item before another is given it; 30 s when left out. Workers speak of
    /// items that take longer, three times in this time: it limits no item, but how soon the death of a
    /// worker is noticed.
    ///
    /// # Panics
    /// On less than 100 ms, and on more than a day.
    #[track_caller]
    pub fn ack_wait(mut self, time: Duration) -> Self {
        assert!(
            time >= Duration::from_millis(100),
            "an `ack_wait` of less than 100 ms would have items run twice whenever a machine is busy"
        );
        assert!(
            time <= LONGEST_ACK_WAIT,
            "an `ack_wait` of more than a day would leave the items of a worker that has died undone for as long"
        );
        self.settings.ack_wait = time;
        self
    }

    /// How often an item is delivered at most before it ends as an error, if no worker comes to its end with it; 5 when
    /// left out. An item is delivered again when its worker died or left.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn max_deliver(mut self, times: u32) -> Self {
        assert!(times > 0, "an item has to be delivered at least once");
        self.settings.max_deliver = times;
        self
    }

    /// Whether each item runs in a worker process of the host it is on, so that a body which crashes costs its item
    /// and not a worker; `false` when left out. A worker can be started that way as well, by `RUNSPACE_ISOLATE=1`.
    pub fn isolate(mut self, isolate: bool) -> Self {
        self.settings.isolate = isolate;
        self
    }

    /// On how many servers of a NATS cluster the streams are kept; 1 when left out.
    ///
    /// # Panics
    /// Unless it is from 1 to 5.
    #[track_caller]
    pub fn replicas(mut self, count: usize) -> Self {
        assert!((1..=5).contains(&count), "NATS keeps 1 to 5 replicas");
        self.settings.replicas = count;
        self
    }

    /// How long the server may be out of reach before calls fail; 5 minutes when left out.
    pub fn outage(mut self, limit: Duration) -> Self {
        self.settings.outage = limit;
        self
    }

    /// How long a call waits for the first worker of this build; without this, for as long as it takes.
    pub fn worker_timeout(mut self, limit: Duration) -> Self {
        self.settings.worker_timeout = Some(limit);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Cluster::connect`].
    pub fn connect(self) -> Result<Cluster, ClusterError> {
        let Self {
            url,
            key,
            access,
            settings,
        } = self;
        if url.trim().is_empty() {
            return Err(ClusterError::new(
                ClusterErrorKind::Options,
                "the address of the NATS server is empty; write, say, `nats://localhost:4222`",
            ));
        }
        let connection = Connection::open(&url, access, key, settings.replicas, 1)?;
        Ok(Cluster {
            connection,
            settings,
        })
    }
}
