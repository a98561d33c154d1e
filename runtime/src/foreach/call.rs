//! What everyone who works for one call shares, whatever its items and results are.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::control::{Control, Flights, Gate, Permit, Subject, Verdict};
use super::executor::{Desk, Resize, Target};
use super::options::Options;
use super::pace::{CHEAP, Pace};
use super::report::Slowest;
use super::shortage::Shortage;
use super::signal::Signal;
use crate::context::{self, Context, Place, Places};
use crate::debug;
use crate::error::{CallSite, Cause, ItemError, PanicPayload};
use crate::key::CallKey;
use crate::loan::Loan;
use crate::stop::{OnStop, StopToken};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::trace;
use crate::waits::{self, Deadlock, Frame, Until, Waiting, Work};

/// How long a call that has ended waits for an input that does not come back from `next`.
const INPUT_GRACE: Duration = Duration::from_secs(1);

/// The shortest sleep of one who waits for the time.
const LEAST: Duration = Duration::from_millis(1);

/// Launches a worker of a call whose types are not known here.
pub(crate) type Grow = Box<dyn Fn() + Send>;

/// What is known of the items and values of a call where their types are not.
#[cfg_attr(
    not(feature = "journal"),
    allow(dead_code, reason = "the journal wants to know")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many items there are, at least and at most.
    size: (usize, Option<usize>),
    items: &'static str,
    values: &'static str,
}

impl Shape {
    pub(crate) fn of<T, R>(size: (usize, Option<usize>)) -> Self {
        Self {
            size,
            items: std::any::type_name::<T>(),
            values: std::any::type_name::<R>(),
        }
    }
}

/// The state of one call of `foreach_parallel!`.
pub(crate) struct Call {
    pub(crate) site: CallSite,
    /// The most workers at once. It can be changed while they run.
    throttle: AtomicUsize,
    /// It is the size of the target, and changes with it.
    follows_size: AtomicBool,
    /// What it can be at most.
    most: usize,
    /// Workers that there are, begun or not: no more than the throttle, but for a moment after it
    /// was lowered.
    pub(crate) launched: AtomicUsize,
    /// Launches a worker if there is work for one more.
    grow: Mutex<Option<Grow>>,
    pub(crate) target: Arc<dyn Target>,
    /// The threads of the call only talk to others, which run the bodies.
    pub(crate) runs_elsewhere: bool,
    /// See [`places`](Self::places).
    pub(crate) has_one_worker: bool,
    /// See [`key`](Self::key).
    key: OnceLock<CallKey>,
    pub(crate) desk: Arc<Desk>,
    /// Whether results come in the order of the input.
    ordered: bool,
    /// An item has any number of outputs, and runs elsewhere.
    emits: bool,
    buffer: Option<usize>,
    pub(crate) stop: StopToken,
    pub(crate) pace: Pace,
    pub(crate) slowest: Arc<Slowest>,
    /// The starts that the system has refused it.
    pub(crate) shortage: Arc<Shortage>,
    pub(crate) started: Instant,
    /// Limits, tries and the like, if any were asked for.
    pub(crate) control: Option<Box<Control>>,
    /// The surroundings of the calling code, for the workers to run in.
    context: Context,
    /// The work that waits and is waited for in its name.
    link: Arc<Link>,
    /// What its items are part of: the call, and what that is part of.
    frame: Arc<Frame>,
    /// The shared places that its items run on.
    places: Option<Arc<Places>>,
    /// Items whose outcome the consumer has had.
    consumed: AtomicU64,
    /// Items that nobody runs and that are to be tried again.
    pub(crate) set_aside: Arc<AtomicUsize>,
    /// Workers that wait for the consumer in the middle of an item, or for a place that one of those may have.
    blocked: AtomicUsize,
    /// Where those wait that wait for the consumer.
    emitters: Mutex<Vec<Arc<Backlog>>>,
    /// No item starts any more: the call is stopped, or has had enough.
    closed: AtomicBool,
    /// No item will be added any more.
    input_ended: AtomicBool,
    /// And that because there are none.
    took_all: AtomicBool,
    /// Threads that work for the call, the feeder included.
    crew: AtomicUsize,
    /// The feeder is in its loop of pulls, so perhaps in the user's `next`.
    pulling: AtomicBool,
    /// The workers take from the input themselves.
    takes_itself: AtomicBool,
    may_leave_behind: bool,
    closed_at: Mutex<Option<Instant>>,
    /// What went wrong with the call rather than with an item.
    failures: Mutex<Vec<ItemError>>,
    pub(crate) to_feeder: Signal,
    pub(crate) to_workers: Signal,
    pub(crate) to_consumer: Signal,
    /// Launched workers that have not begun.
    pub(crate) under_way: Arc<AtomicUsize>,
    /// Notes for a look at a program that hangs.
    noted: Option<Noted>,
    /// See [`reader`](Self::reader).
    #[cfg(all(feature = "ctrl_c", unix))]
    reader: AtomicUsize,
}

impl Call {
    #[track_caller]
    pub(crate) fn new(
        site: CallSite,
        options: &Options,
        stop: StopToken,
        may_leave_behind: bool,
        shape: Shape,
    ) -> Arc<Self> {
        let (least, most) = shape.size;
        let total = most.filter(|most| *most == least).map(|it| it as u64);
        let mut context = context::current();
        let control = Control::new(&options.control, total);
        let first = control.as_ref().and_then(|it| it.first_throttle());
        let gate = options.control.gate.as_ref();
        let is_lent = gate.is_some_and(|gate| loans(&context, gate).iter().any(|it| it.is_there()));
        let throttle = match (is_lent, first) {
            // The item that makes the call lends it its place.
            (true, _) => 1,
            (false, Some(first)) => first.clamp(1, options.target.most()),
            (false, None) => options.effective_throttle(),
        };
        context.trace = trace::call(site.name.as_deref(), site.location, throttle, total);
        let items = trace::Items::wanted(&context.trace, || site.title());
        let mut control = Control::with_spans(control, &options.control, total, items);
        let noted = debug::is_on().then(Noted::new);
        if let Some(flights) = noted.as_ref().and_then(|it| it.flights.as_ref()) {
            control = Some(Control::noting(control, &options.control, total, flights));
        }
        if let Some(control) = &mut control {
            let site = site.clone();
            let subject = Subject {
                site,
                total,
                throttle,
            };
            control.call_observers(&options.control, &subject);
        }
        #[cfg(feature = "journal")]
        let unopened = open_journal(options, &site, &shape, total, &mut control).err();
        let gives_up = options.control.gives_up() && may_leave_behind;
        let link = Link::new(&site, gives_up);
        let frame = Frame::within(Arc::clone(&link) as _, context.frame.clone(), None);
        let places = match options.target.key() {
            Some(pool) if !context.places.as_ref().is_some_and(|it| it.is_on(pool)) => {
                Some(Places::within(context.places.clone(), Place::OfPool(pool)))
            }
            _ => context.places.clone(),
        };
        let call = Arc::new(Self {
            site,
            throttle: AtomicUsize::new(throttle),
            follows_size: AtomicBool::new(false),
            most: options.target.most(),
            launched: AtomicUsize::new(0),
            grow: Mutex::new(None),
            target: Arc::clone(&options.target),
            runs_elsewhere: options.runs_elsewhere,
            has_one_worker: options.has_one_worker,
            key: OnceLock::new(),
            desk: Arc::default(),
            ordered: options.ordered,
            emits: options.emits,
            buffer: options.buffer,
            stop,
            pace: Pace::new(),
            slowest: Arc::default(),
            shortage: Arc::default(),
            started: Instant::now(),
            control,
            link,
            frame,
            places,
            context,
            consumed: AtomicU64::new(0),
            set_aside: Arc::default(),
            blocked: AtomicUsize::new(0),
            emitters: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
            input_ended: AtomicBool::new(false),
            took_all: AtomicBool::new(false),
            crew: AtomicUsize::new(0),
            pulling: AtomicBool::new(false),
            takes_itself: AtomicBool::new(false),
            may_leave_behind,
            closed_at: Mutex::new(None),
            failures: Mutex::new(Vec::new()),
            to_feeder: Signal::default(),
            to_workers: Signal::default(),
            to_consumer: Signal::default(),
            under_way: Arc::default(),
            noted,
            #[cfg(all(feature = "ctrl_c", unix))]
            reader: AtomicUsize::new(0),
        });
        call.stop.listen(&call);
        debug::enlist(&call);
        if options.throttle_is_size() && !is_lent && first.is_none() {
            call.follows_size.store(true, Ordering::SeqCst);
            let weak: Weak<dyn Resize> = Arc::<Self>::downgrade(&call);
            call.target.follow(weak);
            // It may have changed before.
            call.resize(call.target.size());
        }
        #[cfg(all(feature = "ctrl_c", unix))]
        super::roll::enlist(&call);
        #[cfg(feature = "journal")]
        if let Some(error) = unopened {
            call.fail(None, Cause::Journal(error));
            call.stop.stop();
        }
        call
    }

    /// Whether items are still taken although none starts any more: the program was interrupted, and
    /// the input is the results of another call, whose items come to their end. They end as stopped here.
    /// To let go of those results would stop that call.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(crate) fn drains(&self) -> bool {
        crate::interrupt::flag::is_set()
            && self.is_closed()
            && self.is_outermost()
            && !self.stop.is_stopping()
            && super::roll::reads_another(self)
    }

    #[cfg(not(all(feature = "ctrl_c", unix)))]
    #[expect(clippy::unused_self, reason = "the feature `ctrl_c` has one that does")]
    pub(crate) fn drains(&self) -> bool {
        false
    }

    /// Whether the call is part of no item and no job.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(crate) fn is_outermost(&self) -> bool {
        self.context.stop.is_none()
    }

    /// Notes for which call the results are read that this one waits to hand out.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(crate) fn note_reader(&self) {
        self.reader
            .store(context::current_call(), Ordering::Relaxed);
    }

    /// Nobody reads them any more.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(crate) fn forget_reader(&self) {
        self.reader.store(0, Ordering::Relaxed);
    }

    /// The call that reads the results of this one, as its input; 0 for none.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(crate) fn reader(&self) -> usize {
        self.reader.load(Ordering::Relaxed)
    }

    /// How many items run, give or take one that is just beginning or ending.
    #[cfg(all(feature = "ctrl_c", unix))]
    pub(crate) fn running(&self) -> usize {
        let is_here = !self.runs_elsewhere;
        let control = self.control.as_ref();
        let supervisor = control.is_some_and(|it| it.needs_supervisor(is_here));
        let feeder = self.pulling.load(Ordering::Acquire);
        let crew = self.crew.load(Ordering::Acquire);
        let idle = self.to_workers.sleepers();
        crew.saturating_sub(idle + usize::from(supervisor) + usize::from(feeder))
    }

    /// How many workers there are at most: one for each item that may run, or a single one that has them all
    /// run elsewhere.
    pub(crate) fn places(&self) -> usize {
        match self.has_one_worker {
            true => 1,
            false => self.throttle(),
        }
    }

    #[inline]
    pub(crate) fn throttle(&self) -> usize {
        self.throttle.load(Ordering::Relaxed)
    }

    /// Changes how many workers there are at once.
    pub(crate) fn set_throttle(&self, throttle: usize) {
        let throttle = throttle.clamp(1, self.most);
        let before = self.throttle.swap(throttle, Ordering::SeqCst);
        if before == throttle {
            return;
        }
        // Sleepers look whether they are still wanted, the feeder whether there is more room.
        self.to_workers.notify_all();
        self.to_feeder.notify_all();
        // Until none comes any more, because there is no work for one more, or enough are under way; each
        // of those looks for another when it begins. A throttle of `usize::MAX` takes no longer for it.
        for _ in before..throttle {
            let launched = self.launched.load(Ordering::Relaxed);
            if let Some(grow) = &*self.grow.lock() {
                grow();
            }
            if self.launched.load(Ordering::Relaxed) <= launched {
                break;
            }
        }
    }

    /// Says how to launch a worker.
    pub(crate) fn set_grow(&self, grow: Option<Grow>) {
        let before = std::mem::replace(&mut *self.grow.lock(), grow);
        drop(before);
    }

    /// Launches a worker for an item that is to be tried again, if there is room for one and none sleeps: those that are
    /// busy may wait for that very item, with others in hand.
    pub(crate) fn call_for_worker(&self) {
        if self.is_full() || self.to_workers.has_sleeper() || self.target.is_shared() {
            return;
        }
        if let Some(grow) = &*self.grow.lock() {
            grow();
        }
    }

    /// Waits for one who is launching a worker just now, and has what the call holds for as long. None can
    /// come after, if the caller was the last to have it.
    pub(crate) fn wait_for_growth(&self) {
        drop(self.grow.lock());
    }

    /// Changes the throttle as the user says, whatever the size of the target comes to.
    pub(crate) fn fix_throttle(&self, throttle: usize) {
        self.follows_size.store(false, Ordering::SeqCst);
        self.set_throttle(throttle);
    }

    /// Gives a worker's place back if there are too many.
    pub(crate) fn leaves_crowd(&self) -> bool {
        let relaxed = Ordering::Relaxed;
        if self.launched.load(relaxed) <= self.places() {
            return false;
        }
        let down = |it: usize| (it > self.places()).then(|| it - 1);
        let leaves = self.launched.fetch_update(relaxed, relaxed, down).is_ok();
        if leaves {
            self.tell_if_stuck();
        }
        leaves
    }

    /// Waits until an item may start on a place of this throttle. It needs none of its own where the item that
    /// made the call has one; else the item that started the job or the invocation which made it lends it one.
    /// `None` once `is_over`.
    pub(crate) fn pass(
        &self,
        gate: &Arc<Gate>,
        is_over: impl Fn() -> bool,
    ) -> Option<Option<Permit>> {
        let loans = loans(&self.context, gate);
        if loans.iter().any(|it| it.is_own() && it.is_at_hand()) {
            return Some(None);
        }
        if let Some(permit) = gate.try_pass(&loans) {
            return Some(Some(permit));
        }
        // The items that have the places may need the thread.
        let _waits = self.target.wait_for_place();
        gate.pass(&loans, is_over).map(Some)
    }

    /// Like [`pass`](Self::pass), without waiting.
    #[cfg(feature = "cluster")]
    pub(crate) fn try_pass(&self, gate: &Arc<Gate>) -> Option<Option<Permit>> {
        let loans = loans(&self.context, gate);
        if loans.iter().any(|it| it.is_own() && it.is_at_hand()) {
            return Some(None);
        }
        gate.try_pass(&loans).map(Some)
    }

    /// Tells this call from every other that there has ever been.
    pub(crate) fn key(&self) -> CallKey {
        *self.key.get_or_init(CallKey::fresh)
    }

    /// Tells this call from every other that is alive.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether no item starts any more.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // A body that sees the stop may return before the call has heard of it.
        self.closed.load(Ordering::Relaxed) || self.stop.is_stopping()
    }

    /// Whether the end of an item is to be looked at, in a call without limits.
    #[inline]
    pub(crate) fn needs_a_look(&self) -> bool {
        self.closed.load(Ordering::Relaxed) || !self.stop.is_unmarked()
    }

    /// Why an item, whose body has returned or left at `emit`, has no value all the same. `is_cut_off`: it was told to
    /// stop before. Past the deadline no value counts: on threads the items that run are given up just then.
    pub(crate) fn why_no_value(&self, is_cut_off: bool) -> Option<Cause> {
        let is_late = || {
            let control = self.control.as_ref();
            control.is_some_and(|it| it.passed_deadline().is_some())
        };
        (is_cut_off || is_late()).then(|| self.end_came_first(true))
    }

    /// Has no item start any more. What runs comes to its end; [`StopToken::stop`] stops that too.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.closed_at.lock().get_or_insert_with(Instant::now);
        self.to_feeder.notify_all();
        self.to_workers.notify_all();
        // Before the reader is told: it sees to what stays there.
        self.desk.clear();
        self.to_consumer.notify_all();
    }

    /// Acts on what the end of an item means.
    pub(crate) fn follow(&self, verdict: Verdict) {
        match verdict {
            Verdict::GoOn => {}
            Verdict::Soon => self.close(),
            Verdict::Now => self.stop.stop(),
        }
    }

    /// Why an item has no value that the call's end came before; `started` or not.
    pub(crate) fn end_came_first(&self, started: bool) -> Cause {
        let deadline = self.control.as_ref().and_then(|it| it.passed_deadline());
        match deadline {
            Some(limit) => Cause::DeadlinePassed { limit, started },
            None => Cause::Stopped,
        }
    }

    /// Puts this thread into the surroundings of the call.
    pub(crate) fn enter(&self) -> context::Entered {
        // A runspace, or a consumer that lends its thread, is in something already.
        let frame = match context::current_frame() {
            None => Arc::clone(&self.frame),
            beneath => {
                let link = Arc::clone(&self.link) as _;
                Frame::within(link, self.context.frame.clone(), beneath)
            }
        };
        context::enter(Context {
            stop: Some(self.stop.clone()),
            call: self.id(),
            frame: Some(frame),
            job: self.context.job.clone(),
            is_consumer: context::is_consumer(),
            attempt: 0,
            has_finished: false,
            places: self.places.clone(),
            trace: self.context.trace.clone(),
        })
    }

    /// How many items a worker may take at once. On shared threads workers come and go: it is one where
    /// there is no other about to take what is behind an item that takes long.
    pub(crate) fn batch(&self) -> usize {
        let one_by_one = self.control.is_some() || self.slowest.is_wanted();
        let alone = || self.target.is_shared() && (context::is_consumer() || !self.is_full());
        if one_by_one || alone() {
            1
        } else {
            self.pace.batch()
        }
    }

    /// A worker leaves, because there is no process for it.
    #[cfg(feature = "process")]
    pub(crate) fn note_refused(&self, reason: &dyn std::fmt::Display) {
        let left = self.launched.load(Ordering::SeqCst).saturating_sub(1);
        self.shortage.note_refused(left, self.places(), reason);
    }

    /// Whether there are as many workers as may be.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.launched.load(Ordering::Relaxed) >= self.places()
    }

    /// The most items that may be taken from the input and not yet consumed.
    pub(crate) fn window(&self) -> u64 {
        let buffer = self.buffer.unwrap_or_else(|| match self.has_one_worker {
            true => self.pace.remote_buffer(self.throttle()),
            false => self.pace.buffer(self.throttle()),
        });
        (self.throttle() as u64).saturating_add(buffer as u64)
    }

    /// Runs a worker of this call on the consumer's thread, for one batch. Where the
    /// consumer waits on a thread that its workers need, they could wait for each other otherwise;
    /// and running only its own call's items, it meets no lock that it holds itself.
    pub(crate) fn help(&self) {
        let Some(task) = self.desk.take() else {
            return;
        };
        let _entered = context::enter(Context {
            is_consumer: true,
            ..context::current()
        });
        task();
    }

    /// [`is_over`](Self::is_over), as far as it can be seen at a glance.
    fn is_over_now(&self) -> bool {
        self.crew.load(Ordering::Relaxed) == 0
    }

    /// Whether a task lies on the desk of a call that has ended, which any thread can run: nothing of it but letting
    /// go is left.
    pub(crate) fn has_task_for_anyone(&self) -> bool {
        self.is_closed() && self.desk.has_some()
    }

    /// How many more items may be taken after `taken`.
    pub(crate) fn room(&self, taken: u64) -> u64 {
        let consumed = self.consumed.load(Ordering::Acquire);
        // To who looks without a lock more may have come back than was taken.
        self.window().saturating_sub(taken.saturating_sub(consumed))
    }

    /// How many items of what may be taken a worker can have, for all to have some.
    pub(crate) fn share(&self) -> usize {
        let share = self.window() / (self.throttle() as u64).saturating_mul(2).max(1);
        usize::try_from(share).unwrap_or(usize::MAX).max(1)
    }

    /// From here on workers take from the input themselves.
    pub(crate) fn set_takes_itself(&self) {
        self.takes_itself.store(true, Ordering::Relaxed);
    }

    /// Tells those who take from the input that there is room.
    pub(crate) fn tell_of_room(&self) {
        if !self.takes_itself.load(Ordering::Relaxed) {
            return self.to_feeder.notify();
        }
        self.to_workers.notify();
        if self.target.is_shared() && !self.is_full() {
            self.to_feeder.notify();
        }
    }

    /// How many results a worker may have in its lane before it wakes a dozing consumer: few enough
    /// for the window to stay open.
    pub(crate) fn lot(&self) -> u64 {
        if self.pace.is_urgent() {
            1
        } else {
            self.window() / (self.throttle() as u64).saturating_mul(4).max(1)
        }
    }

    /// Whether there is one item at a time: of its feeder, its worker and its reader two always wait, and not
    /// for long if items are cheap. Who stays awake for it takes the processor from nobody.
    pub(crate) fn goes_in_step(&self) -> bool {
        self.window() == 1
    }

    /// Whether a consumer that has had everything waits for a lot, and not for the next result: it would
    /// take each from under the hands of the worker that makes it, to the cost of both. Where there is
    /// enough to come for a lot, one wakes it.
    pub(crate) fn comes_in_lots(&self) -> bool {
        self.pace.batch() >= CHEAP && self.lot() >= CHEAP as u64 && !self.input_ended()
    }

    /// How many outputs an item may be ahead of the consumer.
    pub(crate) fn quota(&self) -> usize {
        /// Without a `buffer`: enough to keep both sides busy.
        const QUOTA: usize = 256;
        self.buffer
            .map_or(QUOTA, |buffer| (buffer / self.throttle()).max(1))
    }

    /// Whether results come in the order of the input.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Whether the consumer waits for this very item before it can go on with any other.
    pub(crate) fn is_awaited(&self, index: u64) -> bool {
        self.ordered && self.consumed.load(Ordering::Acquire) == index
    }

    /// The item that the consumer waits for, in a call that is read in order.
    #[cfg(feature = "cluster")]
    pub(crate) fn awaited(&self) -> u64 {
        self.consumed.load(Ordering::Acquire)
    }

    /// Runs `wait`, in which a worker waits at `backlog` for the consumer in the middle of an item.
    pub(crate) fn wait_as_emitter<V>(&self, backlog: &Arc<Backlog>, wait: impl FnOnce() -> V) -> V {
        self.emitters.lock().push(Arc::clone(backlog));
        let blocked = self.block();
        let value = wait();
        drop(blocked);
        let mut emitters = self.emitters.lock();
        if let Some(at) = emitters.iter().position(|it| Arc::ptr_eq(it, backlog)) {
            emitters.swap_remove(at);
        }
        value
    }

    /// A worker cannot go on before another does, until what is answered is dropped.
    pub(crate) fn block(&self) -> Blocked<'_> {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        // It may have been the last that would have come to what is set aside.
        if self.is_stuck() {
            self.tell_emitters();
        }
        Blocked(self)
    }

    /// Whether all workers wait for the consumer, and it perhaps for an item that is to be tried again: one of them has to go
    /// on, to come to that.
    pub(crate) fn is_stuck(&self) -> bool {
        let seq_cst = Ordering::SeqCst;
        self.ordered
            && self.set_aside.load(seq_cst) > 0
            && self.blocked.load(seq_cst) >= self.present()
    }

    /// How many workers there are, without those that may have to wait for a thread until another leaves it.
    fn present(&self) -> usize {
        let seq_cst = Ordering::SeqCst;
        let queued = match self.target.is_shared() {
            true => self.under_way.load(seq_cst),
            false => 0,
        };
        self.launched.load(seq_cst).saturating_sub(queued)
    }

    /// Has all workers look again that wait for the consumer.
    pub(crate) fn tell_emitters(&self) {
        self.tell_those(|_| true);
    }

    /// After a change that may have left none but [blocked](Self::block) workers.
    pub(crate) fn tell_if_stuck(&self) {
        fence(Ordering::SeqCst);
        if self.is_stuck() {
            self.tell_emitters();
        }
    }

    fn tell_those(&self, which: impl Fn(&Backlog) -> bool) {
        // Either this sees that an emitter waits, or that sees what was changed before.
        fence(Ordering::SeqCst);
        if self.blocked.load(Ordering::Relaxed) == 0 {
            return;
        }
        let emitters = self.emitters.lock();
        emitters
            .iter()
            .filter(|it| which(it))
            .for_each(|it| it.wake());
    }

    /// Notes that the consumer has had the outcome of `consumed` items.
    pub(crate) fn set_consumed(&self, consumed: u64) {
        self.consumed.store(consumed, Ordering::Release);
        if self.ordered {
            // One of them may be the item that is awaited now.
            self.tell_those(|it| it.item() == consumed);
            if self.emits {
                self.tell_dispatcher();
            }
        }
    }

    /// Has the one look again that takes in the outputs of all items, if there is one.
    pub(crate) fn tell_dispatcher(&self) {
        if self.has_one_worker {
            self.to_workers.notify();
        }
    }

    pub(crate) fn input_ended(&self) -> bool {
        self.input_ended.load(Ordering::Acquire)
    }

    /// Notes that the input has come to its end by itself.
    pub(crate) fn note_whole_input(&self) {
        self.took_all.store(true, Ordering::Release);
    }

    /// Whether the input has come to its end by itself.
    pub(crate) fn took_all(&self) -> bool {
        self.took_all.load(Ordering::Acquire)
    }

    /// Whether every item that the input has got to a worker, once the call is over.
    #[cfg(feature = "journal")]
    pub(crate) fn saw_all(&self) -> bool {
        self.took_all() && !self.is_closed()
    }

    pub(crate) fn end_input(&self) {
        self.input_ended.store(true, Ordering::Release);
        self.to_workers.notify_all();
        self.to_feeder.notify_all();
    }

    pub(crate) fn set_pulling(&self, pulling: bool) {
        self.pulling.store(pulling, Ordering::Release);
    }

    /// Counts a thread in, before it is launched.
    pub(crate) fn join_crew(&self) {
        self.crew.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a thread out that has let go of everything of the user's.
    pub(crate) fn leave_crew(&self) {
        if self.crew.fetch_sub(1, Ordering::AcqRel) == 1 {
            debug_assert_eq!(
                self.set_aside.load(Ordering::SeqCst),
                0,
                "items are left that nobody comes for"
            );
            self.link.is_over.store(true, Ordering::SeqCst);
            // Before anybody sees the end: that of a scope stops what is left of its calls.
            self.stop.end();
            // Nobody is launched any more, and what is borrowed may go from here on.
            self.set_grow(None);
            self.to_consumer.notify_all();
        } else if let Some(control) = &self.control
            && self.has_only_watchers()
        {
            control.call_supervisor();
        }
    }

    /// Whether nobody works for the call any more beside a supervisor, and those it has given up.
    pub(crate) fn has_only_watchers(&self) -> bool {
        let abandoned = self.control.as_ref().map_or(0, |it| it.abandoned());
        self.crew.load(Ordering::Acquire) <= abandoned + 1
    }

    /// Whether nothing of this call runs any more. Two things may be left behind where they can
    /// reach nothing that is borrowed: after the end, a feeder that hangs in an input which does not
    /// answer; and a body that was given up and does not return. What either brings will be dropped.
    pub(crate) fn is_over(&self) -> bool {
        // In this order: one who comes back stops counting as abandoned before it leaves the crew.
        let crew = self.crew.load(Ordering::Acquire);
        if crew == 0 || !self.may_leave_behind {
            return crew == 0;
        }
        let given_up = self.control.as_ref().map_or(0, |control| {
            let waited = control.abandoned() == 0 || control.grace_is_over();
            if waited { control.abandoned() } else { 0 }
        });
        match crew.saturating_sub(given_up) {
            0 => true,
            1 => self.is_closed() && self.input_hangs(),
            _ => false,
        }
    }

    /// How long it takes at most until [`is_over`](Self::is_over) may have changed because of the time alone.
    pub(crate) fn until_over(&self) -> Duration {
        let control = self.control.as_ref();
        if !self.may_leave_behind {
            return Duration::MAX;
        }
        let given_up = control.and_then(|it| it.grace_left());
        let closed_at = *self.closed_at.lock();
        let hangs = closed_at.map(|at| INPUT_GRACE.saturating_sub(at.elapsed()));
        let left = given_up.into_iter().chain(hangs).min();
        left.map_or(Duration::MAX, |left| left.max(LEAST))
    }

    fn input_hangs(&self) -> bool {
        let closed_at = *self.closed_at.lock();
        self.pulling.load(Ordering::Acquire)
            && closed_at.is_some_and(|at| at.elapsed() > INPUT_GRACE)
            && !self.drains()
    }

    /// What this thread works for waits for results of this call, until what is answered is dropped. That is of
    /// interest if it has not made the call: what items of its own call wait for, it waits for in any case.
    ///
    /// # Errors
    /// The call cannot end before that.
    pub(crate) fn begin_reading(&self) -> Result<Option<Waiting>, Deadlock> {
        let frame = context::current_frame();
        if same(frame.as_ref(), self.context.frame.as_ref()) {
            return Ok(None);
        }
        let link = Arc::clone(&self.link) as Arc<dyn Work>;
        // First: what the reader does not get out of, it has not taken on.
        let waiting = waits::begin(vec![vec![link]], Until::Results, false)?;
        self.hand_on(frame);
        Ok(waiting)
    }

    /// The call is no longer that of what made it, but of what `frame` says.
    pub(crate) fn hand_on(&self, frame: Option<Arc<Frame>>) {
        if !self.link.is_owned_by(frame.as_ref()) {
            let link = &self.link;
            waits::hand_on(&**link, || *link.owner.lock() = Some(waits::Owner(frame)));
        }
    }

    /// Whether the code that runs now is an item of this call.
    pub(crate) fn is_mine(&self) -> bool {
        context::current_call() == self.id()
    }

    /// Waits for [`is_over`](Self::is_over); not from a thread of the crew itself.
    pub(crate) fn wait_until_over(&self) {
        if self.is_mine() {
            return;
        }
        // Nor where the call cannot end before this thread goes on.
        let Ok(_waiting) = self.begin_reading() else {
            return;
        };
        let _waits = debug::wait(|| format!("the end of {}", self.site));
        loop {
            let look = || {
                let is_over = self.is_over();
                (is_over || self.has_task_for_anyone()).then_some(is_over)
            };
            if self.to_consumer.wait_with(look, || self.until_over()) {
                return;
            }
            self.help();
        }
    }

    /// Keeps a failure that belongs to no item or to the input, and has the call end.
    pub(crate) fn fail(&self, index: Option<u64>, cause: Cause) {
        let ends = match &cause {
            Cause::InitPanicked(_) | Cause::NoThread(_) => true,
            #[cfg(feature = "process")]
            Cause::Process(_) => true,
            #[cfg(feature = "cluster")]
            Cause::Cluster(_) => true,
            _ => false,
        };
        let mut failures = self.failures.lock();
        // One bad `init` fails on every worker; it is one failure.
        if ends && failures.iter().any(|it| it.index().is_none()) {
            return;
        }
        failures.push(ItemError::new(index, cause, self.site.clone()));
        drop(failures);
        if ends {
            self.stop.stop();
        }
    }

    /// Keeps the panic of a destructor, if there was one.
    pub(crate) fn note_drop(&self, dropped: Result<(), PanicPayload>) {
        if let Err(payload) = dropped {
            self.fail(None, Cause::DropPanicked(payload));
        }
    }

    /// The failures, in the order they happened.
    pub(crate) fn take_failures(&self) -> Vec<ItemError> {
        std::mem::take(&mut *self.failures.lock())
    }
}

/// Notes on a call, for a look at a program that hangs.
struct Noted {
    /// Items that were taken from the input, where a feeder takes them.
    taken: AtomicU64,
    /// Those that run, if they are noted.
    flights: Option<Arc<Flights>>,
}

impl Noted {
    fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            flights: debug::notes_items().then(Arc::default),
        }
    }
}

impl Call {
    /// Notes how many items have been taken from the input.
    #[cold]
    pub(crate) fn note_taken(&self, taken: u64) {
        if let Some(noted) = &self.noted {
            noted.taken.store(taken, Ordering::Relaxed);
        }
    }

    /// A worker has nothing to do.
    pub(crate) fn idles(&self) -> debug::Wait {
        debug::Wait::idle(|| format!("a worker of {}: items", self.site))
    }

    /// Says that this thread waits for this call.
    pub(crate) fn waits(&self, who: &str, for_what: impl FnOnce() -> String) -> debug::Wait {
        debug::wait(|| format!("the {who} of {}: {}", self.site, for_what()))
    }
}

impl debug::Tell for Call {
    fn heading(&self) -> &'static str {
        "calls"
    }

    fn tell(&self, out: &mut String) {
        use debug::{Count, line};
        let relaxed = Ordering::Relaxed;
        let load = |it: &AtomicUsize| it.load(relaxed);
        let order = if self.ordered { ", ordered" } else { "" };
        let place = match (self.has_one_worker, self.runs_elsewhere) {
            (true, _) => "a cluster".to_owned(),
            (false, true) => "processes".to_owned(),
            (false, false) => self.target.title(),
        };
        let (throttle, window) = (self.throttle(), self.window());
        let workers = Count(load(&self.launched), "worker");
        let under_way = load(&self.under_way);
        let emitters = self.emitters.try_lock().map_or(0, |it| it.len());
        let asleep = self.to_workers.sleepers();
        line(
            out,
            1,
            format_args!(
                "{}: on {place}{order}; throttle {throttle}, window {window}; {workers} ({under_way} under way, {asleep} asleep, \
             {emitters} in the middle of an item for want of a reader)",
                self.site
            ),
        );
        let consumed = self.consumed.load(relaxed);
        let taken = self
            .noted
            .as_ref()
            .map_or(0, |it| it.taken.load(relaxed))
            .max(consumed);
        let flights = self.noted.as_ref().and_then(|it| it.flights.as_ref());
        let running = match flights.map(|it| it.count()) {
            None => "an unknown number".to_owned(),
            Some(None) => "busy:".to_owned(),
            Some(Some(count)) => count.to_string(),
        };
        let aside = load(&self.set_aside);
        let input = match () {
            () if self.input_ended() => "the input has ended",
            () if self.pulling.load(relaxed) => {
                "the feeder is in `next` of the input, or about to hand on what that gave"
            }
            () if self.takes_itself.load(relaxed) => "the workers take from the input themselves",
            () => "the feeder is not in `next` of the input",
        };
        line(
            out,
            2,
            format_args!(
                "items: {taken} taken, {consumed} consumed, {running} running, {aside} to be tried again; {input}"
            ),
        );
        let crew = Count(load(&self.crew), "thread");
        let state = match (
            self.stop.is_stopping(),
            self.closed.load(relaxed),
            self.is_over_now(),
        ) {
            (_, _, true) => "over",
            (true, ..) => "stopped, and waits for what runs",
            (_, true, _) => "closed: no item starts any more",
            _ => "open",
        };
        let left = self.control.as_ref().map_or(0, |it| it.abandoned());
        line(
            out,
            2,
            format_args!(
                "{crew} work for it, {left} of them given up with an item that does not return; it is {state}"
            ),
        );
        if self.ordered {
            line(
                out,
                2,
                format_args!("the next result to be read is that of item {consumed}"),
            );
        }
        if let Some(control) = &self.control {
            control.tell(out);
        }
        if let Some(flights) = flights {
            flights.tell(out);
        }
    }
}

/// Before anything of the call starts.
#[cfg(feature = "journal")]
fn open_journal(
    options: &Options,
    site: &CallSite,
    shape: &Shape,
    total: Option<u64>,
    control: &mut Option<Box<Control>>,
) -> Result<(), super::journal::JournalError> {
    use super::journal::{Caller, Ledger};
    if let (Some(journal), Some(control)) = (&options.journal, control) {
        let caller = Caller {
            site,
            // Borrowed or not, they are the same.
            items: shape.items.trim_start_matches('&'),
            values: shape.values.trim_start_matches('&'),
            total,
            runs_elsewhere: options.runs_elsewhere,
        };
        control.set_ledger(Ledger::open(journal, options.resume, caller)?);
    }
    Ok(())
}

/// The places of a throttle that the code of this context is lent.
fn loans(context: &Context, gate: &Gate) -> Vec<Arc<Loan>> {
    let places = context.places.as_ref();
    places.map_or_else(Vec::new, |it| it.loans(gate.id()))
}

fn same(one: Option<&Arc<Frame>>, other: Option<&Arc<Frame>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.number() == other.number(),
        _ => false,
    }
}

/// A call, as waits see it. It holds nothing of the user's, and nothing of the call.
struct Link {
    number: u64,
    name: Option<Arc<str>>,
    location: &'static std::panic::Location<'static>,
    /// See [`Work::gives_up`].
    gives_up: bool,
    is_over: AtomicBool,
    /// Set when it is not that of what made it any more.
    owner: Mutex<Option<waits::Owner>>,
}

impl Link {
    fn new(site: &CallSite, gives_up: bool) -> Arc<Self> {
        Arc::new(Self {
            number: waits::number(),
            name: site.name.clone(),
            location: site.location,
            gives_up,
            is_over: AtomicBool::new(false),
            owner: Mutex::new(None),
        })
    }

    fn is_owned_by(&self, frame: Option<&Arc<Frame>>) -> bool {
        let owner = self.owner.lock();
        owner.as_ref().is_some_and(|it| same(it.0.as_ref(), frame))
    }
}

impl Work for Link {
    fn number(&self) -> u64 {
        self.number
    }

    fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("call `{name}` at {}", self.location),
            None => format!("the call at {}", self.location),
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn is_call(&self) -> bool {
        true
    }

    fn gives_up(&self) -> bool {
        self.gives_up
    }

    fn owner(&self) -> Option<waits::Owner> {
        self.owner.lock().clone()
    }
}

/// A worker that cannot go on before another does: see [`Call::block`].
pub(crate) struct Blocked<'a>(&'a Call);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.blocked.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Resize for Call {
    fn resize(&self, size: usize) {
        if self.follows_size.load(Ordering::SeqCst) {
            self.set_throttle(size);
        }
    }
}

impl OnStop for Call {
    fn on_stop(&self) {
        self.close();
        self.tell_emitters();
    }
}
