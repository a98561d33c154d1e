//! What a worker has taken and not begun: it takes from the front, the others what is at the end, so
//! that no item waits behind one that takes long.
//!
//! The two agree about who has what by one word. The worker pays one atomic addition an item for that;
//! everything else happens once for all the items that it takes at a time, under a lock.
//!
//! `unsafe` in this module: the slots. They change only in [`Own::fill`], under the lock and when nobody
//! is left who may read one. In between they are only read, and who may read a slot is who has moved
//! `front` or `end` past it: the word is changed by atomic operations that read it first, so that is
//! one, and one only. Others than the worker hold the lock until they have read.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// An item and its place in the input.
pub(crate) type Numbered<T> = (u64, T);

/// A worker's hand, as all see it.
pub(crate) struct Hand<T> {
    /// `end << 32 | front`: the slots from `front` to `end` hold items that nobody has. `front` may
    /// be past `end`.
    marks: AtomicU64,
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

const HALF: u32 = 32;

/// Where the items begin and where they end.
fn ends(marks: u64) -> (usize, usize) {
    let low = marks & u64::from(u32::MAX);
    (low as usize, (marks >> HALF) as usize)
}

fn marks(front: usize, end: usize) -> u64 {
    (end as u64) << HALF | front as u64
}

impl<T> Hand<T> {
    pub(crate) fn is_empty(&self) -> bool {
        let (front, end) = ends(self.marks.load(Ordering::SeqCst));
        front >= end
    }

    /// Moves the later half of the items to `own`, which is empty. False if there are none.
    pub(crate) fn give_half(&self, own: &mut Own<T>) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut half = Vec::new();
        let first = {
            let _table = self.table.lock();
            let halve = |it| {
                let (front, end) = ends(it);
                (front < end).then(|| marks(front, end - (end - front).div_ceil(2)))
            };
            let relaxed = Ordering::Relaxed;
            let Ok(before) = self.marks.fetch_update(relaxed, relaxed, halve) else {
                return false;
            };
            let (front, end) = ends(before);
            let middle = end - (end - front).div_ceil(2);
            // SAFETY: no other reference is `&mut`, for `fill` has the lock where it makes one.
            let cards = unsafe { &*self.cards.get() };
            half.reserve_exact(end - middle);
            for slot in &cards.slots[middle..end] {
                // SAFETY: it was filled, and is this thread's since `end` was moved to `middle`.
                half.push(unsafe { slot.assume_init_read() });
            }
            cards.first + middle as u64
        };
        own.fill(|cards| {
            cards.begin(first, half.len());
            half.into_iter().for_each(|it| cards.push(it));
        });
        true
    }
}

impl<T> Drop for Hand<T> {
    fn drop(&mut self) {
        let (front, end) = ends(self.marks.load(Ordering::Relaxed));
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

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// A hand, to the worker that it belongs to.
pub(crate) struct Own<T> {
    hand: Arc<Hand<T>>,
    /// One worker at a time.
    not_sync: PhantomData<std::cell::Cell<()>>,
}

impl<T> Own<T> {
    pub(crate) fn new() -> Self {
        let cards = Cards {
            first: 0,
            slots: Vec::new(),
        };
        let hand = Hand {
            marks: AtomicU64::new(0),
            table: Mutex::new(()),
            cards: UnsafeCell::new(cards),
        };
        Self {
            hand: Arc::new(hand),
            not_sync: PhantomData,
        }
    }

    /// The hand, for others to take from.
    pub(crate) fn hand(&self) -> &Arc<Hand<T>> {
        &self.hand
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hand.is_empty()
    }

    /// Whether there is more than one item.
    pub(crate) fn has_many(&self) -> bool {
        let (front, end) = ends(self.hand.marks.load(Ordering::Relaxed));
        front + 1 < end
    }

    /// The next item.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Numbered<T>> {
        let relaxed = Ordering::Relaxed;
        let hand = &*self.hand;
        // The look keeps `front` from running away. After it others may still have been faster.
        let (front, end) = ends(hand.marks.load(relaxed));
        if front >= end {
            return None;
        }
        let (front, end) = ends(hand.marks.fetch_add(1, relaxed));
        if front >= end {
            return None;
        }
        // SAFETY: only this worker makes a `&mut`, in `fill`, which cannot run meanwhile.
        let cards = unsafe { &*hand.cards.get() };
        // SAFETY: slots below `end` were filled, and this one is the worker's since `front` is past it.
        let item = unsafe { cards.slots.get_unchecked(front).assume_init_read() };
        Some((cards.first + front as u64, item))
    }

    /// Lets `fill` put items in, which must not panic half-way: what it has put in then would be lost.
    /// Only when the hand is empty.
    pub(crate) fn fill<V>(&mut self, fill: impl FnOnce(&mut Cards<T>) -> V) -> V {
        assert!(self.is_empty(), "a hand is filled when it is empty");
        let hand = &*self.hand;
        let _table = hand.table.lock();
        // SAFETY: the others who make a reference have the lock meanwhile, and the worker itself makes
        // one only in `next`, which cannot run while this has `&mut self`.
        let cards = unsafe { &mut *hand.cards.get() };
        cards.slots.clear();
        let answer = fill(cards);
        let end = cards.slots.len();
        hand.marks.store(marks(0, end), Ordering::SeqCst);
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
            items.for_each(|it| cards.push(it));
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
