//! The part of an invocation that does not depend on the type of its value.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};
use std::time::Instant;

use super::error::{InvocationError, InvocationErrorKind};
use super::state::InvocationState;
use crate::context::{self, Context, CurrentJob, Places};
use crate::debug;
use crate::error::{PanicPayload, drop_caught};
use crate::runspace::context::RunspaceContext;
use crate::runspace::host::{Host, Kind, Seat, Title, Work};
use crate::stop::{OnStop, StopToken};
use crate::sync::{Condvar, Mutex};
use crate::trace::{self, Place};
use crate::vigil;
use crate::waits::Frame;

/// What an invocation runs. It delivers its value itself; it owns what was captured.
pub(in crate::runspace) type Body = Box<dyn FnOnce(&mut RunspaceContext) + Send>;

/// What became of an invocation.
pub(in crate::runspace) type End = Result<(), InvocationErrorKind>;

pub(in crate::runspace) struct Core {
    seat: Arc<Seat>,
    source: &'static Location<'static>,
    host: Weak<Host>,
    /// The runspace or pool, as a text calls it.
    place: Title,
    stop: StopToken,
    /// The job of the code that made the invocation: what runs for it, runs for that.
    job: Option<Arc<dyn CurrentJob>>,
    /// The places that the code which made it lends.
    places: Option<Arc<Places>>,
    body: Mutex<Option<Body>>,
    /// Its span, until it ends.
    trace: Mutex<Place>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    phase: Phase,
    runspace: Option<u64>,
    thread: Option<ThreadId>,
    since: Option<Instant>,
    failure: Option<InvocationErrorKind>,
}

#[derive(Clone, Copy, Default)]
enum Phase {
    #[default]
    Queued,
    Running,
    Finished(InvocationState),
}

// Made and asked.
impl Core {
    pub(super) fn new(
        host: &Arc<Host>,
        name: Option<Arc<str>>,
        source: &'static Location<'static>,
        body: Body,
    ) -> Arc<Self> {
        let stop = StopToken::child_of_current();
        let seat = Seat::new(name, Arc::downgrade(host), Some(stop.clone()));
        let trace = trace::job(seat.id(), || Arc::clone(seat.name()), "invoke!");
        Arc::new(Self {
            seat,
            source,
            host: Arc::downgrade(host),
            place: host.title(),
            stop,
            job: context::current_job(),
            places: context::places_for_others(),
            body: Mutex::new(Some(body)),
            trace: Mutex::new(trace),
            progress: Mutex::new(Progress::default()),
            changed: Condvar::new(),
        })
    }

    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    pub(super) fn source(&self) -> &'static Location<'static> {
        self.source
    }

    pub(super) fn runspace(&self) -> Option<u64> {
        self.progress.lock().runspace
    }

    pub(super) fn thread(&self) -> Option<ThreadId> {
        self.progress.lock().thread
    }

    pub(super) fn state(&self) -> InvocationState {
        let phase = self.progress.lock().phase;
        match phase {
            Phase::Finished(state) => state,
            _ if self.stop.is_stopping() => InvocationState::Stopping,
            Phase::Queued => InvocationState::NotStarted,
            Phase::Running => InvocationState::Running,
        }
    }

    pub(super) fn error(&self, kind: InvocationErrorKind) -> InvocationError {
        let name = Arc::clone(self.seat.name());
        InvocationError::new(
            self.seat.id(),
            name,
            self.place.to_string(),
            self.source,
            kind,
        )
    }

    /// Says what it is at, for somebody who looks where a program hangs.
    pub(in crate::runspace) fn tell(&self, depth: usize, out: &mut String) {
        let title = format!(
            "invocation {} ({})",
            debug::Name(self.seat.name()),
            self.source
        );
        let Some(progress) = self.progress.try_lock() else {
            return debug::line(out, depth, format_args!("{title}: busy"));
        };
        let state = match progress.phase {
            Phase::Finished(_) => "has ended",
            _ if self.stop.is_stopping() => "was told to stop",
            Phase::Queued => "is queued",
            Phase::Running => "runs",
        };
        let time = progress.since.map_or_else(String::new, |it| {
            format!(" for {}", debug::Seconds(it.elapsed()))
        });
        let thread = progress
            .thread
            .map_or_else(String::new, |it| format!(" on {it:?}"));
        drop(progress);
        let waits = if self.seat.is_waiting() {
            ", and waits for other work"
        } else {
            ""
        };
        debug::line(
            out,
            depth,
            format_args!("{title} {state}{time}{thread}{waits}"),
        );
    }

    /// Why there is no value, if it failed or was stopped.
    pub(super) fn take_failure(&self) -> Option<InvocationErrorKind> {
        let mut progress = self.progress.lock();
        let taken = progress.failure.take()?;
        progress.failure = Some(taken.repeat());
        Some(taken)
    }

    /// Waits for the end. False when the time ran out; there is no limit without one.
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        let is_over = || matches!(self.progress.lock().phase, Phase::Finished(_));
        let is_late = || until.is_some_and(|it| it <= Instant::now());
        let look = || match is_over() {
            true => Some(true),
            false => is_late().then_some(false),
        };
        let title = || {
            format!(
                "the end of invocation {} ({})",
                debug::Name(self.seat.name()),
                self.source
            )
        };
        vigil::keep(look, |_| {
            let _waits = debug::wait(|| format!("{} on {}", title(), self.place));
            self.sleep(until)
        })
    }

    fn sleep(&self, until: Option<Instant>) -> bool {
        let mut progress = self.progress.lock();
        while !matches!(progress.phase, Phase::Finished(_)) {
            progress = match until {
                None => self.changed.wait(progress),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed.wait_timeout(progress, left).0
                }
            };
        }
        true
    }
}

// What happens to it, in the order of its life.
impl Core {
    /// Puts it in the line of its host.
    pub(super) fn start(self: &Arc<Self>, host: &Arc<Host>) {
        let work = Work {
            seat: Arc::clone(&self.seat),
            kind: Kind::Invocation(Arc::clone(self)),
        };
        self.stop.listen(self);
        self.seat.set_teller(self);
        if let Err(work) = host.start(work) {
            work.end_unrun(InvocationErrorKind::Closed);
        }
        // A stop that came before it stood in the line has not found it there.
        if self.stop.is_stopping() {
            self.cancel();
        }
    }

    /// Asks it to stop; if it has not started it never does.
    pub(super) fn stop(&self) {
        if !self.state().is_finished() {
            self.stop.stop();
        }
    }

    /// Ends it in the line. Whoever takes it out of there decides what becomes of it, so this
    /// cannot meet a start half-way.
    fn cancel(&self) {
        let host = self.host.upgrade();
        if let Some(work) = host.and_then(|host| host.cancel(self.seat.id())) {
            work.end_unrun(InvocationErrorKind::Stopped);
        }
    }

    /// Runs the body in the surroundings of the invocation, after `prepare`. All it owned is dropped
    /// when this returns.
    pub(in crate::runspace) fn run(
        &self,
        runspace: &mut RunspaceContext,
        prepare: impl FnOnce(&mut RunspaceContext) -> Result<(), PanicPayload>,
    ) -> End {
        if self.stop.is_stopping() {
            return self.drop_unrun(InvocationErrorKind::Stopped);
        }
        self.begin(runspace.id());
        let entered = context::enter(self.context());
        let end = match (prepare(runspace), self.take_body()) {
            (Ok(()), Some(body)) => self.judge(catch_unwind(AssertUnwindSafe(|| body(runspace)))),
            (Ok(()), None) => Ok(()),
            (Err(payload), body) => {
                // One failure is enough: a destructor's comes second.
                let _ = drop_caught(body);
                Err(InvocationErrorKind::InitPanicked(payload))
            }
        };
        drop(entered);
        end
    }

    fn judge(&self, ended: thread::Result<()>) -> End {
        match ended {
            Err(payload) => Err(InvocationErrorKind::Panicked(PanicPayload::new(payload))),
            Ok(()) if context::was_cut_off() => Err(InvocationErrorKind::Stopped),
            Ok(()) => Ok(()),
        }
    }

    fn begin(&self, runspace: u64) {
        let mut progress = self.progress.lock();
        progress.phase = Phase::Running;
        progress.runspace = Some(runspace);
        progress.thread = Some(thread::current().id());
        progress.since = Some(Instant::now());
    }

    fn context(&self) -> Context {
        Context {
            stop: Some(self.stop.clone()),
            job: self.job.clone(),
            frame: Some(Frame::of(Arc::clone(&self.seat) as _)),
            places: self.places.clone(),
            trace: self.trace.lock().clone(),
            ..Context::default()
        }
    }

    fn take_body(&self) -> Option<Body> {
        self.body.lock().take()
    }

    /// It has ended: all it owned is dropped, and its runspace is free.
    pub(in crate::runspace) fn finish(&self, end: End) {
        let state = match &end {
            Ok(()) => InvocationState::Completed,
            Err(InvocationErrorKind::Stopped) => InvocationState::Stopped,
            Err(_) => InvocationState::Failed,
        };
        // Before anyone sees the end.
        let trace = std::mem::take(&mut *self.trace.lock());
        trace.end(&state);
        let mut progress = self.progress.lock();
        progress.failure = end.err();
        progress.phase = Phase::Finished(state);
        self.changed.notify_all();
    }

    /// Ends what was taken out of the line, or never let in.
    pub(in crate::runspace) fn end_unrun(&self, reason: InvocationErrorKind) {
        let end = self.drop_unrun(reason);
        self.finish(end);
    }

    fn drop_unrun(&self, reason: InvocationErrorKind) -> End {
        let entered = context::enter(self.context());
        let dropped = drop_caught(self.take_body());
        drop(entered);
        match (dropped, reason) {
            (Err(payload), InvocationErrorKind::Stopped) => {
                Err(InvocationErrorKind::DropPanicked(payload))
            }
            (_, reason) => Err(reason),
        }
    }
}

/// The line is where a stop has to reach it; a running body looks at its token.
impl OnStop for Core {
    fn on_stop(&self) {
        self.cancel();
    }
}
