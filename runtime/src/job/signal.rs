//! What a waiting thread sleeps on, and how long it may.

use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};
use crate::vigil;

/// Wakes one waiting thread. It may be raised for nothing: the thread looks again.
#[derive(Debug, Default)]
pub(super) struct Signal {
    flag: Mutex<Flag>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Flag {
    raised: bool,
    /// The thread has to be woken.
    sleeps: bool,
}

impl Signal {
    pub(super) fn raise(&self) {
        let mut flag = self.flag.lock();
        flag.raised = true;
        let sleeps = flag.sleeps;
        drop(flag);
        if sleeps {
            self.woken.notify_all();
        }
    }

    /// Waits until the signal is raised, and lowers it; false if the limit came first.
    pub(super) fn wait(&self, limit: Limit) -> bool {
        let look = || {
            let raised = std::mem::take(&mut self.flag.lock().raised);
            let is_over = !raised && limit.left() == Some(Duration::ZERO);
            (raised || is_over).then_some(raised)
        };
        vigil::keep(look, |_| self.sleep(limit))
    }

    fn sleep(&self, limit: Limit) -> bool {
        let mut flag = self.flag.lock();
        flag.sleeps = true;
        while !flag.raised {
            flag = match limit.left() {
                None => self.woken.wait(flag),
                Some(Duration::ZERO) => break,
                Some(left) => self.woken.wait_timeout(flag, left).0,
            };
        }
        flag.sleeps = false;
        std::mem::take(&mut flag.raised)
    }
}

/// How long a wait may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// Until what is waited for ends.
    None,
    /// Until then at the latest; `None` for a time too far away for the clock.
    At(Option<Instant>),
}

impl Limit {
    pub(super) fn after(span: Duration) -> Self {
        Self::At(Instant::now().checked_add(span))
    }

    /// Whether the wait ends by itself.
    pub(super) fn is_some(self) -> bool {
        matches!(self, Self::At(_))
    }

    /// What is left of the time, `None` for no end.
    fn left(self) -> Option<Duration> {
        match self {
            Self::None | Self::At(None) => None,
            Self::At(Some(end)) => Some(end.saturating_duration_since(Instant::now())),
        }
    }
}
