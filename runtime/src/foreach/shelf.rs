//! An input at hand, which needs no feeder.

use std::sync::Arc;

use super::call::Call;
use super::hand::Own;
use super::source::Source;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// An input at hand, from which the workers take themselves: to take from it is nobody's code and waits
/// for nothing, so that there is no need for a thread that does.
pub(crate) struct Shelf<'a, T> {
    call: Arc<Call>,
    /// Until it is at its end.
    input: Mutex<Option<Box<dyn Source<T> + 'a>>>,
    taken: AtomicU64,
    /// How many items there are, if that can be said.
    total: u64,
}

impl<'a, T: Send + 'a> Shelf<'a, T> {
    pub(crate) fn new(call: Arc<Call>, input: Box<dyn Source<T> + 'a>) -> Self {
        let (least, most) = input.size();
        let total = most.filter(|it| *it == least).map(|it| it as u64);
        if total == Some(0) {
            call.note_whole_input();
            call.end_input();
        }
        Self {
            call,
            input: Mutex::new(Some(input)),
            taken: AtomicU64::new(0),
            total: total.unwrap_or(u64::MAX),
        }
    }

    /// How many items may be taken now. May be a moment out of date.
    pub(crate) fn waiting(&self) -> usize {
        if self.call.input_ended() {
            return 0;
        }
        let taken = self.taken.load(Ordering::SeqCst);
        let room = self.call.room(taken).min(self.total - taken);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Moves up to `most` items into an empty hand, and no more than leaves some for the others.
    pub(crate) fn draw(&self, most: usize, own: &mut Own<T>) {
        let mut input = self.input.lock();
        let Some(source) = input.as_mut().filter(|_| !self.call.is_closed()) else {
            return;
        };
        let taken = self.taken.load(Ordering::Relaxed);
        let room = usize::try_from(self.call.room(taken)).unwrap_or(usize::MAX);
        let most = most.min(room).min(self.call.share());
        if most == 0 {
            return;
        }
        let count = own.fill(|cards| {
            cards.begin(taken, most);
            source.take(most, cards);
            cards.len()
        });
        let taken = taken + count as u64;
        self.taken.store(taken, Ordering::SeqCst);
        if count < most || taken == self.total {
            *input = None;
            drop(input);
            self.call.note_whole_input();
            self.call.end_input();
        }
    }
}
