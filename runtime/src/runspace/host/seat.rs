//! One piece of work, as queues and waits see it.

use std::sync::{Arc, OnceLock, Weak};

use super::Host;
use super::numbers::Numbers;
use crate::debug;
use crate::runspace::invocation::Core;
use crate::stop::StopToken;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What a piece of work is called, where it belongs, and what it has to do with waiting.
pub(in crate::runspace) struct Seat {
    id: u64,
    /// Made when somebody asks, if it was not given.
    name: OnceLock<Arc<str>>,
    host: Weak<Host>,
    stop: Option<StopToken>,
    /// The invocation, for somebody who looks where a program hangs.
    told_by: OnceLock<Weak<Core>>,
    /// Threads of this work that wait for other work.
    waiting: AtomicUsize,
    /// Waits of other work for this.
    needed: AtomicUsize,
}

impl Seat {
    /// Numbers are given in order, so that the lowest in a queue is the first.
    pub(in crate::runspace) fn new(
        name: Option<Arc<str>>,
        host: Weak<Host>,
        stop: Option<StopToken>,
    ) -> Arc<Self> {
        static NUMBERS: Numbers = Numbers::new();
        let id = NUMBERS.next();
        Arc::new(Self {
            id,
            name: name.map_or_else(OnceLock::new, OnceLock::from),
            host,
            stop,
            told_by: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            needed: AtomicUsize::new(0),
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
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(in crate::runspace) fn is_needed(&self) -> bool {
        self.needed.load(Ordering::SeqCst) > 0
    }

    /// This work waits for `target` from now on.
    pub(in crate::runspace) fn wait_for(&self, target: &Self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        target.needed.fetch_add(1, Ordering::SeqCst);
    }

    pub(in crate::runspace) fn wait_no_more_for(&self, target: &Self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        target.needed.fetch_sub(1, Ordering::SeqCst);
    }
}
