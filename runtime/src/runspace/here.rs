//! Which work this thread runs, or runs something for.
//!
//! A runspace's own thread knows it from a thread-local. The threads that a body's parallel calls
//! run on know it from the surroundings, which calls hand on: work stands there in the place of its
//! job, in front of the job that it runs for itself.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::host::{Host, Seat};
use crate::context::{self, CurrentJob};
use crate::per_process::PerProcess;
use crate::sync::{Mutex, thread_local};

thread_local! {
    static RUNNING: RefCell<Option<Arc<Seat>>> = RefCell::default();
}

/// Says, until the answer is dropped, that this thread runs the work of `seat`.
pub(super) fn enter(seat: &Arc<Seat>) -> Entered {
    RUNNING.with(|it| it.replace(Some(Arc::clone(seat))));
    Entered
}

/// A runspace's thread runs one piece of work after the other, never one in another.
pub(super) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let gone = RUNNING.try_with(RefCell::take);
        drop(gone);
    }
}

/// The work that this thread runs and the work that it runs something for: none, one, or two if a
/// worker of a call runs on a runspace of its own.
pub(super) fn all() -> Vec<Arc<Seat>> {
    let mut seats = Vec::new();
    seats.extend(RUNNING.try_with(|it| it.borrow().clone()).ok().flatten());
    if let Some((seat, _)) = context::current().job.as_ref().and_then(Inside::look_up)
        && !seats.iter().any(|it| Arc::ptr_eq(it, &seat))
    {
        seats.push(seat);
    }
    seats
}

/// Whether this thread is a runspace of `host`, and runs something.
pub(super) fn is_runspace_of(host: &Arc<Host>) -> bool {
    let is_of = |it: &RefCell<Option<Arc<Seat>>>| {
        let host_of = it.borrow().as_ref().and_then(|seat| seat.host());
        host_of.is_some_and(|it| Arc::ptr_eq(&it, host))
    };
    RUNNING.try_with(is_of).unwrap_or(false)
}

/// Whether this thread runs work, or something for work.
pub(super) fn is_inside() -> bool {
    !all().is_empty()
}

/// The job that the code of this thread runs for, past the work it may be part of.
pub(super) fn job() -> Option<Arc<dyn CurrentJob>> {
    let job = context::current().job?;
    match Inside::look_up(&job) {
        Some((_, job)) => job,
        None => Some(job),
    }
}

/// Work in the place of a job.
pub(super) struct Inside {
    job: Option<Arc<dyn CurrentJob>>,
}

/// The work, and the job that it runs for.
type Found = (Arc<Seat>, Option<Arc<dyn CurrentJob>>);

/// By address. The job layer finds its own type through [`CurrentJob::as_any`], which an `Inside`
/// passes on to the job it stands before; so it is found here instead.
static INSIDES: PerProcess<Mutex<HashMap<usize, Found>>> = PerProcess::new(Mutex::default);

impl Inside {
    /// For the surroundings of the code that runs for `seat` and, if there is one, for `job`.
    pub(super) fn before(
        job: Option<Arc<dyn CurrentJob>>,
        seat: &Arc<Seat>,
    ) -> Arc<dyn CurrentJob> {
        let inside = Arc::new(Self { job: job.clone() });
        let seat = Arc::clone(seat);
        INSIDES
            .lock()
            .insert(Arc::as_ptr(&inside).addr(), (seat, job));
        inside
    }

    fn look_up(job: &Arc<dyn CurrentJob>) -> Option<Found> {
        INSIDES.lock().get(&Arc::as_ptr(job).addr()).cloned()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let gone = INSIDES.lock().remove(&std::ptr::from_ref(self).addr());
        drop(gone); // perhaps the last reference to a job: not under the lock
    }
}

impl CurrentJob for Inside {
    fn as_any(&self) -> &dyn Any {
        match &self.job {
            Some(job) => job.as_any(),
            None => self,
        }
    }

    fn note(&self, level: u8, text: String) {
        if let Some(job) = &self.job {
            job.note(level, text);
        }
    }
}
