//! The side that has work done: one call, or one job.
//!
//! [`Run`] is what the thread of the call has in hand: it gives items and takes news. Everything that goes on between it
//! and the server is the business of one task, [`actor`].

mod actor;
mod far;
mod streams;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::connect::Connection;
use super::error::{ClusterError, ClusterErrorKind};
use super::message::{Announcement, Build, Said, Stored};
use super::names::Names;
use super::options::{Cluster, Settings};
use super::store::Store;
use super::worker::SlotIo;
use crate::key::CallKey;
use crate::process::entry::Body;
use crate::sync::Mutex;

/// What is known of a run before it starts.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) body: Body<SlotIo>,
    /// What is captured; nothing if that takes no bytes.
    pub(crate) captures: Vec<u8>,
    /// The most items that are with workers at once, if that is limited.
    pub(crate) throttle: Option<usize>,
    /// What errors call it.
    pub(crate) title: String,
    pub(crate) is_job: bool,
    /// Items emit, and their outputs are read in the order of the items.
    pub(crate) in_order: bool,
}

/// What the run has to say.
#[derive(Debug)]
pub(crate) enum News {
    /// Something of an item, in its order.
    Said {
        index: u64,
        attempt: u32,
        said: Said,
        took: Duration,
        value: Bytes,
    },
    /// The item has ended without a worker's word.
    Failed {
        index: u64,
        attempt: u32,
        error: ClusterError,
    },
    /// The item has not begun, and will not.
    NotRun { index: u64, attempt: u32 },
    /// All workers that there are have so many slots together.
    Slots(usize),
    /// The run cannot go on.
    Over(ClusterError),
}

/// What the run is asked for.
enum Command {
    Item {
        index: u64,
        attempt: u32,
        limit: Option<Duration>,
        value: Vec<u8>,
    },
    Throttle(usize),
    /// Nothing starts any more; if `stop`, what runs is to stop, too.
    Close {
        stop: bool,
    },
    /// There is room for news again.
    Room,
    Turn(Turn),
    /// All is done: nothing is to be left of it.
    Finish(Sender<()>),
}

/// The item whose outputs are read now, in a run in order, and the number of the first that there is no room for yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) index: u64,
    pub(crate) attempt: u32,
    pub(crate) room: u64,
}

/// What the two sides share.
struct Shared {
    news: Mutex<VecDeque<News>>,
    has_news: AtomicBool,
    /// Whoever takes them has enough for now.
    full: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    fn tell_all(&self, all: impl IntoIterator<Item = News>) {
        let mut news = self.news.lock();
        let before = news.len();
        news.extend(all);
        let is_more = news.len() > before;
        drop(news);
        if is_more {
            self.has_news.store(true, Ordering::SeqCst);
            (self.wake)();
        }
    }
}

/// Tells the thread of the call if the task of the run goes by a panic: it would wait for news for ever.
struct EndInWords(Arc<Shared>);

impl Drop for EndInWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = "the task of this program that speaks to the server for the call has panicked; its message \
                        is on stderr. That is a bug of runspace: please report it, and run the call again";
            let error = ClusterError::new(ClusterErrorKind::Server, text);
            self.0.tell_all([News::Over(error)]);
        }
    }
}

/// A run, as the thread of the call has it. Dropped, it is over, and nothing is left of it on the server.
pub(crate) struct Run {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    commands: UnboundedSender<Command>,
    names: Names,
}

/// How long the end of a run may take, if the server does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Run {
    /// Starts a run. `wake` is called when there is news.
    pub(crate) fn start(
        cluster: &Cluster,
        plan: Plan,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, ClusterError> {
        let Cluster {
            connection,
            settings,
        } = cluster.clone();
        connection.check()?;
        let call = CallKey::fresh();
        let names = Names::new(call.to_string());
        let shared = Arc::new(Shared {
            news: Mutex::default(),
            has_news: AtomicBool::new(false),
            full: AtomicBool::new(false),
            wake,
        });
        let (commands, to_do) = unbounded_channel();
        let start = begin(
            Arc::clone(&connection),
            settings,
            call,
            plan,
            Arc::clone(&shared),
        );
        let starting = Arc::clone(&connection);
        let running = Arc::clone(&shared);
        connection.wait(async move {
            let actor = start.await?;
            let end = EndInWords(running);
            starting.spawn(async move {
                actor.run(to_do).await;
                drop(end);
            });
            Ok(())
        })?;
        Ok(Self {
            connection,
            shared,
            commands,
            names,
        })
    }

    /// Has an item run.
    pub(crate) fn give(&self, index: u64, attempt: u32, limit: Option<Duration>, value: Vec<u8>) {
        self.send(Command::Item {
            index,
            attempt,
            limit,
            value,
        });
    }

    pub(crate) fn set_throttle(&self, throttle: usize) {
        self.send(Command::Throttle(throttle));
    }

    /// Has no item start any more. Each that was given still ends in one way.
    pub(crate) fn close(&self, stop: bool) {
        self.send(Command::Close { stop });
    }

    /// Says whether there is no room for more news.
    pub(crate) fn set_full(&self, full: bool) {
        if self.shared.full.swap(full, Ordering::SeqCst) && !full {
            self.send(Command::Room);
        }
    }

    /// Says whose turn it is, and how far its outputs may be read.
    pub(crate) fn set_turn(&self, turn: Turn) {
        self.send(Command::Turn(turn));
    }

    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    pub(crate) fn has_news(&self) -> bool {
        self.shared.has_news.load(Ordering::SeqCst)
    }

    /// Takes what there is.
    pub(crate) fn take_news(&self) -> VecDeque<News> {
        let mut news = self.shared.news.lock();
        self.shared.has_news.store(false, Ordering::SeqCst);
        std::mem::take(&mut *news)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.connection.check().is_err() {
            return;
        }
        let (done, waiting) = channel();
        self.send(Command::Finish(done));
        let _ = waiting.recv_timeout(PATIENCE);
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("run", &self.names.run)
            .finish_non_exhaustive()
    }
}

/// Makes what a run needs on the server, and announces it.
async fn begin(
    connection: Arc<Connection>,
    settings: Settings,
    call: CallKey,
    plan: Plan,
    shared: Arc<Shared>,
) -> Result<actor::Actor, ClusterError> {
    connection.need_runs().await?;
    let names = Names::new(call.to_string());
    let context = connection.context.clone();
    let store = Arc::new(Store::new(context, &names, settings.replicas));
    let streams = streams::Streams::new(
        &connection,
        &settings,
        names.clone(),
        plan.throttle,
        plan.in_order,
    );
    let captures = async {
        match plan.captures.is_empty() {
            true => Ok::<Option<Stored>, ClusterError>(None),
            false => Ok(Some(
                store.put("captures".to_owned(), &plan.captures).await?,
            )),
        }
    };
    let (made, captures) = tokio::join!(streams.make(), captures);
    let begun = async {
        made?;
        let client = format!(
            "{} (pid {})",
            rustix::system::uname().nodename().to_string_lossy(),
            std::process::id()
        );
        let announcement = Announcement {
            run: names.run.clone(),
            key: call,
            body: plan.body,
            captures: captures?,
            ack_wait: settings.ack_wait,
            isolate: settings.isolate,
            is_job: plan.is_job,
            in_order: plan.in_order,
            title: plan.title,
            client,
        };
        let announcement = Bytes::from(announcement.write(&Build::own(), &connection.key)?);
        let key = connection.key.of_run(&announcement);
        let actor = actor::Actor::open(
            Arc::clone(&connection),
            settings,
            key,
            announcement,
            streams.clone(),
            Arc::clone(&store),
            shared,
        )
        .await?;
        actor.announce().await?;
        Ok(actor)
    };
    let begun = begun.await;
    if begun.is_err() {
        streams.remove().await;
    }
    begun
}
