//! The spans of items that a worker process runs one after the other.

use std::collections::VecDeque;

use super::call::Call;
use super::control::{Control, Try};
use crate::process::pool::Watch;
use crate::trace::{InPlace, Items, Runner};

/// Which item of a batch has its turn. The process says only when one has ended, so that is when the
/// next begins.
pub(super) struct Turns<'a> {
    control: &'a Control,
    spans: &'a Items,
    throttle: usize,
    watch: Watch,
    next: VecDeque<Try>,
    now: Option<(Try, InPlace)>,
}

impl<'a> Turns<'a> {
    /// The first of `items` begins. `None` if nobody is interested.
    pub(super) fn new(
        call: &'a Call,
        items: impl Iterator<Item = Try>,
        watch: Watch,
    ) -> Option<Self> {
        let control = call.control.as_deref()?;
        let mut turns = Self {
            control,
            spans: control.spans()?,
            throttle: call.throttle(),
            watch,
            next: items.collect(),
            now: None,
        };
        turns.begin();
        Some(turns)
    }

    fn begin(&mut self) {
        if let Some(next) = self.next.pop_front() {
            let span = self.control.span(next, self.throttle, Runner::Process);
            self.now = Some((next, span.enter()));
        }
    }

    /// An item is about to end.
    pub(super) fn ends(&self, index: u64) {
        if let Some(pid) = self.watch.pid() {
            self.spans.set_process(index, pid);
        }
    }

    /// It has ended: the next begins.
    pub(super) fn has_ended(&mut self, index: u64) {
        match &self.now {
            Some((now, _)) if now.index == index => {
                self.now = None;
                self.begin();
            }
            // One that could not be sent has not had its turn.
            _ => self.next.retain(|it| it.index != index),
        }
    }
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        // No worker came for it.
        if let Some((now, _)) = &self.now {
            self.spans.end(now.index, "not run", None);
        }
    }
}
