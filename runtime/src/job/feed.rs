//! Jobs whose work is done elsewhere: what is fed in comes out of an ordinary [`Job`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use super::backend::{Backend, OnThread};
use super::core::{Core, Origin};
use super::error::JobErrorKind;
use super::handle::Job;
use super::port::{Outputs, Port};
use super::record::Level;
#[cfg(feature = "process")]
use super::record::Record;
use crate::context;
use crate::error::PanicPayload;
use crate::release::release;
use crate::stop::StopToken;
use crate::sync::Mutex;
use crate::threads::{self, Refused};

/// A job that runs from now on and is fed from outside. It stands in no queue.
///
/// `command` is the macro it came from. A stop of the job stops `stop`; whoever feeds looks at it
/// and finishes.
pub(crate) fn fed<T>(
    name: Option<Arc<str>>,
    source: &'static Location<'static>,
    command: &'static str,
    stop: StopToken,
) -> (Job<T>, Feeder<T>) {
    fed_on(Box::new(OnThread), name, source, command, stop)
}

/// The same, for work that `backend` can reach.
pub(super) fn fed_on<T>(
    backend: Box<dyn Backend>,
    name: Option<Arc<str>>,
    source: &'static Location<'static>,
    command: &'static str,
    stop: StopToken,
) -> (Job<T>, Feeder<T>) {
    let origin = Origin {
        name,
        source,
        command,
        stop,
        queue: None,
        places: context::places_for_others(),
        backend,
    };
    let core = Core::new(origin, None);
    core.begin(None);
    let outputs = Arc::new(Outputs::default());
    let port = Port { core, outputs };
    let feeder = Feeder {
        port: port.clone(),
        is_pumped: Cell::new(false),
    };
    (Job { port }, feeder)
}

/// The other side of a fed job. Dropped without a word, it ends the job as stopped.
pub(crate) struct Feeder<T> {
    port: Port<T>,
    /// A [`pump`] ends the job if the work unwinds.
    is_pumped: Cell<bool>,
}

impl<T> Feeder<T> {
    /// The context of the code that runs for the job.
    pub(crate) fn context(&self) -> context::Context {
        self.port.core.context()
    }

    /// One output. It is dropped at once if nobody can receive it.
    pub(crate) fn output(&self, value: T) {
        self.port.deliver(value);
    }

    pub(crate) fn record(&self, level: Level, text: impl Into<String>) {
        self.port.core.record(level, text.into());
    }

    #[cfg(feature = "process")]
    pub(crate) fn recorder(&self) -> Recorder<T> {
        Recorder(self.port.clone())
    }

    /// Adds what was recorded elsewhere, at another time.
    #[cfg(feature = "process")]
    pub(crate) fn add(&self, record: Record) {
        self.port.core.add(record);
    }

    /// The work is done in the process of this number.
    #[cfg(feature = "process")]
    pub(crate) fn in_process(&self, pid: u32) {
        self.port.core.in_process(pid);
    }

    /// In words, for somebody who looks where a program hangs.
    #[cfg(feature = "process")]
    pub(crate) fn title(&self) -> String {
        self.port.core.title()
    }

    /// The job has ended. Whether its body was told to stop before it returned is for the caller to know: as with any
    /// job, one that was is Stopped, and one that had returned before is Completed.
    pub(crate) fn finish(self, end: Result<(), JobErrorKind>) {
        self.port.core.finish(end);
    }

    /// What a job ends with of which nothing has failed. `saw_all`: all that there was to do has come to its end.
    pub(crate) fn end_without_failure(&self, saw_all: bool) -> Result<(), JobErrorKind> {
        match self.port.core.stop_token().is_stopping() && !saw_all {
            true => Err(JobErrorKind::Stopped),
            false => Ok(()),
        }
    }
}

/// Runs `work`, which feeds a job, on a thread of its own; without one the job fails and says so.
pub(crate) fn pump<T: Send + 'static>(
    feeder: Feeder<T>,
    work: impl FnOnce(Feeder<T>) + Send + 'static,
) {
    // The side that takes the feeder ends the job. A task that comes back is dropped, and not the feeder.
    let hand = Arc::new(Mutex::new(Some(feeder)));
    let theirs = Arc::clone(&hand);
    let task = move || {
        let feeder = theirs.lock().take();
        if let Some(feeder) = feeder {
            let core = Arc::clone(&feeder.port.core);
            let _in_place = core.trace().enter();
            feeder.is_pumped.set(true);
            // Whatever of the user's panics in there, the job ends in its words: a feeder that is dropped in
            // silence would end it as stopped.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(feeder))) {
                core.finish(Err(JobErrorKind::Panicked(PanicPayload::new(payload))));
            }
        }
    };
    let Err(Refused { error, task }) = threads::hand_over(Box::new(task)) else {
        return;
    };
    // Calls whose results were to be fed are stopped here, rather than run to their ends, and nothing that the work owns
    // panics in the caller.
    let released = release(task);
    let feeder = hand.lock().take();
    if let Some(feeder) = feeder {
        if let Err(payload) = released {
            feeder.record(
                Level::Error,
                format!(
                    "what it owned panicked when it was dropped: {}",
                    payload.message()
                ),
            );
        }
        feeder.finish(Err(JobErrorKind::NoThread(error)));
    }
}

/// Adds to the records of a fed job, without a say in its end.
#[cfg(feature = "process")]
pub(crate) struct Recorder<T>(Port<T>);

#[cfg(feature = "process")]
impl<T> Recorder<T> {
    pub(crate) fn record(&self, level: Level, text: String) {
        self.0.core.record(level, text);
    }

    #[cfg(feature = "process")]
    pub(crate) fn output(&self, value: T) {
        self.0.deliver(value);
    }
}

impl<T> Drop for Feeder<T> {
    fn drop(&mut self) {
        if self.is_pumped.get() && std::thread::panicking() {
            return;
        }
        // After `finish` this says nothing: only the first end counts.
        self.port.core.finish(Err(JobErrorKind::Stopped));
    }
}
