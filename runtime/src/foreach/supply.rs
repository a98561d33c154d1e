//! From the feeder to the workers: a queue that the feeder fills, one for each worker that takes a
//! batch, and stealing between them, so that an item never waits behind one that takes long.

use std::cmp::Ordering as Order;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::control::{Slot, Slots};
use crate::context;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::deque::{Steal, Stealer, Worker as Deque};

/// An item and its place in the input.
pub(crate) type Numbered<T> = (u64, T);

/// The queues of a call, as everyone sees them.
pub(crate) struct Pool<T> {
    /// The feeder's queue.
    source: Stealer<Numbered<T>>,
    /// The workers' queues.
    peers: Mutex<Vec<Stealer<Numbered<T>>>>,
    /// `peers.len()`, to be read without the lock.
    count: AtomicUsize,
    /// Items that are to be tried again.
    later: Mutex<BinaryHeap<Later<T>>>,
    /// `later.len()`, to be read without the lock.
    delayed: AtomicUsize,
    /// Which try comes next, of items that are not at their first.
    attempts: Mutex<HashMap<u64, u32>>,
    /// What the workers run, where there is somebody to look.
    pub(crate) slots: Slots<T>,
    /// Queues of workers that have gone, for those that come: on shared threads they do so all the time.
    free: Mutex<Vec<Deque<Numbered<T>>>>,
}

/// An item that waits for its next try.
struct Later<T> {
    due: Instant,
    item: Numbered<T>,
}

impl<T> Pool<T> {
    /// A pool and the queue that fills it.
    pub(crate) fn new() -> (Arc<Self>, Deque<Numbered<T>>) {
        let queue = Deque::new_fifo();
        let pool = Self {
            source: queue.stealer(),
            peers: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
            later: Mutex::new(BinaryHeap::new()),
            delayed: AtomicUsize::new(0),
            attempts: Mutex::new(HashMap::new()),
            slots: Mutex::new(Vec::new()),
            free: Mutex::new(Vec::new()),
        };
        (Arc::new(pool), queue)
    }

    /// How many items there are that no worker has. May be a moment out of date.
    pub(crate) fn waiting(&self) -> usize {
        self.source.len() + self.delayed.load(Ordering::SeqCst)
    }

    /// A worker's slot that is of no interest any more.
    pub(crate) fn forget(&self, slot: &Arc<Slot<T>>) {
        self.slots.lock().retain(|it| !Arc::ptr_eq(it, slot));
    }

    /// Keeps an item for its try number `attempt`, after `pause`.
    pub(crate) fn put_later(&self, item: Numbered<T>, attempt: u32, pause: Duration) {
        let now = Instant::now();
        let due = now.checked_add(pause).unwrap_or(now);
        self.attempts.lock().insert(item.0, attempt);
        self.later.lock().push(Later { due, item });
        self.delayed.fetch_add(1, Ordering::SeqCst);
    }

    /// Which try of an item begins.
    pub(crate) fn attempt(&self, index: u64) -> u32 {
        self.attempts.lock().remove(&index).unwrap_or(1)
    }

    fn has_later(&self) -> bool {
        self.delayed.load(Ordering::SeqCst) > 0
    }

    /// How long until the next one is due.
    fn until_due(&self) -> Duration {
        if !self.has_later() {
            return Duration::MAX;
        }
        let due = self.later.lock().peek().map(|it| it.due);
        due.map_or(Duration::MAX, |it| {
            it.saturating_duration_since(Instant::now())
        })
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
        if limit.is_some_and(|limit| first.due > limit) {
            return None;
        }
        let first = later.pop()?;
        self.delayed.fetch_sub(1, Ordering::SeqCst);
        Some(first.item)
    }

    /// Whether there are items anywhere that nobody runs. What a worker has taken before it looks
    /// for helpers is seen.
    pub(crate) fn has_any(&self) -> bool {
        self.waiting() > 0 || self.peers.lock().iter().any(|it| !it.is_empty())
    }
}

/// One worker's way to items.
pub(crate) struct Supply<T> {
    pool: Arc<Pool<T>>,
    own: Deque<Numbered<T>>,
    peers: Vec<Stealer<Numbered<T>>>,
}

impl<T> Supply<T> {
    pub(crate) fn new(pool: Arc<Pool<T>>) -> Self {
        let free = pool.free.lock().pop();
        let own = free.unwrap_or_else(|| {
            let own = Deque::new_fifo();
            let mut peers = pool.peers.lock();
            peers.push(own.stealer());
            pool.count.store(peers.len(), Ordering::Release);
            own
        });
        Self {
            pool,
            own,
            peers: Vec::new(),
        }
    }

    /// The queues that it takes from.
    pub(crate) fn pool(&self) -> &Arc<Pool<T>> {
        &self.pool
    }

    /// Leaves the queue to the next worker, with what may be in it.
    pub(crate) fn retire(self) {
        self.pool.free.lock().push(self.own);
    }

    /// The next of the items this worker has already.
    pub(crate) fn own(&mut self) -> Option<Numbered<T>> {
        self.own.pop()
    }

    /// The next item, waiting for one. `None` when none will come any more, the call is stopped, or
    /// the thread has other things to do.
    pub(crate) fn wait(&mut self, call: &Call) -> Option<Numbered<T>> {
        if let Some(answer) = self.look(call) {
            return answer;
        }
        if call.target.is_shared() && !self.pool.has_later() {
            return self.look_again(call);
        }
        let pool = Arc::clone(&self.pool);
        let until_due = || pool.until_due().max(SHORTEST);
        call.to_workers.wait_with(|| self.look(call), until_due)
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
            if let Some(answer) = self.look(call) {
                return answer;
            }
        }
        None
    }

    /// Answers an item, or that there will be none, or neither yet.
    fn look(&mut self, call: &Call) -> Option<Option<Numbered<T>>> {
        if call.is_closed() {
            return Some(None);
        }
        // Before the look: what was put in before the end is then seen.
        let ended = call.input_ended();
        let due = self.pool.take_due();
        let item = due.or_else(|| self.take(call.batch()));
        if item.is_none() && (!ended || self.pool.has_later()) {
            return None;
        }
        if self.own.is_empty() {
            return Some(item);
        }
        // A batch is more than one can do at once.
        if !call.target.is_shared() {
            call.to_workers.hint();
        } else if !call.has_helpers()
            && let Some(item) = item
        {
            // Leaves with all that it has, in its order, and calls for a worker as it goes.
            let rest: Vec<_> = std::iter::from_fn(|| self.own.pop()).collect();
            self.put_back(item);
            rest.into_iter().for_each(|it| self.put_back(it));
            return Some(None);
        }
        Some(item)
    }

    fn take(&mut self, batch: usize) -> Option<Numbered<T>> {
        if let Some(item) = self.own.pop() {
            return Some(item);
        }
        let from_source = if batch == 1 {
            retry(|| self.pool.source.steal())
        } else {
            retry(|| {
                let source = &self.pool.source;
                source.steal_batch_with_limit_and_pop(&self.own, batch)
            })
        };
        from_source.or_else(|| self.take_from_peers())
    }

    /// Half of what another worker has in hand: it may be busy with an item that takes long.
    fn take_from_peers(&mut self) -> Option<Numbered<T>> {
        if self.pool.count.load(Ordering::Acquire) != self.peers.len() {
            self.peers.clone_from(&self.pool.peers.lock());
        }
        let own = &self.own;
        let mut others = self.peers.iter().filter(|it| !it.is_empty());
        others.find_map(|peer| retry(|| peer.steal_batch_and_pop(own)))
    }

    /// Whether no item is left, as far as can be seen from here.
    #[cfg(feature = "process")]
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty()
            && self.pool.waiting() == 0
            && self.pool.peers.lock().iter().all(Stealer::is_empty)
    }

    /// Keeps an item that this worker had taken.
    pub(crate) fn put_back(&mut self, item: Numbered<T>) {
        self.own.push(item);
    }

    /// Any item that is left anywhere and that nobody has tried.
    pub(crate) fn take_any(&mut self) -> Option<Numbered<T>> {
        self.take(1)
    }

    /// Like [`take_any`](Self::take_any), those included that wait for their next try.
    pub(crate) fn take_left(&mut self) -> Option<Numbered<T>> {
        self.take_any().or_else(|| self.pool.take_later(None))
    }
}

/// A pause that is shorter than this is over.
const SHORTEST: Duration = Duration::from_micros(50);

// The one that is due first is the greatest.
impl<T> Ord for Later<T> {
    fn cmp(&self, other: &Self) -> Order {
        (other.due, other.item.0).cmp(&(self.due, self.item.0))
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

fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
