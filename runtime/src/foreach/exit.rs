//! How the items of a worker end.
//!
//! In a call without limits the end of an item is an event in the worker's lane, and no more. With
//! them it is looked at first: whether the item is still the worker's, whether it is tried again,
//! whether the call has had enough.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::control::{Control, End, Retry, Run, Slot, Try};
#[cfg(feature = "journal")]
use super::journal::{JournalItem, JournalValue, Keeper, Known};
use super::lane::{Event, Lane};
use super::supply::{Numbered, Pool};
use crate::context::{self, Context, Entered, Place, Places};
use crate::error::{Cause, ItemError, drop_caught, drop_quietly};
use crate::judge::Judgement;
use crate::loan::Loan;
use crate::stop::StopToken;
use crate::trace::Runner;

/// Where the items of one worker end.
pub(crate) struct Exit<T, R> {
    pub(crate) lane: Lane<R>,
    pool: Arc<Pool<T>>,
    /// Where others see what this worker runs, if the call has limits.
    slot: Option<Seat<T>>,
    /// Makes the copy that another try needs.
    copy: Option<fn(&T) -> T>,
    /// Where items and values are kept.
    #[cfg(feature = "journal")]
    keeper: Option<Keeper<T, R>>,
}

impl<T, R> Exit<T, R> {
    pub(crate) fn new(lane: Lane<R>, pool: Arc<Pool<T>>) -> Self {
        let slot = lane.call().control.is_some().then(|| {
            let slot = Arc::new(Slot::new(lane.lease()));
            pool.slots.lock().push(Arc::clone(&slot));
            let pool = Arc::clone(&pool);
            Seat { slot, pool }
        });
        Self {
            lane,
            pool,
            slot,
            copy: None,
            #[cfg(feature = "journal")]
            keeper: None,
        }
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        self.lane.call()
    }

    /// From here on items are copied before they run.
    pub(crate) fn set_copy(&mut self, copy: fn(&T) -> T) {
        self.copy = Some(copy);
    }

    /// From here on items that are finished, by the journal, are answered from there.
    #[cfg(feature = "journal")]
    pub(crate) fn set_keeper(&mut self)
    where
        T: JournalItem,
        R: JournalValue,
    {
        let ledger = self.control().and_then(|it| it.ledger()).cloned();
        self.keeper = ledger.map(Keeper::new);
    }

    /// Ends an item whose end is known already. Gives one back that has to run.
    #[cfg(feature = "journal")]
    pub(crate) fn recall(&self, item: Numbered<T>) -> Option<Numbered<T>> {
        let Some(keeper) = &self.keeper else {
            return Some(item);
        };
        let (index, value) = item;
        let known = keeper.look_up(index, &value);
        if let Known::No = known {
            return Some((index, value));
        }
        if let Err(payload) = drop_caught(value) {
            self.call().note_drop(Err(payload));
        }
        let item = Try { index, attempt: 1 };
        match known {
            Known::Value(value) => self.end(item, End::Good, Event::Value(index, value), None),
            Known::Failed(error) => self.end_failed(item, Cause::Journal(error), None),
            Known::No => {}
        }
        self.lane.flush(1);
        None
    }

    #[cfg(not(feature = "journal"))]
    #[expect(
        clippy::unused_self,
        reason = "the feature `journal` has one that does"
    )]
    pub(crate) fn recall(&self, item: Numbered<T>) -> Option<Numbered<T>> {
        Some(item)
    }

    /// Says why the try has failed that another one follows.
    #[cfg(feature = "journal")]
    pub(crate) fn note_cause(&self, index: u64, cause: &Cause) {
        if let Some(ledger) = self.control().and_then(|it| it.ledger()) {
            ledger.note_cause(index, cause);
        }
    }

    pub(crate) fn has_limits(&self) -> bool {
        self.slot.is_some()
    }

    /// Whether the item was taken away while the body ran on.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.slot.as_ref().is_some_and(|it| it.is_abandoned())
    }

    /// Which try of an item begins, or ends where it would have begun. It is this worker's from here on: what comes of
    /// it comes after what its earlier tries have emitted.
    pub(crate) fn attempt(&self, index: u64) -> u32 {
        if self.retry().is_none() {
            return 1;
        }
        let (attempt, before) = self.pool.attempt(index);
        if let Some(mark) = before {
            self.lane.join(index, mark);
        }
        attempt
    }

    /// Says that an item begins, where that is of interest.
    pub(crate) fn begin(&self, index: u64, value: &T) -> Option<Begun> {
        let slot = self.slot.as_ref()?;
        let call = self.call();
        let control = call.control.as_ref()?;
        let attempt = self.attempt(index);
        let token = control.needs_tokens().then(|| call.stop.child());
        let stop = Some(token.as_ref().unwrap_or(&call.stop).clone());
        let since = Instant::now();
        let retry = control.retry().filter(|it| it.after(attempt).is_some());
        let copied = match retry.and(self.copy) {
            Some(copy) => catch_unwind(AssertUnwindSafe(|| copy(value))).map(Some),
            None => Ok(None),
        };
        let (again, panicked) = match copied {
            Ok(again) => (again, None),
            Err(payload) => (None, Some(payload)),
        };
        // Not before there is the copy: the supervisor may take the run at any time from here on.
        slot.begin(Run {
            index,
            attempt,
            since,
            token,
            again,
        });
        let item = Try { index, attempt };
        control.tell_began(item);
        if let Some(payload) = panicked {
            // The failure of this item, as a panic of its body is.
            resume_unwind(payload);
        }
        let mut context = context::current();
        context.trace = control.span(item, call.throttle(), Runner::ThisThread);
        let loan = control.gate().map(|gate| Arc::new(Loan::new(gate.id())));
        if let Some(loan) = &loan {
            self.lane.set_loan(loan);
            let place = Place::OfThrottle(Arc::clone(loan));
            context.places = Some(Places::within(context.places.take(), place));
        }
        let context = Context {
            stop,
            attempt,
            has_finished: false,
            ..context
        };
        Some(Begun {
            loan,
            _entered: context::enter(context),
        })
    }

    /// Says that items begin which run elsewhere.
    #[cfg(feature = "process")]
    pub(crate) fn tell_began(&self, items: impl Iterator<Item = Try>) {
        if let Some(control) = self.control() {
            items.for_each(|it| control.tell_began(it));
        }
    }

    /// The item has a value. False if no other begins on this worker.
    #[inline]
    pub(crate) fn value(&self, index: u64, value: R) -> bool {
        match self.slot {
            None => self.put_end(Event::Value(index, value)),
            Some(_) => {
                self.judged_with_limits(index, value, Judgement::Good);
                false
            }
        }
    }

    /// The item has a value, which may be that of a failure. False if no other begins on this worker.
    pub(crate) fn judged(&self, index: u64, value: R, judgement: Judgement) -> bool {
        match self.slot {
            None => self.put_end(Event::Value(index, value)),
            Some(_) => {
                self.judged_with_limits(index, value, judgement);
                false
            }
        }
    }

    /// Ends an item of a call without limits. One look at the call does for two things: whether the body was told to
    /// stop before it returned, so that its value may be half a one, and whether another item begins.
    #[inline(always)]
    fn put_end(&self, event: Event<R>) -> bool {
        if self.call().needs_a_look() {
            return self.put_end_after_a_look(event);
        }
        self.lane.put(event);
        true
    }

    #[cold]
    #[inline(never)]
    fn put_end_after_a_look(&self, event: Event<R>) -> bool {
        let call = self.call();
        let event = match call.why_no_value(context::was_cut_off()) {
            None => event,
            Some(cause) => {
                let index = event.index();
                drop_quietly(event);
                Event::Failed(index, ItemError::new(Some(index), cause, call.site.clone()))
            }
        };
        self.lane.put(event);
        !call.is_closed()
    }

    /// The item of a call with limits that the body has returned from, if it is still the worker's and its end is that of
    /// its body: not if the body was told to stop before, and has not said that it was done.
    fn end_of_body(&self) -> Option<Run<T>> {
        let run = self.slot.as_ref()?.end()?;
        let is_cut_off = context::was_cut_off();
        self.follow_token(&run);
        match self.call().why_no_value(is_cut_off) {
            None => Some(run),
            Some(cause) => {
                self.fail(run, cause);
                None
            }
        }
    }

    /// A body that stops its token stops its call, whether or not the items of the call have tokens of their own. When
    /// the supervisor stops the token of an item, it has taken the item away before.
    fn follow_token(&self, run: &Run<T>) {
        if run.token.as_ref().is_some_and(StopToken::is_stopping) {
            self.call().stop.stop();
        }
    }

    fn judged_with_limits(&self, index: u64, value: R, judgement: Judgement) {
        let Some(mut run) = self.end_of_body() else {
            return drop_quietly(value);
        };
        if judgement == Judgement::Again {
            match self.try_again(run) {
                None => return drop_quietly(value),
                Some(last) => run = last,
            }
        }
        if !self.let_go(&mut run) {
            return drop_quietly(value);
        }
        let end = match judgement {
            Judgement::Good => End::Good,
            Judgement::Bad | Judgement::Again => End::Bad,
        };
        self.settle(
            run.name(),
            end,
            Event::Value(index, value),
            Some(run.since.elapsed()),
        );
    }

    /// The item, which emits, has come to its end. False if no other begins on this worker.
    pub(crate) fn ended(&self, index: u64) -> bool {
        if self.slot.is_none() {
            return self.put_end(Event::Ended(index));
        }
        if let Some(mut run) = self.end_of_body()
            && self.let_go(&mut run)
        {
            self.settle(
                run.name(),
                End::Good,
                Event::Ended(index),
                Some(run.since.elapsed()),
            );
        }
        false
    }

    /// The body has panicked, or was stopped.
    pub(crate) fn failed(&self, index: u64, cause: Cause) {
        let Some(slot) = &self.slot else {
            let error = ItemError::new(Some(index), cause, self.call().site.clone());
            return self.lane.put(Event::Failed(index, error));
        };
        match slot.end() {
            Some(run) => {
                self.follow_token(&run);
                self.fail(run, cause);
            }
            None => drop_quietly(cause),
        }
    }

    /// Ends an item that has failed, or keeps it for another try.
    pub(crate) fn fail(&self, run: Run<T>, cause: Cause) {
        let may_pass = matches!(cause, Cause::Panicked(_) | Cause::TimedOut(_));
        #[cfg(feature = "journal")]
        self.note_cause(run.index, &cause);
        let run = match may_pass {
            true => self.try_again(run),
            false => Some(run),
        };
        if let Some(mut run) = run {
            // It has failed already, and this may be the thread that watches over all others: that the
            // destructor of the copy panics as well is told by the panic hook.
            drop_quietly(run.again.take());
            self.end_failed(run.name(), cause, Some(run.since.elapsed()));
        }
    }

    /// Drops the copy that was kept for another try, before the end of its item is told. False if its
    /// destructor panicked: that is the item's end then.
    fn let_go(&self, run: &mut Run<T>) -> bool {
        let dropped = drop_caught(run.again.take());
        let time = run.since.elapsed();
        dropped
            .map_err(|payload| {
                self.end_failed(run.name(), Cause::DropPanicked(payload), Some(time))
            })
            .is_ok()
    }

    /// Ends an item that has failed and is not tried again.
    pub(crate) fn end_failed(&self, item: Try, cause: Cause, time: Option<Duration>) {
        let Try { index, attempt } = item;
        let error = ItemError::new(Some(index), cause, self.call().site.clone());
        let error = error.with_attempt(attempt);
        let Some(control) = self.control() else {
            return self.lane.put(Event::Failed(index, error));
        };
        control.tell_ended(item, End::Failed(&error), time);
        let counts = !error.is_stopped();
        self.lane.put(Event::Failed(index, error));
        if counts {
            self.call().follow(control.ended(false, time));
        }
    }

    /// Ends an item that never began.
    pub(crate) fn end_not_run(&self, index: u64, cause: Cause) {
        if let Some(control) = self.control() {
            let attempt = self.attempt(index);
            control.tell_ended(Try { index, attempt }, End::NotRun, None);
        }
        let error = ItemError::new(Some(index), cause, self.call().site.clone());
        self.lane.put(Event::Failed(index, error));
    }

    /// Puts an item aside for its next try. Gives it back if that was the last.
    fn try_again(&self, mut run: Run<T>) -> Option<Run<T>> {
        let pause = self.pause_after(run.attempt);
        let (Some(pause), Some(item)) = (pause, run.again.take()) else {
            return Some(run);
        };
        self.keep_for_later(run.name(), item, pause, Some(run.since.elapsed()));
        None
    }

    /// How long after try number `attempt` there is another one.
    pub(crate) fn pause_after(&self, attempt: u32) -> Option<Duration> {
        let retry = self.retry().filter(|_| !self.call().is_closed());
        retry?.after(attempt)
    }

    /// Puts an item aside that has ended its try, for the next one.
    pub(crate) fn keep_for_later(
        &self,
        ended: Try,
        item: T,
        pause: Duration,
        time: Option<Duration>,
    ) {
        if let Some(control) = self.control() {
            control.tell_ended(ended, End::Again, time);
        }
        let Try { index, attempt } = ended;
        let mark = self.lane.mark();
        self.pool.put_later((index, item), attempt + 1, pause, mark);
        self.call().to_workers.notify();
        self.call().call_for_worker();
        self.call().tell_if_stuck();
    }

    /// Takes an item back that was handed out and did not run, for another worker, or to be ended with
    /// the rest.
    #[cfg(feature = "process")]
    pub(crate) fn put_back(&self, item: Numbered<T>, attempt: u32) {
        let mark = self.lane.mark();
        self.pool.put_later(item, attempt, Duration::ZERO, mark);
        self.call().tell_if_stuck();
    }

    /// An item has ended for good, with or without a value: tells the consumer, and does what that
    /// means for the call.
    pub(crate) fn settle(&self, item: Try, end: End<'_>, event: Event<R>, time: Option<Duration>) {
        #[cfg(feature = "journal")]
        if let (Some(keeper), Event::Value(index, value)) = (&self.keeper, &event) {
            keeper.keep(*index, value, matches!(end, End::Good));
        }
        self.end(item, end, event, time);
    }

    fn end(&self, item: Try, end: End<'_>, event: Event<R>, time: Option<Duration>) {
        let Some(control) = self.control() else {
            return self.lane.put(event);
        };
        control.tell_ended(item, end, time);
        self.lane.put(event);
        let good = matches!(end, End::Good);
        self.call().follow(control.ended(good, time));
    }

    pub(crate) fn control(&self) -> Option<&Control> {
        self.lane.call().control.as_deref()
    }

    fn retry(&self) -> Option<&Retry> {
        self.control()?.retry()
    }
}

/// The surroundings of an item that has its own, until the body has returned.
pub(crate) struct Begun {
    /// Its place of a throttle, for others to use.
    loan: Option<Arc<Loan>>,
    _entered: Entered,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(loan) = &self.loan {
            loan.end();
        }
    }
}

/// A slot that others know of until its worker leaves.
struct Seat<T> {
    slot: Arc<Slot<T>>,
    pool: Arc<Pool<T>>,
}

impl<T> Deref for Seat<T> {
    type Target = Slot<T>;

    fn deref(&self) -> &Slot<T> {
        &self.slot
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        self.pool.forget(&self.slot);
    }
}
