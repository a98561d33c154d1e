//! The far outputs of the item whose turn it is, in a run that is read in order.
//!
//! What items emit beyond the first [`NEAR`] outputs lies on the server, each item's under a subject of its own, until it is
//! the item's turn, and is then read as fast as the consumer takes it. So the client never keeps more than that of any item but
//! one; and nobody waits for anybody: workers go on emitting, and ends and first outputs of all items come in as ever.

use std::time::{Duration, Instant};

use super::super::error::ClusterError;
use super::super::message::NEAR;
use super::super::pull::{Pull, Pulled};
use super::Turn;
use super::actor::{Actor, Pending};

/// The outputs that are read now.
pub(super) struct Far {
    index: u64,
    attempt: u32,
    consumer: String,
    pull: Pull,
}

/// How long to leave the server alone that did not let the outputs be read.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known of reading far outputs.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) turn: Option<Turn>,
    pub(super) far: Option<Far>,
    /// When it last went wrong.
    failed: Option<Instant>,
    /// How many consumers have been made.
    made: u64,
}

impl Reading {
    /// The next thing that comes of far outputs.
    pub(super) async fn next(&mut self) -> Pulled {
        match &mut self.far {
            Some(far) => far.pull.next().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn try_next(&mut self) -> Option<Pulled> {
        self.far.as_mut()?.pull.try_next()
    }

    /// They have to be asked for anew: what is under way may be lost.
    pub(super) fn lose(&mut self) {
        self.far = None;
    }

    fn fail(&mut self) {
        self.far = None;
        self.failed = Some(Instant::now());
    }
}

impl Pending {
    /// How many outputs may still be asked for before `room`.
    fn far_room(&self, turn: Turn) -> usize {
        let last = match &self.end {
            Some((head, _)) => head.number,
            None => u64::MAX,
        };
        let here = self.next + (self.early.len() + self.fetching.len()) as u64;
        let most = turn.room.min(last).saturating_sub(here);
        usize::try_from(most).unwrap_or(usize::MAX)
    }
}

impl Actor {
    /// Asks for far outputs, if somebody has room for them.
    pub(super) async fn ask_far(&mut self) {
        let Some(turn) = self.reading.turn else {
            return;
        };
        let pending = self.pending.get(&turn.index);
        let is_it = |it: &&Pending| it.attempt == turn.attempt && it.next >= NEAR;
        let room = pending.filter(is_it).map_or(0, |it| it.far_room(turn));
        let is_read = |it: &Far| (it.index, it.attempt) == (turn.index, turn.attempt);
        if !self.reading.far.as_ref().is_some_and(is_read) {
            self.leave_far();
            let waits = |it: Instant| it.elapsed() < PAUSE;
            if room == 0 || self.reading.failed.is_some_and(waits) || !self.is_connected() {
                return;
            }
            match self.open_far(turn).await {
                Ok(far) => self.reading.far = Some(far),
                Err(_) => return self.reading.fail(),
            }
        }
        if let Some(far) = &mut self.reading.far
            && room > 0
        {
            far.pull.ask(room).await;
        }
    }

    async fn open_far(&mut self, turn: Turn) -> Result<Far, ClusterError> {
        let Turn { index, attempt, .. } = turn;
        self.reading.made += 1;
        let consumer = format!("far-{}", self.reading.made);
        self.streams.make_far(&consumer, index, attempt).await?;
        let results = self.streams.names.results();
        let pull = Pull::new(&self.client, &results, &consumer).await?;
        Ok(Far {
            index,
            attempt,
            consumer,
            pull,
        })
    }

    /// The turn is another item's.
    fn leave_far(&mut self) {
        if let Some(far) = self.reading.far.take() {
            let streams = self.streams.clone();
            tokio::spawn(async move {
                let (index, attempt) = (far.index, far.attempt);
                streams.remove_far(&far.consumer, index, attempt).await;
            });
        }
    }

    /// Something has come of a request for far outputs.
    pub(super) fn pulled_far(&mut self, pulled: Pulled) {
        match pulled {
            Pulled::Message(message) => self.read_result(&message),
            Pulled::Nothing => {}
            Pulled::Gone => self.reading.fail(),
        }
    }
}
