//! What a worker has taken and not begun: it takes from the front, the others what is at the end, so
//! that no item waits behind one that takes long.
//!
//! The worker says which item it begins, then looks whether somebody has taken that; the others say what they take, then
//! look how far the worker is. One of the two sees the other, and makes way. The worker does this for each
//! item, the others now and then, so the fence that it takes is theirs (`crate::barrier`).
//!
//! `unsafe` in this module: the slots. They change only in [`Own::fill`], under the lock and when nobody
//! is left who may read one. In between they are only read: the worker reads a slot when `front` is past it
//! and then `end` still is, others, who hold the lock meanwhile, slots from `end` on when they have put it
//! there and `front` is then not past it. What was written first is seen by one of the two, so the same
//! slot is not read by both; others come one after the other.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::barrier;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// An item and its place in the input.
pub(crate) type Numbered<T> = (u64, T);

/// A worker's hand, as all see it.
pub(crate) struct Hand<T> {
    /// The first slot that the worker has not begun. It alone changes it.
    front: AtomicUsize,
    /// The end of the slots that have items. The others change it, with the lock.
    end: AtomicUsize,
    /// Held by who fills the slots, and by who takes from their end.
    table: Mutex<()>,
    cards: UnsafeCell<Cards<T>>,
}

/// Items that follow each other in the input.
pub(crate) struct Cards<T> {
    /// The index of the first.
    first: u64,
    slots: Vec<MaybeUninit<T>>,
}

// SAFETY: items go from one thread to another, so `T: Send`; no two threads read the same one, as the
// head of the module says, so nothing of `T` is shared.
unsafe impl<T: Send> Sync for Hand<T> {}

/// How often another worker tries to take something while the owner is faster.
const TRIES: usize = 4;

impl<T> Hand<T> {
    /// Whether there seems to be nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items there seem to be.
    pub(crate) fn len(&self) -> usize {
        let front = self.front.load(Ordering::SeqCst);
        self.end.load(Ordering::SeqCst).saturating_sub(front)
    }

    /// Moves the later half of the items to `own`, which is empty. False if there are none.
    pub(crate) fn give_half(&self, own: &mut Own<T>) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut half = Vec::new();
        let first = {
            let _table = self.table.lock();
            let Some((middle, end)) = self.split() else {
                return false;
            };
            // SAFETY: no other reference is `&mut`, for `fill` has the lock where it makes one.
            let cards = unsafe { &*self.cards.get() };
            half.reserve_exact(end - middle);
            for slot in &cards.slots[middle..end] {
                // SAFETY: it was filled, and is this thread's: see `split`.
                half.push(unsafe { slot.assume_init_read() });
            }
            cards.first + middle as u64
        };
        own.fill(|cards| {
            cards.begin(first, half.len());
            cards.extend(half);
        });
        true
    }

    /// Takes the later half of the slots from the owner. Only with the lock.
    fn split(&self) -> Option<(usize, usize)> {
        let end = self.end.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let front = self.front.load(Ordering::SeqCst);
            if front >= end {
                break;
            }
            let middle = end - (end - front).div_ceil(2);
            self.end.swap(middle, Ordering::SeqCst);
            if barrier::meet() && self.front.load(Ordering::SeqCst) <= middle {
                return Some((middle, end));
            }
            // The owner is there already, or about to be: it waits for the lock if it has seen this.
            self.end.store(end, Ordering::SeqCst);
        }
        None
    }
}

impl<T> Drop for Hand<T> {
    fn drop(&mut self) {
        if cfg!(loom) {
            return; // it knows nothing of what std's `Arc` orders, and takes this for a race
        }
        let front = self.front.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        if front < end {
            for slot in &mut self.cards.get_mut().slots[front..end] {
                // SAFETY: it was filled, and nobody has read it.
                unsafe { slot.assume_init_drop() };
            }
        }
    }
}

impl<T> Cards<T> {
    /// Says that up to `most` items follow, of which the next has the index `first`.
    pub(crate) fn begin(&mut self, first: u64, most: usize) {
        self.first = first;
        self.slots.reserve(most);
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        self.slots.push(MaybeUninit::new(item));
    }

    /// Adds items that are at hand.
    pub(crate) fn extend(&mut self, items: impl IntoIterator<Item = T>) {
        self.slots.extend(items.into_iter().map(MaybeUninit::new));
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// A hand, to the worker that it belongs to.
pub(crate) struct Own<T> {
    hand: Arc<Hand<T>>,
}

impl<T> Own<T> {
    pub(crate) fn new() -> Self {
        let cards = Cards {
            first: 0,
            slots: Vec::new(),
        };
        let hand = Hand {
            front: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            table: Mutex::new(()),
            cards: UnsafeCell::new(cards),
        };
        Self {
            hand: Arc::new(hand),
        }
    }

    /// The hand, for others to take from.
    pub(crate) fn hand(&self) -> &Arc<Hand<T>> {
        &self.hand
    }

    /// For certain: it stays empty until it is filled.
    pub(crate) fn is_empty(&self) -> bool {
        if !self.hand.is_empty() {
            return false;
        }
        // Somebody may only have tried to take what is there.
        let _table = self.hand.table.lock();
        self.hand.is_empty()
    }

    /// How many of the items that it was filled with the worker has begun.
    #[inline]
    pub(crate) fn begun(&self) -> usize {
        self.hand.front.load(Ordering::Relaxed)
    }

    /// The index of the item that was begun last, of those. There has to be one.
    pub(crate) fn last(&self) -> u64 {
        // SAFETY: only this worker makes a `&mut`, in `fill`, which cannot run meanwhile.
        let cards = unsafe { &*self.hand.cards.get() };
        cards.first + self.begun() as u64 - 1
    }

    /// The next item, if there seems to be one.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Numbered<T>> {
        let hand = &*self.hand;
        let at = self.begun();
        if at >= hand.end.load(Ordering::Relaxed) {
            return None;
        }
        barrier::publish(&hand.front, at + 1);
        if at >= hand.end.load(Ordering::SeqCst) && !self.is_still_there(at) {
            return None;
        }
        // SAFETY: only this worker makes a `&mut`, in `fill`, which cannot run meanwhile.
        let cards = unsafe { &*hand.cards.get() };
        // SAFETY: slots below `end` were filled; and `front` was past this one when `end` was, or nobody
        // else was there, see `is_still_there`.
        let item = unsafe { cards.slots.get_unchecked(at).assume_init_read() };
        Some((cards.first + at as u64, item))
    }

    /// Somebody takes the item that is about to begin, or has tried: waits to see which.
    #[cold]
    fn is_still_there(&self, at: usize) -> bool {
        let _table = self.hand.table.lock();
        let is_there = at < self.hand.end.load(Ordering::SeqCst);
        if !is_there {
            self.hand.front.store(at, Ordering::SeqCst);
        }
        is_there
    }

    /// Lets `fill` put items in, which must not panic half-way: what it has put in then would be lost.
    /// Only when the hand is empty.
    pub(crate) fn fill<V>(&mut self, fill: impl FnOnce(&mut Cards<T>) -> V) -> V {
        let hand = &*self.hand;
        let _table = hand.table.lock();
        assert!(hand.is_empty(), "a hand is filled when it is empty");
        // SAFETY: the others who make a reference have the lock meanwhile, and the worker itself makes
        // one only in `next`, which cannot run while this has `&mut self`.
        let cards = unsafe { &mut *hand.cards.get() };
        cards.slots.clear();
        let answer = fill(cards);
        hand.front.store(0, Ordering::SeqCst);
        hand.end.store(cards.slots.len(), Ordering::SeqCst);
        answer
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn fill<T>(own: &mut Own<T>, first: u64, items: impl ExactSizeIterator<Item = T>) {
        own.fill(|cards| {
            cards.begin(first, items.len());
            cards.extend(items);
        });
    }

    fn all<T>(own: &mut Own<T>) -> Vec<Numbered<T>> {
        std::iter::from_fn(|| own.next()).collect()
    }

    #[test]
    fn the_later_half_goes_to_who_asks() {
        let (mut own, mut other) = (Own::new(), Own::new());
        fill(&mut own, 10, ["a", "b", "c", "d", "e"].into_iter());
        assert_eq!(own.next(), Some((10, "a")));
        assert!(own.hand().clone().give_half(&mut other));
        assert_eq!(all(&mut own), [(11, "b"), (12, "c")]);
        assert_eq!(all(&mut other), [(13, "d"), (14, "e")]);
        assert!(!own.hand().clone().give_half(&mut other));
    }

    #[test]
    fn the_last_item_is_a_half() {
        let (mut own, mut other) = (Own::new(), Own::new());
        fill(&mut own, 0, [Box::new(7)].into_iter());
        assert!(own.hand().clone().give_half(&mut other));
        assert_eq!((own.next(), other.next()), (None, Some((0, Box::new(7)))));
    }

    #[test]
    fn what_is_left_is_dropped_once() {
        let value = Arc::new(());
        let (mut own, mut other) = (Own::new(), Own::new());
        for _ in 0..2 {
            fill(&mut own, 0, vec![Arc::clone(&value); 9].into_iter());
            drop(own.next());
            assert!(own.hand().clone().give_half(&mut other));
            all(&mut own);
            all(&mut other);
        }
        fill(&mut own, 0, vec![Arc::clone(&value); 9].into_iter());
        drop(own.next());
        assert!(own.hand().clone().give_half(&mut other));
        drop((own, other));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn owner_and_others_lose_and_double_nothing() {
        const ROUNDS: u64 = if cfg!(miri) { 20 } else { 4_000 };
        const COUNT: u64 = 50;
        let mut own: Own<Box<u64>> = Own::new();
        let hand = Arc::clone(own.hand());
        let over = AtomicBool::new(false);
        let (mine, theirs) = std::thread::scope(|scope| {
            let thief = scope.spawn(|| {
                let mut other = Own::new();
                let mut sum = 0;
                while !over.load(Ordering::Relaxed) {
                    if hand.give_half(&mut other) {
                        sum += all(&mut other).into_iter().map(|(_, it)| *it).sum::<u64>();
                    }
                }
                sum
            });
            let mut sum = 0;
            for round in 0..ROUNDS {
                let first = round * COUNT;
                fill(
                    &mut own,
                    first,
                    (0..COUNT)
                        .map(|it| Box::new(first + it))
                        .collect::<Vec<_>>()
                        .into_iter(),
                );
                for (index, item) in std::iter::from_fn(|| own.next()) {
                    assert_eq!(index, *item);
                    sum += *item;
                }
            }
            over.store(true, Ordering::Relaxed);
            (sum, thief.join().unwrap())
        });
        let count = ROUNDS * COUNT;
        assert_eq!(mine + theirs, count * (count - 1) / 2);
    }
}
