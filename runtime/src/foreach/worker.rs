//! The loop that runs a body over items.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::call::Call;
use super::item::{ItemContext, Stopped};
use super::lane::{Event, Lane};
use super::supply::{Numbered, Supply};
use crate::context;
use crate::error::{Cause, ItemError, PanicPayload, drop_caught};

/// Takes items and runs the body on them: what the macro's worker closure is given.
///
/// The closure holds the captured values and the `init(..)` state, and calls [`run`](Self::run) once with the
/// body; the loop is compiled around the body, so that an item costs no call through a pointer.
pub struct Worker<T, R> {
    call: Arc<Call>,
    supply: Supply<T>,
    lane: Lane<R>,
    /// The first item, in hand before the worker closure is entered.
    first: Option<Numbered<T>>,
    has_run: bool,
}

impl<T, R> Worker<T, R> {
    pub(crate) fn new(supply: Supply<T>, lane: Lane<R>) -> Self {
        Self {
            call: Arc::clone(lane.call()),
            supply,
            lane,
            first: None,
            has_run: false,
        }
    }

    /// Waits for the first item; false when there is none for this worker. So `init(..)` runs only
    /// where something needs it.
    pub(crate) fn has_work(&mut self) -> bool {
        self.first = self.supply.wait(&self.call);
        self.first.is_some()
    }

    /// Runs `body` on every item this worker gets: one value an item.
    pub fn run<F: FnMut(T) -> R>(&mut self, mut body: F) {
        self.each(|lane, index, item| lane.put(Event::Value(index, body(item))));
    }

    /// Runs `body` on every item this worker gets: any number of outputs an item.
    pub fn run_emitting<F: FnMut(T, &ItemContext<'_, R>)>(&mut self, mut body: F) {
        self.each(|lane, index, item| {
            body(item, &ItemContext::new(lane, index));
            lane.put(Event::Ended(index));
        });
    }

    fn each(&mut self, mut one: impl FnMut(&Lane<R>, u64, T)) {
        self.has_run = true;
        while let Some(first) = self.next() {
            let start = Instant::now();
            let count = self.batch(first, &mut one);
            self.call.pace.record(start.elapsed(), count);
            self.lane.flush();
        }
        if self.call.stop.is_stopping() {
            self.give_up_rest();
        }
    }

    /// Hands out up to `most` items, waiting for the first. False when there are no more.
    #[cfg(feature = "process")]
    pub(crate) fn fill(&mut self, most: usize, take: &mut dyn FnMut(Numbered<T>)) -> bool {
        self.has_run = true;
        let Some(first) = self.next() else {
            return false;
        };
        take(first);
        for _ in 1..most {
            let Some(item) = self.supply.take_any() else {
                break;
            };
            take(item);
        }
        true
    }

    /// Takes back what was handed out and did not run, to be ended with the rest.
    #[cfg(feature = "process")]
    pub(crate) fn put_back(&mut self, items: impl Iterator<Item = Numbered<T>>) {
        for item in items {
            self.supply.put_back(item);
        }
    }

    #[cfg(feature = "process")]
    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    #[cfg(feature = "process")]
    pub(crate) fn lane(&self) -> &Lane<R> {
        &self.lane
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        if self.first.is_some() && !self.call.stop.is_stopping() {
            return self.first.take();
        }
        // A consumer that lends its thread wants to see what has come of it.
        if context::is_consumer() && !self.call.stop.is_stopping() {
            return None;
        }
        self.supply.wait(&self.call)
    }

    /// Runs `first` and the rest of this worker's own items; answers how many. A panic is caught
    /// around many items rather than around each: it costs nothing until there is one.
    fn batch(&mut self, first: Numbered<T>, one: &mut impl FnMut(&Lane<R>, u64, T)) -> u64 {
        let Self {
            call, supply, lane, ..
        } = self;
        let mut next = Some(first);
        let mut count = 0;
        while next.is_some() {
            let mut current = 0;
            let caught = catch_unwind(AssertUnwindSafe(|| {
                while let Some((index, item)) = next.take() {
                    current = index;
                    count += 1;
                    one(lane, index, item);
                    if !call.stop.is_stopping() {
                        next = supply.own();
                    }
                }
            }));
            if let Err(payload) = caught {
                lane.put(Event::Failed(current, body_error(call, current, payload)));
                next = supply.own().filter(|_| !call.stop.is_stopping());
            }
        }
        count
    }

    /// Ends the items that were taken from the input and will not run.
    fn give_up_rest(&mut self) {
        while let Some((index, item)) = self.first.take().or_else(|| self.supply.take_any()) {
            let cause = match drop_caught(item) {
                Ok(()) => Cause::Stopped,
                Err(payload) => Cause::DropPanicked(payload),
            };
            let error = ItemError::new(Some(index), cause, self.call.site.clone());
            self.lane.put(Event::Failed(index, error));
        }
        self.lane.flush_now();
    }

    /// After the worker closure is done, by return or by panic: whatever it left is ended here.
    pub(crate) fn retire(mut self, ended: Result<(), Box<dyn Any + Send>>) {
        if let Err(payload) = ended {
            let payload = PanicPayload::new(payload);
            let cause = if self.has_run {
                Cause::DropPanicked(payload)
            } else {
                Cause::InitPanicked(payload)
            };
            self.call.fail(None, cause);
        }
        if self.call.stop.is_stopping() {
            self.give_up_rest();
        }
    }
}

fn body_error(call: &Call, index: u64, payload: Box<dyn Any + Send>) -> ItemError {
    let cause = if payload.is::<Stopped>() {
        Cause::Stopped
    } else {
        Cause::Panicked(PanicPayload::new(payload))
    };
    ItemError::new(Some(index), cause, call.site.clone())
}

impl<T, R> fmt::Debug for Worker<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("call", &self.call.site.to_string())
            .finish_non_exhaustive()
    }
}
