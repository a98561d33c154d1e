//! One piece of work, as queues and waits see it.

use std::sync::{Arc, OnceLock, Weak};

use super::numbers::Numbers;
use super::{Host, Title};
use crate::debug;
use crate::runspace::invocation::Core;
use crate::stop::StopToken;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::waits::{self, Work};

/// What a piece of work is called, where it belongs, and what it has to do with waiting.
pub(in crate::runspace) struct Seat {
    id: u64,
    /// Made when somebody asks, if it was not given.
    name: OnceLock<Arc<str>>,
    host: Weak<Host>,
    stop: Option<StopToken>,
    /// The invocation, for a look at where a program hangs.
    told_by: OnceLock<Weak<Core>>,
    /// Tells it from work of other kinds.
    number: u64,
    has_ended: AtomicBool,
    /// A thread of this work waits.
    waiting: AtomicBool,
    /// The worker waits for the reader of its call, or for a place of a throttle.
    held_up: AtomicBool,
    /// Waits of other work for this.
    needed: Arc<AtomicUsize>,
}

impl Seat {
    /// Numbers are given in order, so that the lowest in a queue is the first.
    pub(in crate::runspace) fn new(
        name: Option<Arc<str>>,
        host: Weak<Host>,
        stop: Option<StopToken>,
    ) -> Arc<Self> {
        Self::with_need(name, host, stop, Arc::default())
    }

    /// One of several that are needed together: `needed` counts who waits for any of them.
    pub(in crate::runspace) fn with_need(
        name: Option<Arc<str>>,
        host: Weak<Host>,
        stop: Option<StopToken>,
        needed: Arc<AtomicUsize>,
    ) -> Arc<Self> {
        static NUMBERS: Numbers = Numbers::new();
        let id = NUMBERS.next();
        Arc::new(Self {
            id,
            name: name.map_or_else(OnceLock::new, OnceLock::from),
            host,
            stop,
            told_by: OnceLock::new(),
            number: waits::number(),
            has_ended: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            held_up: AtomicBool::new(false),
            needed,
        })
    }

    pub(in crate::runspace) fn id(&self) -> u64 {
        self.id
    }

    pub(in crate::runspace) fn name(&self) -> &Arc<str> {
        self.name
            .get_or_init(|| format!("Invocation{}", self.id).into())
    }

    /// It is this invocation.
    pub(in crate::runspace) fn set_teller(&self, core: &Arc<Core>) {
        if debug::is_on() {
            let _ = self.told_by.set(Arc::downgrade(core));
        }
    }

    /// The invocation, if it is one that is told of.
    pub(super) fn teller(&self) -> Option<Arc<Core>> {
        self.told_by.get()?.upgrade()
    }

    /// Where it runs; `None` when that is gone.
    pub(in crate::runspace) fn host(&self) -> Option<Arc<Host>> {
        self.host.upgrade()
    }

    pub(in crate::runspace) fn stop(&self) {
        if let Some(stop) = &self.stop {
            stop.stop();
        }
    }

    pub(in crate::runspace) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(in crate::runspace) fn is_needed(&self) -> bool {
        self.needed.load(Ordering::SeqCst) > 0
    }

    /// The worker begins to wait for what other calls may keep from it, or has ended that.
    pub(in crate::runspace) fn set_held_up(&self, is_held_up: bool) {
        self.held_up.store(is_held_up, Ordering::SeqCst);
    }

    pub(super) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::SeqCst)
    }

    /// Whether this work leaves its place to `other` for now. A worker that waits for its reader does not for another
    /// worker of its call: that one would only be ahead of the reader, too.
    pub(super) fn makes_way_for(&self, other: &Self) -> bool {
        self.is_waiting() || self.is_held_up() && !Arc::ptr_eq(&self.needed, &other.needed)
    }

    /// It has ended, or will never begin.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
    }
}

impl Work for Seat {
    fn number(&self) -> u64 {
        self.number
    }

    fn title(&self) -> String {
        format!("`{}`", self.name())
    }

    fn is_over(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    fn is_on_host(&self) -> bool {
        true
    }

    fn behind(&self) -> Vec<Arc<dyn Work>> {
        let ahead = self.host().and_then(|host| host.ahead_of(self.id));
        ahead.into_iter().flatten().map(|it| it as _).collect()
    }

    fn place(&self) -> String {
        let title = self.host().map(|host| host.title());
        title.map_or_else(String::new, |it: Title| format!(" on {it}"))
    }

    fn ahead(&self) -> Vec<Arc<dyn Work>> {
        let ahead = self.host().map(|host| host.running_before(self.id));
        ahead.into_iter().flatten().map(|it| it as _).collect()
    }

    fn begins_to_wait(&self) {
        self.waiting.store(true, Ordering::SeqCst);
    }

    fn waits_no_more(&self) {
        self.waiting.store(false, Ordering::SeqCst);
    }

    fn set_needed(&self, is_needed: bool) {
        match is_needed {
            true => self.needed.fetch_add(1, Ordering::SeqCst),
            false => self.needed.fetch_sub(1, Ordering::SeqCst),
        };
    }

    fn lend(&self) {
        if let Some(host) = self.host() {
            host.lend();
        }
    }
}

/// The end of a host, for those who wait until it is closed.
pub(super) struct Closing {
    number: u64,
    host: Weak<Host>,
    title: Title,
}

impl Closing {
    pub(super) fn of(host: &Arc<Host>) -> Arc<Self> {
        Arc::new(Self {
            number: waits::number(),
            host: Arc::downgrade(host),
            title: host.title(),
        })
    }
}

impl Work for Closing {
    fn number(&self) -> u64 {
        self.number
    }

    fn title(&self) -> String {
        format!("the end of {}", self.title)
    }

    fn is_over(&self) -> bool {
        self.host.upgrade().is_none_or(|host| host.is_closed())
    }

    fn behind(&self) -> Vec<Arc<dyn Work>> {
        let left = self.host.upgrade().map(|host| host.left());
        left.into_iter().flatten().map(|it| it as _).collect()
    }
}
