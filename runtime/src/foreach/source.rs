//! What the user gave as items, and where those go that are taken from it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::call::Call;
use super::entry::Inlet;
use super::hand::Cards;
use crate::error::{Cause, PanicPayload, Raised};
use crate::vigil;

/// What the user gave as items. Only what is here is compiled for each type of iterator.
pub(crate) trait Source<T>: Send {
    /// Takes up to `room` items.
    fn pull(&mut self, room: u64, intake: &mut Intake<T>, workers: &dyn Workers) -> Round;

    /// Takes what other calls still bring, as long as the call [drains](Call::drains) them.
    fn drain(&mut self, intake: &mut Intake<T>);

    /// Takes up to `most` items, if it [is at hand](Self::is_at_hand).
    fn take(&mut self, most: usize, cards: &mut Cards<T>);

    /// Whether it is there already: taking from it runs nobody's code and waits for nothing.
    fn is_at_hand(&self) -> bool;

    /// How many items there are, at least and at most: [`Iterator::size_hint`].
    fn size(&self) -> (usize, Option<usize>);
}

/// Those who run the items, as far as who takes them from the input is concerned: it sees to it that there are
/// some.
pub(crate) trait Workers {
    /// Launches one if there is work for it and nobody about to take it.
    fn recruit(&self);

    /// The same if more than `mine` items wait.
    fn recruit_if_waiting(&self, mine: usize);
}

/// Where items go that have been taken.
pub(crate) struct Intake<T> {
    call: Arc<Call>,
    queue: Inlet<T>,
    /// Whether the input may have more than was taken.
    has_more: bool,
    /// How many more items are put in before a worker is woken for certain.
    quiet: usize,
    /// Workers stay to the end.
    workers_stay: bool,
}

/// What a round of pulls came to.
pub(crate) enum Round {
    Full,
    /// There are no more items, or no more are wanted.
    Ended,
    /// The input has panicked.
    Broken,
}

/// Whether an input is one of std's over what is there already: a range, a slice, a `Vec`, an array. It
/// runs nobody's code and waits for nothing.
///
/// By its name, for types that borrow cannot be compared. A name that changes some day costs such
/// calls a few nanoseconds an item, and no more.
fn is_at_hand<I>() -> bool {
    const KNOWN: [&str; 5] = [
        "core::ops::range::Range<",
        "core::ops::range::RangeInclusive<",
        "core::slice::iter::Iter<",
        "alloc::vec::into_iter::IntoIter<",
        "core::array::iter::IntoIter<",
    ];
    let name = std::any::type_name::<I>();
    KNOWN.iter().any(|known| name.starts_with(known))
}

impl<I> Source<I::Item> for I
where
    I: Iterator + Send,
    I::Item: Send,
{
    fn pull(&mut self, room: u64, intake: &mut Intake<I::Item>, workers: &dyn Workers) -> Round {
        for _ in 0..room {
            if intake.is_closed() {
                return Round::Ended;
            }
            let Some(item) = self.next() else {
                intake.has_more = false;
                return Round::Ended;
            };
            if intake.is_closed() && !intake.call.drains() {
                return Round::Ended; // the stop came first: this item was never taken
            }
            intake.push(item);
            if self.size_hint().1 == Some(0) {
                intake.has_more = false;
                workers.recruit_if_waiting(1);
                return Round::Ended; // the feeder itself sees to the last item
            }
            // Now: the next pull may take its time.
            intake.tell(workers);
        }
        workers.recruit();
        Round::Full
    }

    fn drain(&mut self, intake: &mut Intake<I::Item>) {
        while intake.call.drains() {
            let Some(item) = self.next() else {
                return;
            };
            intake.push(item);
        }
    }

    fn take(&mut self, most: usize, cards: &mut Cards<I::Item>) {
        cards.extend(Iterator::take(self.by_ref(), most));
    }

    fn is_at_hand(&self) -> bool {
        is_at_hand::<I>()
    }

    fn size(&self) -> (usize, Option<usize>) {
        self.size_hint()
    }
}

impl<T> Intake<T> {
    pub(crate) fn new(call: Arc<Call>, queue: Inlet<T>) -> Self {
        Self {
            workers_stay: !call.target.is_shared() && call.control.is_none(),
            call,
            queue,
            has_more: true,
            quiet: 0,
        }
    }

    /// Runs the user's code in the input.
    pub(crate) fn round(&mut self, pull: impl FnOnce(&mut Self) -> Round) -> Round {
        self.call.set_pulling(true);
        Raised::forget();
        let round = catch_unwind(AssertUnwindSafe(|| pull(self)));
        self.call.set_pulling(false);
        round.unwrap_or_else(|payload| {
            let cause = Cause::InputPanicked(PanicPayload::of_input(payload));
            self.call.fail(Some(self.taken()), cause);
            self.has_more = false;
            Round::Broken
        })
    }

    fn is_closed(&self) -> bool {
        self.call.is_closed()
    }

    /// The input has nothing more, as far as that was seen.
    pub(crate) fn note_end(&self) {
        if !self.has_more {
            self.call.note_whole_input();
        }
    }

    /// What the deadline has kept from being taken is reported too, as one: nobody knows how many.
    pub(crate) fn note_deadline(&self) {
        if self.has_more
            && let cause @ Cause::DeadlinePassed { .. } = self.call.end_came_first(false)
        {
            self.call.fail(None, cause);
        }
    }

    /// How many items may be taken; `None` when stopped.
    pub(crate) fn wait_for_room(&self) -> Option<u64> {
        let look = || {
            if self.call.is_closed() {
                return Some(None);
            }
            let room = self.call.room(self.taken());
            (room > 0).then_some(Some(room))
        };
        look().unwrap_or_else(|| {
            self.rouse_for_all();
            let _waits = self.call.waits("feeder", || {
                self.call.note_taken(self.taken());
                "room, which comes when results are read".to_owned()
            });
            let sleep = |look| self.call.to_feeder.wait(look);
            vigil::keep_if(self.call.goes_in_step(), look, sleep)
        })
    }

    /// Before the feeder sleeps: no worker dozes on while there is something to do.
    fn rouse_for_all(&self) {
        for _ in 0..self.queue.waiting().min(self.call.throttle()) {
            self.call.to_workers.notify();
        }
    }

    fn taken(&self) -> u64 {
        self.queue.put()
    }

    fn push(&mut self, item: T) {
        self.queue.push(item);
    }

    /// Sees to it that there is a worker for the item just pushed.
    #[inline]
    fn tell(&mut self, workers: &dyn Workers) {
        // Where no worker goes before the end, enough is enough.
        if !(self.workers_stay && self.call.is_full()) {
            workers.recruit();
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            self.call.to_workers.hint();
        } else {
            self.rouse();
        }
    }

    /// Wakes a worker for certain: for each item when they are costly, for a batch of them when they are cheap.
    #[inline(never)]
    fn rouse(&mut self) {
        self.call.to_workers.notify();
        if crate::debug::is_on() {
            self.call.note_taken(self.taken());
        }
        self.quiet = match self.call.pace.is_urgent() || self.call.has_one_worker {
            true => 0,
            false => self.call.batch() - 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::is_at_hand;

    fn of<I: IntoIterator>(_: I) -> bool {
        is_at_hand::<I::IntoIter>()
    }

    #[test]
    fn what_is_there_already_is_known() {
        assert!(of(0..3) && of(0_u8..=3) && of(vec![1]) && of([1, 2]));
        assert!(of([String::new()].iter()) && of(&[1][..]));
    }

    #[test]
    fn what_may_wait_is_not() {
        assert!(!of((0..3).map(|n| n + 1)));
        assert!(!of(std::sync::mpsc::channel::<u8>().1));
        assert!(!of([1, 2].iter().filter(|it| **it > 1)));
    }
}
