//! The loop that runs a body over items.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(feature = "cluster")]
use std::time::Duration;
use std::time::Instant;

use super::call::Call;
use super::exit::{Begun, Exit};
use super::item::{ItemContext, Stopped};
#[cfg(feature = "journal")]
use super::journal::{JournalItem, JournalValue};
use super::lane::Lane;
#[cfg(feature = "cluster")]
use super::supply::Found;
use super::supply::{Numbered, Supply};
use crate::context;
use crate::error::{Cause, PanicPayload, drop_caught};
use crate::judge::Judgement;

/// Takes items and runs the body on them: what the macro's worker closure is given.
///
/// The closure holds the captured values and the `init(..)` state, and calls [`run`](Self::run) once with the
/// body; the loop is compiled around the body, so that an item costs no call through a pointer.
pub struct Worker<'w, T, R> {
    call: Arc<Call>,
    supply: Supply<'w, T>,
    exit: Exit<T, R>,
    /// The first item, in hand before the worker closure is entered.
    first: Option<Numbered<T>>,
    has_run: bool,
    /// The throttle was lowered, and this worker was one too many.
    is_surplus: bool,
    /// It has not got yet what it runs items in.
    is_under_way: bool,
}

impl<'w, T, R> Worker<'w, T, R> {
    pub(crate) fn new(supply: Supply<'w, T>, lane: Lane<R>) -> Self {
        Self {
            call: Arc::clone(lane.call()),
            exit: Exit::new(lane, Arc::clone(supply.pool())),
            supply,
            first: None,
            has_run: false,
            is_surplus: false,
            is_under_way: false,
        }
    }

    /// Whether it counts as under way until it has begun: until it has what it runs items in.
    pub(crate) fn set_under_way(&mut self, is_under_way: bool) {
        self.is_under_way = is_under_way;
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// It has got what it runs items in: others may be launched.
    #[cfg(feature = "process")]
    pub(crate) fn begun(&mut self) {
        if std::mem::take(&mut self.is_under_way) {
            self.supply.begun();
        }
    }

    /// Waits for the first item; false when there is none for this worker. So `init(..)` runs only
    /// where something needs it.
    pub(crate) fn has_work(&mut self) -> bool {
        self.first = self.supply.wait(&self.call);
        self.first.is_some()
    }

    /// Leaves the item that it has taken first to whoever can run one now. Not the thread of the consumer: it comes
    /// for one batch, and would not look again.
    #[cfg(feature = "process")]
    pub(crate) fn let_go(&mut self) {
        if context::is_consumer() {
            return;
        }
        if let Some(first) = self.first.take() {
            let attempt = self.exit.attempt(first.0);
            self.exit.put_back(first, attempt);
            self.call.to_workers.notify();
        }
    }

    /// Runs `body` on every item this worker gets: one value an item.
    pub fn run<F: FnMut(T) -> R>(&mut self, mut body: F) {
        self.each(&mut |batch| batch.each(|exit, index, item| exit.value(index, body(item))));
    }

    /// Like [`run`](Self::run); `judge` says what each value means.
    pub fn run_judged<F, J>(&mut self, mut body: F, judge: J)
    where
        F: FnMut(T) -> R,
        J: Fn(&R) -> Judgement,
    {
        self.each(&mut |batch| {
            batch.each(|exit, index, item| {
                let value = body(item);
                let judgement = judge(&value);
                exit.judged(index, value, judgement)
            });
        });
    }

    /// From here on an item is copied before it runs, for another try.
    pub fn copying(&mut self)
    where
        T: Copied,
    {
        self.exit.set_copy(T::copied);
    }

    /// From here on items are written down, and those that are finished are not run. False if there is
    /// nothing left to run: what else a worker needs it can do without then.
    #[cfg(feature = "journal")]
    pub fn journalling(&mut self) -> bool
    where
        T: JournalItem,
        R: JournalValue,
    {
        self.exit.set_keeper();
        if let Some(first) = self.take_unknown() {
            self.first = Some(first);
        }
        self.first.is_some()
    }

    /// Nothing: without the feature there is no journal.
    #[cfg(not(feature = "journal"))]
    pub fn journalling(&mut self) -> bool {
        true
    }

    /// Runs `body` on every item this worker gets: any number of outputs an item.
    pub fn run_emitting<F: FnMut(T, &ItemContext<'_, R>)>(&mut self, mut body: F) {
        self.each(&mut |batch| {
            batch.each(|exit, index, item| {
                body(
                    item,
                    &ItemContext::new(&exit.lane, index, exit.has_limits()),
                );
                exit.ended(index)
            });
        });
    }

    /// `run` has the loop that is compiled around a body, the rest is the same for all of them.
    fn each(&mut self, run: &mut dyn FnMut(&mut Batch<'_, '_, T, R>)) {
        self.has_run = true;
        // What `init` may have said is none of the first item's affair.
        context::take_finished();
        while let Some(first) = self.next() {
            let start = Instant::now();
            let index = first.0;
            let count = self.batch(first, run);
            let time = start.elapsed();
            self.call.pace.record(time, count);
            if count == 1 && self.call.slowest.is_wanted() {
                self.call.slowest.note(index, time);
            }
            self.exit.lane.flush(count);
        }
        if self.call.is_closed() {
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
        let control = self.call.control.as_ref();
        let most = match control.is_some_and(|it| it.starts_one_by_one()) {
            true => 1,
            false => most,
        };
        for _ in 1..most {
            let Some(item) = self.supply.take_any() else {
                break;
            };
            if let Some(item) = self.exit.recall(item) {
                take(item);
            }
        }
        true
    }

    /// The next item, waiting for it until `wakes` or for `longest`.
    #[cfg(feature = "cluster")]
    pub(crate) fn poll(&mut self, wakes: &dyn Fn() -> bool, longest: Duration) -> Found<T> {
        self.has_run = true;
        loop {
            let found = match self.first.take() {
                Some(first) if !self.call.is_closed() => Found::Item(first),
                first => {
                    self.first = first;
                    self.supply.poll(&self.call, wakes, longest)
                }
            };
            let Found::Item(item) = found else {
                return found;
            };
            if let Some(item) = self.exit.recall(item) {
                return Found::Item(item);
            }
        }
    }

    /// Takes an item back that [`poll`](Self::poll) has handed out.
    #[cfg(feature = "cluster")]
    pub(crate) fn put_back(&mut self, item: Numbered<T>) {
        self.supply.put_back(item);
    }

    /// Whether this worker has been handed its last item. Most likely: an item may still be put back.
    #[cfg(feature = "process")]
    pub(crate) fn is_at_end(&self) -> bool {
        self.call.input_ended() && self.first.is_none() && self.supply.is_empty()
    }

    #[cfg(feature = "process")]
    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    #[cfg(feature = "process")]
    pub(crate) fn exit(&self) -> &Exit<T, R> {
        &self.exit
    }

    fn next(&mut self) -> Option<Numbered<T>> {
        self.exit.lane.set_permit(None);
        if self.exit.is_abandoned() || self.is_surplus {
            return None;
        }
        // Not with an item in hand.
        if self.first.is_none() && self.call.leaves_crowd() {
            self.is_surplus = true;
            return None;
        }
        let next = self.take_unknown()?;
        if self.call.control.is_some() && !self.may_start() {
            self.supply.put_back(next);
            return None;
        }
        Some(next)
    }

    /// Waits until the limits that items have together let one start; false if the call ends first.
    fn may_start(&mut self) -> bool {
        let call = &self.call;
        let Some(control) = &call.control else {
            return true;
        };
        if let Some(gate) = control.gate() {
            // Those that have the places may wait for the consumer, and it for an item that is set aside.
            let _blocked = call.block();
            let Some(permit) = call.pass(gate, || call.is_closed()) else {
                return false;
            };
            self.exit.lane.set_permit(permit);
        }
        // A place comes free by the very item that ends the call, too.
        control.keep_rate(|| call.is_closed()) && !call.is_closed()
    }

    /// An item that is not finished already.
    fn take_unknown(&mut self) -> Option<Numbered<T>> {
        loop {
            let item = self.take()?;
            if let Some(item) = self.exit.recall(item) {
                return Some(item);
            }
        }
    }

    fn take(&mut self) -> Option<Numbered<T>> {
        if self.first.is_some() && !self.call.is_closed() {
            return self.first.take();
        }
        // A consumer that lends its thread wants to see what has come of it.
        if context::is_consumer() && !self.call.is_closed() {
            return None;
        }
        self.supply.wait(&self.call)
    }

    /// Runs `first` and the rest of this worker's own items; answers how many. A panic is caught
    /// around many items rather than around each: it costs nothing until there is one.
    fn batch(&mut self, first: Numbered<T>, run: &mut dyn FnMut(&mut Batch<'_, '_, T, R>)) -> u64 {
        let mut batch = Batch {
            call: &self.call,
            exit: &self.exit,
            has_limits: self.exit.has_limits(),
            head: first.0,
            first: Some(first),
            before: self.supply.own().begun(),
            supply: &mut self.supply,
            entered: None,
        };
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| run(&mut batch))) {
            batch.entered = None;
            context::take_finished();
            let cause = body_cause(batch.call, payload);
            batch.exit.failed(batch.current(), cause);
        }
        batch.count()
    }

    /// Ends the items that were taken from the input and will not run.
    fn give_up_rest(&mut self) {
        while let Some((index, item)) = self.first.take().or_else(|| self.supply.take_left()) {
            let cause = match drop_caught(item) {
                Ok(()) => self.call.end_came_first(false),
                Err(payload) => Cause::DropPanicked(payload),
            };
            self.exit.end_not_run(index, cause);
        }
        self.exit.lane.flush_now();
    }

    /// After the worker closure is done, by return or by panic: whatever it left is ended here.
    pub(crate) fn retire(mut self, ended: Result<(), Box<dyn Any + Send>>) -> Retired {
        if let Err(payload) = ended {
            let payload = PanicPayload::new(payload);
            let cause = if self.has_run {
                Cause::DropPanicked(payload)
            } else {
                Cause::InitPanicked(payload)
            };
            self.call.fail(None, cause);
        }
        if self.call.is_closed() {
            self.give_up_rest();
        }
        let retired = match (self.exit.is_abandoned(), self.is_surplus) {
            (true, _) => Retired::Abandoned,
            (false, true) => Retired::Surplus,
            (false, false) => Retired::WithPlace,
        };
        self.supply.retire();
        self.exit.lane.retire();
        retired
    }
}

/// The items that a worker runs in one go, and where it puts what comes of them: one, and then what it has in
/// hand. In a call with limits that is one item.
///
/// What can be told from the hand is not written down for each item.
struct Batch<'a, 'w, T, R> {
    call: &'a Call,
    supply: &'a mut Supply<'w, T>,
    exit: &'a Exit<T, R>,
    has_limits: bool,
    first: Option<Numbered<T>>,
    /// The index of the first.
    head: u64,
    /// How many items in hand had begun before.
    before: usize,
    /// The surroundings of the item that runs, where it has its own.
    entered: Option<Begun>,
}

impl<T, R> Batch<'_, '_, T, R> {
    /// Has `one` run each item, as long as it says that another may begin: it has looked at the call just then.
    #[inline(always)]
    fn each(&mut self, mut one: impl FnMut(&Exit<T, R>, u64, T) -> bool) {
        // Not as one `Option`, which would be written to memory for each item.
        let Some((mut index, mut item)) = self.first() else {
            return;
        };
        loop {
            let goes_on = one(self.exit, index, item);
            if self.has_limits {
                self.entered = None;
                return;
            }
            if !goes_on {
                return;
            }
            match self.supply.own().next() {
                Some(next) => (index, item) = next,
                None => return,
            }
        }
    }

    /// The first item; or, if that has panicked, the next.
    fn first(&mut self) -> Option<Numbered<T>> {
        let Some(first) = self.first.take() else {
            return self.next();
        };
        if self.has_limits {
            self.entered = self.exit.begin(first.0, &first.1);
        }
        Some(first)
    }

    /// The next item to run after one that has panicked. What a stop leaves is ended elsewhere, see
    /// [`Worker::give_up_rest`].
    fn next(&mut self) -> Option<Numbered<T>> {
        if self.has_limits || self.call.is_closed() {
            return None;
        }
        self.supply.own().next()
    }

    /// How many items have begun after the first.
    fn others(&mut self) -> usize {
        self.supply.own().begun() - self.before
    }

    /// The item that runs, or was the last to run.
    fn current(&mut self) -> u64 {
        match self.others() {
            0 => self.head,
            _ => self.supply.own().last(),
        }
    }

    /// How many items have begun.
    fn count(&mut self) -> u64 {
        1 + self.others() as u64
    }
}

/// How a worker has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retired {
    /// It had its place to the end.
    WithPlace,
    /// It has given its place back.
    Surplus,
    /// Its place was taken away, with its item.
    Abandoned,
}

fn body_cause(call: &Call, payload: Box<dyn Any + Send>) -> Cause {
    if payload.is::<Stopped>() {
        call.end_came_first(true)
    } else {
        Cause::Panicked(PanicPayload::new(payload))
    }
}

/// An item that can be tried again.
#[diagnostic::on_unimplemented(
    message = "an item of type `{Self}` cannot be tried again, because it is not `Clone`",
    label = "another try needs a copy of the item",
    note = "derive `Clone` for it, or make the items something that can be copied, such as a path or an `Arc`"
)]
pub trait Copied {
    /// A copy.
    #[must_use]
    fn copied(&self) -> Self;
}

impl<T: Clone> Copied for T {
    fn copied(&self) -> Self {
        self.clone()
    }
}

impl<T, R> fmt::Debug for Worker<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("call", &self.call.site.to_string())
            .finish_non_exhaustive()
    }
}
