//! A process that works for whoever has the key: it looks for runs of its own build, and serves them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::super::connect::{Access, Connection, variable};
use super::super::error::{ClusterError, ClusterErrorKind};
use super::super::key::Sealed;
use super::super::message::{Build, Heard, WorkerReport, write};
use super::super::names::{ALL_RUNS, PING, RUNS};
use super::serving::{self, Ended};
use crate::sync::Mutex;

/// What the environment says of this worker.
#[derive(Debug)]
pub(crate) struct Wishes {
    pub(crate) url: String,
    /// The one run that it is for, if it is.
    pub(crate) run: Option<String>,
    pub(crate) slots: usize,
    pub(crate) isolate: bool,
    /// How long what runs may go on after SIGTERM.
    pub(crate) grace: Duration,
}

impl Wishes {
    pub(crate) fn of_environment(url: String) -> Result<Self, ClusterError> {
        let number = |name: &str| match variable(name) {
            None => Ok(None),
            Some(text) => text.trim().parse::<u64>().map(Some).map_err(|_| {
                let text = format!("{name} is `{text}`, which is no number");
                ClusterError::new(ClusterErrorKind::Options, text)
            }),
        };
        let slots = number("RUNSPACE_SLOTS")?;
        if slots == Some(0) {
            return Err(ClusterError::new(
                ClusterErrorKind::Options,
                "RUNSPACE_SLOTS is 0: a worker without slots would never run anything",
            ));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let slots = slots.map_or(cores, |it| usize::try_from(it).unwrap_or(usize::MAX));
        let isolate = variable("RUNSPACE_ISOLATE").is_some_and(|it| it != "0");
        let grace = number("RUNSPACE_GRACE")?.unwrap_or(20);
        Ok(Self {
            url,
            run: variable("RUNSPACE_RUN"),
            slots,
            isolate,
            grace: Duration::from_secs(grace),
        })
    }
}

/// This process as a worker.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: u64,
    /// `host (pid 4711)`
    pub(crate) place: String,
    name: String,
    pub(crate) connection: Arc<Connection>,
    pub(crate) slots: usize,
    pub(crate) isolate: bool,
    build: Build,
    /// Changes when it is told to leave, and when it has no more time to.
    pub(crate) leaving: watch::Receiver<bool>,
    must_go: AtomicBool,
    /// Items in hand, for each run that is served.
    busy: Mutex<HashMap<String, usize>>,
    done: AtomicU64,
}

impl Host {
    /// One line on stderr.
    pub(crate) fn say(&self, text: &str) {
        eprintln!("runspace: {text}");
    }

    /// Whether what runs is to be handed back, too.
    pub(crate) fn must_go(&self) -> bool {
        self.must_go.load(Ordering::SeqCst)
    }

    pub(crate) fn count_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how many items of a run are in hand.
    pub(crate) fn set_busy(&self, run: &str, count: usize) {
        if let Some(busy) = self.busy.lock().get_mut(run) {
            *busy = count;
        }
    }

    /// How many slots a run has: all of them, or its part of them beside other runs that have work.
    pub(crate) fn share(&self, run: &str) -> usize {
        let busy = self.busy.lock();
        let others = busy
            .iter()
            .filter(|(name, count)| **count > 0 && *name != run);
        (self.slots / (1 + others.count())).max(1)
    }

    fn report(&self) -> WorkerReport {
        let busy = self.busy.lock();
        WorkerReport {
            id: self.id,
            host: self.name.clone(),
            pid: std::process::id(),
            build: self.build.clone(),
            slots: self.slots,
            busy: busy.values().sum(),
            runs: busy.keys().cloned().collect(),
            done: self.done.load(Ordering::Relaxed),
            leaving: *self.leaving.borrow(),
        }
    }
}

/// Works until told to leave. Answers the exit code.
pub(crate) fn work(wishes: &Wishes) -> Result<i32, ClusterError> {
    let connection = Connection::open(&wishes.url, Access::default(), None, 1, 1)?;
    let (leave, leaving) = watch::channel(false);
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let host = Arc::new(Host {
        id: fresh_id(),
        place: format!("{name} (pid {})", std::process::id()),
        name,
        connection: Arc::clone(&connection),
        slots: wishes.slots,
        isolate: wishes.isolate,
        build: Build::own(),
        leaving,
        must_go: AtomicBool::new(false),
        busy: Mutex::default(),
        done: AtomicU64::new(0),
    });
    let whom = match &wishes.run {
        Some(run) => format!("run {run}"),
        None => "any run of this build".to_owned(),
    };
    host.say(&format!(
        "a worker for {whom} at {}, with {} slots, of build {}",
        wishes.url, wishes.slots, host.build
    ));
    let (run, grace) = (wishes.run.clone(), wishes.grace);
    let search = Search::new(Arc::clone(&host), run);
    // For as long as it takes.
    connection.wait_for(Duration::from_secs(u64::MAX / 4), async move {
        tokio::spawn(await_signals(Arc::clone(&host), leave, grace));
        search.run().await
    })
}

fn fresh_id() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// SIGTERM and SIGINT: finish what runs, and leave; a second one, or the end of the grace: leave.
async fn await_signals(host: Arc<Host>, leave: watch::Sender<bool>, grace: Duration) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    host.say(&format!(
        "told to leave: takes no more items, and has {} s for those in hand",
        grace.as_secs()
    ));
    let _ = leave.send(true);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = tokio::time::sleep(grace) => {}
    }
    host.must_go.store(true, Ordering::SeqCst);
    let _ = leave.send(true);
    // Bodies that do not listen are left alone, and others are given their items.
    tokio::time::sleep(Duration::from_secs(2)).await;
    host.connection.flush().await;
    std::process::exit(0);
}

/// A run that is not served any more, and why.
type End = (String, Result<Ended, String>);

/// Looks for runs.
struct Search {
    host: Arc<Host>,
    only: Option<String>,
    /// Runs that are served now.
    served: HashSet<String>,
    /// Runs that are none of this worker's business, or over.
    passed: HashSet<String>,
    ended: (mpsc::UnboundedSender<End>, mpsc::UnboundedReceiver<End>),
}

impl Search {
    fn new(host: Arc<Host>, only: Option<String>) -> Self {
        Self {
            host,
            only,
            served: HashSet::new(),
            passed: HashSet::new(),
            ended: mpsc::unbounded_channel(),
        }
    }

    async fn run(mut self) -> Result<i32, ClusterError> {
        let connection = Arc::clone(&self.host.connection);
        let subscribe = |subject: &'static str| {
            let client = connection.client.clone();
            async move {
                let it = client.subscribe(subject).await;
                it.map_err(|error| ClusterError::server("take a subscription", error))
            }
        };
        let mut announced = subscribe(ALL_RUNS).await?;
        let mut pings = subscribe(PING).await?;
        let mut leaving = self.host.leaving.clone();
        let mut connected = connection.connected.clone();
        let mut look = tokio::time::interval(Duration::from_secs(5));
        let mut out_since = None;
        loop {
            tokio::select! {
                Some(message) = announced.next() => {
                    if let Some(code) = self.hear(&message.payload).await {
                        return Ok(code);
                    }
                }
                Some(ping) = pings.next() => self.answer(&ping).await,
                _ = look.tick() => {
                    if let Some(code) = self.look().await {
                        return Ok(code);
                    }
                    out_since = match connected.borrow().1 {
                        true => None,
                        false => out_since.or_else(|| Some(tokio::time::Instant::now())),
                    };
                    if out_since.is_some_and(|it| it.elapsed() > OUTAGE) {
                        let text = format!("the NATS server at {} has been out of reach for too long", connection.url);
                        return Err(ClusterError::new(ClusterErrorKind::Outage, text));
                    }
                }
                _ = connected.changed() => {
                    connected.borrow_and_update();
                    look.reset_immediately();
                }
                Some((run, end)) = self.ended.1.recv() => {
                    self.served.remove(&run);
                    self.host.busy.lock().remove(&run);
                    match end {
                        Ok(Ended::Over) => {}
                        Ok(Ended::Left) => {}
                        Err(text) => self.host.say(&format!("run {run} cannot be served: {text}")),
                    }
                    if self.only.as_deref() == Some(run.as_str()) {
                        return Ok(0);
                    }
                }
                _ = leaving.changed() => {}
            }
            if *leaving.borrow() && self.served.is_empty() {
                connection.flush().await;
                return Ok(0);
            }
        }
    }

    /// Looks at all runs that are announced: what was said while nobody listened.
    async fn look(&mut self) -> Option<i32> {
        let context = &self.host.connection.context;
        let stream = context.get_stream_no_info(RUNS).await.ok()?;
        let mut subjects = stream.info_with_subjects(">").await.ok()?;
        let mut all = HashSet::new();
        while let Ok(Some((subject, _))) = subjects.try_next().await {
            let run = subject.rsplit('.').next().unwrap_or_default().to_owned();
            let known = self.served.contains(&run) || self.passed.contains(&run);
            all.insert(run);
            if known {
                continue;
            }
            if let Ok(message) = stream.get_last_raw_message_by_subject(&subject).await
                && let Some(code) = self.hear(&message.payload).await
            {
                return Some(code);
            }
        }
        self.passed.retain(|it| all.contains(it));
        None
    }

    /// An announcement: serves the run, if it is one to be served. Answers the exit code if that is the end.
    async fn hear(&mut self, message: &Bytes) -> Option<i32> {
        let Some(heard) = Heard::read(message, &self.host.connection.key) else {
            if self
                .passed
                .insert(format!("{:x?}", &message[..message.len().min(16)]))
            {
                self.host
                    .say("refused the announcement of a run: it was not made with this key");
            }
            return None;
        };
        let is_known = self.served.contains(&heard.run) || self.passed.contains(&heard.run);
        let is_wanted = self.only.as_ref().is_none_or(|only| *only == heard.run);
        if is_known || !is_wanted || *self.host.leaving.borrow() {
            return None;
        }
        let own = Build::own();
        if heard.build != own {
            self.passed.insert(heard.run.clone());
            serving::refuse(&self.host, &heard).await;
            let text = format!(
                "run {} is of another build: it has {}, and this program {own}",
                heard.run, heard.build
            );
            self.host.say(&text);
            self.host.connection.flush().await;
            return self.only.is_some().then_some(1);
        }
        self.served.insert(heard.run.clone());
        self.host.busy.lock().insert(heard.run.clone(), 0);
        let (host, ended) = (Arc::clone(&self.host), self.ended.0.clone());
        tokio::spawn(async move {
            let run = heard.run.clone();
            let end = serving::serve(host, heard).await;
            let _ = ended.send((run, end));
        });
        None
    }

    /// Somebody asks what this worker does.
    async fn answer(&self, ping: &Message) {
        let key = &self.host.connection.key;
        let Some(reply) = &ping.reply else {
            return;
        };
        if key.open(Sealed::Control, &ping.payload).is_none() {
            return;
        }
        if let Ok(report) = write(key, Sealed::Note, &self.host.report(), &[]) {
            let _ = self
                .host
                .connection
                .client
                .publish(reply.clone(), report)
                .await;
        }
    }
}

/// How long a worker waits for its server to come back.
const OUTAGE: Duration = Duration::from_secs(1800);
