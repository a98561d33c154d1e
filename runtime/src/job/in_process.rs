//! Jobs in processes of their own: what `start_job!` expands to.
//!
//! A thread of this process, the *pump*, sends the body and takes in what comes of it; the job is
//! fed from there like one that stands for a call. The body itself runs in a child, see
//! [`process`](crate::process).

use std::ffi::OsString;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::{Backend, SuspendError};
use super::context::{JobContext, There};
use super::error::JobErrorKind;
use super::feed::{Feeder, Recorder, fed_on, pump};
use super::handle::Job;
use super::record::{Level, Record};
use crate::capture::AllSent;
use crate::error::drop_caught;
use crate::named::NamedJob;
use crate::policy;
use crate::process::call::{ChildJob, Event, Running, call, fresh, serve_call, serve_job};
use crate::process::child::{Handle, Lines, Patience, Stream, Supervisor};
use crate::process::entry::{Body, ChildIo, Setup};
use crate::process::limits;
use crate::process::{Failure, ProcessError, Start};
use crate::stop::StopToken;
use crate::sync::Mutex;
use crate::trace;
use crate::values::SentOutput;

/// What the macro passes on. Not named by users, who write `name = "parse"` and the like.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ProcessJobOptions {
    name: Option<Arc<str>>,
    variables: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    memory: Option<u64>,
    cpu_time: Option<Duration>,
    open_files: Option<u64>,
    timeout: Option<Duration>,
    grace: Option<Duration>,
}

impl ProcessJobOptions {
    /// Every option at its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the job.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Variables that the child has beside those of this process, or instead of them.
    pub fn env<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let pairs = variables
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        self.variables.extend(pairs);
        self
    }

    /// The working directory of the child, if it is not that of this process.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The most memory that the child may have, in bytes of address space.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn memory(mut self, bytes: u64) -> Self {
        limits::check_memory(bytes);
        self.memory = Some(bytes);
        self
    }

    /// The most processor time that the child may use; whole seconds, rounded up.
    ///
    /// # Panics
    /// On no time at all.
    #[track_caller]
    pub fn cpu_time(mut self, limit: Duration) -> Self {
        limits::check_cpu_time(limit);
        self.cpu_time = Some(limit);
        self
    }

    /// The most descriptors that the child may have open at once.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn open_files(mut self, count: u64) -> Self {
        limits::check_open_files(count);
        self.open_files = Some(count);
        self
    }

    /// How long the job may take from its start before it is ended.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long a child that is to stop has between SIGTERM and SIGKILL. 2 s when left out.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Cannot be called: without the feature `cluster` nothing is a cluster.
    #[cfg(not(feature = "cluster"))]
    pub fn on_cluster(self, _: impl crate::foreach::IntoCluster) -> Self {
        self
    }

    fn patience(&self) -> Patience {
        Patience {
            terminated: self.grace.unwrap_or(Patience::DEFAULT.terminated),
            ..Patience::DEFAULT
        }
    }

    /// What the child is told before its body, if anything.
    fn setup(&self) -> Option<Setup> {
        let mut setup = Setup::default();
        if !self.variables.is_empty() {
            let mut all: std::collections::BTreeMap<_, _> = std::env::vars_os().collect();
            all.extend(self.variables.iter().cloned());
            setup.environment = Some(all.into_iter().collect());
        }
        setup.directory.clone_from(&self.directory);
        setup.limits.memory = self.memory;
        setup.limits.cpu = self.cpu_time.map(limits::whole_seconds);
        setup.limits.files = self.open_files;
        (setup != Setup::default()).then_some(setup)
    }
}

/// A job of one output, in a process of its own.
#[track_caller]
pub fn process_job<K, C, T>(options: ProcessJobOptions, captures: K, body: fn(C) -> T) -> Job<T>
where
    K: AllSent<Itself = C> + 'static,
    C: 'static,
    T: SentOutput + 'static,
{
    one_output::<K, T>(options, None, captures, body)
}

/// A job of one output in a process of its own: a function with `#[runspace::job]`, by its name. What
/// `start_job!(path::function(..))` expands to.
#[track_caller]
pub fn named_job<J: NamedJob>(options: ProcessJobOptions, job: J) -> Job<J::Output> {
    job.start(options)
}

/// The same, where the function is.
#[track_caller]
pub fn function_job<K, C, T>(
    options: ProcessJobOptions,
    name: &'static str,
    arguments: K,
    function: fn(C) -> T,
) -> Job<T>
where
    K: AllSent<Itself = C> + 'static,
    C: 'static,
    T: SentOutput + 'static,
{
    one_output::<K, T>(options, Some(name), arguments, function)
}

#[track_caller]
fn one_output<K, T>(
    options: ProcessJobOptions,
    name: Option<&'static str>,
    captures: K,
    body: fn(K::Itself) -> T,
) -> Job<T>
where
    K: AllSent,
    K::Itself: 'static,
    T: SentOutput + 'static,
{
    let sent = Body::new(serve_call::<K::Itself, T>, body).map_err(Failure::from);
    let captures = captures.itself();
    start(options, Location::caller(), name, move |_| captures, sent)
}

/// A job of as many outputs as it emits, in a process of its own.
#[track_caller]
pub fn process_job_emitting<K, C, T>(
    options: ProcessJobOptions,
    captures: K,
    body: fn(C, &JobContext<T>),
) -> Job<T>
where
    K: AllSent<Itself = C> + 'static,
    C: 'static,
    T: SentOutput + 'static,
{
    emitting::<K, T>(options, captures, body)
}

#[track_caller]
fn emitting<K, T>(
    options: ProcessJobOptions,
    captures: K,
    body: fn(K::Itself, &JobContext<T>),
) -> Job<T>
where
    K: AllSent,
    K::Itself: 'static,
    T: SentOutput + 'static,
{
    let sent = Body::new(serve_emitting::<K::Itself, T>, body).map_err(Failure::from);
    let captures = captures.itself();
    let with_head = move |head| (head, captures);
    start(options, Location::caller(), None, with_head, sent)
}

/// What the body of a job can ask of it, beside what the child knows itself.
type Head = (u64, String);

/// In the child.
fn serve_emitting<C, T>(io: &mut ChildIo, body: fn(C, &JobContext<T>))
where
    C: Serialize + DeserializeOwned + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    serve_job(
        io,
        |((id, name), captures): (Head, C), child: ChildJob<T>| {
            body(
                captures,
                &JobContext::there(Box::new(InChild { id, name, child })),
            );
        },
    );
}

/// A job as its body in a child sees it.
struct InChild<T> {
    id: u64,
    name: String,
    child: ChildJob<T>,
}

impl<T: Serialize> There<T> for InChild<T> {
    fn emit(&self, value: T) {
        self.child.emit(value);
    }

    fn stop_token(&self) -> StopToken {
        self.child.stop_token()
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn record(&self, level: Level, text: String) {
        self.child.note(level.number(), text);
    }
}

/// What can be done to the child of a job from outside.
pub(super) struct OnProcess {
    /// None before the child is there.
    handle: Mutex<Option<Handle>>,
    patience: Patience,
    stop: StopToken,
    timed_out: AtomicBool,
}

impl OnProcess {
    /// A stop of `stop` reaches the child from now on.
    pub(super) fn new(patience: Patience, stop: &StopToken) -> Arc<Self> {
        let backend = Arc::new(Self {
            handle: Mutex::new(None),
            patience,
            stop: stop.clone(),
            timed_out: AtomicBool::new(false),
        });
        stop.listen(&backend);
        backend
    }

    /// The job has ended. What the child prints goes to the job, which holds this: a ring, if this
    /// went on holding the child.
    fn let_go(&self) {
        self.handle.lock().take();
    }

    /// The child is there; if a stop was faster, it has still to reach it.
    pub(super) fn set(&self, handle: &Handle) {
        *self.handle.lock() = Some(handle.clone());
        if self.stop.is_stopping() {
            handle.stop(self.patience);
        }
    }

    /// Stops the child if it takes longer than `limit` from now.
    pub(super) fn end_after(self: &Arc<Self>, limit: Duration, handle: &Handle, by: &Supervisor) {
        let Some(time) = Instant::now().checked_add(limit) else {
            return;
        };
        let (watched, handle) = (Arc::clone(self), handle.clone());
        by.at(time, move || {
            if !handle.has_ended() {
                watched.timed_out.store(true, Ordering::SeqCst);
                handle.stop(watched.patience);
            }
        });
    }

    /// Whether the child was stopped because it took too long.
    pub(super) fn has_timed_out(&self) -> bool {
        self.timed_out.load(Ordering::SeqCst)
    }

    fn with_handle(
        &self,
        act: impl FnOnce(&Handle) -> bool,
        done: &str,
    ) -> Result<(), SuspendError> {
        match &*self.handle.lock() {
            Some(handle) if act(handle) => Ok(()),
            Some(_) => Err(SuspendError::new(format!(
                "the job cannot be {done}: its process has ended"
            ))),
            None => Err(SuspendError::new(format!(
                "the job cannot be {done}: its process has not started yet; try again in a moment"
            ))),
        }
    }
}

impl Backend for Arc<OnProcess> {
    fn stop(&self) {
        if let Some(handle) = &*self.handle.lock() {
            handle.stop(self.patience);
        }
    }

    fn suspend(&self) -> Result<(), SuspendError> {
        self.with_handle(Handle::suspend, "suspended")
    }

    fn resume(&self) -> Result<(), SuspendError> {
        self.with_handle(Handle::resume, "resumed")
    }
}

/// A stop of whoever started the job reaches its child as well.
impl crate::stop::OnStop for OnProcess {
    fn on_stop(&self) {
        if let Some(handle) = &*self.handle.lock() {
            handle.stop(self.patience);
        }
    }
}

/// What a child prints is part of the records of its job.
struct ToRecords<T>(Recorder<T>);

impl<T: Send> Lines for ToRecords<T> {
    fn line(&self, stream: Stream, line: String) {
        self.0.record(Level::of_stream(stream), line);
    }
}

/// `entry` is the name of the body, if it is one that can be approved.
#[track_caller]
fn start<C, S, T>(
    options: ProcessJobOptions,
    source: &'static Location<'static>,
    entry: Option<&'static str>,
    captures: C,
    body: Result<Body, Failure>,
) -> Job<T>
where
    C: FnOnce(Head) -> S + Send + 'static,
    S: Serialize,
    T: DeserializeOwned + Send + 'static,
{
    let stop = StopToken::child_of_current();
    #[cfg(feature = "ctrl_c")]
    crate::interrupt::flag::stop_if_late(&stop);
    let backend = OnProcess::new(options.patience(), &stop);
    let name = options.name.clone();
    let shared = Box::new(Arc::clone(&backend));
    let (job, feeder) = fed_on(shared, name, source, "start_job!", stop);
    let head = (job.id(), job.name().to_owned());
    // Rights, limits, variables and the directory are those of here and now.
    let asked = match entry {
        Some(name) => policy::Start::Job { name },
        None => policy::Start::Block {
            name: Some(job.name()),
        },
    };
    // Not in a closure: the policy wants to know the line that asks.
    let allowed = policy::check(asked).map_err(Failure::Denied);
    let (body, start) = match allowed
        .and(body)
        .and_then(|body| Ok((body, Start::here()?)))
    {
        Ok(both) => both,
        Err(failure) => {
            feeder.finish(Err(kind(failure, &options, &backend)));
            return job;
        }
    };
    pump(feeder, move |feeder| {
        // By return and by panic.
        let _let_go = LetGo(&backend);
        let captures = captures(head);
        let running = begin(&feeder, || {
            if backend.stop.is_stopping() {
                return Err(Failure::Stopped);
            }
            let mut link = fresh(&start, Arc::new(ToRecords(feeder.recorder())))?;
            backend.set(link.handle());
            if let Some(limit) = options.timeout {
                backend.end_after(limit, link.handle(), &start.supervisor);
            }
            if let Some(setup) = options.setup() {
                link.send_setup(&setup)?;
            }
            call(&start, link, body, &captures)
        });
        let dropped = drop_caught(captures);
        let end = running.and_then(|running| take_in(running, &feeder));
        // One that was too late has failed, though it may have heeded that it was to stop.
        let end = end.and_then(|()| {
            if backend.has_timed_out() {
                Err(Failure::Stopped)
            } else {
                Ok(())
            }
        });
        let end = end.map_err(|failure| kind(failure, &options, &backend));
        // A value of the job has panicked here rather than there: the job has failed all the same.
        feeder.finish(end.and_then(|()| dropped.map_err(JobErrorKind::Panicked)));
    });
    job
}

/// Lets go of the child of a job.
struct LetGo<'a>(&'a OnProcess);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// How many processes are tried, if each is ended before it has read the body.
const TRIES: u32 = 3;

/// Has a process begin with the body: one to which `send` has sent it.
fn begin<T: DeserializeOwned + Send + 'static>(
    feeder: &Feeder<T>,
    send: impl Fn() -> Result<Running<T>, Failure>,
) -> Result<Running<T>, Failure> {
    let mut tries = 1;
    loop {
        let begun = send().and_then(|mut it| it.wait_until_read().map(|pid| (it, pid)));
        match begun {
            // Of the body nothing has run. Somebody has ended a process that was kept ready, just as it
            // was handed out: that is not this job's affair.
            Err(Failure::Crashed(_)) if tries < TRIES => tries += 1,
            Err(failure) => return Err(failure),
            // Not before: whoever ends the process that the job names ends the job.
            Ok((running, pid)) => {
                feeder.in_process(pid);
                return Ok(running);
            }
        }
    }
}

fn take_in<T: DeserializeOwned>(
    mut running: Running<T>,
    feeder: &Feeder<T>,
) -> Result<(), Failure> {
    let _waits = crate::debug::Wait::idle(|| {
        format!(
            "the thread of {}: what its process has to say",
            feeder.title()
        )
    });
    loop {
        match running.next() {
            Event::Output(value) => feeder.output(value),
            Event::Note(note) => {
                note.event.iter().for_each(trace::raise);
                feeder.add(Record {
                    level: Level::of_number(note.level),
                    time: note.time,
                    text: note.text,
                });
            }
            Event::End(end) => return end,
        }
    }
}

fn kind(failure: Failure, options: &ProcessJobOptions, backend: &OnProcess) -> JobErrorKind {
    match failure {
        Failure::Stopped | Failure::Crashed(_) if backend.has_timed_out() => {
            let limit = options.timeout.unwrap_or_default();
            JobErrorKind::Process(ProcessError::new(Failure::TimedOut(limit)))
        }
        Failure::Stopped => JobErrorKind::Stopped,
        Failure::Panicked(it) => JobErrorKind::Panicked(it.into_payload()),
        failure => JobErrorKind::Process(ProcessError::new(failure)),
    }
}
