//! Jobs whose work is done elsewhere: what is fed in comes out of an ordinary [`Job`].

use std::panic::Location;
use std::sync::Arc;

use super::backend::OnThread;
use super::core::{Core, End, Origin};
use super::error::JobErrorKind;
use super::handle::Job;
use super::port::{Outputs, Port};
use super::record::Level;
use crate::stop::StopToken;

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
    let origin = Origin {
        name,
        source,
        command,
        stop,
        queue: None,
        backend: Box::new(OnThread),
    };
    let core = Core::new(origin, None);
    core.begin(None);
    let outputs = Arc::new(Outputs::default());
    let port = Port { core, outputs };
    let feeder = Feeder { port: port.clone() };
    (Job { port }, feeder)
}

/// The other side of a fed job. Dropped without a word, it ends the job as stopped.
pub(crate) struct Feeder<T> {
    port: Port<T>,
}

impl<T> Feeder<T> {
    /// One output. It is dropped at once if nobody can receive it.
    pub(crate) fn output(&self, value: T) {
        self.port.deliver(value);
    }

    pub(crate) fn record(&self, level: Level, text: impl Into<String>) {
        self.port.core.record(level, text.into());
    }

    /// The job has ended. As with any job, one that was asked to stop is Stopped unless it failed.
    pub(crate) fn finish(self, end: Result<(), JobErrorKind>) {
        let stopping = self.port.core.stop_token().is_stopping();
        let end: End = match end {
            Ok(()) if stopping => Err(JobErrorKind::Stopped),
            end => end,
        };
        self.port.core.finish(end);
    }
}

impl<T> Drop for Feeder<T> {
    fn drop(&mut self) {
        // After `finish` this says nothing: only the first end counts.
        self.port.core.finish(Err(JobErrorKind::Stopped));
    }
}
