//! Jobs on other machines: what `start_job!(on = cluster(&cluster), ..)` expands to.
//!
//! Such a job is a call with one item, which is what the body has captured; the job is fed with what comes of it.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::{Backend, SuspendError};
use super::context::{JobContext, There};
use super::error::JobErrorKind;
use super::feed::{Feeder, Recorder, fed_on, pump};
use super::handle::Job;
use super::record::Level;
use crate::capture::AllSent;
use crate::cluster::{
    Cluster, ClusterError, ClusterErrorKind, SlotIo, SlotItem, SlotLoop, SlotRecorder,
};
use crate::context::{self as surroundings, Context, CurrentJob};
use crate::error::Cause;
use crate::foreach::{IntoCluster, Options, Results, Told, foreach_on, isolated};
use crate::process::child::{Lines, Stream};
use crate::process::entry::{ChildIo, Note, Pointer, Serve};
use crate::process::pool::{ChildItem, ItemLoop, Pool, There as ItemThere, serve_items};
use crate::stop::StopToken;
use crate::values::{SentOutput, made};

/// What the macro passes on. Not named by users, who write `name = "parse"` and the like.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClusterJobOptions {
    name: Option<Arc<str>>,
    timeout: Option<Duration>,
    cluster: Option<Cluster>,
}

impl ClusterJobOptions {
    /// Every option at its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the job.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long the job may take from the start of its body.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// `on = cluster(&cluster)`.
    pub fn on_cluster(mut self, cluster: impl IntoCluster) -> Self {
        self.cluster = Some(cluster.into_cluster());
        self
    }
}

/// A job of one output, on another machine.
#[track_caller]
pub fn cluster_job<K, C, T>(options: ClusterJobOptions, captures: K, body: fn(C) -> T) -> Job<T>
where
    K: AllSent<Itself = C> + 'static,
    C: Serialize + DeserializeOwned + Send + 'static,
    T: SentOutput + 'static,
{
    start(
        options,
        |_| captures.itself(),
        serve_value::<C, T>,
        body,
        Location::caller(),
    )
}

/// A job of as many outputs as it emits, on another machine.
#[track_caller]
pub fn cluster_job_emitting<K, C, T>(
    options: ClusterJobOptions,
    captures: K,
    body: fn(C, &JobContext<T>),
) -> Job<T>
where
    K: AllSent<Itself = C> + 'static,
    C: Serialize + DeserializeOwned + Send + 'static,
    T: SentOutput + 'static,
{
    let with_head = |head| (head, captures.itself());
    start(
        options,
        with_head,
        serve_emitting::<C, T>,
        body,
        Location::caller(),
    )
}

/// What the body of a job can ask of it.
type Head = (u64, String);

/// In a worker.
fn serve_value<C, T>(io: &mut SlotIo, body: fn(C) -> T)
where
    C: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    match io.isolation().cloned() {
        None => SlotLoop::new(io).run(&mut |captures| body(captures)),
        Some(pool) => beside::<C, T, _>(io, &pool, child_value::<C, T>, body),
    }
}

/// In the process that a worker has for a job.
fn child_value<C, T>(io: &mut ChildIo, body: fn(C) -> T)
where
    C: DeserializeOwned,
    T: Serialize,
{
    serve_items(io, |(): (), items: &mut ItemLoop<'_, C, T>| items.run(body));
}

/// The body runs in a process beside the worker: what it prints is then known to be its, and comes home with its records.
fn beside<S, T, F>(io: &mut SlotIo, pool: &Pool, child: Serve<F>, body: F)
where
    S: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
    F: Pointer,
{
    let recorder = io.recorder();
    let told = Told {
        lines: Arc::new(Home(io.recorder())),
        note: &|note| recorder.note(note),
    };
    isolated::<(), S, T, F>(io, pool, &(), child, body, &told);
}

/// What the process of a job prints goes to the client.
struct Home(SlotRecorder);

impl Lines for Home {
    fn line(&self, stream: Stream, line: String) {
        self.0
            .note(Note::now(Level::of_stream(stream).number(), line));
    }
}

/// In a worker.
fn serve_emitting<C, T>(io: &mut SlotIo, body: fn(C, &JobContext<T>))
where
    C: Serialize + DeserializeOwned + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    if let Some(pool) = io.isolation().cloned() {
        return beside::<(Head, C), T, _>(io, &pool, child_emitting::<C, T>, body);
    }
    SlotLoop::new(io).run_emitting(
        &mut |((id, name), captures): (Head, C), slot: Arc<SlotItem<T>>| {
            body(
                captures,
                &JobContext::there(Box::new(Away {
                    id,
                    name,
                    item: slot,
                })),
            );
        },
    );
}

/// In the process that a worker has for a job.
fn child_emitting<C, T>(io: &mut ChildIo, body: fn(C, &JobContext<T>))
where
    C: Serialize + DeserializeOwned + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    serve_items(io, |(): (), items: &mut ItemLoop<'_, (Head, C), T>| {
        items.run_emitting(|((id, name), captures), child: &ChildItem<T>| {
            let item = Arc::new(child.clone());
            body(
                captures,
                &JobContext::there(Box::new(Away { id, name, item })),
            );
        });
    });
}

/// A job as its body sees it, in a worker or in a process beside one.
struct Away<I> {
    id: u64,
    name: String,
    item: Arc<I>,
}

/// The item that a job is, where it runs.
trait Notes {
    fn note(&self, level: u8, text: String);
}

impl<T> Notes for SlotItem<T> {
    fn note(&self, level: u8, text: String) {
        SlotItem::note(self, level, text);
    }
}

impl<T> Notes for ChildItem<T> {
    fn note(&self, level: u8, text: String) {
        ChildItem::note(self, level, text);
    }
}

impl<T: Serialize, I: ItemThere<T> + Notes> There<T> for Away<I> {
    fn emit(&self, value: T) {
        self.item.emit(value);
    }

    fn stop_token(&self) -> StopToken {
        self.item.stop_token()
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn record(&self, level: Level, text: String) {
        self.item.note(level.number(), text);
    }
}

/// Work on other machines, which ends when the call is stopped.
struct OnCluster;

impl Backend for OnCluster {
    fn can_hold(&self) -> bool {
        false
    }

    fn suspend(&self) -> Result<(), SuspendError> {
        Err(SuspendError::new(
            "a job on a cluster cannot be suspended: its worker has other items to run; a job in a process of this \
             machine can, without `on = cluster(..)`",
        ))
    }

    fn resume(&self) -> Result<(), SuspendError> {
        Err(SuspendError::new(
            "a job on a cluster is never suspended, so it cannot be resumed",
        ))
    }
}

/// What the body records goes to the records of its job.
struct ToRecords<T>(Recorder<T>);

impl<T: Send> CurrentJob for ToRecords<T> {
    fn note(&self, level: u8, text: String) {
        self.0.record(Level::of_number(level), text);
    }
}

fn start<S, F, T>(
    options: ClusterJobOptions,
    item: impl FnOnce(Head) -> S,
    serve: Serve<F, SlotIo>,
    body: F,
    source: &'static Location<'static>,
) -> Job<T>
where
    S: Serialize + Send + 'static,
    F: Pointer,
    T: SentOutput + 'static,
{
    let ClusterJobOptions {
        name,
        timeout,
        cluster,
    } = options;
    let stop = StopToken::child_of_current();
    let (job, feeder) = fed_on(
        Box::new(OnCluster),
        name,
        source,
        "start_job!",
        stop.clone(),
    );
    let item = item((job.id(), job.name().to_owned()));
    let mut call = Options::new()
        .name(job.name().to_owned())
        .throttle(1)
        .emitting();
    call.is_job = true;
    if let Some(limit) = timeout {
        call = call.timeout(limit);
    }
    let cluster =
        cluster.ok_or_else(|| ClusterError::new(ClusterErrorKind::Options, "no cluster was named"));
    let entered = surroundings::enter(Context {
        stop: Some(stop),
        job: Some(Arc::new(ToRecords(feeder.recorder()))),
        ..surroundings::current()
    });
    let results = foreach_on(cluster, [item], call, (), serve, body, made::<T>());
    drop(entered);
    pump(feeder, move |feeder| feed(results, feeder));
    job
}

fn feed<T>(results: Results<T>, feeder: Feeder<T>) {
    let mut end = Ok(());
    let took_all = results.took_all();
    for outcome in results.outcomes() {
        match outcome {
            Ok(value) => feeder.output(value),
            Err(error) if end.is_err() && error.is_stopped() => {}
            Err(error) => {
                end = Err(match error.is_stopped() {
                    true => JobErrorKind::Stopped,
                    false => match error.cause() {
                        Cause::Panicked(_) => match error.into_cause() {
                            Cause::Panicked(payload) => JobErrorKind::Panicked(payload),
                            _ => JobErrorKind::Stopped,
                        },
                        _ => JobErrorKind::Item(error),
                    },
                });
            }
        }
    }
    let end = end.and_then(|()| feeder.end_without_failure(took_all()));
    feeder.finish(end);
}
