//! The connection to the server.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use async_nats::jetstream::stream::{Config as StreamConfig, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, watch};

use super::error::{ClusterError, ClusterErrorKind};
use super::key::{KEY, Key};
use super::names::{ALL_RUNS, RUNS};
use super::sweep;
use crate::per_process::Owner;

/// How long an announcement lasts that nobody renews.
pub(crate) const ANNOUNCED: Duration = Duration::from_secs(120);

/// How long what has been said may take to be sent, at the end of a worker.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How the user wants to be let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) nkey: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) user: Option<(String, String)>,
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) require_tls: bool,
    pub(crate) tls_first: bool,
}

/// The variables that say the same for workers, and for plans.
mod variables {
    pub(super) const CREDENTIALS: &str = "RUNSPACE_CREDENTIALS";
    pub(super) const NKEY: &str = "RUNSPACE_NKEY";
    pub(super) const TLS_CA: &str = "RUNSPACE_TLS_CA";
    pub(super) const TLS_CERT: &str = "RUNSPACE_TLS_CERT";
    pub(super) const TLS_KEY: &str = "RUNSPACE_TLS_KEY";
}

/// A variable that says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|it| !it.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

impl Access {
    /// What the environment says, where the program says nothing.
    pub(crate) fn or_environment(mut self) -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        self.credentials = self.credentials.or_else(|| path(variables::CREDENTIALS));
        self.nkey = self.nkey.or_else(|| variable(variables::NKEY));
        if self.roots.is_empty() {
            self.roots.extend(path(variables::TLS_CA));
        }
        self.certificate = self
            .certificate
            .or_else(|| path(variables::TLS_CERT).zip(path(variables::TLS_KEY)));
        self
    }

    async fn options(self) -> Result<ConnectOptions, ClusterError> {
        let mut options = ConnectOptions::new();
        if let Some(path) = self.credentials {
            options = options.credentials_file(&path).await.map_err(|error| {
                let text = format!("the credentials {} cannot be read: {error}", path.display());
                ClusterError::new(ClusterErrorKind::Options, text)
            })?;
        }
        if let Some(seed) = self.nkey {
            options = options.nkey(seed);
        }
        if let Some(token) = self.token {
            options = options.token(token);
        }
        if let Some((user, password)) = self.user {
            options = options.user_and_password(user, password);
        }
        for root in self.roots {
            options = options.add_root_certificates(root);
        }
        if let Some((certificate, key)) = self.certificate {
            options = options.add_client_certificate(certificate, key);
        }
        if self.require_tls {
            options = options.require_tls(true);
        }
        if self.tls_first {
            options = options.tls_first();
        }
        Ok(options)
    }
}

/// A connection, and the threads that serve it.
pub(crate) struct Connection {
    runtime: Option<Runtime>,
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) key: Key,
    pub(crate) url: String,
    pub(crate) replicas: usize,
    /// Counts how often a connection has been made; 0 in the second place while there is none.
    pub(crate) connected: watch::Receiver<(u64, bool)>,
    runs: OnceCell<()>,
    owner: Owner,
}

/// The oldest server that is good for this: those before it ignore settings that are relied on here.
const OLDEST: (i64, i64, i64) = (2, 10, 0);

impl Connection {
    /// Connects. Blocks; not more than a few seconds.
    pub(crate) fn open(
        url: &str,
        access: Access,
        key: Option<String>,
        replicas: usize,
        threads: usize,
    ) -> Result<Arc<Self>, ClusterError> {
        let secret = key.or_else(|| variable(KEY)).unwrap_or_default();
        let key = Key::of_secret(&secret)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("nats")
            .enable_all()
            .build()
            .map_err(|error| {
                let text = format!("the system gives no threads for the connection: {error}");
                ClusterError::new(ClusterErrorKind::Connect, text)
            })?;
        let (tell, connected) = watch::channel((0_u64, false));
        let to = url.to_owned();
        let connect = async move {
            let options = access.or_environment().options().await?;
            let options = options
                .name("runspace")
                .connection_timeout(Duration::from_secs(5))
                .ping_interval(Duration::from_secs(10))
                .subscription_capacity(1 << 16)
                .client_capacity(1 << 12)
                .reconnect_delay_callback(|tries| {
                    let tries = u32::try_from(tries).unwrap_or(u32::MAX).min(6);
                    Duration::from_millis(25 << tries)
                })
                .event_callback(move |event| {
                    match event {
                        Event::Connected => tell.send_modify(|it| *it = (it.0 + 1, true)),
                        Event::Disconnected | Event::Closed => tell.send_modify(|it| it.1 = false),
                        _ => {}
                    }
                    async {}
                });
            let client = options.connect(&to).await.map_err(|error| {
                let text = format!("no NATS server at {to} lets this program in: {error}");
                ClusterError::new(ClusterErrorKind::Connect, text)
            })?;
            check_server(&client, &to).await?;
            // Which starts a task, and so has to be made there.
            let context = jetstream::new(client.clone());
            Ok::<_, ClusterError>((client, context))
        };
        let (client, context) = wait_on(&runtime, Some(Duration::from_secs(20)), connect)
            .unwrap_or_else(|| Err(too_late(url)))?;
        let connection = Arc::new(Self {
            runtime: Some(runtime),
            client,
            context,
            key,
            url: url.to_owned(),
            replicas,
            connected,
            runs: OnceCell::new(),
            owner: Owner::this(),
        });
        let own = Arc::clone(&connection);
        connection.wait(async move { own.need_runs().await })?;
        Ok(connection)
    }

    fn runtime(&self) -> &Runtime {
        let Some(runtime) = &self.runtime else {
            unreachable!("it is there until the drop");
        };
        runtime
    }

    /// An error in a process that was forked from the one that connected.
    pub(crate) fn check(&self) -> Result<(), ClusterError> {
        let checked = self.owner.check("the cluster's connection");
        checked.map_err(|error| ClusterError::new(ClusterErrorKind::Forked, error.to_string()))
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(task);
    }

    /// Runs `task` there and waits for it, from any thread that is not one of the connection's.
    pub(crate) fn wait<R: Send + 'static>(
        &self,
        task: impl Future<Output = Result<R, ClusterError>> + Send + 'static,
    ) -> Result<R, ClusterError> {
        self.wait_for(Duration::from_secs(60), task)
    }

    /// The same, no longer than `limit`.
    pub(crate) fn wait_for<R: Send + 'static>(
        &self,
        limit: Duration,
        task: impl Future<Output = Result<R, ClusterError>> + Send + 'static,
    ) -> Result<R, ClusterError> {
        self.check()?;
        wait_on(self.runtime(), Some(limit), task).unwrap_or_else(|| Err(too_late(&self.url)))
    }

    /// Sends off what has been said, if the server is there to hear it: without one this would last until it is back.
    pub(crate) async fn flush(&self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.client.flush()).await;
    }

    /// Makes sure of the stream of announcements.
    pub(crate) async fn need_runs(self: &Arc<Self>) -> Result<(), ClusterError> {
        let make = || async {
            self.make_runs().await?;
            let own = Arc::downgrade(self);
            self.spawn(async move {
                if let Some(connection) = own.upgrade() {
                    sweep::sweep(&connection.context).await;
                }
            });
            Ok(())
        };
        let made: Result<&(), ClusterError> = self.runs.get_or_try_init(make).await;
        made.copied()
    }

    /// Makes the stream of announcements, if it is not there.
    pub(crate) async fn make_runs(&self) -> Result<(), ClusterError> {
        let config = StreamConfig {
            name: RUNS.to_owned(),
            subjects: vec![ALL_RUNS.to_owned()],
            max_messages_per_subject: 1,
            max_age: ANNOUNCED,
            storage: StorageType::File,
            num_replicas: self.replicas,
            allow_direct: true,
            ..StreamConfig::default()
        };
        let made = self.context.get_or_create_stream(config).await;
        made.map(drop).map_err(|error| {
            let text = format!(
                "the NATS server at {} has no JetStream for this program: {error}; start it with `-js`, and let \
                 the user manage streams",
                self.url
            );
            ClusterError::new(ClusterErrorKind::JetStream, text)
        })
    }
}

fn too_late(url: &str) -> ClusterError {
    let text = format!("the NATS server at {url} does not answer");
    ClusterError::new(ClusterErrorKind::Outage, text)
}

/// `None` when it takes longer than `limit`.
fn wait_on<R: Send + 'static>(
    runtime: &Runtime,
    limit: Option<Duration>,
    task: impl Future<Output = R> + Send + 'static,
) -> Option<R> {
    // Not `block_on`, which must not be called where another runtime is running.
    let (done, waiting) = channel();
    let task = runtime.spawn(async move {
        let _ = done.send(task.await);
    });
    let Some(limit) = limit else {
        return waiting.recv().ok();
    };
    match waiting.recv_timeout(limit) {
        Ok(value) => Some(value),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            task.abort();
            None
        }
    }
}

async fn check_server(client: &Client, url: &str) -> Result<(), ClusterError> {
    // What the server says of itself is there after a round trip for certain.
    let flushed = tokio::time::timeout(Duration::from_secs(5), client.flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        return Err(too_late(url));
    }
    let (major, minor, patch) = OLDEST;
    if client.is_server_compatible(major, minor, patch) {
        return Ok(());
    }
    let info = client.server_info();
    let text = format!(
        "the NATS server at {url} (`{}`) is version {}; {major}.{minor} is the oldest that keeps the promises made \
         here: earlier ones ignore settings silently, and lose what was acknowledged when they are killed",
        info.server_name, info.version
    );
    Err(ClusterError::new(ClusterErrorKind::Version, text))
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            match self.owner.is_this() {
                true => runtime.shutdown_background(),
                // Its threads are not here.
                false => std::mem::forget(runtime),
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
