//! A queue of events from a worker to the consumer, in which what comes in the order of the input takes no more
//! room than a value.
//!
//! That is what nearly all is when items are cheap, for a worker has many of them in a row then: both sides
//! count their numbers. Values follow each other, or outputs, with a mark at the end of each item that emits
//! them. What does not fit goes beside them, whole. What passes from one processor to another is what a value
//! costs, and the less of it the better.

use std::cell::Cell;
use std::sync::Arc;

use super::backlog::Backlog;
use super::chain::{self, Next, Receiver, Sender, chain_with};
use super::lane::Event;
use super::lease::Mark;

/// Where both ends stand: what the next value is that comes without its number. One of the two is [`NONE`].
struct At {
    /// The value of this item.
    value: Cell<u64>,
    /// An output of this item. A mark means that it has ended.
    output: Cell<u64>,
}

/// No item.
const NONE: u64 = u64::MAX;

impl At {
    fn new() -> Self {
        Self {
            value: Cell::new(0),
            output: Cell::new(NONE),
        }
    }

    /// Goes on after an event that was put in whole.
    fn pass<R>(&self, event: &Event<R>) {
        let emits = self.output.get() != NONE;
        let (value, output) = match event {
            Event::Output(index, _) => (NONE, *index),
            Event::Ended(index) => (NONE, index + 1),
            Event::Failed(index, _) if emits => (NONE, index + 1),
            Event::Value(index, _) | Event::Failed(index, _) => (index + 1, NONE),
            // What is expected next is of this item: one of an earlier item behind it counts as a jump.
            Event::Join(index, _) => (NONE, *index),
        };
        self.value.set(value);
        self.output.set(output);
    }

    fn index(&self) -> u64 {
        self.value.get().min(self.output.get())
    }
}

/// Goes on to the next item.
#[inline(always)]
fn advance(at: &Cell<u64>) {
    at.set(at.get() + 1);
}

/// The worker's end.
pub(super) struct Writer<R> {
    queue: Sender<R, Event<R>>,
    at: At,
}

impl<R> Writer<R> {
    /// The item that an event is of if it comes in the order of the input, or one before it.
    pub(super) fn index(&self) -> u64 {
        self.at.index()
    }

    /// Puts an event in, if it comes in order; else it is given back.
    #[inline(always)]
    pub(super) fn push_next(&self, event: Event<R>) -> Result<(), Event<R>> {
        let At { value: at, output } = &self.at;
        match event {
            Event::Value(index, value) if index == at.get() => {
                self.queue.push(value);
                advance(at);
            }
            Event::Output(index, value) if index == output.get() => self.queue.push(value),
            Event::Ended(index) if index == output.get() => {
                self.queue.push_mark();
                advance(output);
            }
            other => return Err(other),
        }
        Ok(())
    }

    /// How many places have been filled.
    pub(super) fn position(&self) -> u64 {
        self.queue.position()
    }

    /// Puts in any event.
    pub(super) fn push(&self, event: Event<R>) {
        self.at.pass(&event);
        self.queue.push_extra(event);
    }
}

/// The consumer's end.
pub(super) struct Reader<R> {
    queue: Receiver<R, Event<R>>,
    /// As the writer has it when it has put in what was read.
    at: At,
    /// Outputs that the consumer has not had.
    pub(super) ahead: Arc<Backlog>,
}

impl<R> Reader<R> {
    /// The next event, if there is one. What waits for another lane stays.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Event<R>> {
        self.queue.look();
        self.pop_seen()
    }

    /// The next event of what the last look has seen.
    #[inline]
    pub(super) fn pop_seen(&mut self) -> Option<Event<R>> {
        if let Some(value) = self.queue.pop_value() {
            let index = self.at.value.get();
            if index == NONE {
                return Some(Event::Output(self.at.output.get(), value));
            }
            advance(&self.at.value);
            return Some(Event::Value(index, value));
        }
        if self.join().is_some() {
            return None;
        }
        let event = self.queue.pop_mark()?;
        let event = event.unwrap_or_else(|| Event::Ended(self.at.output.get()));
        self.at.pass(&event);
        Some(event)
    }

    /// What of another lane has to be read before the next event of what the last look has seen.
    #[inline]
    pub(super) fn join(&self) -> Option<Mark> {
        match self.queue.peek_seen()? {
            Next::Mark(Some(Event::Join(_, mark))) => Some(*mark),
            _ => None,
        }
    }

    /// Goes on behind a [`join`](Self::join).
    pub(super) fn pass_join(&mut self) {
        let join = self.queue.pop_mark().flatten();
        debug_assert!(matches!(join, Some(Event::Join(..))));
        if let Some(join) = join {
            self.at.pass(&join);
        }
    }

    /// Sees what there is, if all that was seen has been read.
    pub(super) fn look(&mut self) {
        self.queue.look();
    }

    /// How many places have been read.
    pub(super) fn position(&self) -> u64 {
        self.queue.position()
    }

    /// Of which item the next event is, if there is one.
    pub(super) fn peek(&mut self) -> Option<u64> {
        match self.queue.peek()? {
            Next::Value(()) | Next::Mark(None) => Some(self.at.index()),
            Next::Mark(Some(event)) => Some(event.index()),
        }
    }

    /// The next event of what the last look has seen, if it is a value without its number.
    #[inline(always)]
    pub(super) fn pop_value(&mut self) -> Option<R> {
        if self.at.value.get() == NONE {
            return None;
        }
        let value = self.queue.pop_value()?;
        advance(&self.at.value);
        Some(value)
    }

    /// The same, if it is of the item `index`.
    #[inline(always)]
    pub(super) fn pop_value_of(&mut self, index: u64) -> Option<R> {
        (self.at.value.get() == index).then(|| self.pop_value())?
    }

    /// Folds such values, up to `most`; answers how many there were too.
    #[inline]
    pub(super) fn fold_values<B>(
        &mut self,
        most: usize,
        start: B,
        mut step: impl FnMut(B, R) -> B,
    ) -> (B, usize) {
        let Self { queue, at, .. } = self;
        if at.value.get() == NONE {
            return (start, 0);
        }
        queue.fold_values(most, start, |sum, value| {
            advance(&at.value);
            step(sum, value)
        })
    }

    /// The same, if the first is of the item `index`: the others follow it.
    #[inline]
    pub(super) fn fold_values_from<B>(
        &mut self,
        index: u64,
        most: usize,
        start: B,
        step: impl FnMut(B, R) -> B,
    ) -> (B, usize) {
        match self.at.value.get() == index {
            true => self.fold_values(most, start, step),
            false => (start, 0),
        }
    }
}

/// The memory of such queues.
pub(super) type Blocks<R> = chain::Blocks<R, Event<R>>;

/// An empty queue. `ahead` is for the consumer to find.
pub(super) fn sequence<R>(blocks: &Blocks<R>, ahead: Arc<Backlog>) -> (Writer<R>, Reader<R>) {
    let (sender, receiver) = chain_with(blocks);
    let writer = Writer {
        queue: sender,
        at: At::new(),
    };
    let reader = Reader {
        queue: receiver,
        at: At::new(),
        ahead,
    };
    (writer, reader)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{CallSite, Cause, ItemError};

    fn failed(index: u64) -> Event<u64> {
        let site = CallSite {
            name: None,
            location: std::panic::Location::caller(),
        };
        Event::Failed(index, ItemError::new(Some(index), Cause::Stopped, site))
    }

    fn event(kind: u8, index: u64, value: u64) -> Event<u64> {
        match kind {
            0 => Event::Value(index, value),
            1 => Event::Output(index, value),
            2 => Event::Ended(index),
            _ => failed(index),
        }
    }

    fn shown(event: &Event<u64>) -> (u8, u64, Option<u64>) {
        match event {
            Event::Value(index, value) => (0, *index, Some(*value)),
            Event::Output(index, value) => (1, *index, Some(*value)),
            Event::Ended(index) => (2, *index, None),
            Event::Join(index, mark) => (4, *index, Some(mark.upto)),
            Event::Failed(index, error) => {
                assert_eq!(error.index(), Some(*index));
                (3, *index, None)
            }
        }
    }

    fn put(writer: &Writer<u64>, event: Event<u64>) {
        if let Err(event) = writer.push_next(event) {
            writer.push(event);
        }
    }

    proptest! {
        /// Whatever goes in, in whatever order and however much of it is read in between, comes out.
        #[test]
        fn what_goes_in_comes_out(
            kinds in prop::collection::vec((0_u8..4, 0_u64..4, 0_usize..3), 0..900),
        ) {
            let (writer, mut reader) = sequence(&Blocks::new(), Arc::default());
            let (mut put_in, mut got) = (Vec::new(), Vec::new());
            for (n, (kind, step, reads)) in kinds.into_iter().enumerate() {
                // Mostly in order, now and then ahead of it or behind.
                let index = (writer.index() + step).saturating_sub(step.min(1) * 2);
                let event = event(kind, index, n as u64);
                put_in.push(shown(&event));
                put(&writer, event);
                for _ in 0..reads {
                    let next = reader.peek();
                    let event = reader.pop();
                    prop_assert_eq!(next, event.as_ref().map(Event::index));
                    got.extend(event.as_ref().map(shown));
                }
            }
            got.extend(std::iter::from_fn(|| reader.pop()).map(|it| shown(&it)));
            prop_assert_eq!(put_in, got);
        }
    }

    #[test]
    fn what_is_in_order_takes_no_extra_and_the_fast_ways_see_values_only() {
        let (writer, mut reader) = sequence(&Blocks::new(), Arc::default());
        for index in 0..3 {
            assert!(writer.push_next(Event::Value(index, 10 + index)).is_ok());
        }
        assert!(writer.push_next(Event::Output(3, 20)).is_err());
        put(&writer, Event::Output(3, 20));
        for event in [
            Event::Output(3, 21),
            Event::Ended(3),
            Event::Ended(4),
            Event::Output(5, 22),
        ] {
            assert!(writer.push_next(event).is_ok());
        }
        let (sum, count) = reader.fold_values_from(1, 9, 0, |a, b| a + b);
        assert_eq!((sum, count), (0, 0));
        assert_eq!(reader.peek(), Some(0));
        assert_eq!(reader.pop_value_of(1), None);
        assert_eq!(reader.pop_value_of(0), Some(10));
        assert_eq!(reader.fold_values_from(1, 9, 0, |a, b| a + b), (23, 2));
        for (index, value) in [
            (3, Some(20)),
            (3, Some(21)),
            (3, None),
            (4, None),
            (5, Some(22)),
        ] {
            assert_eq!(reader.pop_value(), None, "an output is no value");
            let kind = if value.is_some() { 1 } else { 2 };
            assert_eq!(
                reader.pop().map(|it| shown(&it)),
                Some((kind, index, value))
            );
        }
        assert!(reader.pop().is_none());
    }
}
