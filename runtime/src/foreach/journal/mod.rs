//! `journal = "run.jsonl"`: a line for each try of an item, and what was finished is not run again.
//!
//! The layers, each knowing only those before it: `format` (lines), `reader`, `hash` (items by their
//! content), `options` and `error`, `origin` (whose journal it is), `writer` (the file), `keeper` (what a
//! worker does with it).

mod error;
mod format;
mod hash;
mod keeper;
mod options;
mod origin;
mod reader;
mod writer;

use std::collections::HashMap;
use std::io;
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use error::{JournalError, JournalErrorKind};
pub use keeper::{JournalItem, JournalValue};
pub use options::{IntoJournal, Journal};

pub(crate) use keeper::{Keeper, Known};
pub(crate) use origin::Caller;

use serde_json::value::RawValue;

use super::control::{End, Observer, Try};
use crate::error::Cause;
use crate::sync::Mutex;
use format::{DONE, Event, FORMAT, Footer, Header, Record};
use origin::run_id;
use reader::{History, Stored};
use writer::Writer;

/// The journal of one call.
#[derive(Debug)]
pub(crate) struct Ledger {
    journal: Journal,
    run: String,
    /// Bodies run in other processes.
    runs_elsewhere: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` when the call is over.
    writer: Option<Writer>,
    history: History,
    /// Items that a worker has taken to run them.
    pending: HashMap<u64, Pending>,
    /// The first thing that went wrong while the call ran.
    failure: Option<JournalError>,
    done: u64,
    failed: u64,
    resumed: u64,
}

/// What is known of an item before its try has ended.
#[derive(Debug, Default)]
struct Pending {
    hash: String,
    /// Where the try has begun, and the time of that thread's processor then.
    begun: Option<(ThreadId, Duration)>,
    value: Option<Box<RawValue>>,
    why: Option<Why>,
    /// The worker process that ran it.
    process: Option<u32>,
}

/// How a try came to have no good value.
#[derive(Debug)]
struct Why {
    outcome: &'static str,
    signal: Option<&'static str>,
    error: String,
}

impl Ledger {
    /// Opens the file, and begins a run in it.
    ///
    /// # Errors
    /// The call must not start.
    pub(crate) fn open(
        journal: &Journal,
        resume: bool,
        caller: Caller<'_>,
    ) -> Result<Self, JournalError> {
        let problem = |kind| JournalError::new(&journal.path, kind);
        let check = |history: &History| caller.check(journal, history);
        let (mut writer, history) = Writer::open(journal, resume, check).map_err(problem)?;
        let run = run_id();
        let site = caller.site;
        let header = Header {
            event: Event::Run,
            format: FORMAT,
            run: &run,
            crate_version: env!("CARGO_PKG_VERSION"),
            name: site.name.as_deref(),
            call: &site.location.to_string(),
            version: journal.version.as_deref(),
            items: caller.items,
            values: caller.values,
            total: caller.total,
            pid: std::process::id(),
            start: seconds(SystemTime::now()),
            resume,
        };
        let written = writer.write(&header);
        written.map_err(|error| problem(JournalErrorKind::Open(error)))?;
        Ok(Self {
            journal: journal.clone(),
            run,
            runs_elsewhere: caller.runs_elsewhere,
            state: Mutex::new(State {
                writer: Some(writer),
                history,
                pending: HashMap::new(),
                failure: None,
                done: 0,
                failed: 0,
                resumed: 0,
            }),
        })
    }

    /// The line of a finished item with this content that no item of this run has had. Without one the
    /// item is expected to run.
    fn claim(&self, index: u64, hash: String) -> Option<(Stored, io::Result<Vec<u8>>)> {
        let mut state = self.state.lock();
        let stored = state
            .history
            .done
            .get_mut(&hash)
            .and_then(|it| it.pop_front());
        if let (Some(stored), Some(writer)) = (stored, &mut state.writer) {
            let line = writer.line(stored);
            state.resumed += u64::from(line.is_ok());
            return Some((stored, line));
        }
        let pending = Pending {
            hash,
            ..Pending::default()
        };
        state.pending.insert(index, pending);
        None
    }

    /// Keeps what is known of an item that runs.
    fn note(&self, index: u64, note: impl FnOnce(&mut Pending)) {
        if let Some(pending) = self.state.lock().pending.get_mut(&index) {
            note(pending);
        }
    }

    /// Why the try that ends next has no value.
    pub(crate) fn note_cause(&self, index: u64, cause: &Cause) {
        self.note(index, |pending| pending.why = Some(Why::of(cause)));
    }

    /// Which process the item ran in.
    #[cfg(feature = "process")]
    pub(crate) fn note_process(&self, index: u64, pid: Option<u32>) {
        self.note(index, |pending| pending.process = pid);
    }

    fn problem(&self, kind: JournalErrorKind) -> JournalError {
        JournalError::new(&self.journal.path, kind)
    }

    fn fail(&self, kind: JournalErrorKind) {
        let problem = self.problem(kind);
        self.state.lock().failure.get_or_insert(problem);
    }

    /// What went wrong while the call ran. `saw_all`: each item of the input has been looked up.
    pub(crate) fn take_failure(&self, saw_all: bool) -> Option<JournalError> {
        let failure = self.state.lock().failure.take();
        if failure.is_some() || !saw_all || self.journal.may_change {
            return failure;
        }
        let (_, lines) = self.resumed();
        (!lines.is_empty()).then(|| self.problem(JournalErrorKind::Missing { lines }))
    }

    /// How many items were taken from earlier runs, and the lines of those that no item asked for.
    fn resumed(&self) -> (u64, Vec<u64>) {
        let state = self.state.lock();
        let left = state.history.done.values().flatten().map(|it| it.line);
        let mut lines: Vec<u64> = left.collect();
        lines.sort_unstable();
        (state.resumed, lines)
    }

    /// Writes the line of a try.
    fn put(&self, item: Try, end: End<'_>, time: Duration) {
        let mut state = self.state.lock();
        let Some(mut pending) = state.pending.remove(&item.index) else {
            return;
        };
        let again = matches!(end, End::Again);
        let why = match end {
            End::Failed(error) => Some(Why::of(error.cause())),
            _ => pending.why.take(),
        };
        let outcome = match (&why, end) {
            (_, End::Good) => DONE,
            (Some(why), _) => why.outcome,
            (None, _) => "failed",
        };
        match end {
            End::Good => state.done += 1,
            End::Bad | End::Failed(_) => state.failed += 1,
            End::Again | End::NotRun => {}
        }
        let worker = match (pending.process, self.runs_elsewhere) {
            (Some(pid), _) => format!("process {pid}"),
            (None, true) => "process".to_owned(),
            (None, false) => this_thread(),
        };
        let record = Record {
            event: Event::Item,
            run: &self.run,
            item: &pending.hash,
            index: item.index,
            attempt: item.attempt,
            start: seconds(SystemTime::now() - time),
            wall: time.as_secs_f64(),
            cpu: pending.processor_time().map(|it| it.as_secs_f64()),
            peak_memory: pending.process.and_then(peak_memory),
            worker: &worker,
            outcome,
            again,
            signal: why.as_ref().and_then(|it| it.signal),
            error: why.as_ref().map(|it| it.error.as_str()),
            value: pending.value.as_deref(),
        };
        self.add(&mut state, &record);
    }

    fn add(&self, state: &mut State, line: &impl serde::Serialize) {
        let Some(writer) = &mut state.writer else {
            return;
        };
        if let Err(error) = writer.write(line) {
            let problem = self.problem(JournalErrorKind::Write(error));
            state.failure.get_or_insert(problem);
        }
    }
}

impl Observer for Ledger {
    fn began(&self, item: Try) {
        if !self.runs_elsewhere {
            let begun = processor_time().map(|time| (thread::current().id(), time));
            self.note(item.index, |pending| pending.begun = begun);
        }
    }

    fn ended(&self, item: Try, end: End<'_>, time: Option<Duration>) {
        match (end, time) {
            (End::NotRun, _) | (_, None) => {
                self.state.lock().pending.remove(&item.index);
            }
            (_, Some(time)) => self.put(item, end, time),
        }
    }

    fn over(&self) {
        let (_, missing) = self.resumed();
        let mut state = self.state.lock();
        let footer = Footer {
            event: Event::End,
            run: &self.run,
            end: seconds(SystemTime::now()),
            done: state.done,
            failed: state.failed,
            resumed: state.resumed,
            missing: missing.len() as u64,
        };
        self.add(&mut state, &footer);
        // Another run may have it now.
        state.writer = None;
    }
}

impl Pending {
    /// What the try has used of the processor, if this is the thread that it began on.
    fn processor_time(&self) -> Option<Duration> {
        let (thread, before) = self.begun?;
        let is_here = thread == thread::current().id();
        processor_time().filter(|_| is_here)?.checked_sub(before)
    }
}

impl Why {
    fn of(cause: &Cause) -> Self {
        let outcome = match cause {
            Cause::Panicked(_) => "panicked",
            Cause::Stopped => "stopped",
            Cause::TimedOut(_) => "timed out",
            Cause::DeadlinePassed { .. } => "deadline passed",
            #[cfg(feature = "process")]
            Cause::Process(error) if error.crash().is_some() => "crashed",
            _ => "failed",
        };
        Self {
            outcome,
            signal: signal(cause),
            error: cause.item_text(),
        }
    }
}

#[cfg(feature = "process")]
fn signal(cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::Process(error) => error.crash()?.exit().signal_name(),
        _ => None,
    }
}

#[cfg(not(feature = "process"))]
fn signal(_: &Cause) -> Option<&'static str> {
    None
}

/// What a journal has spared a call: from [`Results::journal`](crate::Results::journal).
#[derive(Clone, Debug)]
pub struct CallJournal {
    pub(crate) ledger: Option<std::sync::Arc<Ledger>>,
}

impl CallJournal {
    /// How many items have had the value of an earlier run, so far.
    #[must_use]
    pub fn resumed(&self) -> u64 {
        self.ledger.as_ref().map_or(0, |it| it.resumed().0)
    }

    /// The numbers of the lines, from 1, of finished items that this call has not been given. After the
    /// last result that tells whether the input has lost any since the journal was written.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let ledger = self.ledger.as_ref();
        ledger.map_or_else(Vec::new, |it| it.resumed().1)
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Microseconds: what an `f64` holds without noise.
    (since.as_secs_f64() * 1e6).round() / 1e6
}

fn this_thread() -> String {
    let id = format!("{:?}", thread::current().id());
    let number = id.trim_start_matches("ThreadId(").trim_end_matches(')');
    format!("thread {number}")
}

/// The processor time that this thread has used.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Some(Duration::new(seconds, nanos))
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<Duration> {
    None
}

/// The most memory that a process has had, in bytes. Of one that is gone nothing is known.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}
