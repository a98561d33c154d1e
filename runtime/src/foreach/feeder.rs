//! Takes items from the input, as fast as the window allows and no faster, and sees to it that
//! there are workers for them. When the input is at its end, it becomes a worker itself.

use std::sync::Arc;

use super::call::Call;
use super::entry::Inlet;
use super::source::{Intake, Round, Source, Workers};
use crate::error::drop_caught;
use crate::release::release;

pub(crate) struct Feeder<'a, T> {
    call: Arc<Call>,
    input: Box<dyn Source<T> + 'a>,
    intake: Intake<T>,
}

impl<'a, T: Send + 'a> Feeder<'a, T> {
    pub(crate) fn new(call: Arc<Call>, input: Box<dyn Source<T> + 'a>, queue: Inlet<T>) -> Self {
        let intake = Intake::new(Arc::clone(&call), queue);
        Self {
            call,
            input,
            intake,
        }
    }

    /// Feeds until the input ends, panics or the call is stopped; then drops the input.
    pub(crate) fn feed(self, workers: &dyn Workers) {
        let Self {
            call,
            mut input,
            mut intake,
        } = self;
        let mut round = Round::Full;
        // Not for room when the input is at its end: the last item may be the one that takes the room, and wait for
        // this thread.
        while matches!(round, Round::Full) {
            let Some(room) = intake.wait_for_room() else {
                break;
            };
            round = intake.round(|intake| input.pull(room, intake, workers));
        }
        if !matches!(round, Round::Broken) {
            if call.drains() {
                intake.round(|intake| {
                    input.drain(intake);
                    Round::Ended
                });
            } else {
                intake.note_end();
            }
        }
        intake.note_deadline();
        let_go(&call, input);
    }

    /// Lets go of the input, of which nothing is taken: there is no thread for it.
    pub(crate) fn give_up(self) {
        let_go(&self.call, self.input);
    }
}

/// Drops the input; where the call has ended early, the calls that it is made of are stopped.
fn let_go<'a, T>(call: &Call, input: Box<dyn Source<T> + 'a>) {
    let dropped = match call.is_closed() {
        true => release(input),
        false => drop_caught(input),
    };
    call.note_drop(dropped);
    call.end_input();
}
