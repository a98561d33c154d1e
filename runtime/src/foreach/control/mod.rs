//! What a call can ask for beyond running its items: time limits, further tries, an early end.
//!
//! A call that asks for none of it has no [`Control`], and pays for none. One that does runs its items
//! one by one, so that each has a beginning and an end that can be acted on.

mod flight;
mod halt;
#[cfg(not(feature = "progress"))]
mod no_progress;
#[cfg(not(feature = "rate"))]
mod no_rate;
mod observe;
#[cfg(feature = "progress")]
mod progress;
#[cfg(feature = "rate")]
mod rate;
mod retry;
mod slot;
mod throttle;
mod timeout;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use halt::Halt;
#[cfg(not(feature = "progress"))]
pub use no_progress::IntoProgress;
#[cfg(not(feature = "rate"))]
pub use no_rate::{IntoRate, PerTime};
#[cfg(feature = "progress")]
pub use progress::IntoProgress;
#[cfg(feature = "rate")]
pub use rate::{IntoRate, PerTime, Rate};
pub use retry::{IntoRetry, Retry};
pub use throttle::{IntoThrottle, Throttle};
pub use timeout::{IntoTimeout, Timeout};

pub(crate) use flight::Flights;
pub(crate) use halt::Verdict;
pub(crate) use observe::{End, Observer, Subject, Try, Watch};
pub(crate) use slot::{Run, Slot};
pub(crate) use throttle::{Gate, Kind, Permit};

use halt::Tally;
use throttle::{Climb, Seen};
use timeout::Clock;

use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::trace::{self, Place, Runner};

/// How long a call waits at its end for a body that has been given up and does not return.
const GRACE: Duration = Duration::from_secs(1);

/// What the options of a call say.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) timeout: Option<Timeout>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    pub(crate) halt: Option<Halt>,
    /// Places that are shared with other calls.
    pub(crate) gate: Option<Arc<Gate>>,
    /// The throttle is looked for, and this is the most that it can be.
    pub(crate) auto: Option<usize>,
    #[cfg(feature = "rate")]
    pub(crate) rate: Option<Rate>,
    /// Those who watch.
    pub(crate) watches: Vec<Watch>,
    /// Items are written down.
    pub(crate) has_journal: bool,
}

impl Settings {
    pub(crate) fn is_empty(&self) -> bool {
        #[cfg(feature = "rate")]
        if self.rate.is_some() {
            return false;
        }
        let limits = self.timeout.is_none() && self.deadline.is_none() && self.halt.is_none();
        let places = self.gate.is_none() && self.auto.is_none();
        limits && places && !self.has_journal && self.retry.is_none() && self.watches.is_empty()
    }
}

impl Settings {
    /// Whether an item is given up that takes too long.
    pub(crate) fn gives_up(&self) -> bool {
        self.timeout.is_some() || self.deadline.is_some()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("halt", &self.halt)
            .finish_non_exhaustive()
    }
}

/// The state of all that for one call.
#[derive(Debug)]
pub(crate) struct Control {
    clock: Option<Clock>,
    deadline: Option<Deadline>,
    retry: Option<Retry>,
    tally: Option<Tally>,
    gate: Option<Arc<Gate>>,
    climb: Option<(Mutex<Climb>, Seen)>,
    #[cfg(feature = "rate")]
    rate: Option<Rate>,
    /// Items that have ended for good.
    ended: AtomicU64,
    observers: Vec<Arc<dyn Observer>>,
    /// Where the items that run are noted, for a program that hangs.
    flights: Option<Arc<Flights>>,
    #[cfg(feature = "journal")]
    ledger: Option<Arc<super::journal::Ledger>>,
    /// A span for each item that runs.
    spans: Option<trace::Items>,
    is_over: AtomicBool,
    /// Threads whose item has been given up and that have not come back from it.
    abandoned: AtomicUsize,
    /// When the last of them was left.
    abandoned_at: Mutex<Option<Instant>>,
    supervisor: Supervisor,
}

#[derive(Debug)]
struct Deadline {
    limit: Duration,
    at: Option<Instant>,
    has_passed: AtomicBool,
}

/// Where the thread sleeps that watches over time.
#[derive(Debug, Default)]
struct Supervisor {
    /// Set when there may be nothing left to watch.
    called: Mutex<bool>,
    woken: Condvar,
}

impl Control {
    /// `None` if nothing is asked for. `total`: how many items there are, if that is known.
    #[track_caller]
    pub(crate) fn new(settings: &Settings, total: Option<u64>) -> Option<Box<Self>> {
        (!settings.is_empty()).then(|| Self::of(settings, total))
    }

    /// `control`, which there has to be if items have `spans`.
    #[track_caller]
    pub(crate) fn with_spans(
        control: Option<Box<Self>>,
        settings: &Settings,
        total: Option<u64>,
        spans: Option<trace::Items>,
    ) -> Option<Box<Self>> {
        let Some(spans) = spans else {
            return control;
        };
        let mut control = control.unwrap_or_else(|| Self::of(settings, total));
        control.spans = Some(spans);
        Some(control)
    }

    /// `control`, which there has to be if what runs is noted in `flights`.
    #[cold]
    #[track_caller]
    pub(crate) fn noting(
        control: Option<Box<Self>>,
        settings: &Settings,
        total: Option<u64>,
        flights: &Arc<Flights>,
    ) -> Box<Self> {
        let mut control = control.unwrap_or_else(|| Self::of(settings, total));
        control.flights = Some(Arc::clone(flights));
        control
    }

    /// Says what it limits, to somebody who looks where a program hangs.
    pub(crate) fn tell(&self, out: &mut String) {
        use crate::debug::{Seconds, line};
        let mut limits = Vec::new();
        if let Some(clock) = &self.clock {
            limits.push(clock.title());
        }
        if let Some(deadline) = &self.deadline {
            limits.push(format!("deadline {}", Seconds(deadline.limit)));
            if deadline.has_passed.load(Ordering::Relaxed) {
                limits.push("which has passed".to_owned());
            }
        }
        if let Some(gate) = &self.gate {
            limits.push(gate.title());
        }
        if !limits.is_empty() {
            line(out, 2, format_args!("limits: {}", limits.join(", ")));
        }
    }

    #[track_caller]
    fn of(settings: &Settings, total: Option<u64>) -> Box<Self> {
        let deadline = |limit| Deadline {
            limit,
            at: Instant::now().checked_add(limit),
            has_passed: AtomicBool::new(false),
        };
        Box::new(Self {
            clock: settings.timeout.map(Clock::new),
            deadline: settings.deadline.map(deadline),
            retry: settings.retry,
            tally: settings.halt.map(|rule| Tally::new(rule, total)),
            gate: settings.gate.clone(),
            climb: settings
                .auto
                .map(|most| (Mutex::new(Climb::new(most)), Seen::new())),
            #[cfg(feature = "rate")]
            rate: settings.rate.clone(),
            ended: AtomicU64::new(0),
            observers: Vec::new(),
            flights: None,
            #[cfg(feature = "journal")]
            ledger: None,
            spans: None,
            is_over: AtomicBool::new(false),
            abandoned: AtomicUsize::new(0),
            abandoned_at: Mutex::new(None),
            supervisor: Supervisor::default(),
        })
    }

    /// Calls those who asked to watch.
    pub(crate) fn call_observers(&mut self, settings: &Settings, subject: &Subject) {
        self.observers = settings.watches.iter().map(|it| it(subject)).collect();
        if let Some(flights) = &self.flights {
            self.observers
                .push(Arc::clone(flights) as Arc<dyn Observer>);
        }
    }

    /// Writes everything down from here on.
    #[cfg(feature = "journal")]
    pub(crate) fn set_ledger(&mut self, ledger: super::journal::Ledger) {
        let ledger = Arc::new(ledger);
        self.observers
            .push(Arc::clone(&ledger) as Arc<dyn Observer>);
        self.ledger = Some(ledger);
    }

    #[cfg(feature = "journal")]
    pub(crate) fn ledger(&self) -> Option<&Arc<super::journal::Ledger>> {
        self.ledger.as_ref()
    }

    /// Says that a try begins.
    pub(crate) fn tell_began(&self, item: Try) {
        self.observers.iter().for_each(|it| it.began(item));
    }

    /// The span of a try that begins, one of `throttle` at most.
    pub(crate) fn span(&self, item: Try, throttle: usize, runner: Runner) -> Place {
        let spans = self.spans.as_ref();
        spans.map_or_else(Place::default, |spans| {
            spans.begin(item.index, item.attempt, throttle, runner)
        })
    }

    /// The spans of items, if there are any.
    #[cfg(feature = "process")]
    pub(crate) fn spans(&self) -> Option<&trace::Items> {
        self.spans.as_ref()
    }

    /// Says that a try has ended.
    pub(crate) fn tell_ended(&self, item: Try, end: End<'_>, time: Option<Duration>) {
        if let Some(spans) = &self.spans {
            spans.end(item.index, end.name(), end.error().as_deref());
        }
        let observers = self.observers.iter();
        observers.for_each(|it| it.ended(item, end, time));
    }

    /// Says that the call is over.
    pub(crate) fn tell_over(&self) {
        if !self.is_over.swap(true, Ordering::SeqCst) {
            self.observers.iter().for_each(|it| it.over());
        }
    }

    /// Whether a thread has to watch over the time. `is_here`: bodies run in this process.
    pub(crate) fn needs_supervisor(&self, is_here: bool) -> bool {
        self.deadline.is_some() || self.climb.is_some() || (is_here && self.clock.is_some())
    }

    /// How long an item may take now.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.clock.as_ref()?.limit()
    }

    /// Whether items can be told to stop one by one.
    pub(crate) fn needs_tokens(&self) -> bool {
        self.clock.is_some()
    }

    pub(crate) fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
    }

    /// Takes in that an item has ended for good; answers what that means for the call.
    pub(crate) fn ended(&self, good: bool, time: Option<Duration>) -> Verdict {
        if let (true, Some(clock), Some(time)) = (good, &self.clock, time) {
            clock.record(time);
        }
        if let (Some((_, seen)), Some(time)) = (&self.climb, time) {
            seen.note(time);
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
        let tally = self.tally.as_ref();
        tally.map_or(Verdict::GoOn, |tally| tally.count(good))
    }

    /// The limit that the call has run into, if it has.
    pub(crate) fn passed_deadline(&self) -> Option<Duration> {
        let deadline = self.deadline.as_ref()?;
        let has_passed = deadline.has_passed.load(Ordering::SeqCst);
        has_passed.then_some(deadline.limit)
    }

    /// Whether the deadline passes now; true once.
    pub(crate) fn passes_deadline(&self, now: Instant) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| {
            deadline.at.is_some_and(|at| at <= now)
                && !deadline.has_passed.swap(true, Ordering::SeqCst)
        })
    }

    /// When to look next, the oldest running item having begun at `oldest`.
    pub(crate) fn next_look(&self, now: Instant, oldest: Option<Instant>) -> Option<Instant> {
        /// How often a limit is looked at that may become less meanwhile.
        const MOVING: Duration = Duration::from_millis(20);
        if self.passed_deadline().is_some() {
            return now.checked_add(MOVING);
        }
        let deadline = self.deadline.as_ref().and_then(|it| it.at);
        let item = self.clock.as_ref().and_then(|clock| {
            // An item that begins after this look has the whole of its time before it.
            let due = clock
                .limit()
                .and_then(|limit| oldest.unwrap_or(now).checked_add(limit));
            match clock.is_moving() {
                true => due.into_iter().chain(now.checked_add(MOVING)).min(),
                false => due,
            }
        });
        let climb = self
            .climb
            .as_ref()
            .and_then(|_| now.checked_add(Climb::STEP));
        deadline.into_iter().chain(item).chain(climb).min()
    }

    /// The throttle to begin with, if it is looked for.
    pub(crate) fn first_throttle(&self) -> Option<usize> {
        Some(self.climb.as_ref()?.0.lock().number())
    }

    /// The throttle to go on with, if it is looked for.
    pub(crate) fn next_throttle(&self, now: Instant) -> Option<usize> {
        let (climb, seen) = self.climb.as_ref()?;
        let ended = self.ended.load(Ordering::Relaxed);
        let mut climb = climb.lock();
        let before = climb.since();
        let next = climb.look(ended, seen.read(), now);
        if climb.since() != before {
            seen.begin(now);
        }
        Some(next)
    }

    /// Whether no item may be sent ahead to where it runs: it may have to wait although it has a worker, the one
    /// before it may be the last, or its process may be killed for the time that the one before it takes, when
    /// nobody can tell whether it has begun.
    #[cfg(feature = "process")]
    pub(crate) fn starts_one_by_one(&self) -> bool {
        #[cfg(feature = "rate")]
        if self.rate.is_some() {
            return true;
        }
        self.gate.is_some() || self.clock.is_some() || self.may_halt()
    }

    /// Whether the end of an item may mean that no other begins.
    #[cfg(feature = "process")]
    pub(crate) fn may_halt(&self) -> bool {
        self.tally.is_some()
    }

    /// The places that the items share with those of other calls.
    pub(crate) fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// Waits until an item may start; false once `is_over`.
    #[cfg(feature = "rate")]
    pub(crate) fn keep_rate(&self, is_over: impl Fn() -> bool) -> bool {
        /// Nobody wakes those who wait here.
        const LOOK: Duration = Duration::from_millis(20);
        let Some(rate) = &self.rate else {
            return true;
        };
        let standing = rate.stand();
        loop {
            let wait = standing.ask();
            if wait.is_zero() {
                return true;
            }
            if is_over() {
                return false;
            }
            // It is asked again at each look: who was before it may have left.
            std::thread::sleep(wait.min(LOOK));
        }
    }

    /// How long until an item may start; zero means that one starts now.
    #[cfg(feature = "cluster")]
    pub(crate) fn until_rate_allows(&self) -> Duration {
        #[cfg(feature = "rate")]
        if let Some(rate) = &self.rate {
            return rate.ask();
        }
        Duration::ZERO
    }

    #[cfg(not(feature = "rate"))]
    #[expect(clippy::unused_self, reason = "the feature `rate` has one that does")]
    pub(crate) fn keep_rate(&self, _: impl Fn() -> bool) -> bool {
        true
    }

    /// A thread has been left alone with an item that takes too long.
    pub(crate) fn abandon(&self) {
        *self.abandoned_at.lock() = Some(Instant::now());
        self.abandoned.fetch_add(1, Ordering::AcqRel);
    }

    /// Such a thread has come back. Before it leaves the crew.
    pub(crate) fn come_back(&self) {
        self.abandoned.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Whether those that were left alone have had their time to come back.
    pub(crate) fn grace_is_over(&self) -> bool {
        let at = *self.abandoned_at.lock();
        at.is_some_and(|at| at.elapsed() > GRACE)
    }

    /// How long that still is, if there are any.
    pub(crate) fn grace_left(&self) -> Option<Duration> {
        if self.abandoned() == 0 {
            return None;
        }
        let at = *self.abandoned_at.lock();
        at.map(|at| GRACE.saturating_sub(at.elapsed()))
    }

    /// Has the supervisor look whether there is anything left to watch.
    pub(crate) fn call_supervisor(&self) {
        *self.supervisor.called.lock() = true;
        self.supervisor.woken.notify_all();
    }

    /// Sleeps until `at`, or until it is called.
    pub(crate) fn watch_until(&self, at: Option<Instant>) {
        let mut called = self.supervisor.called.lock();
        while !*called {
            let left = match at {
                Some(at) => at.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                return;
            }
            called = self.supervisor.woken.wait_timeout(called, left).0;
        }
        *called = false;
    }
}

/// Slots of all workers of a call.
pub(crate) type Slots<T> = Mutex<Vec<Arc<Slot<T>>>>;

#[cfg(all(test, feature = "tracing", not(loom)))]
mod tests {
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Whether a call without limits has a control here: whether its items run one by one.
    fn has_control() -> bool {
        let settings = Settings::default();
        let control = Control::new(&settings, None);
        assert!(control.is_none());
        let items = trace::Items::wanted(&Place::default(), || "a call".to_owned());
        Control::with_spans(control, &settings, None, items).is_some()
    }

    #[test]
    fn a_call_pays_for_spans_only_where_a_subscriber_wants_them() {
        assert!(!has_control(), "no subscriber");
        let with = |level: LevelFilter| {
            let subscriber = Registry::default().with(level);
            tracing::subscriber::with_default(subscriber, has_control)
        };
        assert!(!with(LevelFilter::INFO));
        assert!(with(LevelFilter::DEBUG));
        assert!(!with(LevelFilter::OFF));
    }
}
