//! The part of a job that does not depend on the type of its outputs: what it is called, what has
//! become of it, and who has to hear of it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::SystemTime;

use super::backend::{Backend, SuspendError};
use super::error::{JobError, JobErrorKind};
use super::globals::global;
use super::location::JobLocation;
use super::queue::JobQueue;
use super::record::{Level, Log, Record};
use super::run;
use super::signal::Signal;
use super::state::JobState;
use super::table;
use crate::context::{Context, CurrentJob, Places};
use crate::debug;
use crate::error::PanicPayload;
use crate::stop::{OnStop, StopToken};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::trace::{self, Place};
use crate::waits::{self, Frame, Queue, Work};

/// What a job runs. It delivers its outputs itself; it owns what the job captured.
pub(super) type Body = Box<dyn FnOnce(&Arc<Core>) + Send>;

/// What became of a job.
pub(super) type End = Result<(), JobErrorKind>;

/// What a job is made of.
pub(super) struct Origin {
    pub(super) name: Option<Arc<str>>,
    pub(super) source: &'static Location<'static>,
    /// The macro that started it.
    pub(super) command: &'static str,
    pub(super) stop: StopToken,
    pub(super) queue: Option<JobQueue>,
    /// The places that the code which starts it lends.
    pub(super) places: Option<Arc<Places>>,
    pub(super) backend: Box<dyn Backend>,
}

/// A job without its outputs.
pub struct Core {
    id: u64,
    /// Tells it from work of other kinds.
    number: u64,
    places: Option<Arc<Places>>,
    name: Arc<str>,
    source: &'static Location<'static>,
    command: &'static str,
    stop: StopToken,
    queue: Option<JobQueue>,
    backend: Box<dyn Backend>,
    /// It is part of no item and no other job.
    #[cfg(all(feature = "ctrl_c", unix))]
    is_outermost: bool,
    /// How many outputs there are to receive, for those who do not know their type.
    unread: AtomicUsize,
    body: Mutex<Option<Body>>,
    /// Its span, until it ends.
    trace: Mutex<Place>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    phase: Phase,
    started: Option<SystemTime>,
    finished: Option<SystemTime>,
    thread: Option<ThreadId>,
    process: Option<u32>,
    /// No one holds the job any more: it leaves the table when it ends.
    detached: bool,
    failure: Option<JobErrorKind>,
    records: Log,
    watchers: Vec<Arc<Signal>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Queued,
    Running,
    Suspended,
    Finished(JobState),
}

global! {
    static LAST_ID: AtomicU64 = AtomicU64::new(0);
}

impl Core {
    /// A job that has not started, listed in the table.
    pub(super) fn new(origin: Origin, body: Option<Body>) -> Arc<Self> {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        let name = origin.name.unwrap_or_else(|| format!("Job{id}").into());
        let trace = trace::job(id, || Arc::clone(&name), origin.command);
        let core = Arc::new(Self {
            id,
            number: waits::number(),
            places: origin.places,
            name,
            source: origin.source,
            command: origin.command,
            stop: origin.stop,
            queue: origin.queue,
            backend: origin.backend,
            #[cfg(all(feature = "ctrl_c", unix))]
            is_outermost: crate::interrupt::flag::is_outermost(),
            unread: AtomicUsize::new(0),
            body: Mutex::new(body),
            trace: Mutex::new(trace),
            progress: Mutex::new(Progress::default()),
        });
        table::insert(&core);
        core
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn queue(&self) -> Option<&JobQueue> {
        self.queue.as_ref()
    }

    pub(super) fn stop_token(&self) -> &StopToken {
        &self.stop
    }

    pub(super) fn location(&self) -> JobLocation {
        let progress = self.progress.lock();
        JobLocation::new(self.source, progress.thread, progress.process)
    }

    #[cfg(all(feature = "ctrl_c", unix))]
    pub(super) fn is_outermost(&self) -> bool {
        self.is_outermost
    }

    /// Whether it is a parallel call that goes on as a job.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(super) fn is_call(&self) -> bool {
        self.command == "foreach_parallel!"
    }

    /// What the table shows as the command: bodies are never turned into text, so their place has
    /// to do.
    pub(super) fn command(&self) -> String {
        format!(
            "{} at {}:{}",
            self.command,
            self.source.file(),
            self.source.line()
        )
    }

    /// In words, for somebody who looks where a program hangs.
    pub(super) fn title(&self) -> String {
        let name = debug::Name(&self.name);
        format!("job {} {name} ({})", self.id, self.command())
    }

    /// Says what it is at.
    pub(super) fn tell(&self, out: &mut String) {
        use debug::line;
        let title = self.title();
        let Some(progress) = self.progress.try_lock() else {
            return line(out, 1, format_args!("{title}: busy"));
        };
        let state = match progress.phase {
            Phase::Finished(state) => state,
            _ if self.stop.is_stopping() => JobState::Stopping,
            Phase::Queued => JobState::NotStarted,
            Phase::Running => JobState::Running,
            Phase::Suspended => JobState::Suspended,
        };
        let since = progress.finished.or(progress.started);
        let since = since.and_then(|it| it.elapsed().ok());
        let since = since.map_or_else(String::new, |it| format!(" for {}", debug::Seconds(it)));
        let place = match (progress.process, progress.thread) {
            (Some(pid), _) => format!(", process {pid}"),
            (None, Some(thread)) => format!(", thread {thread:?}"),
            (None, None) => String::new(),
        };
        let watchers = debug::Count(progress.watchers.len(), "thread");
        drop(progress);
        let unread = self.unread.load(Ordering::Relaxed);
        line(
            out,
            1,
            format_args!(
                "{title}: {state}{since}{place}; {watchers} wait for it, {unread} outputs unread"
            ),
        );
        if let Some(queue) = &self.queue {
            line(
                out,
                2,
                format_args!("in a queue of which {}", queue.title()),
            );
        }
    }

    pub(super) fn started(&self) -> Option<SystemTime> {
        self.progress.lock().started
    }

    pub(super) fn finished(&self) -> Option<SystemTime> {
        self.progress.lock().finished
    }

    pub(super) fn state(&self) -> JobState {
        let phase = self.progress.lock().phase;
        match phase {
            Phase::Finished(state) => state,
            _ if self.stop.is_stopping() => JobState::Stopping,
            Phase::Queued => JobState::NotStarted,
            Phase::Running => JobState::Running,
            Phase::Suspended => JobState::Suspended,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.progress.lock().phase, Phase::Finished(_))
    }

    /// [`is_finished`](Self::is_finished), unless that cannot be seen now.
    pub(super) fn has_ended_at_a_glance(&self) -> bool {
        let progress = self.progress.try_lock();
        progress.is_some_and(|it| matches!(it.phase, Phase::Finished(_)))
    }

    pub(super) fn has_more_data(&self) -> bool {
        self.unread.load(Ordering::SeqCst) > 0
    }

    /// Said by whoever changes the outputs, before anyone can see the change.
    pub(super) fn set_unread(&self, count: usize) {
        self.unread.store(count, Ordering::SeqCst);
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.progress.lock().records.records()
    }

    pub(super) fn record(&self, level: Level, text: String) {
        self.add(Record::now(level, text));
    }

    pub(super) fn add(&self, record: Record) {
        self.progress.lock().records.add(record);
    }

    #[cfg(feature = "process")]
    pub(super) fn in_process(&self, pid: u32) {
        self.progress.lock().process = Some(pid);
    }

    pub(super) fn take_body(&self) -> Option<Body> {
        self.body.lock().take()
    }

    /// The surroundings of the code that runs for this job.
    pub(super) fn context(self: &Arc<Self>) -> Context {
        Context {
            attempt: 0,
            has_finished: false,
            places: self.places.clone(),
            stop: Some(self.stop.clone()),
            job: Some(Arc::new(Current(Arc::clone(self)))),
            call: 0,
            frame: Some(Frame::of(Arc::clone(self) as _)),
            is_consumer: false,
            trace: self.trace(),
        }
    }

    /// Where the code that runs for this job is to tracing.
    pub(super) fn trace(&self) -> Place {
        self.trace.lock().clone()
    }
}

// What happens to a job, in the order of its life.
impl Core {
    /// The job runs from now on, on `thread` if it is one.
    pub(super) fn begin(&self, thread: Option<ThreadId>) {
        let mut progress = self.progress.lock();
        progress.phase = Phase::Running;
        progress.started = Some(SystemTime::now());
        progress.thread = thread;
    }

    /// Asks the job to stop; one that has not started never does.
    pub(super) fn stop(&self) {
        if self.is_finished() {
            return;
        }
        self.stop.stop();
        self.backend.stop();
        self.cancel();
    }

    /// Ends a job that waits in its queue. Whoever takes a job out of its queue decides what
    /// becomes of it, so this cannot meet a start half-way.
    pub(super) fn cancel(&self) {
        let queue = self.queue.as_ref();
        if let Some(core) = queue.and_then(|queue| queue.cancel(self.id)) {
            let end = run::discard(&core, JobErrorKind::Stopped);
            core.finish(end);
        }
    }

    pub(super) fn suspend(&self) -> Result<(), SuspendError> {
        self.check_unfinished("suspended")?;
        self.backend.suspend()?;
        self.switch(Phase::Running, Phase::Suspended);
        Ok(())
    }

    pub(super) fn resume(&self) -> Result<(), SuspendError> {
        self.check_unfinished("resumed")?;
        self.backend.resume()?;
        self.switch(Phase::Suspended, Phase::Running);
        Ok(())
    }

    fn check_unfinished(&self, done: &str) -> Result<(), SuspendError> {
        if self.backend.can_hold() && self.is_finished() {
            let state = self.state();
            return Err(SuspendError::new(format!(
                "job `{}` cannot be {done}: it has ended ({state})",
                self.name
            )));
        }
        Ok(())
    }

    fn switch(&self, from: Phase, to: Phase) {
        let mut progress = self.progress.lock();
        if progress.phase == from {
            progress.phase = to;
        }
    }

    /// The job has ended: all it owned is dropped, and its place is free. Only the first word counts.
    pub(super) fn finish(&self, end: End) {
        let state = match &end {
            Ok(()) => JobState::Completed,
            Err(JobErrorKind::Stopped) => JobState::Stopped,
            Err(_) => JobState::Failed,
        };
        let record = match &end {
            Err(kind) if state == JobState::Failed => {
                Some(Record::now(Level::Error, kind.to_string()))
            }
            _ => None,
        };
        // Before anyone sees the end, and not with a lock held: a subscriber may look at the job.
        let trace = std::mem::take(&mut *self.trace.lock());
        trace.end(&state);
        let mut progress = self.progress.lock();
        if matches!(progress.phase, Phase::Finished(_)) {
            drop(progress); // before `end`, which may run code of the user's when it goes
            return;
        }
        if progress.detached {
            table::remove(self.id);
        }
        record.into_iter().for_each(|it| progress.records.add(it));
        progress.failure = end.err();
        progress.finished = Some(SystemTime::now());
        progress.phase = Phase::Finished(state);
        progress.watchers.iter().for_each(|it| it.raise());
    }

    /// No one holds the job any more. It runs on and leaves the table when it ends.
    pub(super) fn detach(&self) {
        let mut progress = self.progress.lock();
        progress.detached = true;
        if matches!(progress.phase, Phase::Finished(_)) {
            table::remove(self.id);
        }
    }

    /// Why the job has no value, if it failed or was stopped. A panic's payload is handed out once;
    /// who asks later gets its message.
    pub(super) fn take_failure(&self) -> Option<JobErrorKind> {
        #[cfg(feature = "process")]
        use JobErrorKind::Process;
        use JobErrorKind::{Deadlock, DropPanicked, Item, NoOutput, NoThread, Panicked, Stopped};
        let mut progress = self.progress.lock();
        let taken = progress.failure.take()?;
        let message =
            |payload: &PanicPayload| PanicPayload::new(Box::new(payload.message().to_owned()));
        progress.failure = Some(match &taken {
            Panicked(payload) => Panicked(message(payload)),
            DropPanicked(payload) => DropPanicked(message(payload)),
            Item(error) => Panicked(PanicPayload::new(Box::new(error.to_string()))),
            NoThread(error) => NoThread(std::io::Error::new(error.kind(), error.to_string())),
            Deadlock(text) => Deadlock(text.clone()),
            #[cfg(feature = "process")]
            Process(error) => Process(error.clone()),
            Stopped => Stopped,
            NoOutput => NoOutput,
        });
        Some(taken)
    }

    pub(super) fn error(&self, kind: JobErrorKind) -> JobError {
        JobError::new(self.id, Arc::clone(&self.name), self.location(), kind)
    }
}

// Those who have to hear of it.
impl Core {
    /// Raises `signal` at each output from now on and at the end.
    pub(super) fn watch(&self, signal: &Arc<Signal>) {
        self.progress.lock().watchers.push(Arc::clone(signal));
    }

    pub(super) fn unwatch(&self, signal: &Arc<Signal>) {
        let mut progress = self.progress.lock();
        progress.watchers.retain(|it| !Arc::ptr_eq(it, signal));
    }

    /// There is something new to receive.
    pub(super) fn notify(&self) {
        self.progress
            .lock()
            .watchers
            .iter()
            .for_each(|it| it.raise());
    }
}

/// A job that its parent's stop has to reach in the queue; a running one looks at its token.
impl OnStop for Core {
    fn on_stop(&self) {
        self.cancel();
    }
}

impl Work for Core {
    fn number(&self) -> u64 {
        self.number
    }

    fn title(&self) -> String {
        format!("job `{}`", self.name)
    }

    fn is_over(&self) -> bool {
        self.is_finished()
    }

    fn has_output(&self) -> bool {
        self.has_more_data()
    }

    fn queue(&self) -> Option<(&dyn Queue, u64)> {
        self.queue.as_ref().map(|it| (it as _, self.id))
    }

    fn begins_to_wait(&self) {
        if let Some(queue) = &self.queue {
            queue.park(self.id);
        }
    }

    fn waits_no_more(&self) {
        if let Some(queue) = &self.queue {
            queue.unpark(self.id);
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A job in the context of the code that runs for it.
struct Current(Arc<Core>);

impl CurrentJob for Current {
    fn note(&self, level: u8, text: String) {
        self.0.record(Level::of_number(level), text);
    }
}
