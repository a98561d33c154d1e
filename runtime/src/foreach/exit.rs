//! How the items of a worker end.
//!
//! In a call without limits the end of an item is an event in the worker's lane, and no more. With
//! them it is looked at first: whether the item is still the worker's, whether it is tried again,
//! whether the call has had enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::control::{Control, Retry, Run, Slot};
use super::lane::{Event, Lane};
use super::supply::Pool;
use crate::context::{self, Context, Entered, Places};
use crate::error::{Cause, ItemError, drop_quietly};
use crate::judge::Judgement;

/// Where the items of one worker end.
pub(crate) struct Exit<T, R> {
    pub(crate) lane: Lane<R>,
    pool: Arc<Pool<T>>,
    /// Where others see what this worker runs, if the call has limits.
    slot: Option<Arc<Slot<T>>>,
    /// Makes the copy that another try needs.
    copy: Option<fn(&T) -> T>,
}

impl<T, R> Exit<T, R> {
    pub(crate) fn new(lane: Lane<R>, pool: Arc<Pool<T>>) -> Self {
        let slot = lane.call().control.is_some().then(|| {
            let slot = Arc::new(Slot::new(lane.expired()));
            pool.slots.lock().push(Arc::clone(&slot));
            slot
        });
        Self {
            lane,
            pool,
            slot,
            copy: None,
        }
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        self.lane.call()
    }

    /// From here on items are copied before they run.
    pub(crate) fn set_copy(&mut self, copy: fn(&T) -> T) {
        self.copy = Some(copy);
    }

    pub(crate) fn has_limits(&self) -> bool {
        self.slot.is_some()
    }

    /// Whether the item was taken away while the body ran on.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.slot.as_ref().is_some_and(|it| it.is_abandoned())
    }

    /// Which try of an item begins.
    pub(crate) fn attempt(&self, index: u64) -> u32 {
        match self.retry() {
            Some(_) => self.pool.attempt(index),
            None => 1,
        }
    }

    /// Says that an item begins, where that is of interest.
    pub(crate) fn begin(&self, index: u64, item: &T) -> Option<Entered> {
        let slot = self.slot.as_ref()?;
        let call = self.call();
        let control = call.control.as_ref()?;
        let attempt = self.attempt(index);
        let token = control.needs_tokens().then(|| call.stop.child());
        let stop = Some(token.as_ref().unwrap_or(&call.stop).clone());
        slot.begin(Run {
            index,
            attempt,
            since: Instant::now(),
            token,
            again: None,
        });
        // From here on: a `clone` that panics is the failure of this item.
        let retry = control.retry().filter(|it| it.after(attempt).is_some());
        if let Some(copy) = retry.and(self.copy) {
            slot.set_again(copy(item));
        }
        let mut context = context::current();
        if let Some(gate) = control.gate() {
            context.places = Some(Places::within(context.places.take(), gate.id()));
        }
        Some(context::enter(Context {
            stop,
            attempt,
            ..context
        }))
    }

    /// The item has a value.
    pub(crate) fn value(&self, index: u64, value: R) {
        match self.slot {
            None => self.lane.put(Event::Value(index, value)),
            Some(_) => self.judged(index, value, Judgement::Good),
        }
    }

    /// The item has a value, which may be that of a failure.
    pub(crate) fn judged(&self, index: u64, value: R, judgement: Judgement) {
        let Some(slot) = &self.slot else {
            return self.lane.put(Event::Value(index, value));
        };
        let Some(mut run) = slot.end() else {
            return drop_quietly(value);
        };
        if judgement == Judgement::Again {
            match self.try_again(run) {
                None => return drop_quietly(value),
                Some(last) => run = last,
            }
        }
        let good = judgement == Judgement::Good;
        self.settle(Event::Value(index, value), good, Some(run.since.elapsed()));
    }

    /// The item, which emits, has come to its end.
    pub(crate) fn ended(&self, index: u64) {
        let Some(slot) = &self.slot else {
            return self.lane.put(Event::Ended(index));
        };
        if let Some(run) = slot.end() {
            self.settle(Event::Ended(index), true, Some(run.since.elapsed()));
        }
    }

    /// The body has panicked, or was stopped.
    pub(crate) fn failed(&self, index: u64, cause: Cause) {
        let Some(slot) = &self.slot else {
            let error = ItemError::new(Some(index), cause, self.call().site.clone());
            return self.lane.put(Event::Failed(index, error));
        };
        match slot.end() {
            Some(run) => self.fail(run, cause),
            None => drop_quietly(cause),
        }
    }

    /// Ends an item that has failed, or keeps it for another try.
    pub(crate) fn fail(&self, run: Run<T>, cause: Cause) {
        let may_pass = matches!(cause, Cause::Panicked(_) | Cause::TimedOut(_));
        let run = match may_pass {
            true => self.try_again(run),
            false => Some(run),
        };
        if let Some(run) = run {
            self.end_failed(run.index, run.attempt, cause);
        }
    }

    /// Ends an item that has failed and is not tried again.
    pub(crate) fn end_failed(&self, index: u64, attempt: u32, cause: Cause) {
        let counts = !matches!(cause, Cause::Stopped);
        let error = ItemError::new(Some(index), cause, self.call().site.clone());
        let event = Event::Failed(index, error.with_attempt(attempt));
        match counts {
            true => self.settle(event, false, None),
            false => self.lane.put(event),
        }
    }

    /// Puts an item aside for its next try. Gives it back if that was the last.
    fn try_again(&self, mut run: Run<T>) -> Option<Run<T>> {
        let pause = self.pause_after(run.attempt);
        let (Some(pause), Some(item)) = (pause, run.again.take()) else {
            return Some(run);
        };
        self.keep_for_later(run.index, item, run.attempt + 1, pause);
        None
    }

    /// How long after try number `attempt` there is another one.
    pub(crate) fn pause_after(&self, attempt: u32) -> Option<Duration> {
        let retry = self.retry().filter(|_| !self.call().is_closed());
        retry?.after(attempt)
    }

    /// Puts an item aside for try number `attempt`.
    pub(crate) fn keep_for_later(&self, index: u64, item: T, attempt: u32, pause: Duration) {
        self.pool.put_later((index, item), attempt, pause);
        self.call().to_workers.notify();
    }

    /// An item has ended for good: tells the consumer, and does what that means for the call.
    pub(crate) fn settle(&self, event: Event<R>, good: bool, time: Option<Duration>) {
        self.lane.put(event);
        if let Some(control) = self.control() {
            let verdict = control.ended(good, time);
            self.call().follow(verdict);
        }
    }

    fn control(&self) -> Option<&Control> {
        self.lane.call().control.as_deref()
    }

    fn retry(&self) -> Option<&Retry> {
        self.control()?.retry()
    }
}

impl<T, R> Drop for Exit<T, R> {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            self.pool.forget(slot);
        }
    }
}
