//! The options of a call, as the macro sets them.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::control::{
    Halt, IntoProgress, IntoRate, IntoRetry, IntoThrottle, IntoTimeout, Kind, Settings,
};
use super::executor::{Elastic, OneThread, Sequential, Target};
#[cfg(feature = "journal")]
use super::journal::{IntoJournal, Journal};
#[cfg(not(feature = "journal"))]
use super::no_journal::IntoJournal;

/// How many items run at once when a call does not say: 5, as in PowerShell.
pub const DEFAULT_THROTTLE: usize = 5;

/// What the macro passes on. Not named by users, who write `throttle = 3` and the like.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    throttle: Option<usize>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) ordered: bool,
    pub(crate) buffer: Option<usize>,
    pub(crate) name: Option<Arc<str>>,
    /// Where the call stands, if not where its function is called.
    pub(crate) location: Option<&'static Location<'static>>,
    pub(crate) control: Settings,
    pub(crate) runs_elsewhere: bool,
    /// A single worker has all items run elsewhere.
    pub(crate) has_one_worker: bool,
    /// The call is a job.
    #[cfg(feature = "cluster")]
    pub(crate) is_job: bool,
    #[cfg(feature = "journal")]
    pub(crate) journal: Option<Journal>,
    #[cfg(feature = "journal")]
    pub(crate) resume: bool,
    pub(crate) emits: bool,
    pub(crate) has_state: bool,
    #[cfg(feature = "process")]
    pub(crate) process_pool: Option<crate::process::pool::Pool>,
    #[cfg(feature = "cluster")]
    pub(crate) cluster: Option<crate::cluster::Cluster>,
}

impl Options {
    /// Every option at its default.
    pub fn new() -> Self {
        Self {
            throttle: None,
            target: Arc::new(Elastic),
            ordered: false,
            buffer: None,
            name: None,
            location: None,
            control: Settings::default(),
            runs_elsewhere: false,
            has_one_worker: false,
            #[cfg(feature = "cluster")]
            is_job: false,
            #[cfg(feature = "journal")]
            journal: None,
            #[cfg(feature = "journal")]
            resume: false,
            emits: false,
            has_state: false,
            #[cfg(feature = "process")]
            process_pool: None,
            #[cfg(feature = "cluster")]
            cluster: None,
        }
    }

    /// The call stands here: it is a stage of a macro's call that has others too.
    #[track_caller]
    pub fn here(mut self) -> Self {
        self.location = Some(Location::caller());
        self
    }

    /// At most this many items at once.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn throttle(mut self, throttle: impl IntoThrottle) -> Self {
        let throttle = throttle.into_throttle();
        self.throttle = Some(throttle.get());
        match throttle.kind {
            Kind::Fixed(_) => {}
            Kind::Shared(gate) => self.control.gate = Some(gate),
            Kind::Auto(most) => self.control.auto = Some(most),
        }
        self
    }

    /// Where the workers run.
    pub fn on(mut self, place: Place) -> Self {
        self.target = place.0;
        self.keep_state();
        self
    }

    /// The throttle unless one is set, or has been.
    #[cfg(feature = "process")]
    pub(crate) fn default_throttle(mut self, throttle: Option<usize>) -> Self {
        self.throttle = self.throttle.or(throttle);
        self
    }

    #[cfg(feature = "process")]
    pub(crate) fn set_default_throttle(&mut self, throttle: usize) {
        self.throttle = self.throttle.or(Some(throttle));
    }

    /// The throttle that was asked for, if one was.
    #[cfg(feature = "cluster")]
    pub(crate) fn asked_throttle(&self) -> Option<usize> {
        self.throttle
    }

    /// Whether the call says nothing of its throttle.
    pub(crate) fn throttle_is_size(&self) -> bool {
        self.throttle.is_none()
    }

    pub(crate) fn effective_throttle(&self) -> usize {
        let asked = self.throttle.unwrap_or_else(|| self.target.size());
        asked.clamp(1, self.target.most())
    }

    /// Results in the order of the input.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// How many items beside the running ones may be taken from the input and not yet consumed.
    pub fn buffer(mut self, buffer: usize) -> Self {
        self.buffer = Some(buffer);
        self
    }

    /// How often an item that has failed is tried again.
    pub fn retry(mut self, retry: impl IntoRetry) -> Self {
        self.control.retry = Some(retry.into_retry());
        self
    }

    /// How long an item may take.
    pub fn timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.control.timeout = Some(timeout.into_timeout());
        self
    }

    /// How long the call may take.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.control.deadline = Some(limit);
        self
    }

    /// How many items start in a given time.
    #[cfg(feature = "rate")]
    pub fn rate(mut self, rate: impl IntoRate) -> Self {
        self.control.rate = Some(rate.into_rate());
        self
    }

    /// Cannot be called.
    #[cfg(not(feature = "rate"))]
    pub fn rate(self, _: impl IntoRate) -> Self {
        self
    }

    /// How far the call is, for those who run the program to see.
    #[cfg(feature = "progress")]
    pub fn progress(mut self, progress: impl IntoProgress) -> Self {
        let watch = progress.into_progress().watch();
        self.control.watches.extend(watch);
        self
    }

    /// Cannot be called.
    #[cfg(not(feature = "progress"))]
    pub fn progress(self, _: impl IntoProgress) -> Self {
        self
    }

    /// When the call has had enough.
    pub fn halt(mut self, halt: Halt) -> Self {
        self.control.halt = Some(halt);
        self
    }

    /// The body emits any number of outputs, and may run elsewhere.
    pub fn emitting(mut self) -> Self {
        self.emits = true;
        self
    }

    /// Each worker makes a state of its own: `init(..)`.
    pub fn with_state(mut self) -> Self {
        self.has_state = true;
        self.keep_state();
        self
    }

    /// A worker on the reader's thread returns from its loop with each result, and its state is gone then. So a
    /// sequential call that has some runs on one thread of its own.
    fn keep_state(&mut self) {
        if self.has_state && self.target.is_sequential() {
            self.target = Arc::new(OneThread);
        }
    }

    /// The file in which items and their values are kept.
    #[cfg(feature = "journal")]
    pub fn journal(mut self, journal: impl IntoJournal) -> Self {
        self.journal = journal.into_journal();
        self.control.has_journal = self.journal.is_some();
        self
    }

    /// Cannot be called.
    #[cfg(not(feature = "journal"))]
    pub fn journal(self, _: impl IntoJournal) -> Self {
        self
    }

    /// Whether items that are finished, by the journal, have their value from there.
    #[cfg(feature = "journal")]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Of no use without a journal.
    #[cfg(not(feature = "journal"))]
    pub fn resume(self, _: bool) -> Self {
        self
    }

    /// A name for errors and the job table.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A back end, as `on = ..` names it.
#[derive(Clone, Debug)]
pub struct Place(pub(crate) Arc<dyn Target>);

/// `on = sequential`.
#[must_use]
pub fn on_sequential() -> Place {
    Place(Arc::new(Sequential))
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
