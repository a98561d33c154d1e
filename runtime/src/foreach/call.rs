//! What everyone who works for one call shares, whatever its items and results are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::executor::{Desk, Target};
use super::options::Options;
use super::pace::Pace;
use super::signal::Signal;
use crate::context::{self, Context};
use crate::error::{CallSite, Cause, ItemError, PanicPayload};
use crate::stop::{OnStop, StopToken};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How long a stop waits for an input that does not come back from `next`.
const INPUT_GRACE: Duration = Duration::from_secs(1);

/// The state of one call of `foreach_parallel!`.
pub(crate) struct Call {
    pub(crate) site: CallSite,
    pub(crate) throttle: usize,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) desk: Arc<Desk>,
    buffer: Option<usize>,
    pub(crate) stop: StopToken,
    pub(crate) pace: Pace,
    /// The surroundings of the calling code, for the workers to run in.
    context: Context,
    /// Items whose outcome the consumer has had.
    consumed: AtomicU64,
    /// No item will be added any more.
    input_ended: AtomicBool,
    /// Threads that work for the call, the feeder included.
    crew: AtomicUsize,
    /// The feeder is in its loop of pulls, so perhaps in the user's `next`.
    pulling: AtomicBool,
    may_leave_input_behind: bool,
    stopped_at: Mutex<Option<Instant>>,
    /// What went wrong with the call rather than with an item.
    failures: Mutex<Vec<ItemError>>,
    pub(crate) to_feeder: Signal,
    pub(crate) to_workers: Signal,
    pub(crate) to_consumer: Signal,
    pub(crate) to_emitters: Signal,
}

impl Call {
    pub(crate) fn new(
        site: CallSite,
        options: &Options,
        stop: StopToken,
        may_leave_input_behind: bool,
    ) -> Arc<Self> {
        let call = Arc::new(Self {
            site,
            throttle: options.effective_throttle(),
            target: Arc::clone(&options.target),
            desk: Arc::default(),
            buffer: options.buffer,
            stop,
            pace: Pace::new(),
            context: context::current(),
            consumed: AtomicU64::new(0),
            input_ended: AtomicBool::new(false),
            crew: AtomicUsize::new(0),
            pulling: AtomicBool::new(false),
            may_leave_input_behind,
            stopped_at: Mutex::new(None),
            failures: Mutex::new(Vec::new()),
            to_feeder: Signal::default(),
            to_workers: Signal::default(),
            to_consumer: Signal::default(),
            to_emitters: Signal::default(),
        });
        call.stop.listen(&call);
        call
    }

    /// Tells this call from every other that is alive.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Puts this thread into the surroundings of the call.
    pub(crate) fn enter(&self) -> context::Entered {
        context::enter(Context {
            stop: Some(self.stop.clone()),
            call: self.id(),
            job: self.context.job.clone(),
            is_consumer: context::is_consumer(),
        })
    }

    /// How many items a worker may take at once. On shared threads one: there may be no other worker
    /// about to take what is behind an item that takes long.
    pub(crate) fn batch(&self) -> usize {
        if self.target.is_shared() {
            1
        } else {
            self.pace.batch()
        }
    }

    /// The most items that may be taken from the input and not yet consumed.
    pub(crate) fn window(&self) -> u64 {
        let buffer = self
            .buffer
            .unwrap_or_else(|| self.pace.buffer(self.throttle));
        (self.throttle as u64).saturating_add(buffer as u64)
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

    /// How many more items may be taken after `taken`.
    pub(crate) fn room(&self, taken: u64) -> u64 {
        let consumed = self.consumed.load(Ordering::Acquire);
        self.window().saturating_sub(taken - consumed)
    }

    /// How many results a worker may have in its lane before it wakes a dozing consumer: few enough
    /// for the window to stay open.
    pub(crate) fn lot(&self) -> u64 {
        if self.pace.is_urgent() {
            1
        } else {
            self.window() / (4 * self.throttle as u64).max(1)
        }
    }

    /// How many outputs an item may be ahead of the consumer.
    pub(crate) fn quota(&self) -> usize {
        /// Without a `buffer`: enough to keep both sides busy.
        const QUOTA: usize = 256;
        self.buffer
            .map_or(QUOTA, |buffer| (buffer / self.throttle).max(1))
    }

    /// Notes that the consumer has had the outcome of `consumed` items.
    pub(crate) fn set_consumed(&self, consumed: u64) {
        self.consumed.store(consumed, Ordering::Release);
    }

    pub(crate) fn input_ended(&self) -> bool {
        self.input_ended.load(Ordering::Acquire)
    }

    pub(crate) fn end_input(&self) {
        self.input_ended.store(true, Ordering::Release);
        self.to_workers.notify_all();
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
            self.to_consumer.notify_all();
        }
    }

    /// Whether nothing of this call runs any more. With a stop it is enough that the feeder alone
    /// is left, hanging in an input that does not answer: what it brings will be dropped.
    pub(crate) fn is_over(&self) -> bool {
        match self.crew.load(Ordering::Acquire) {
            0 => true,
            1 => self.may_leave_input_behind && self.stop.is_stopping() && self.input_hangs(),
            _ => false,
        }
    }

    fn input_hangs(&self) -> bool {
        let stopped_at = *self.stopped_at.lock();
        self.pulling.load(Ordering::Acquire)
            && stopped_at.is_some_and(|at| at.elapsed() > INPUT_GRACE)
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
        self.to_consumer.wait(|| self.is_over().then_some(()));
    }

    /// Keeps a failure that belongs to no item or to the input, and has the call end.
    pub(crate) fn fail(&self, index: Option<u64>, cause: Cause) {
        let ends = match &cause {
            Cause::InitPanicked(_) | Cause::NoThread(_) => true,
            #[cfg(feature = "process")]
            Cause::Process(_) => true,
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

impl OnStop for Call {
    fn on_stop(&self) {
        *self.stopped_at.lock() = Some(Instant::now());
        self.to_feeder.notify_all();
        self.to_workers.notify_all();
        self.to_emitters.notify_all();
        self.to_consumer.notify_all();
        self.desk.clear();
    }
}
