//! Takes items from the input, as fast as the window allows and no faster, and sees to it that
//! there are workers for them. When the input is at its end, it becomes a worker itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::call::Call;
use super::crew::Crew;
use super::entry::Inlet;
use super::hand::Cards;
use crate::error::{Cause, PanicPayload, drop_caught};

pub(crate) struct Feeder<'a, T, R> {
    input: Box<dyn Source<T, R> + 'a>,
    intake: Intake<T>,
}

/// What the user gave as items. Only what is here is compiled for each type of iterator.
pub(crate) trait Source<T, R>: Send {
    /// Takes up to `room` items.
    fn pull<'a>(&mut self, room: u64, intake: &mut Intake<T>, crew: &Arc<Crew<'a, T, R>>) -> Round
    where
        T: 'a,
        R: 'a;

    /// Takes what other calls still bring, as long as the call [drains](Call::drains) them.
    fn drain(&mut self, intake: &mut Intake<T>);

    /// Takes up to `most` items, if it [is at hand](Self::is_at_hand).
    fn take(&mut self, most: usize, cards: &mut Cards<T>);

    /// Whether it is there already: taking from it runs nobody's code and waits for nothing.
    fn is_at_hand(&self) -> bool;

    /// How many items there are, at least and at most: [`Iterator::size_hint`].
    fn size(&self) -> (usize, Option<usize>);
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

/// What a round of pulls came to.
pub(crate) enum Round {
    Full,
    /// There are no more items, or no more are wanted.
    Ended,
    /// The input has panicked.
    Broken,
}

impl<I, R> Source<I::Item, R> for I
where
    I: Iterator + Send,
    I::Item: Send,
    R: Send,
{
    fn pull<'a>(
        &mut self,
        room: u64,
        intake: &mut Intake<I::Item>,
        crew: &Arc<Crew<'a, I::Item, R>>,
    ) -> Round
    where
        I::Item: 'a,
        R: 'a,
    {
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
                crew.recruit_if_waiting(1);
                return Round::Ended; // the feeder itself sees to the last item
            }
            // Now: the next pull may take its time.
            intake.tell(crew);
        }
        crew.recruit();
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
        Iterator::take(self.by_ref(), most).for_each(|it| cards.push(it));
    }

    fn is_at_hand(&self) -> bool {
        is_at_hand::<I>()
    }

    fn size(&self) -> (usize, Option<usize>) {
        self.size_hint()
    }
}

impl<'a, T: Send + 'a, R: Send + 'a> Feeder<'a, T, R> {
    pub(crate) fn new(call: Arc<Call>, input: Box<dyn Source<T, R> + 'a>, queue: Inlet<T>) -> Self {
        let intake = Intake {
            workers_stay: !call.target.is_shared() && call.control.is_none(),
            call,
            queue,
            has_more: true,
            quiet: 0,
        };
        Self { input, intake }
    }

    /// Feeds until the input ends, panics or the call is stopped; then drops the input.
    pub(crate) fn feed(self, crew: &Arc<Crew<'a, T, R>>) {
        let Self {
            mut input,
            mut intake,
        } = self;
        let mut round = Round::Full;
        while let (Round::Full, Some(room)) = (&round, intake.wait_for_room()) {
            round = intake.round(|intake| input.pull(room, intake, crew));
        }
        if !matches!(round, Round::Broken) {
            if intake.call.drains() {
                intake.round(|intake| {
                    input.drain(intake);
                    Round::Ended
                });
            } else if !intake.has_more {
                intake.call.note_whole_input();
            }
        }
        intake.note_deadline();
        intake.call.note_drop(drop_caught(input));
        intake.call.end_input();
    }
}

impl<T> Intake<T> {
    /// Runs the user's code in the input.
    fn round(&mut self, pull: impl FnOnce(&mut Self) -> Round) -> Round {
        self.call.set_pulling(true);
        let round = catch_unwind(AssertUnwindSafe(|| pull(self)));
        self.call.set_pulling(false);
        round.unwrap_or_else(|payload| {
            let cause = Cause::InputPanicked(PanicPayload::new(payload));
            self.call.fail(Some(self.taken()), cause);
            self.has_more = false;
            Round::Broken
        })
    }

    fn is_closed(&self) -> bool {
        self.call.is_closed()
    }

    /// What the deadline has kept from being taken is reported too, as one: nobody knows how many.
    fn note_deadline(&self) {
        if self.has_more
            && let cause @ Cause::DeadlinePassed { .. } = self.call.end_came_first(false)
        {
            self.call.fail(None, cause);
        }
    }

    /// How many items may be taken; `None` when stopped.
    fn wait_for_room(&self) -> Option<u64> {
        let look = || {
            if self.call.is_closed() {
                return Some(None);
            }
            let room = self.call.room(self.taken());
            (room > 0).then_some(Some(room))
        };
        look().unwrap_or_else(|| {
            self.rouse_for_all();
            self.call.to_feeder.wait(look)
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
    fn tell<'a, R: Send + 'a>(&mut self, crew: &Arc<Crew<'a, T, R>>)
    where
        T: Send + 'a,
    {
        // Where no worker goes before the end, enough is enough.
        if !(self.workers_stay && self.call.is_full()) {
            crew.recruit();
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
