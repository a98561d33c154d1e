//! The queue in which items are that the feeder has taken and no worker.

use std::convert::Infallible;
use std::sync::Arc;

use super::chain::{Receiver, Sender, chain};
use super::hand::Own;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// From the feeder to the workers.
pub(crate) struct Queue<T> {
    out: Mutex<Out<T>>,
    /// How many items were put in.
    put: AtomicU64,
    /// How many were taken out.
    taken: AtomicU64,
}

struct Out<T> {
    chain: Receiver<T, Infallible>,
    taken: u64,
}

/// The end of a [`Queue`] that items are put in at.
pub(crate) struct Inlet<T> {
    chain: Sender<T, Infallible>,
    queue: Arc<Queue<T>>,
    put: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> (Arc<Self>, Inlet<T>) {
        let (sender, receiver) = chain();
        let queue = Arc::new(Self {
            out: Mutex::new(Out {
                chain: receiver,
                taken: 0,
            }),
            put: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        });
        let inlet = Inlet {
            chain: sender,
            queue: Arc::clone(&queue),
            put: 0,
        };
        (queue, inlet)
    }

    /// How many items there are. May be a moment out of date.
    pub(crate) fn waiting(&self) -> usize {
        // In this order, or it could be less than nothing.
        let taken = self.taken.load(Ordering::SeqCst);
        let put = self.put.load(Ordering::SeqCst);
        usize::try_from(put.saturating_sub(taken)).unwrap_or(usize::MAX)
    }

    /// Moves up to `most` items into an empty hand.
    pub(crate) fn draw(&self, most: usize, own: &mut Own<T>) {
        if self.waiting() == 0 {
            return;
        }
        let mut out = self.out.lock();
        let first = out.taken;
        let count = own.fill(|cards| {
            cards.begin(first, most);
            loop {
                let room = most - cards.len();
                out.chain.look();
                let ((), count) = out.chain.fold_values(room, (), |(), item| cards.push(item));
                if count == 0 {
                    break;
                }
            }
            cards.len()
        });
        out.taken += count as u64;
        self.taken.store(out.taken, Ordering::SeqCst);
    }
}

impl<T> Inlet<T> {
    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        self.chain.push(item);
        self.put += 1;
        self.queue.put.store(self.put, Ordering::Release);
    }

    /// How many items were put in.
    pub(crate) fn put(&self) -> u64 {
        self.put
    }

    /// How many of them no worker has taken.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}
