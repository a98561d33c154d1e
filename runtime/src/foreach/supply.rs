//! From the feeder to the workers: a queue that the feeder fills, one for each worker that takes a
//! batch, and stealing between them, so that an item never waits behind one that takes long.

use std::sync::Arc;

use super::call::Call;
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
}

impl<T> Pool<T> {
    /// A pool and the queue that fills it.
    pub(crate) fn new() -> (Arc<Self>, Deque<Numbered<T>>) {
        let queue = Deque::new_fifo();
        let pool = Self {
            source: queue.stealer(),
            peers: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
        };
        (Arc::new(pool), queue)
    }

    /// How many items are in the feeder's queue. May be a moment out of date.
    pub(crate) fn waiting(&self) -> usize {
        self.source.len()
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
        let own = Deque::new_fifo();
        let mut peers = pool.peers.lock();
        peers.push(own.stealer());
        pool.count.store(peers.len(), Ordering::Release);
        drop(peers);
        Self {
            pool,
            own,
            peers: Vec::new(),
        }
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
        if call.target.is_shared() {
            return None;
        }
        call.to_workers.wait(|| self.look(call))
    }

    /// Answers an item, or that there will be none, or neither yet.
    fn look(&mut self, call: &Call) -> Option<Option<Numbered<T>>> {
        if call.stop.is_stopping() {
            return Some(None);
        }
        // Before the look: what was put in before the end is then seen.
        let ended = call.input_ended();
        let item = self.take(call.batch());
        if item.is_some() && !self.own.is_empty() {
            // A batch is more than one can do at once: a sleeper may help.
            call.to_workers.hint();
        }
        if item.is_some() || ended {
            Some(item)
        } else {
            None
        }
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

    /// Keeps an item that this worker had taken.
    #[cfg(feature = "process")]
    pub(crate) fn put_back(&mut self, item: Numbered<T>) {
        self.own.push(item);
    }

    /// Any item that is left anywhere, to be ended rather than run.
    pub(crate) fn take_any(&mut self) -> Option<Numbered<T>> {
        self.take(1)
    }
}

fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
