//! Who is where: the work that waits, the work that runs, and the runspaces there are for it.
//!
//! Work runs first come, first served: on an idle runspace, on a new one while there are fewer than
//! the maximum, or when one comes free. Nothing waits while a runspace is idle.
//!
//! The exception is work that other work waits for. Work that waits does not run, so it does not
//! count: when fewer than the maximum run otherwise, the first that is needed is let in *beside*
//! the others, on a runspace that goes when it is done. So work of a pool can wait for work of the
//! same pool to any depth. The worker of a call that waits for its reader, or for a place of a throttle, counts as work
//! that waits, because the reader may wait for anything; only to other workers of its call it does not lend its runspace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits::Limits;
use super::seat::Seat;
use super::slot::Slot;
use super::work::Work;

pub(super) struct Line {
    pub(super) limits: Limits,
    /// By number, which is by the order in which they came.
    queue: BTreeMap<u64, Work>,
    running: Vec<Arc<Seat>>,
    idle: Vec<Arc<Slot>>,
    /// Runspaces that run something, are idle or are about to begin.
    alive: usize,
    /// Runspaces for one piece of work that was let in beside the others.
    beside: usize,
    /// Runspaces that will run nothing any more and still have to drop their state.
    leaving: usize,
    /// The dropping of it.
    leavers: Vec<Arc<Seat>>,
    /// Runspaces whose work waits for somebody to read what it has made.
    unread: usize,
    /// How often one of them has gone on.
    read: u64,
    closing: bool,
    /// Whether work can run beside other work: not where it counts on the state of the one runspace.
    can_lend: bool,
}

/// What has to be done, without the lock, because of a change.
pub(super) enum Step {
    /// An idle runspace takes this.
    Give(Arc<Slot>, Work),
    /// A new runspace takes this.
    Open(Work),
    /// A new runspace takes this and goes.
    Beside(Work),
}

/// What a runspace does next that has done its work.
pub(super) enum Next {
    Run(Work),
    Idle,
    Leave,
}

impl Line {
    pub(super) fn new(limits: Limits, can_lend: bool) -> Self {
        Self {
            limits,
            queue: BTreeMap::new(),
            running: Vec::new(),
            idle: Vec::new(),
            alive: 0,
            beside: 0,
            leaving: 0,
            leavers: Vec::new(),
            unread: 0,
            read: 0,
            closing: false,
            can_lend,
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn running(&self) -> &[Arc<Seat>] {
        &self.running
    }

    /// Runspaces that are in the line at all, the idle ones and those that leave among them.
    pub(super) fn counts(&self) -> (usize, usize, usize, usize) {
        (self.alive, self.idle.len(), self.beside, self.leaving)
    }

    /// The waiters for their turn.
    pub(super) fn queue(&self) -> Vec<Work> {
        self.queue.values().cloned().collect()
    }

    /// Runspaces that are kept.
    pub(super) fn alive(&self) -> usize {
        self.alive
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether no runspace is left, not even one that drops its state.
    pub(super) fn is_quiet(&self) -> bool {
        self.alive + self.beside + self.leaving == 0
    }

    /// Whether nothing is left but what waits for a reader, who may be the one that waits for the rest.
    /// Answers how often any of that has gone on.
    pub(super) fn unread(&self) -> Option<u64> {
        let left = self.alive + self.beside + self.leaving;
        (left <= self.unread).then_some(self.read)
    }

    /// The work of a runspace begins to wait for a reader, or has ended that.
    pub(super) fn set_unread(&mut self, is_unread: bool) {
        match is_unread {
            true => self.unread += 1,
            false => {
                self.unread -= 1;
                self.read += 1;
            }
        }
    }

    pub(super) fn is_queued(&self, id: u64) -> bool {
        self.queue.contains_key(&id)
    }

    /// All that has not ended, the running first.
    pub(super) fn pending(&self) -> Vec<Arc<Seat>> {
        let queued = self.queue.values().map(|it| &it.seat);
        self.running.iter().chain(queued).cloned().collect()
    }

    /// Work arrives. It comes back if the line is closed.
    pub(super) fn arrive(&mut self, work: Work) -> Result<Option<Step>, Work> {
        if self.closing {
            return Err(work);
        }
        self.queue.insert(work.seat.id(), work);
        Ok(self.step())
    }

    /// Lets the first in line in, if there is a runspace for it or one can be opened.
    pub(super) fn step(&mut self) -> Option<Step> {
        if self.queue.is_empty() || (self.idle.is_empty() && self.alive >= self.limits.max) {
            return None;
        }
        let work = self.begin_first()?;
        if let Some(slot) = self.idle.pop() {
            return Some(Step::Give(slot, work));
        }
        self.alive += 1;
        Some(Step::Open(work))
    }

    fn begin_first(&mut self) -> Option<Work> {
        let (_, work) = self.queue.pop_first()?;
        self.running.push(Arc::clone(&work.seat));
        Some(work)
    }

    /// Lets in what other work waits for, if the work that waits leaves room.
    pub(super) fn lend(&mut self) -> Option<Step> {
        if !self.can_lend || self.queue.is_empty() {
            return None;
        }
        let busy = |it: &&Arc<Seat>| !it.is_waiting() && !it.is_held_up();
        if self.running.iter().filter(busy).count() >= self.limits.max {
            return None;
        }
        let has_room = |seat: &Seat| {
            let stays = |it: &&Arc<Seat>| !it.makes_way_for(seat);
            self.running.iter().filter(stays).count() < self.limits.max
        };
        let mut queue = self.queue.iter();
        let id = queue.find_map(|(id, work)| {
            let seat = &work.seat;
            (seat.is_needed() && has_room(seat)).then_some(*id)
        })?;
        let work = self.queue.remove(&id)?;
        self.running.push(Arc::clone(&work.seat));
        self.beside += 1;
        Some(Step::Beside(work))
    }

    /// Takes work out of the line that has not begun.
    pub(super) fn cancel(&mut self, id: u64) -> Option<Work> {
        self.queue.remove(&id)
    }

    /// A runspace, idle from the beginning.
    pub(super) fn open_idle(&mut self, slot: &Arc<Slot>) {
        self.alive += 1;
        self.idle.push(Arc::clone(slot));
    }

    /// There was no thread for a runspace that was to be opened. If there are others the work goes
    /// back to its place in the line, else it comes back.
    pub(super) fn open_failed(&mut self, work: Work) -> Result<Option<Step>, Work> {
        self.alive -= 1;
        self.forget(&work.seat);
        if self.alive == 0 {
            return Err(work);
        }
        self.queue.insert(work.seat.id(), work);
        if self.idle.is_empty() {
            return Ok(None); // whoever runs something comes for it
        }
        Ok(self.step())
    }

    /// A runspace has done its work.
    pub(super) fn done(&mut self, seat: &Arc<Seat>, slot: &Arc<Slot>) -> Next {
        self.forget(seat);
        if self.alive > self.limits.max {
            return self.leave();
        }
        if let Some(work) = self.begin_first() {
            return Next::Run(work);
        }
        if self.closing {
            return self.leave();
        }
        self.idle.push(Arc::clone(slot));
        Next::Idle
    }

    fn leave(&mut self) -> Next {
        self.alive -= 1;
        self.leaving += 1;
        Next::Leave
    }

    /// An idle runspace has waited long. Whether it goes.
    pub(super) fn is_dismissed(&mut self, slot: &Arc<Slot>) -> bool {
        let place = self.idle.iter().position(|it| Arc::ptr_eq(it, slot));
        match place {
            Some(place) if self.alive > self.limits.min => {
                self.idle.remove(place);
                self.leave();
                true
            }
            // It stays, or has been taken off to be given something.
            _ => false,
        }
    }

    /// A runspace that leaves begins to drop its state.
    pub(super) fn drops_state(&mut self, seat: &Arc<Seat>) {
        self.leavers.push(Arc::clone(seat));
    }

    /// It has dropped it.
    pub(super) fn has_left(&mut self, seat: &Arc<Seat>) {
        self.leaving -= 1;
        self.leavers.retain(|it| !Arc::ptr_eq(it, seat));
    }

    /// All that is left to end.
    pub(super) fn left(&self) -> Vec<Arc<Seat>> {
        let leavers = self.leavers.iter().cloned();
        self.pending().into_iter().chain(leavers).collect()
    }

    /// What was let in beside the others is done.
    pub(super) fn beside_done(&mut self, seat: &Arc<Seat>) {
        self.beside -= 1;
        self.forget(seat);
    }

    fn forget(&mut self, seat: &Arc<Seat>) {
        self.running.retain(|it| !Arc::ptr_eq(it, seat));
    }

    /// Takes idle runspaces off until there are no more than `most` of all, those first that were
    /// used longest ago.
    fn dismiss(&mut self, most: usize) -> Vec<Arc<Slot>> {
        let count = self.alive.saturating_sub(most).min(self.idle.len());
        self.alive -= count;
        self.leaving += count;
        self.idle.drain(..count).collect()
    }

    /// Changes the limits. Answers the idle runspaces that have to go.
    pub(super) fn set_limits(&mut self, limits: Limits) -> Vec<Arc<Slot>> {
        self.limits = limits;
        self.dismiss(limits.max)
    }

    pub(super) fn idle(&self) -> Vec<Arc<Slot>> {
        self.idle.clone()
    }

    /// Nothing new is let in from now on. Answers the idle runspaces.
    pub(super) fn close(&mut self) -> Vec<Arc<Slot>> {
        self.closing = true;
        self.dismiss(0)
    }
}
