//! From the workers to the consumer: a queue for each worker, and marks of which have something.
//!
//! What a worker finishes is in reach of the consumer at once, without waiting for the rest of the
//! worker's batch; what is saved for the end of a batch is only the wake-up.
//!
//! Within a lane the consumer sees what the worker did in its order. An item that emits and that goes from one worker to
//! another, or to the supervisor, goes from lane to lane: before anything of it the new lane then has a *join*, which the
//! consumer passes when it has read the old lane as far as the item got there. See `lease`.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use super::backlog::Backlog;
use super::call::Call;
use super::control::Permit;
use super::lease::{Lease, Mark};
use super::sequence::{Blocks, Reader, Writer, sequence};
use crate::context;
use crate::error::ItemError;
use crate::loan::Loan;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// What a worker tells the consumer.
pub(crate) enum Event<R> {
    /// The item's one value, and its end.
    Value(u64, R),
    /// One of any number of outputs.
    Output(u64, R),
    /// The end of an item that emits.
    Ended(u64),
    /// The end of an item that has no value.
    Failed(u64, ItemError),
    /// Before the next event of the item comes what another lane has up to this mark. The intake keeps it to itself.
    Join(u64, Mark),
}

impl<R> Event<R> {
    /// Of which item it is.
    pub(super) fn index(&self) -> u64 {
        match self {
            Self::Value(index, _)
            | Self::Output(index, ..)
            | Self::Ended(index)
            | Self::Failed(index, _)
            | Self::Join(index, _) => *index,
        }
    }
}

/// The consumer's side of all lanes.
pub(crate) struct Outlet<R> {
    /// Lanes that the consumer has not fetched.
    lanes: Mutex<Vec<Reader<R>>>,
    /// How many lanes there are, those that it has included.
    count: AtomicUsize,
    /// Lanes of workers that have gone, for those that come.
    free: Mutex<Vec<Track<R>>>,
    blocks: Blocks<R>,
    /// One bit a lane, set when there may be something in it; beyond the last bit they share.
    marks: Box<[AtomicU64]>,
    /// How often an event was put into a lane after one of a later item.
    jumps: AtomicUsize,
}

/// What of a lane outlives its worker.
struct Track<R> {
    id: usize,
    queue: Writer<R>,
    /// Outputs that the consumer has not had.
    ahead: Arc<Backlog>,
}

/// The most words of marks.
const WORDS: usize = 16;

impl<R> Outlet<R> {
    pub(crate) fn new(throttle: usize) -> Arc<Self> {
        let words = throttle.div_ceil(64).min(WORDS);
        Arc::new(Self {
            lanes: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
            free: Mutex::new(Vec::new()),
            blocks: Blocks::new(),
            marks: (0..words).map(|_| AtomicU64::new(0)).collect(),
            jumps: AtomicUsize::new(0),
        })
    }

    /// A lane that nobody has.
    fn track(&self) -> Track<R> {
        if let Some(track) = self.free.lock().pop() {
            return track;
        }
        let ahead = Arc::<Backlog>::default();
        let (queue, lane) = sequence(&self.blocks, Arc::clone(&ahead));
        let mut lanes = self.lanes.lock();
        let id = self.count.load(Ordering::Relaxed);
        lanes.push(lane);
        self.count.store(id + 1, Ordering::Release);
        drop(lanes);
        Track { id, queue, ahead }
    }

    fn mark(&self, lane: usize) {
        let bit = lane % (self.marks.len() * 64);
        let (word, bit) = (&self.marks[bit / 64], 1 << (bit % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// Takes all marks away and lists their bits.
    fn take_marks(&self, bits: &mut Vec<usize>) {
        for (at, word) in self.marks.iter().enumerate() {
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut set = word.swap(0, Ordering::SeqCst);
            while set != 0 {
                bits.push(at * 64 + set.trailing_zeros() as usize);
                set &= set - 1;
            }
        }
    }
}

/// A worker's own lane.
pub(crate) struct Lane<R> {
    call: Arc<Call>,
    outlet: Arc<Outlet<R>>,
    track: Track<R>,
    /// Items whose end the consumer has not been told of for certain.
    untold: Cell<u64>,
    /// The item that emits, and how many outputs were there before its first.
    emitting: Cell<(Option<u64>, usize)>,
    /// Until the worker's item is given up: nothing more is wanted of it then.
    lease: Arc<Lease>,
    /// The place that the worker's item has among all calls that share its throttle.
    permit: Cell<Option<Permit>>,
    /// The loan of that place.
    loan: Cell<Option<Arc<Loan>>>,
}

impl<R> Lane<R> {
    pub(crate) fn new(call: Arc<Call>, outlet: Arc<Outlet<R>>) -> Self {
        let track = outlet.track();
        Self {
            call,
            outlet,
            track,
            untold: Cell::new(0),
            emitting: Cell::new((None, 0)),
            lease: Arc::default(),
            permit: Cell::new(None),
            loan: Cell::new(None),
        }
    }

    /// Leaves the lane to the next worker, with what may be in it.
    pub(crate) fn retire(self) {
        self.outlet.free.lock().push(self.track);
    }

    /// Puts an event where the consumer finds it, perhaps a millisecond late unless
    /// [`flush`](Self::flush) follows.
    ///
    /// Inlined, so that a value is written to its place at once: it would be copied from the stack
    /// right after it was put there, for which a processor has to wait.
    #[inline(always)]
    pub(crate) fn put(&self, event: Event<R>) {
        if let Err(event) = self.track.queue.push_next(event) {
            self.put_apart(event);
        }
        self.call.to_consumer.hint();
    }

    #[inline(never)]
    fn put_apart(&self, event: Event<R>) {
        if event.index() < self.track.queue.index() {
            // Before it is there: who sees it sees this.
            self.outlet.jumps.fetch_add(1, Ordering::Relaxed);
        }
        self.track.queue.push(event);
    }

    /// At the end of a batch of `count` items: shows the consumer that there is something, and wakes it if that
    /// is enough, or each item counts. With less it looks by itself within a millisecond.
    pub(crate) fn flush(&self, count: u64) {
        let untold = self.untold.get() + count;
        if cfg!(loom) || untold >= self.call.lot() {
            self.flush_now();
        } else {
            self.untold.set(untold);
            self.outlet.mark(self.track.id);
        }
    }

    /// Makes sure that the consumer knows of everything put before.
    pub(crate) fn flush_now(&self) {
        self.untold.set(0);
        fence(Ordering::SeqCst);
        self.outlet.mark(self.track.id);
        self.call.to_consumer.notify();
    }

    /// Sends one output of an item that emits, when the consumer is not too far behind. False when
    /// the call is being stopped or the item was given up: the value is dropped.
    pub(crate) fn emit(&self, index: u64, value: R) -> bool {
        let others = self.of_others(index);
        let stopping = if self.is_stopping() {
            true
        } else if self.may_emit(index, others) || context::is_consumer() {
            false
        } else {
            self.wait_for_room(index, others)
        };
        if stopping || !self.put_output(index, value) {
            return false;
        }
        self.flush_now();
        true
    }

    fn is_stopping(&self) -> bool {
        self.call.stop.is_stopping() || self.lease.is_revoked()
    }

    fn may_emit(&self, index: u64, others: usize) -> bool {
        let (ahead, quota) = (self.track.ahead.len(), self.call.quota());
        // The consumer has no use for what later items have made before it has this item's.
        ahead < quota
            || ahead < quota.saturating_add(others) && self.call.is_awaited(index)
            || self.call.is_stuck()
            || self.call.target.must_go_on()
    }

    /// Waits until the consumer has had the half of what this item may be ahead of it, or its turn comes. True
    /// when the call is being stopped or the item was given up.
    ///
    /// The reader may wait for anything: for an item that waits for a place of the same throttle, for a call that waits
    /// for the same thread. So the item holds neither meanwhile.
    #[cold]
    fn wait_for_room(&self, index: u64, others: usize) -> bool {
        let place = self.give_place_back();
        let stopping = self.wait_for_reader(index, others);
        match place {
            Some(loan) => !self.take_place_again(loan) || stopping,
            None => stopping,
        }
    }

    /// Gives the item's place of a shared throttle to others. `None` if it has none of its own.
    fn give_place_back(&self) -> Option<Option<Arc<Loan>>> {
        let permit = self.permit.take()?;
        let loan = self.loan.take();
        if let Some(loan) = &loan {
            loan.set_away(true);
        }
        drop(permit);
        Some(loan)
    }

    /// Waits for a place of the shared throttle. False when the call is being stopped or the item was given up.
    fn take_place_again(&self, loan: Option<Arc<Loan>>) -> bool {
        let control = self.call.control.as_ref();
        let Some(gate) = control.and_then(|it| it.gate()) else {
            return true;
        };
        let permit = self.call.pass(gate, || self.is_stopping());
        let has_passed = permit.is_some();
        self.permit.set(permit.flatten());
        if let Some(loan) = &loan
            && has_passed
        {
            loan.set_away(false);
        }
        self.loan.set(loan);
        has_passed
    }

    fn wait_for_reader(&self, index: u64, others: usize) -> bool {
        let _waits = self.call.target.wait_for_reader(&self.track.ahead);
        let _told = self.call.waits("worker", || {
            format!("a reader of what item {index} has emitted")
        });
        let ahead = &self.track.ahead;
        let half = self.call.quota() / 2;
        let look = || {
            if self.is_stopping() {
                return Some(true);
            }
            // Before the look at the backlog: should the turn come after this, it is told.
            let low = match self.call.is_awaited(index) {
                true => half.saturating_add(others),
                false => half,
            };
            let goes_on = ahead.watch(low) || self.call.is_stuck() || self.call.target.must_go_on();
            goes_on.then_some(false)
        };
        ahead.set_item(index);
        let stopping = self.call.wait_as_emitter(ahead, || ahead.wait(look));
        ahead.unwatch();
        stopping
    }

    /// Puts an output in. False, and the value is dropped, if the item is not this worker's any more.
    fn put_output(&self, index: u64, value: R) -> bool {
        // Without limits nobody takes an item from its worker.
        if self.call.control.is_none() {
            self.push_output(index, value);
            return true;
        }
        if let Some(mut mark) = self.lease.hold() {
            self.push_output(index, value);
            *mark = Some(self.here());
            return true;
        }
        drop(value);
        false
    }

    fn push_output(&self, index: u64, value: R) {
        self.track.ahead.push();
        self.put(Event::Output(index, value));
    }

    /// Where the lane stands.
    fn here(&self) -> Mark {
        Mark {
            lane: self.track.id,
            upto: self.track.queue.position(),
        }
    }

    /// What the consumer has to read here before what comes next of an item that leaves this worker, if there is
    /// anything.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.lease.mark()
    }

    /// Takes over an item of which there may be something in another lane, up to `mark`.
    pub(crate) fn join(&self, index: u64, mark: Mark) {
        if mark.lane == self.track.id {
            return;
        }
        self.put_apart(Event::Join(index, mark));
        // Of a worker that has lost an item, and ends what others have left, nobody takes over any more.
        if let Some(mut held) = self.lease.hold() {
            *held = Some(self.here());
        }
    }

    /// Like [`emit`](Self::emit), without waiting: for one who takes in the outputs of many items.
    #[cfg(feature = "cluster")]
    pub(crate) fn pass_on(&self, index: u64, value: R) {
        self.put_output(index, value);
    }

    /// The worker's item has this place among all calls that share its throttle.
    pub(crate) fn set_permit(&self, permit: Option<Permit>) {
        self.loan.set(None);
        self.permit.set(permit);
    }

    /// The loan of the item's place.
    pub(crate) fn set_loan(&self, loan: &Arc<Loan>) {
        self.loan.set(Some(Arc::clone(loan)));
    }

    /// The outputs that the consumer has not had.
    #[cfg(feature = "cluster")]
    pub(crate) fn ahead(&self) -> &Arc<Backlog> {
        &self.track.ahead
    }

    /// How many outputs of other items were ahead of the consumer when this one began to emit. A worker
    /// may have run a later item before one that it has taken from another worker.
    fn of_others(&self, index: u64) -> usize {
        let (item, others) = self.emitting.get();
        if item == Some(index) {
            return others;
        }
        let others = self.track.ahead.len();
        self.emitting.set((Some(index), others));
        others
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// The lease to revoke when the worker's item is given up.
    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }
}

/// Where the consumer stands in the lanes.
pub(crate) struct Intake<R> {
    outlet: Arc<Outlet<R>>,
    lanes: Vec<Reader<R>>,
    /// Lanes that may have something, to be visited in turn.
    open: VecDeque<usize>,
    /// Room for the marks, kept between looks.
    marked: Vec<usize>,
    /// The lane that was visited last.
    current: usize,
    /// How many more events come from there before it is another's turn.
    turn: usize,
    /// Where items are asked for in their order: what lanes have something for later, by the item that they
    /// have it for.
    later: BinaryHeap<Reverse<(u64, usize)>>,
    /// For which item each lane is listed, if it is.
    listed: Vec<Option<u64>>,
    /// How many of the jumps have been dealt with.
    jumps: usize,
    /// While the lanes are emptied because of jumps: how many there were when that began.
    emptying: Option<usize>,
}

/// How many events of a lane come in a row while others may have some.
const TURN: usize = 32;

impl<R> Intake<R> {
    pub(crate) fn new(outlet: Arc<Outlet<R>>) -> Self {
        Self {
            outlet,
            lanes: Vec::new(),
            open: VecDeque::new(),
            marked: Vec::new(),
            current: 0,
            turn: 0,
            later: BinaryHeap::new(),
            listed: Vec::new(),
            jumps: 0,
            emptying: None,
        }
    }

    /// A value that is at hand without looking at any lane.
    #[inline(always)]
    pub(crate) fn pop_value(&mut self) -> Option<R> {
        if self.turn == 0 {
            return None;
        }
        let value = self.lanes[self.current].pop_value()?;
        self.turn -= 1;
        Some(value)
    }

    /// The same, of the item `index`.
    #[inline(always)]
    pub(crate) fn pop_value_of(&mut self, index: u64) -> Option<R> {
        self.lanes.get_mut(self.current)?.pop_value_of(index)
    }

    /// Folds the values that are at hand, up to `most`; answers how many there were too.
    #[inline]
    pub(crate) fn fold_values<B>(
        &mut self,
        most: usize,
        start: B,
        step: impl FnMut(B, R) -> B,
    ) -> (B, usize) {
        if self.turn == 0 {
            return (start, 0);
        }
        let most = most.min(self.turn);
        let (sum, count) = self.lanes[self.current].fold_values(most, start, step);
        self.turn -= count;
        (sum, count)
    }

    /// The same, of the items from `head` on.
    #[inline]
    pub(crate) fn fold_values_from<B>(
        &mut self,
        head: u64,
        most: usize,
        start: B,
        step: impl FnMut(B, R) -> B,
    ) -> (B, usize) {
        match self.lanes.get_mut(self.current) {
            Some(lane) => lane.fold_values_from(head, most, start, step),
            None => (start, 0),
        }
    }

    /// How many outputs of the worker whose event came last the consumer has not had.
    pub(crate) fn ahead(&self) -> &Arc<Backlog> {
        &self.lanes[self.current].ahead
    }

    /// The next event of the lanes that are marked.
    pub(crate) fn poll(&mut self) -> Option<Event<R>> {
        if self.turn > 0 {
            self.turn -= 1;
            if let Some(event) = self.lanes[self.current].pop_seen() {
                return Some(event);
            }
        }
        if let Some(event) = self.visit() {
            return Some(event);
        }
        self.open_marked();
        self.visit()
    }

    /// The next event of any lane: for when marks may be missing.
    pub(crate) fn poll_all(&mut self) -> Option<Event<R>> {
        self.open_all();
        self.visit()
    }

    /// An event of the item `head`, from which on no event is missing; or one of a later item, if that
    /// may be in the way. `all`: for when marks may be missing.
    pub(crate) fn poll_for(&mut self, head: u64, all: bool) -> Option<Event<R>> {
        if let Some(jumps) = self.emptying {
            if let Some(event) = self.visit() {
                return Some(event);
            }
            self.jumps = jumps;
            self.emptying = None;
        }
        if all {
            self.open_all();
        } else {
            if let Some(event) = self.take_for(head) {
                return Some(event);
            }
            self.open_marked();
        }
        self.list_open();
        if let Some(event) = self.take_for(head) {
            return Some(event);
        }
        let jumps = self.outlet.jumps.load(Ordering::Relaxed);
        if jumps == self.jumps {
            return None;
        }
        // It may be behind one of a later item. So take everything: what is put in after this look, and
        // after a later one, has jumped after it too.
        let event = self.poll_all();
        match event {
            Some(_) => self.emptying = Some(jumps),
            None => self.jumps = jumps,
        }
        event
    }

    /// An event of the item `head`, if the lanes that are listed have one in front.
    fn take_for(&mut self, head: u64) -> Option<Event<R>> {
        self.list(self.current);
        while let Some(&Reverse((index, lane))) = self.later.peek() {
            if index > head {
                return None;
            }
            self.later.pop();
            self.listed[lane] = None;
            // It may have been read since.
            match self.lanes[lane].peek() {
                Some(front) if front <= head => {
                    let event = self.take_from(lane);
                    if self.current != lane {
                        self.list(lane);
                    }
                    if event.is_some() {
                        return event;
                    }
                }
                _ => self.list(lane),
            }
        }
        None
    }

    /// The next event of a lane; or, if that has to wait for another, one of the other. None if it has only joins that
    /// are done with.
    fn take_from(&mut self, lane: usize) -> Option<Event<R>> {
        loop {
            let at = self.first_before(lane);
            let event = self.lanes[at].pop();
            // What is waited for was put in before the join: if there is no event of it any more, it has been read.
            if event.is_some() || at == lane {
                self.current = at;
                return event;
            }
        }
    }

    /// The lane that is to be read before another goes on, or that one itself.
    fn first_before(&mut self, lane: usize) -> usize {
        let mut at = lane;
        loop {
            self.lanes[at].look();
            let Some(mark) = self.lanes[at].join() else {
                return at;
            };
            if mark.lane >= self.lanes.len() {
                self.refresh();
            }
            if self.lanes[mark.lane].position() < mark.upto {
                at = mark.lane;
            } else {
                self.lanes[at].pass_join();
            }
        }
    }

    fn list_open(&mut self) {
        while let Some(lane) = self.open.pop_front() {
            self.list(lane);
        }
    }

    /// Lists a lane by what it has in front.
    fn list(&mut self, lane: usize) {
        let Some(index) = self.lanes.get_mut(lane).and_then(Reader::peek) else {
            return;
        };
        self.listed.resize(self.lanes.len(), None);
        if self.listed[lane] != Some(index) {
            self.listed[lane] = Some(index);
            self.later.push(Reverse((index, lane)));
        }
    }

    fn open_marked(&mut self) {
        self.outlet.take_marks(&mut self.marked);
        if self.marked.is_empty() {
            return;
        }
        // After the marks: a lane is listed before it is first marked.
        self.refresh();
        let bits = self.outlet.marks.len() * 64;
        for first in self.marked.drain(..) {
            self.open.extend((first..self.lanes.len()).step_by(bits));
        }
    }

    fn open_all(&mut self) {
        self.refresh();
        self.open.clear();
        self.open.extend(0..self.lanes.len());
    }

    fn refresh(&mut self) {
        if self.outlet.count.load(Ordering::Acquire) != self.lanes.len() {
            self.lanes.append(&mut self.outlet.lanes.lock());
        }
    }

    /// Takes from each open lane in turn, so that a busy one does not hide the others.
    fn visit(&mut self) -> Option<Event<R>> {
        while let Some(&lane) = self.open.front() {
            if let Some(event) = self.take_from(lane) {
                self.open.rotate_left(1);
                self.turn = TURN - 1;
                return Some(event);
            }
            self.open.pop_front();
        }
        None
    }
}
