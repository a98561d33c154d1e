//! What a waiting thread sleeps on, and how long it may.

use std::time::{Duration, Instant};

use crate::slot::Slot;

/// Wakes one waiting thread. It may be raised for nothing: the thread looks again.
#[derive(Debug, Default)]
pub(super) struct Signal(Slot<()>);

impl Signal {
    pub(super) fn raise(&self) {
        self.0.give(());
    }

    /// Waits until the signal is raised, and lowers it; false if the limit came first.
    pub(super) fn wait(&self, limit: Limit) -> bool {
        self.0.take(limit.left()).is_some()
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

    /// Whether the wait ends by itself: not at a time too far away for the clock.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::At(Some(_)))
    }

    /// In words, behind what is waited for.
    pub(super) fn title(self) -> String {
        match self.left() {
            None => String::new(),
            Some(left) => format!(", for {} at most", crate::debug::Seconds(left)),
        }
    }

    /// What is left of the time, `None` for no end.
    fn left(self) -> Option<Duration> {
        match self {
            Self::None | Self::At(None) => None,
            Self::At(Some(end)) => Some(end.saturating_duration_since(Instant::now())),
        }
    }
}
