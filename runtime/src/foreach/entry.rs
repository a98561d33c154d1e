//! Where items are that no worker has taken: in a queue that the feeder fills, or still in the input, if
//! that is at hand.

use std::sync::Arc;

use super::call::Call;
use super::chain::{Receiver, Sender, chain};
use super::feeder::Source;
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
    chain: Receiver<T>,
    taken: u64,
}

/// The end of a [`Queue`] that items are put in at.
pub(crate) struct Inlet<T> {
    chain: Sender<T>,
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
            while cards.len() < most
                && let Some(item) = out.chain.pop()
            {
                cards.push(item);
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

/// An input at hand, from which the workers take themselves: to take from it is nobody's code and waits
/// for nothing, so that there is no need for a thread that does.
pub(crate) struct Shelf<'a, T, R> {
    call: Arc<Call>,
    /// Until it is at its end.
    input: Mutex<Option<Box<dyn Source<T, R> + 'a>>>,
    taken: AtomicU64,
    /// How many items there are, if that can be said.
    total: u64,
}

impl<'a, T: Send + 'a, R: Send + 'a> Shelf<'a, T, R> {
    pub(crate) fn new(call: Arc<Call>, input: Box<dyn Source<T, R> + 'a>) -> Self {
        let (least, most) = input.size();
        let total = most.filter(|it| *it == least).map(|it| it as u64);
        if total == Some(0) {
            call.note_whole_input();
            call.end_input();
        }
        Self {
            call,
            input: Mutex::new(Some(input)),
            taken: AtomicU64::new(0),
            total: total.unwrap_or(u64::MAX),
        }
    }

    /// How many items may be taken now. May be a moment out of date.
    pub(crate) fn waiting(&self) -> usize {
        if self.call.input_ended() {
            return 0;
        }
        let taken = self.taken.load(Ordering::SeqCst);
        let room = self.call.room(taken).min(self.total - taken);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Moves up to `most` items into an empty hand, and no more than leaves some for the others.
    pub(crate) fn draw(&self, most: usize, own: &mut Own<T>) {
        let mut input = self.input.lock();
        let Some(source) = input.as_mut().filter(|_| !self.call.is_closed()) else {
            return;
        };
        let taken = self.taken.load(Ordering::Relaxed);
        let room = usize::try_from(self.call.room(taken)).unwrap_or(usize::MAX);
        let most = most.min(room).min(self.call.share());
        if most == 0 {
            return;
        }
        let count = own.fill(|cards| {
            cards.begin(taken, most);
            source.take(most, cards);
            cards.len()
        });
        let taken = taken + count as u64;
        self.taken.store(taken, Ordering::SeqCst);
        if count < most || taken == self.total {
            *input = None;
            drop(input);
            self.call.note_whole_input();
            self.call.end_input();
        }
    }
}
