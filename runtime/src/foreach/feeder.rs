//! Takes items from the input, as fast as the window allows and no faster, and sees to it that
//! there are workers for them. When the input is at its end, it becomes a worker itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::call::Call;
use super::crew::Crew;
use super::supply::Numbered;
use super::worker::Worker;
use crate::error::{Cause, PanicPayload, drop_caught};
use crate::sync::deque::Worker as Deque;

pub(crate) struct Feeder<I: Iterator> {
    call: Arc<Call>,
    input: I,
    queue: Deque<Numbered<I::Item>>,
    taken: u64,
    /// Whether the input has been seen to have more than was taken.
    has_more: bool,
}

/// What a round of pulls came to.
enum Round {
    Full,
    Ended,
}

impl<I: Iterator> Feeder<I> {
    pub(crate) fn new(call: Arc<Call>, input: I, queue: Deque<Numbered<I::Item>>) -> Self {
        Self {
            call,
            input,
            queue,
            taken: 0,
            has_more: true,
        }
    }

    /// Feeds until the input ends, panics or the call is stopped; then drops the input.
    pub(crate) fn feed<'a, R, W>(mut self, crew: &Arc<Crew<'a, I::Item, R, W>>)
    where
        I::Item: Send + 'a,
        R: Send + 'a,
        W: Fn(&mut Worker<I::Item, R>) + Send + Sync + 'a,
    {
        while let Some(room) = self.wait_for_room() {
            self.call.set_pulling(true);
            let round = catch_unwind(AssertUnwindSafe(|| self.pull(room, crew)));
            self.call.set_pulling(false);
            match round {
                Ok(Round::Full) => {}
                Ok(Round::Ended) => break,
                Err(payload) => {
                    let cause = Cause::InputPanicked(PanicPayload::new(payload));
                    self.call.fail(Some(self.taken), cause);
                    self.has_more = false;
                    break;
                }
            }
        }
        self.note_deadline();
        let Self { call, input, .. } = self;
        call.note_drop(drop_caught(input));
        call.end_input();
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
            let room = self.call.room(self.taken);
            (room > 0).then_some(Some(room))
        };
        look().unwrap_or_else(|| {
            self.rouse_for_all();
            self.call.to_feeder.wait(look)
        })
    }

    /// Before the feeder sleeps: no worker dozes on while there is something to do.
    fn rouse_for_all(&self) {
        for _ in 0..self.queue.len().min(self.call.throttle()) {
            self.call.to_workers.notify();
        }
    }

    fn pull<'a, R, W>(&mut self, room: u64, crew: &Arc<Crew<'a, I::Item, R, W>>) -> Round
    where
        I::Item: Send + 'a,
        R: Send + 'a,
        W: Fn(&mut Worker<I::Item, R>) + Send + Sync + 'a,
    {
        for _ in 0..room {
            if self.call.is_closed() {
                return Round::Ended;
            }
            let Some(item) = self.input.next() else {
                self.has_more = false;
                return Round::Ended;
            };
            if self.call.is_closed() {
                return Round::Ended; // the stop came first: this item was never taken
            }
            self.queue.push((self.taken, item));
            self.taken += 1;
            if self.input.size_hint().1 == Some(0) {
                self.has_more = false;
                return Round::Ended; // the feeder itself sees to the last item
            }
            crew.recruit();
            self.rouse();
        }
        Round::Full
    }

    /// Tells a sleeping worker of the item just pushed: for certain when items are costly, when
    /// they are cheap with a hint and now and then for certain.
    fn rouse(&self) {
        const OFTEN: u64 = 32;
        if self.call.pace.is_urgent() || self.taken.is_multiple_of(OFTEN) {
            self.call.to_workers.notify();
        } else {
            self.call.to_workers.hint();
        }
    }
}
