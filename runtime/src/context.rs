//! What the thread is doing for us right now: whose stop request it answers to, which job it
//! belongs to, which call it works for.

use std::cell::RefCell;
use std::sync::Arc;

use crate::loan::Loan;
use crate::stop::StopToken;
use crate::sync::thread_local;
use crate::trace::{self, InPlace};
use crate::waits::Frame;

/// The job that code runs for, as seen by the layers below jobs.
pub(crate) trait CurrentJob: Send + Sync {
    /// Adds to the records of the job; the job layer knows what the level means.
    fn note(&self, level: u8, text: String);
}

/// The surroundings of running code, handed on to the threads that work for it.
#[derive(Clone, Default)]
pub(crate) struct Context {
    pub(crate) stop: Option<StopToken>,
    pub(crate) job: Option<Arc<dyn CurrentJob>>,
    /// Identity of the parallel call this thread works for; 0 for none.
    pub(crate) call: usize,
    /// The work that the code is part of.
    pub(crate) frame: Option<Arc<Frame>>,
    /// Set while a consumer runs a worker of the call it reads: nobody else will make room for what
    /// that worker emits.
    pub(crate) is_consumer: bool,
    /// Which try of its item the code is part of, from 1; 0 outside of one.
    pub(crate) attempt: u32,
    /// The body that runs has said that its value is whole, although it may have been told to stop.
    pub(crate) has_finished: bool,
    /// The shared places that the code runs on.
    pub(crate) places: Option<Arc<Places>>,
    /// Where it is to tracing. Of use to [`enter`] only: what a thread is in already, no context of its
    /// own has.
    pub(crate) trace: trace::Place,
}

/// A shared place that code runs on, and those that its surroundings run on.
pub(crate) struct Places {
    place: Place,
    outer: Option<Arc<Places>>,
}

/// The shared resources that this code has, and that other calls may wait for.
#[derive(Clone)]
pub(crate) enum Place {
    /// One of the places of a throttle, which the item that has it lends.
    OfThrottle(Arc<Loan>),
    /// A pool of threads that are not ours, by its key.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code, reason = "there is no other"))]
    OfPool(usize),
}

impl Places {
    pub(crate) fn within(outer: Option<Arc<Self>>, place: Place) -> Arc<Self> {
        Arc::new(Self { place, outer })
    }

    fn all(self: &Arc<Self>) -> impl Iterator<Item = &Place> {
        std::iter::successors(Some(self), |it| it.outer.as_ref()).map(|it| &it.place)
    }

    /// The loans of a throttle, the nearest first.
    pub(crate) fn loans(self: &Arc<Self>, throttle: usize) -> Vec<Arc<Loan>> {
        let loan = |it: &Place| match it {
            Place::OfThrottle(loan) if loan.throttle() == throttle => Some(Arc::clone(loan)),
            _ => None,
        };
        self.all().filter_map(loan).collect()
    }

    pub(crate) fn is_on(self: &Arc<Self>, pool: usize) -> bool {
        self.all()
            .any(|it| matches!(it, Place::OfPool(key) if *key == pool))
    }

    /// For work that may go on when the code that starts it has ended: without what is gone, and the loans as ones
    /// that are not the item's own.
    pub(crate) fn for_others(self: &Arc<Self>) -> Option<Arc<Self>> {
        let mut kept: Vec<&Place> = self.all().filter(|it| it.is_there()).collect();
        let mut places = None;
        while let Some(place) = kept.pop() {
            let place = match place {
                Place::OfThrottle(loan) => Place::OfThrottle(loan.for_others()),
                other => other.clone(),
            };
            places = Some(Self::within(places, place));
        }
        places
    }
}

impl Place {
    fn is_there(&self) -> bool {
        match self {
            Self::OfThrottle(loan) => loan.is_there(),
            Self::OfPool(_) => true,
        }
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
    with_current_stop(StopToken::is_stopping).unwrap_or(false)
}

/// The answer of `look` to the token of this thread, if it has one.
pub(crate) fn with_current_stop<V>(look: impl FnOnce(&StopToken) -> V) -> Option<V> {
    let look = |it: &RefCell<Context>| it.borrow().stop.as_ref().map(look);
    CURRENT.try_with(look).ok().flatten()
}

/// Notes that the body which runs has all of its value.
pub(crate) fn set_finished() {
    let _ = CURRENT.try_with(|it| it.borrow_mut().has_finished = true);
}

/// Whether the body that has just ended said that it had all of its value. Asked once: the next body speaks for itself.
pub(crate) fn take_finished() -> bool {
    let take = |it: &RefCell<Context>| std::mem::take(&mut it.borrow_mut().has_finished);
    CURRENT.try_with(take).unwrap_or(false)
}

/// Decides whether the value of the body that has just returned is whole, where [`was_cut_off`] is asked only later: a stop
/// that comes meanwhile makes no difference any more.
pub(crate) fn note_return() {
    if !current_stop_is_set() {
        set_finished();
    }
}

/// Whether what the body on this thread has returned is half a value: it was told to stop before, by the token of this
/// thread, and has not said that it was done.
pub(crate) fn was_cut_off() -> bool {
    let is_whole = take_finished();
    current_stop_is_set() && !is_whole
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

/// The work that the code of this thread is part of.
pub(crate) fn current_frame() -> Option<Arc<Frame>> {
    CURRENT
        .try_with(|it| it.borrow().frame.clone())
        .ok()
        .flatten()
}

/// The shared places for work that this code starts and that may go on without it.
pub(crate) fn places_for_others() -> Option<Arc<Places>> {
    CURRENT
        .try_with(|it| it.borrow().places.clone())
        .ok()
        .flatten()?
        .for_others()
}

/// Whether this thread, or the code that it works for, is on the threads of this pool.
#[cfg(feature = "rayon")]
pub(crate) fn is_on_pool(pool: usize) -> bool {
    let is_on =
        |it: &RefCell<Context>| it.borrow().places.as_ref().is_some_and(|it| it.is_on(pool));
    CURRENT.try_with(is_on).unwrap_or(false)
}

/// Which try of its item the code that runs now is part of, from 1.
pub(crate) fn current_attempt() -> u32 {
    CURRENT
        .try_with(|it| it.borrow().attempt)
        .unwrap_or(0)
        .max(1)
}

/// Begins try number `attempt` of an item, without changing anything else.
#[cfg(feature = "process")]
pub(crate) fn begin_attempt(attempt: u32) {
    let _ = CURRENT.try_with(|it| {
        let mut context = it.borrow_mut();
        context.attempt = attempt;
        context.has_finished = false;
    });
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
