//! What the thread is doing for us right now: whose stop request it answers to, which job it
//! belongs to, which call it works for.

use std::cell::RefCell;
use std::sync::Arc;

use crate::stop::StopToken;
use crate::sync::thread_local;
use crate::trace::{InPlace, Place};

/// The job that code runs for, as seen by the layers below jobs.
pub(crate) trait CurrentJob: Send + Sync {
    /// For the job layer to find its own type again.
    fn as_any(&self) -> &dyn std::any::Any;

    /// Adds to the records of the job; the job layer knows what the level means.
    fn note(&self, level: u8, text: String);

    /// The job waits for results of a call that `maker` has made, until what is answered is dropped. Nothing
    /// is, where that is its own affair.
    fn reads(
        &self,
        _call: usize,
        _maker: Option<&Arc<dyn CurrentJob>>,
    ) -> Option<Box<dyn std::any::Any>> {
        None
    }
}

/// The surroundings of running code, handed on to the threads that work for it.
#[derive(Clone, Default)]
pub(crate) struct Context {
    pub(crate) stop: Option<StopToken>,
    pub(crate) job: Option<Arc<dyn CurrentJob>>,
    /// Identity of the parallel call this thread works for; 0 for none.
    pub(crate) call: usize,
    /// The calls that this one is part of.
    pub(crate) outer: Option<Arc<Caller>>,
    /// Set while a consumer runs a worker of the call it reads: nobody else will make room for what
    /// that worker emits.
    pub(crate) is_consumer: bool,
    /// Which try of its item the code is part of, from 1; 0 outside of one.
    pub(crate) attempt: u32,
    /// The shared places that the code runs on.
    pub(crate) places: Option<Arc<Places>>,
    /// Where it is to tracing. Of use to [`enter`] only: what a thread is in already, no context of its
    /// own has.
    pub(crate) trace: Place,
}

/// A parallel call whose item has made another.
pub(crate) struct Caller {
    call: usize,
    outer: Option<Arc<Caller>>,
}

impl Context {
    /// The call and those that it is part of, for one that is made in this context.
    pub(crate) fn caller(&self) -> Option<Arc<Caller>> {
        let (call, outer) = (self.call, self.outer.clone());
        (call != 0).then(|| Arc::new(Caller { call, outer }))
    }

    /// The call and those that it is part of.
    pub(crate) fn calls(&self) -> Vec<usize> {
        let mut calls: Vec<usize> = (self.call != 0).then_some(self.call).into_iter().collect();
        let mut outer = self.outer.as_ref();
        while let Some(caller) = outer {
            calls.push(caller.call);
            outer = caller.outer.as_ref();
        }
        calls
    }
}

/// A shared place that code runs on, and those that its surroundings run on.
pub(crate) struct Places {
    /// Tells one set of places from another.
    id: usize,
    outer: Option<Arc<Places>>,
}

impl Places {
    pub(crate) fn within(outer: Option<Arc<Places>>, id: usize) -> Arc<Self> {
        Arc::new(Self { id, outer })
    }

    pub(crate) fn includes(&self, id: usize) -> bool {
        self.id == id || self.outer.as_ref().is_some_and(|it| it.includes(id))
    }
}

thread_local! {
    static CURRENT: RefCell<Context> = RefCell::new(Context::default());
}

/// The context of this thread.
pub(crate) fn current() -> Context {
    CURRENT
        .try_with(|it| it.borrow().clone())
        .unwrap_or_default()
}

pub(crate) fn current_stop() -> Option<StopToken> {
    CURRENT
        .try_with(|it| it.borrow().stop.clone())
        .ok()
        .flatten()
}

pub(crate) fn current_stop_is_set() -> bool {
    let look = |it: &RefCell<Context>| {
        it.borrow()
            .stop
            .as_ref()
            .is_some_and(StopToken::is_stopping)
    };
    CURRENT.try_with(look).unwrap_or(false)
}

/// The job that code runs for.
pub(crate) fn current_job() -> Option<Arc<dyn CurrentJob>> {
    CURRENT
        .try_with(|it| it.borrow().job.clone())
        .ok()
        .flatten()
}

pub(crate) fn current_call() -> usize {
    CURRENT.try_with(|it| it.borrow().call).unwrap_or(0)
}

/// Which try of its item the code that runs now is part of, from 1.
pub(crate) fn current_attempt() -> u32 {
    CURRENT
        .try_with(|it| it.borrow().attempt)
        .unwrap_or(0)
        .max(1)
}

/// Sets what [`current_attempt`] answers, without changing anything else.
#[cfg(feature = "process")]
pub(crate) fn set_attempt(attempt: u32) {
    let _ = CURRENT.try_with(|it| it.borrow_mut().attempt = attempt);
}

pub(crate) fn is_consumer() -> bool {
    CURRENT
        .try_with(|it| it.borrow().is_consumer)
        .unwrap_or(false)
}

/// Makes `context` this thread's until the guard is dropped.
pub(crate) fn enter(mut context: Context) -> Entered {
    let trace = std::mem::take(&mut context.trace);
    Entered {
        before: CURRENT.with(|it| it.replace(context)),
        _trace: trace.enter(),
    }
}

/// Restores the context that was there before.
pub(crate) struct Entered {
    before: Context,
    _trace: InPlace,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.before);
        // The context dropped here may hold the last reference to a job; not inside the borrow.
        let gone = CURRENT.try_with(|it| it.replace(before));
        drop(gone);
    }
}
