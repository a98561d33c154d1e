//! The consumer's side of a call: a stream of results, and what its end means.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::Instant;

use super::backlog::Backlog;
use super::call::Call;
use super::lane::{Event, Intake, Outlet};
use super::reorder::{Output, Reorder, Turn};
use super::report::Report;
use super::shortage::Shortage;
use crate::error::{CallSite, Cause, ItemError, PanicPayload, drop_caught, drop_quietly};
use crate::release;
use crate::stop::StopToken;
use crate::vigil;
use crate::waits::Frame;

/// The results of [`foreach_parallel!`](crate::foreach_parallel), as they are made.
///
/// An iterator in completion order, or in input order with `ordered = true`. The items run whether
/// or not it is read, up to the call's `buffer`.
///
/// # Failed items
/// A failed item ends nothing but itself. [`next`](Iterator::next) re-raises its panic, with the original
/// payload, when the stream comes to it; the unwinding then drops the `Results`, which stops the
/// rest. [`outcomes`](Self::outcomes) yields failures as values instead, so that every other item arrives.
///
/// # Dropping
/// * Untouched: runs every item to its end, so that a call as a bare statement does what it says.
///   Then the first failure, if any, is re-raised. [`wait`](Self::wait) says it in words.
/// * Part-way, or while the thread unwinds: stops. No item starts any more, running ones see
///   [`stopping`](crate::stopping), and when the drop returns nothing of the call is running and what it captured is
///   dropped. A `journal` has those items run again, unless their bodies say that they have
///   [`finished`](crate::finished). [`stop`](Self::stop) says it in words. Only an input that has hung in `next` for a second is left
///   behind; what it brings one day is dropped.
///
/// # In a future that may be cancelled
///
/// A future is cancelled by dropping what it holds, and a destructor cannot tell that from the end of a statement: a bare
/// `foreach_parallel!(..);` is a drop of untouched results, too. So results that a future holds untouched over an
/// `.await` run every item when the future is cancelled, on the thread that drops it, rather than lose any in silence. Where a
/// cancelled future is to stop its call, a guard says so; it is dropped first, being declared last:
///
/// ```
/// use runspace::{StopToken, foreach_parallel};
///
/// struct StopOnDrop(StopToken);
///
/// impl Drop for StopOnDrop {
///     fn drop(&mut self) {
///         self.0.stop();
///     }
/// }
///
/// async fn endless(send_header: impl Future<Output = ()>) -> Option<u64> {
///     let mut squares = foreach_parallel!(1_u64.., |n| n.wrapping_mul(n));
///     let _guard = StopOnDrop(squares.stop_token());
///     send_header.await; // cancelled here the call stops, which would have no end otherwise
///     squares.next()
/// }
///
/// // Polled once, and dropped: cancelled.
/// let mut future = Box::pin(endless(std::future::pending()));
/// let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// assert!(future.as_mut().poll(&mut context).is_pending());
/// drop(future);
/// ```
///
/// # Example
///
/// ```
/// use runspace::foreach_parallel;
///
/// let mut squares: Vec<u64> = foreach_parallel!(1..=4, throttle = 2, |n: u64| n * n).collect();
/// squares.sort();
/// assert_eq!(squares, [1, 4, 9, 16]);
/// ```
pub struct Results<R> {
    source: Source<R>,
    site: CallSite,
    touched: bool,
    report: Option<Report>,
    /// That of a call which is over.
    #[cfg(feature = "journal")]
    ledger: Option<Arc<super::journal::Ledger>>,
}

enum Source<R> {
    Live(Box<Live<R>>),
    /// Everything is here already, or nothing is left.
    Finished(VecDeque<Result<R, ItemError>>),
}

/// A stream that is still fed.
struct Live<R> {
    call: Arc<Call>,
    intake: Intake<R>,
    order: Option<Reorder<R>>,
    /// Items whose outcome has been handed out.
    consumed: u64,
    /// The part of it that the feeder has been told.
    told: u64,
    /// How much of it is told at a time.
    lot: u64,
}

/// A call of so few items may be over before a reader that goes to sleep has been woken. Later on a reader
/// that stays awake takes the processor from the workers.
const YOUNG: u64 = 16;

impl<R> Results<R> {
    pub(crate) fn live(call: Arc<Call>, outlet: Arc<Outlet<R>>, ordered: bool) -> Self {
        let site = call.site.clone();
        let live = Live {
            call,
            intake: Intake::new(outlet),
            order: ordered.then(Reorder::new),
            consumed: 0,
            told: 0,
            lot: 1,
        };
        Self {
            source: Source::Live(Box::new(live)),
            site,
            touched: false,
            report: None,
            #[cfg(feature = "journal")]
            ledger: None,
        }
    }

    /// Runs everything and keeps what comes of it.
    pub(crate) fn finish(mut self) -> Self {
        #[cfg(feature = "journal")]
        let ledger = self.journal().ledger;
        let mut outcomes = VecDeque::new();
        while let Some(outcome) = self.next_outcome() {
            outcomes.push_back(outcome);
        }
        Self {
            source: Source::Finished(outcomes),
            site: self.site.clone(),
            touched: false,
            report: None,
            #[cfg(feature = "journal")]
            ledger,
        }
    }

    /// Failures as values: one `Result` for each result or failed item, in the same order.
    ///
    /// An item that was stopped is an error too ([`ItemError::is_stopped`]); plain iteration passes over it.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let outcomes = foreach_parallel!(0..10, |n| 10 / n).outcomes();
    /// let (good, bad): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    /// assert_eq!((good.len(), bad.len()), (9, 1));
    /// ```
    pub fn outcomes(self) -> Outcomes<R> {
        Outcomes { results: self }
    }

    /// Waits until every item has run, and drops the results: for calls that are made for their effects.
    ///
    /// # Panics
    /// Re-raises the first failure, after all items have ended.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// let sum = AtomicU64::new(0);
    /// runspace::foreach_parallel!(1..=100, using(&sum), |n: u64| {
    ///     sum.fetch_add(n, Ordering::Relaxed);
    /// })
    /// .wait();
    /// assert_eq!(sum.into_inner(), 5050);
    /// ```
    #[track_caller]
    pub fn wait(mut self) {
        if let Some(failure) = self.run_out() {
            failure.resume();
        }
    }

    /// Stops the call: no item starts any more, running ones see [`stopping`](crate::stopping). Returns when
    /// nothing of the call runs.
    pub fn stop(mut self) {
        self.halt();
    }

    /// The token that stops this call: to stop it from another thread or from a body, after which
    /// the stream yields what was finished and ends.
    ///
    /// An item is finished when its body has returned before the stop, or says so: see [`finished`](crate::finished). The
    /// others end as [stopped](crate::ItemError::is_stopped), whatever their bodies return.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let mut results = foreach_parallel!(0.., throttle = 2, |n| n);
    /// let token = results.stop_token();
    /// assert!(results.next().is_some());
    /// token.stop();
    /// results.for_each(drop); // ends, although the input does not
    /// ```
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        match &self.source {
            Source::Live(live) => live.call.stop.clone(),
            Source::Finished(_) => StopToken::new(),
        }
    }

    /// How many items of this call run at once: to be read, and to be changed while it runs.
    ///
    /// With less, what runs comes to its end and less is started; with more, more is started at once. A call
    /// never goes above what its back end can do: a pool's size, one for `sequential`.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let results = foreach_parallel!(0..1000, throttle = 2, |n| n);
    /// let throttle = results.throttle();
    /// assert_eq!(throttle.get(), 2);
    /// throttle.set(8);
    /// assert_eq!(results.count(), 1000);
    /// ```
    #[must_use]
    pub fn throttle(&self) -> CallThrottle {
        CallThrottle {
            call: match &self.source {
                Source::Live(live) => Some(Arc::clone(&live.call)),
                Source::Finished(_) => None,
            },
        }
    }

    /// What the `journal` of this call has spared it, and what of it the input has not asked for.
    ///
    /// ```
    /// use runspace::{Journal, foreach_parallel};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("run.jsonl");
    /// let lengths = |words: [&'static str; 2]| {
    ///     let journal = Journal::new(&path).may_change(true);
    ///     foreach_parallel!(words, journal = journal, resume = true, |word| word.len())
    /// };
    /// lengths(["a", "b"]).wait();
    ///
    /// let results = lengths(["b", "c"]);
    /// let journal = results.journal();
    /// assert_eq!(results.count(), 2);
    /// assert_eq!(journal.resumed(), 1); // "b"
    /// assert_eq!(journal.missing().len(), 1); // "a" is not in the input any more
    /// ```
    #[cfg(feature = "journal")]
    #[must_use]
    pub fn journal(&self) -> super::CallJournal {
        let ledger = match &self.source {
            Source::Live(live) => live.call.control.as_ref().and_then(|it| it.ledger()),
            Source::Finished(_) => self.ledger.as_ref(),
        };
        super::CallJournal {
            ledger: ledger.cloned(),
        }
    }

    /// Tells, once the results have been read, whether all items of the input were taken to be run.
    pub(crate) fn took_all(&self) -> impl Fn() -> bool + use<R> {
        let call = match &self.source {
            Source::Live(live) => Some(Arc::clone(&live.call)),
            Source::Finished(_) => None,
        };
        move || call.as_ref().is_none_or(|call| call.took_all())
    }

    /// The starts that the system has refused the call, to be asked at its end.
    pub(crate) fn shortage(&self) -> Option<Arc<Shortage>> {
        match &self.source {
            Source::Live(live) => Some(Arc::clone(&live.call.shortage)),
            Source::Finished(_) => None,
        }
    }

    pub(crate) fn site(&self) -> &CallSite {
        &self.site
    }

    /// The call is that of this work from now on, whatever has made it.
    pub(crate) fn hand_on(&self, frame: Option<Arc<Frame>>) {
        if let Source::Live(live) = &self.source {
            live.call.hand_on(frame);
        }
    }

    /// What the results come to, from here on: failures by their text, the slowest items, how many
    /// there were of each. To be read when the results have been.
    ///
    /// Ask for it before the first result. From then on items are taken one by one, for
    /// their times: what each costs is about half a microsecond more.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let mut results = foreach_parallel!(["1", "x", "3"], |text| text.parse::<i32>());
    /// let report = results.report();
    /// for result in results {
    ///     if let Err(error) = result {
    ///         report.add(&error);
    ///     }
    /// }
    /// assert_eq!((report.succeeded(), report.failed()), (2, 1));
    /// println!("{report}");
    /// ```
    #[must_use]
    pub fn report(&mut self) -> Report {
        let report = self.report.get_or_insert_with(|| match &self.source {
            Source::Live(live) => Report::new(live.call.started, Arc::clone(&live.call.slowest))
                .with_shortage(&live.call.shortage),
            Source::Finished(_) => Report::new(Instant::now(), Arc::default()),
        });
        report.clone()
    }

    #[inline]
    pub(crate) fn next_outcome(&mut self) -> Option<Result<R, ItemError>> {
        match self.value_at_hand() {
            Some(value) => Some(Ok(value)),
            None => self.look_for_outcome(),
        }
    }

    /// Inlined for what goes on and on, which is little.
    #[inline(always)]
    fn value_at_hand(&mut self) -> Option<R> {
        match (&mut self.source, &self.report) {
            (Source::Live(live), None) => live.value_at_hand(),
            _ => None,
        }
    }

    #[inline(never)]
    #[track_caller]
    fn look_for_value(&mut self) -> Option<R> {
        loop {
            match self.next_outcome()? {
                Ok(value) => return Some(value),
                Err(error) if error.is_stopped() => {}
                Err(error) => error.resume(),
            }
        }
    }

    #[inline(never)]
    fn look_for_outcome(&mut self) -> Option<Result<R, ItemError>> {
        let outcome = self.next_unreported();
        if let Some(report) = &self.report {
            match &outcome {
                Some(outcome) => report.note(outcome.as_ref().map(drop)),
                None => report.close(),
            }
        }
        outcome
    }

    fn next_unreported(&mut self) -> Option<Result<R, ItemError>> {
        #[cfg(all(feature = "ctrl_c", unix))]
        if let (Source::Live(live), false) = (&self.source, self.touched) {
            live.call.note_reader();
        }
        self.touched = true;
        loop {
            match &mut self.source {
                Source::Finished(outcomes) => return outcomes.pop_front(),
                Source::Live(live) => {
                    if let Some(outcome) = live.next() {
                        return Some(outcome);
                    }
                    #[cfg(all(feature = "ctrl_c", unix))]
                    live.call.forget_reader();
                    if let Some(control) = &live.call.control {
                        control.tell_over();
                        #[cfg(feature = "journal")]
                        if let Some(error) = control
                            .ledger()
                            .and_then(|it| it.take_failure(live.call.saw_all()))
                        {
                            live.call.fail(None, Cause::Journal(error));
                        }
                    }
                    self.source =
                        Source::Finished(live.call.take_failures().into_iter().map(Err).collect());
                }
            }
        }
    }

    /// Runs everything that is left; answers the first failure.
    fn run_out(&mut self) -> Option<ItemError> {
        let mut first = None;
        while let Some(outcome) = self.next_outcome() {
            let failure = match outcome {
                Ok(value) => drop_caught(value).err().map(|it| self.drop_failure(it)),
                Err(error) => (!error.is_stopped()).then_some(error),
            };
            first = first.or(failure);
        }
        first
    }

    fn drop_failure(&self, payload: PanicPayload) -> ItemError {
        let cause = Cause::DropPanicked(payload);
        ItemError::new(None, cause, self.site.clone())
    }

    /// Whether this is read or dropped by an item of the very call, which cannot wait for itself.
    fn is_in_its_own_item(&self) -> bool {
        matches!(&self.source, Source::Live(live) if live.call.is_mine())
    }

    /// Stops, and waits for the quiet.
    fn halt(&mut self) {
        self.touched = true;
        if let Source::Live(live) = &mut self.source {
            live.call.stop.stop();
            live.call.wait_until_over();
            if let Some(control) = &live.call.control {
                control.tell_over();
            }
            // One by one: a destructor that panics must not keep the others from running.
            while let Some(event) = live.intake.poll_all() {
                drop_quietly(event);
            }
        }
        let rest = Source::Finished(VecDeque::new());
        match std::mem::replace(&mut self.source, rest) {
            Source::Finished(outcomes) => outcomes.into_iter().for_each(drop_quietly),
            live @ Source::Live(_) => drop_quietly(live),
        }
    }
}

impl<R> Live<R> {
    /// The next outcome, if it is a value that is there without looking at anybody else's memory.
    #[inline(always)]
    fn value_at_hand(&mut self) -> Option<R> {
        let value = match &mut self.order {
            None => self.intake.pop_value()?,
            Some(order) => {
                let value = self.intake.pop_value_of(order.head())?;
                order.pass();
                value
            }
        };
        self.consume();
        Some(value)
    }

    /// Folds the outcomes that are values at hand.
    #[inline]
    fn fold_at_hand<B>(&mut self, start: B, step: impl FnMut(B, R) -> B) -> B {
        // No more than can be counted at once: the feeder hears of them when they are one lot.
        let most = self.lot.saturating_sub(self.consumed - self.told).max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (sum, count) = match &mut self.order {
            None => self.intake.fold_values(most, start, step),
            Some(order) => {
                let head = order.head();
                let folded = self.intake.fold_values_from(head, most, start, step);
                order.pass_all(folded.1);
                folded
            }
        };
        self.consume_all(count as u64);
        sum
    }

    /// The next outcome; `None` when the call is over.
    fn next(&mut self) -> Option<Result<R, ItemError>> {
        loop {
            if let Some(turn) = self.turn() {
                return Some(turn);
            }
            match self.event() {
                Some(event) => {
                    if let Some(outcome) = self.take(event) {
                        return Some(outcome);
                    }
                }
                None => return None,
            }
        }
    }

    /// What the order has ready.
    fn turn(&mut self) -> Option<Result<R, ItemError>> {
        loop {
            match self.order.as_mut()?.next()? {
                Turn::Value(value) => {
                    self.consume();
                    return Some(Ok(value));
                }
                Turn::Output(Output { value, ahead }) => {
                    hand_out(&self.call, &ahead);
                    return Some(Ok(value));
                }
                Turn::Failed(error) => {
                    self.consume();
                    return Some(Err(error));
                }
                Turn::Ended => self.consume(),
            }
        }
    }

    /// Takes an event in; answers what it means for the consumer right now.
    fn take(&mut self, event: Event<R>) -> Option<Result<R, ItemError>> {
        match (event, &mut self.order) {
            (Event::Value(_, value), None) => {
                self.consume();
                Some(Ok(value))
            }
            (Event::Output(_, value), None) => {
                hand_out(&self.call, self.intake.ahead());
                Some(Ok(value))
            }
            (Event::Ended(_), None) => {
                self.consume();
                None
            }
            (Event::Failed(_, error), None) => {
                self.consume();
                Some(Err(error))
            }
            (Event::Value(index, value), Some(order)) => {
                drop_quietly(order.value(index, value));
                None
            }
            (Event::Output(index, value), Some(order)) => {
                let ahead = Arc::clone(self.intake.ahead());
                if let Some(late) = order.output(index, Output { value, ahead }) {
                    hand_out(&self.call, &late.ahead);
                    drop_quietly(late);
                }
                None
            }
            (Event::Ended(index), Some(order)) => {
                order.ended(index);
                None
            }
            (Event::Failed(index, error), Some(order)) => {
                drop_quietly(order.failed(index, error));
                None
            }
            (Event::Join(..), _) => unreachable!("the intake keeps joins to itself"),
        }
    }

    /// Counts an item as consumed and tells the feeder: at once when each item counts, else when half the
    /// window can be filled again.
    #[inline]
    fn consume(&mut self) {
        self.consume_all(1);
    }

    #[inline]
    fn consume_all(&mut self, count: u64) {
        self.consumed += count;
        if self.consumed - self.told >= self.lot {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if self.told != self.consumed {
            self.told = self.consumed;
            self.call.set_consumed(self.consumed);
            self.call.tell_of_room();
            self.lot = if self.call.pace.is_urgent() {
                1
            } else {
                self.call.window() / 2
            };
        }
    }

    /// The next event, waiting for it; `None` when the call is over.
    fn event(&mut self) -> Option<Event<R>> {
        let head = self.order.as_ref().map(Reorder::head);
        if let Some(event) = poll(&mut self.intake, head) {
            return Some(event);
        }
        self.tell();
        #[cfg(all(feature = "ctrl_c", unix))]
        self.call.note_reader();
        assert!(
            !self.call.is_mine(),
            "an item of {} waits for the results of its own call, which cannot end before it",
            self.call.site
        );
        let reading = self.call.begin_reading();
        let _reading = reading.unwrap_or_else(|deadlock| panic!("{deadlock}"));
        let _claim = self.call.target.wait_for_workers();
        let _waits = self.call.waits("reader", || match head {
            Some(head) => format!("item {head}"),
            None => "any item".to_owned(),
        });
        loop {
            match self.wait() {
                Waited::Event(event) => return Some(event),
                Waited::Over => return None,
                Waited::Helpful => self.call.help(),
            }
        }
    }

    fn wait(&mut self) -> Waited<R> {
        let Self {
            call,
            intake,
            order,
            consumed,
            ..
        } = self;
        let head = order.as_ref().map(Reorder::head);
        let is_here = call.target.is_here();
        let in_lots = call.comes_in_lots();
        let mut looks = 0;
        let look = || {
            looks += 1;
            // A mark that a hint came too early for is made up for after the first sleep.
            let event = match looks {
                1 if in_lots => None,
                1 => poll(intake, head),
                _ => poll(intake, head).or_else(|| poll_all(intake, head)),
            };
            if let Some(event) = event {
                return Some(Waited::Event(event));
            }
            if (is_here && call.desk.has_some()) || call.has_task_for_anyone() {
                return Some(Waited::Helpful);
            }
            // Over first, then once more into the lanes: nothing is put after the end.
            let over = call.is_over();
            over.then(|| intake.poll_all().map_or(Waited::Over, Waited::Event))
        };
        let hope = call.runs_elsewhere || *consumed < YOUNG || call.goes_in_step();
        let sleep = |look| call.to_consumer.wait_with(look, || call.until_over());
        vigil::keep_if(hope, look, sleep)
    }
}

/// Takes an output out of the count of those that its worker is ahead.
fn hand_out(call: &Call, ahead: &Backlog) {
    if ahead.hand_out() {
        call.tell_dispatcher();
    }
}

/// The next event: of the item `head` if there is an order.
fn poll<R>(intake: &mut Intake<R>, head: Option<u64>) -> Option<Event<R>> {
    match head {
        None => intake.poll(),
        Some(head) => intake.poll_for(head, false),
    }
}

/// The same, for when marks may be missing.
fn poll_all<R>(intake: &mut Intake<R>, head: Option<u64>) -> Option<Event<R>> {
    match head {
        None => intake.poll_all(),
        Some(head) => intake.poll_for(head, true),
    }
}

/// What a wait for an event came to.
enum Waited<R> {
    Event(Event<R>),
    Over,
    /// There is none, but this thread can do something for one.
    Helpful,
}

impl<R> Iterator for Results<R> {
    type Item = R;

    /// The next result, waiting for it. `None` when every item has ended and everything that the
    /// call captured has been dropped.
    ///
    /// # Panics
    /// Re-raises the panic of a failed item.
    #[inline]
    #[track_caller]
    fn next(&mut self) -> Option<R> {
        match self.value_at_hand() {
            Some(value) => Some(value),
            None => self.look_for_value(),
        }
    }

    /// What `for_each`, `sum`, `count` and others come to: a whole stretch of values at a time.
    #[track_caller]
    fn fold<B, F: FnMut(B, R) -> B>(mut self, init: B, mut f: F) -> B {
        let mut sum = init;
        loop {
            if let (Source::Live(live), None) = (&mut self.source, &self.report) {
                sum = live.fold_at_hand(sum, &mut f);
            }
            match self.next() {
                Some(value) => sum = f(sum, value),
                None => return sum,
            }
        }
    }
}

impl<R> FusedIterator for Results<R> {}

impl<R> Drop for Results<R> {
    fn drop(&mut self) {
        let is_unwanted = std::thread::panicking() || release::is_under_way();
        if self.touched || is_unwanted || self.is_in_its_own_item() {
            self.halt();
        } else if let Some(failure) = self.run_out() {
            failure.resume();
        }
    }
}

impl<R> fmt::Debug for Results<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Results");
        match &self.source {
            Source::Live(live) => out
                .field("call", &self.site.to_string())
                .field("throttle", &live.call.throttle())
                .field("consumed", &live.consumed),
            Source::Finished(left) => out.field("left", &left.len()),
        };
        out.finish_non_exhaustive()
    }
}

/// The throttle of a call that runs: see [`Results::throttle`].
#[derive(Clone)]
pub struct CallThrottle {
    call: Option<Arc<Call>>,
}

impl CallThrottle {
    /// The most items that run at once; 0 when the call had ended before it was asked for its throttle.
    #[must_use]
    pub fn get(&self) -> usize {
        self.call.as_ref().map_or(0, |call| call.throttle())
    }

    /// Changes it. Of no effect when the call has ended.
    ///
    /// # Panics
    /// On 0: to end a call, see [`Results::stop`].
    #[track_caller]
    pub fn set(&self, throttle: usize) {
        assert!(
            throttle > 0,
            "a throttle of 0 would never run another item; stop the call, or give it at least 1"
        );
        if let Some(call) = &self.call {
            call.fix_throttle(throttle);
        }
    }
}

impl fmt::Debug for CallThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallThrottle").field(&self.get()).finish()
    }
}

/// The results of a call with failures as values: see [`Results::outcomes`].
///
/// Dropped part-way it stops the call; dropped untouched it runs every item to its end.
#[must_use = "failures that nobody looks at are lost; without `outcomes` they are raised"]
pub struct Outcomes<R> {
    results: Results<R>,
}

impl<R> Iterator for Outcomes<R> {
    type Item = Result<R, ItemError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.results.next_outcome()
    }
}

impl<R> FusedIterator for Outcomes<R> {}

impl<R> Outcomes<R> {
    /// The token that stops this call: see [`Results::stop_token`].
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        self.results.stop_token()
    }
}

impl<R> Drop for Outcomes<R> {
    fn drop(&mut self) {
        // Failures were asked for as values, so none is raised from here.
        let is_unwanted = std::thread::panicking() || release::is_under_way();
        if !self.results.touched && !is_unwanted {
            drop(self.results.run_out());
        }
        self.results.halt();
    }
}

impl<R> fmt::Debug for Outcomes<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outcomes").field(&self.results).finish()
    }
}
