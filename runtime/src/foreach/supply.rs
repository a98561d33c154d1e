//! How workers come to their items: from the entry of the call in batches, and from each other, so that an
//! item never waits behind one that takes long.

use std::cmp::Ordering as Order;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::control::{Slot, Slots};
use super::hand::{Hand, Own};
use super::lease::Mark;
use super::pace::CHEAP;
use crate::barrier;
use crate::context;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::threads;
use crate::time;
use crate::vigil;

pub(crate) use super::hand::Numbered;

/// Where items come from that no worker has.
pub(crate) trait Entry<T> {
    /// How many can be had now. May be a moment out of date.
    fn waiting(&self) -> usize;

    /// Moves up to `most` items into an empty hand.
    fn draw(&self, most: usize, own: &mut Own<T>);

    /// A worker that was under way has all that it needs to run items.
    #[cfg(feature = "process")]
    fn begun(&self);

    /// Has others come for what is left here, and for what a worker has in hand, if it `has_more` than it runs.
    fn share(&self, has_more: bool);
}

/// What a call's workers have taken and not begun, as everyone sees it.
pub(crate) struct Pool<T> {
    /// The workers' hands.
    hands: Mutex<Vec<Arc<Hand<T>>>>,
    /// `hands.len()`, to be read without the lock.
    count: AtomicUsize,
    /// Items that are to be tried again.
    later: Mutex<BinaryHeap<Later<T>>>,
    /// `later.len()`, to be read without the lock; also by the call.
    delayed: Arc<AtomicUsize>,
    /// Which try comes next, of items that are not at their first, and after what of which lane.
    attempts: Mutex<HashMap<u64, (u32, Option<Mark>)>>,
    /// What the workers run, where there is somebody to look.
    pub(crate) slots: Slots<T>,
    /// Hands of workers that have gone, for those that come: on shared threads they do so all the time.
    free: Mutex<Vec<Own<T>>>,
}

/// An item that waits for its next try.
struct Later<T> {
    /// `None` for a time that never comes.
    due: Option<Instant>,
    item: Numbered<T>,
}

impl<T> Pool<T> {
    /// `delayed` is where it counts the items that are to be tried again.
    pub(crate) fn new(delayed: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            hands: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
            later: Mutex::new(BinaryHeap::new()),
            delayed,
            attempts: Mutex::new(HashMap::new()),
            slots: Mutex::new(Vec::new()),
            free: Mutex::new(Vec::new()),
        })
    }

    /// How many items wait for another try.
    pub(crate) fn delayed(&self) -> usize {
        self.delayed.load(Ordering::SeqCst)
    }

    /// A worker's slot that is of no interest any more.
    pub(crate) fn forget(&self, slot: &Arc<Slot<T>>) {
        self.slots.lock().retain(|it| !Arc::ptr_eq(it, slot));
    }

    /// Keeps an item for its try number `attempt`, after `pause`. What its earlier tries have emitted is before `mark`.
    pub(crate) fn put_later(
        &self,
        item: Numbered<T>,
        attempt: u32,
        pause: Duration,
        mark: Option<Mark>,
    ) {
        let due = time::after(pause);
        self.attempts.lock().insert(item.0, (attempt, mark));
        self.later.lock().push(Later { due, item });
        self.delayed.fetch_add(1, Ordering::SeqCst);
    }

    /// Which try of an item begins, and after what.
    pub(crate) fn attempt(&self, index: u64) -> (u32, Option<Mark>) {
        self.attempts.lock().remove(&index).unwrap_or((1, None))
    }

    fn has_later(&self) -> bool {
        self.delayed() > 0
    }

    /// How long until the next one is due.
    fn until_due(&self) -> Duration {
        if !self.has_later() {
            return Duration::MAX;
        }
        let due = self.later.lock().peek().and_then(|it| it.due);
        time::left(due).unwrap_or(Duration::MAX)
    }

    /// An item whose next try is due.
    fn take_due(&self) -> Option<Numbered<T>> {
        self.has_later()
            .then(|| self.take_later(Some(Instant::now())))?
    }

    /// The item that is due first, if that is not after `limit`.
    fn take_later(&self, limit: Option<Instant>) -> Option<Numbered<T>> {
        let mut later = self.later.lock();
        let first = later.peek()?;
        if limit.is_some_and(|limit| !time::has_come(first.due, limit)) {
            return None;
        }
        let first = later.pop()?;
        self.delayed.fetch_sub(1, Ordering::SeqCst);
        Some(first.item)
    }

    /// Whether there are items in hand that nobody runs. What a worker has taken before it looks
    /// for helpers is seen.
    pub(crate) fn has_in_hand(&self) -> bool {
        self.hands.lock().iter().any(|it| !it.is_empty())
    }
}

/// What a look for items has come to.
#[cfg(feature = "cluster")]
pub(crate) enum Found<T> {
    Item(Numbered<T>),
    /// None, so far.
    Nothing,
    /// There are none, unless one comes back to be tried again; or the call is closed.
    End,
}

/// One worker's way to items.
pub(crate) struct Supply<'w, T> {
    entry: &'w (dyn Entry<T> + 'w),
    pool: Arc<Pool<T>>,
    own: Own<T>,
    peers: Vec<Arc<Hand<T>>>,
    /// An item that was taken and did not begin after all.
    kept: Option<Numbered<T>>,
}

impl<'w, T> Supply<'w, T> {
    pub(crate) fn new(entry: &'w (dyn Entry<T> + 'w), pool: Arc<Pool<T>>) -> Self {
        let free = pool.free.lock().pop();
        let own = free.unwrap_or_else(|| {
            let own = Own::new();
            let mut hands = pool.hands.lock();
            hands.push(Arc::clone(own.hand()));
            pool.count.store(hands.len(), Ordering::Release);
            own
        });
        Self {
            entry,
            pool,
            own,
            peers: Vec::new(),
            kept: None,
        }
    }

    /// Tells that the worker has all that it needs to run items.
    #[cfg(feature = "process")]
    pub(crate) fn begun(&self) {
        self.entry.begun();
    }

    /// What its items are part of.
    pub(crate) fn pool(&self) -> &Arc<Pool<T>> {
        &self.pool
    }

    /// Leaves the hand to the next worker, with what may be in it.
    pub(crate) fn retire(self) {
        self.pool.free.lock().push(self.own);
    }

    /// The items this worker has already.
    #[inline]
    pub(crate) fn own(&mut self) -> &mut Own<T> {
        &mut self.own
    }

    /// The next item, waiting for one. `None` when none will come any more, the call is stopped, or
    /// the thread has other things to do.
    pub(crate) fn wait(&mut self, call: &Call) -> Option<Numbered<T>> {
        if let Some(answer) = self.look(call, false) {
            return answer;
        }
        if call.target.is_shared() && !self.pool.has_later() {
            return self.look_again(call);
        }
        let pool = Arc::clone(&self.pool);
        let until_due = || pool.until_due().max(SHORTEST);
        let mut looks = 0;
        let look = || {
            looks += 1;
            // The first look comes before the sleep.
            self.look(call, looks > 1)
        };
        let sleep = |look| {
            let _waits = call.idles();
            call.to_workers.wait_with(look, until_due)
        };
        vigil::keep_if(call.goes_in_step(), look, sleep)
    }

    /// Like [`wait`](Self::wait), but not beyond what `wakes` says, nor longer than `longest`.
    #[cfg(feature = "cluster")]
    pub(crate) fn poll(
        &mut self,
        call: &Call,
        wakes: &dyn Fn() -> bool,
        longest: Duration,
    ) -> Found<T> {
        let pool = Arc::clone(&self.pool);
        let end = time::after(longest);
        let left = || time::left(end).unwrap_or(Duration::MAX);
        let until = || pool.until_due().max(SHORTEST).min(left());
        let look = || match wakes() {
            true => Some(Found::Nothing),
            false => match self.look(call, true) {
                Some(Some(item)) => Some(Found::Item(item)),
                Some(None) => Some(Found::End),
                None => left().is_zero().then_some(Found::Nothing),
            },
        };
        let _waits = call.idles();
        call.to_workers.wait_with(look, until)
    }

    /// Before a worker leaves a thread that is somebody else's: a feeder that is only a little
    /// behind costs less to wait for than to come again.
    fn look_again(&mut self, call: &Call) -> Option<Numbered<T>> {
        const LOOKS: usize = 16;
        if cfg!(loom) || context::is_consumer() {
            return None;
        }
        for _ in 0..LOOKS {
            std::thread::yield_now();
            if let Some(answer) = self.look(call, false) {
                return answer;
            }
        }
        None
    }

    /// Answers an item, or that there will be none, or neither yet.
    fn look(&mut self, call: &Call, has_slept: bool) -> Option<Option<Numbered<T>>> {
        loop {
            if call.is_closed() {
                return Some(None);
            }
            // Before the look: what was put in before the end is then seen.
            let ended = call.input_ended();
            if let Some(due) = self.pool.take_due() {
                return Some(Some(due));
            }
            let batch = call.batch();
            // What is cheap is done by who has it before another has come for it. If not, it is behind an
            // item that takes long.
            let leaves = batch >= CHEAP && !has_slept && !ended && !call.target.is_shared();
            if !self.draw(batch) && (leaves || !self.take_from_peers(call.pace.few())) {
                return (ended && !self.pool.has_later()).then_some(None);
            }
            // Another may have taken it meanwhile.
            if let Some(item) = self.own.next() {
                self.entry.share(!self.own.is_empty());
                return Some(Some(item));
            }
        }
    }

    /// Has something in hand, up to `batch` items if they are new. False if there is nothing new to be had.
    fn draw(&mut self, batch: usize) -> bool {
        if !self.own.is_empty() {
            return true;
        }
        if batch >= CHEAP && barrier::would_pay() {
            // It goes as well without.
            let _ = threads::spawn(Box::new(barrier::set_up));
        }
        self.entry.draw(batch, &mut self.own);
        !self.own.is_empty()
    }

    /// Half of what another worker has in hand: it may be busy with an item that takes long. Where it has no more
    /// than a `few`, only if it does not come to their end at once.
    fn take_from_peers(&mut self, few: usize) -> bool {
        if self.pool.count.load(Ordering::Acquire) != self.peers.len() {
            self.peers.clone_from(&self.pool.hands.lock());
        }
        let own = &mut self.own;
        self.peers.iter().any(|peer| {
            let leaves = || peer.len() <= few && comes_to_its_end(peer);
            !peer.is_empty() && !leaves() && peer.give_half(own)
        })
    }

    /// Whether no item is left, as far as can be seen from here.
    #[cfg(feature = "process")]
    pub(crate) fn is_empty(&self) -> bool {
        self.entry.waiting() == 0 && self.pool.delayed() == 0 && !self.pool.has_in_hand()
    }

    /// Keeps an item that this worker had taken.
    pub(crate) fn put_back(&mut self, item: Numbered<T>) {
        debug_assert!(self.kept.is_none(), "a worker takes one item at a time");
        self.kept = Some(item);
    }

    /// Any item that is left anywhere and that nobody has tried.
    pub(crate) fn take_any(&mut self) -> Option<Numbered<T>> {
        if let Some(kept) = self.kept.take() {
            return Some(kept);
        }
        loop {
            if !self.draw(1) && !self.take_from_peers(0) {
                return None;
            }
            if let Some(item) = self.own.next() {
                return Some(item);
            }
        }
    }

    /// Like [`take_any`](Self::take_any), those included that wait for their next try.
    pub(crate) fn take_left(&mut self) -> Option<Numbered<T>> {
        self.take_any().or_else(|| self.pool.take_later(None))
    }
}

/// Whether a hand is empty in a moment.
fn comes_to_its_end<T>(hand: &Hand<T>) -> bool {
    /// What a few items are expected to take, some times over.
    const MOMENT: Duration = Duration::from_micros(15);
    let start = Instant::now();
    while !hand.is_empty() {
        std::thread::yield_now();
        if start.elapsed() > MOMENT {
            return false;
        }
    }
    true
}

/// A pause that is shorter than this is over.
const SHORTEST: Duration = Duration::from_micros(50);

impl<T> Later<T> {
    /// What is never due comes last, items of the same time in the order of the input.
    fn key(&self) -> (bool, Option<Instant>, u64) {
        (self.due.is_none(), self.due, self.item.0)
    }
}

// The one that is due first is the greatest.
impl<T> Ord for Later<T> {
    fn cmp(&self, other: &Self) -> Order {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Later<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Later<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl<T> Eq for Later<T> {}
