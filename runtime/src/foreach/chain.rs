//! A queue from one thread to another that neither ever waits for: a chain of blocks, each of which is
//! filled once and read once.
//!
//! What makes it cheap is that the sender looks at nothing that the receiver writes, and the receiver
//! at one word of the sender's for as many values as there are: the two meet about once a batch.
//!
//! `unsafe` in this module: the slots of a block, which one side writes and then the other reads. Who
//! may touch what is said by `filled`: slots below it, and `next` once it is at its end, are the
//! receiver's, everything else the sender's. There is one of each: neither can be cloned, the sender
//! is not `Sync`, and the receiver asks for `&mut`.

#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{CountedArc as Arc, SharedCell};

/// The slots of the first block. Each has twice as many as the one before it, up to [`MOST`].
const SLOTS: usize = if cfg!(loom) { 2 } else { 32 };
/// The most slots of a block.
const MOST: usize = if cfg!(loom) { 2 } else { 256 };
/// The bytes of a block, if that leaves it a few slots.
const BYTES: usize = 1 << 14;

type Slot<T> = SharedCell<MaybeUninit<T>>;

struct Block<T> {
    slots: Box<[Slot<T>]>,
    /// How many slots have a value, from the first.
    filled: AtomicUsize,
    /// How many of them the receiver has taken; told when it leaves the block.
    taken: AtomicUsize,
    next: SharedCell<Option<Arc<Block<T>>>>,
}

// SAFETY: values go from one thread to another, so `T: Send`; no two threads touch the same slot at
// the same time, as the head of the module says, so nothing of `T` is shared.
unsafe impl<T: Send> Sync for Block<T> {}

impl<T> Block<T> {
    /// A block of up to `slots` slots.
    fn new(slots: usize) -> Arc<Self> {
        let most = slots.min(MOST);
        let count = (BYTES / size_of::<T>().max(1)).clamp(most.min(8), most);
        Arc::new(Self {
            slots: empty_slots(count),
            filled: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            next: SharedCell::new(None),
        })
    }
}

#[cfg(not(loom))]
fn empty_slots<T>(count: usize) -> Box<[Slot<T>]> {
    // SAFETY: a slot may hold anything, nothing included.
    unsafe { Box::new_uninit_slice(count).assume_init() }
}

/// Loom's slots know who has touched them.
#[cfg(loom)]
fn empty_slots<T>(count: usize) -> Box<[Slot<T>]> {
    let slots = (0..count).map(|_| SharedCell::new(MaybeUninit::uninit()));
    slots.collect()
}

impl<T> Drop for Block<T> {
    fn drop(&mut self) {
        // Both sides have left, and what they did happened before this.
        let taken = self.taken.load(Ordering::Relaxed);
        let filled = self.filled.load(Ordering::Relaxed);
        for slot in &self.slots[taken..filled] {
            // SAFETY: it was written, and not read.
            slot.with_mut(|it| unsafe { (*it).assume_init_drop() });
        }
    }
}

/// The end that values are put in at.
pub(super) struct Sender<T> {
    block: UnsafeCell<Arc<Block<T>>>,
    /// The first free slot.
    at: Cell<usize>,
}

impl<T> Sender<T> {
    #[inline(always)]
    pub(super) fn push(&self, value: T) {
        let at = self.at.get();
        // SAFETY: nothing below is code of anybody else's that could call `push` again, so the
        // reference ends before `extend` changes the block.
        let block = unsafe { &*self.block.get() };
        // No check of the index, which could panic: a value to be dropped then would have to lie on the
        // stack first, and a processor waits for what is read right after it was written in parts.
        debug_assert!(at < block.slots.len());
        // SAFETY: `at` is below the count of slots, for `extend` follows when it gets there.
        let slot = unsafe { block.slots.get_unchecked(at) };
        // SAFETY: a slot that is not below `filled` is the sender's.
        slot.with_mut(|it| unsafe { (*it).write(value) });
        if at + 1 < block.slots.len() {
            self.at.set(at + 1);
            block.filled.store(at + 1, Ordering::Release);
        } else {
            self.extend();
        }
    }

    /// Goes on to a new block when the last slot has been written.
    #[cold]
    fn extend(&self) {
        let old = {
            // SAFETY: `block` ends before it is replaced, and no other reference is made but in `push`.
            let block = unsafe { &*self.block.get() };
            let next = Block::new(2 * block.slots.len());
            // SAFETY: `filled` is not at the end, so `next` is the sender's.
            block
                .next
                .with_mut(|it| unsafe { *it = Some(Arc::clone(&next)) });
            block.filled.store(block.slots.len(), Ordering::Release);
            self.at.set(0);
            // SAFETY: as above.
            unsafe { std::mem::replace(&mut *self.block.get(), next) }
        };
        // Values may go with it, if there is no receiver any more: the last thing that is done here.
        drop(old);
    }
}

/// The end that values are taken out at.
pub(super) struct Receiver<T> {
    block: Arc<Block<T>>,
    /// The next slot to be read.
    at: usize,
    /// How many slots are known to be filled.
    seen: usize,
}

impl<T> Receiver<T> {
    /// The next value, if there is one.
    pub(super) fn pop(&mut self) -> Option<T> {
        if let Some(value) = self.pop_seen() {
            return Some(value);
        }
        self.look();
        self.pop_seen()
    }

    /// Sees what there is, when all that was seen has been read.
    fn look(&mut self) {
        if self.at == self.block.slots.len() {
            // SAFETY: `filled` was seen at its end, so `next` is the receiver's.
            let next = self.block.next.with_mut(|it| unsafe { (*it).take() });
            let Some(next) = next else {
                return;
            };
            self.block.taken.store(self.at, Ordering::Relaxed);
            (self.block, self.at) = (next, 0);
        }
        self.seen = self.block.filled.load(Ordering::Acquire);
    }

    /// A look at the next value, if there is one.
    pub(super) fn peek(&mut self) -> Option<&T> {
        if self.at == self.seen {
            self.look();
        }
        if self.at == self.seen {
            return None;
        }
        // SAFETY: it is below `filled`, which was read with `Acquire`, and was not read yet.
        Some(self.block.slots[self.at].with(|it| unsafe { (*it).assume_init_ref() }))
    }

    /// The next of the values that the last [`pop`](Self::pop) which looked has seen.
    #[inline]
    pub(super) fn pop_seen(&mut self) -> Option<T> {
        self.pop_seen_if(|_| true)
    }

    /// The same, if it `fits`.
    #[inline]
    pub(super) fn pop_seen_if(&mut self, fits: impl FnOnce(&T) -> bool) -> Option<T> {
        if self.at == self.seen {
            return None;
        }
        let slot = &self.block.slots[self.at];
        // SAFETY: it is below `filled`, which was read with `Acquire`, and was not read yet.
        if !fits(slot.with(|it| unsafe { (*it).assume_init_ref() })) {
            return None;
        }
        self.at += 1;
        // SAFETY: it is below `filled`, which was read with `Acquire`, and read this once, for `at` is
        // past it now.
        Some(slot.with(|it| unsafe { (*it).assume_init_read() }))
    }

    /// Folds the next of those values, up to `most`, for as long as they `fit`; answers how many there were too.
    /// Should `step` panic, the value it was given is gone, and no other.
    #[inline]
    pub(super) fn fold_seen<B>(
        &mut self,
        most: usize,
        start: B,
        mut fits: impl FnMut(&T) -> bool,
        mut step: impl FnMut(B, T) -> B,
    ) -> (B, usize) {
        let Self { block, at, seen } = self;
        let first = *at;
        let end = first.saturating_add(most).min(*seen);
        let mut sum = start;
        for slot in &block.slots[first..end] {
            // SAFETY: it is below `filled`, which was read with `Acquire`, and was not read yet.
            if !fits(slot.with(|it| unsafe { (*it).assume_init_ref() })) {
                break;
            }
            *at += 1;
            // SAFETY: the same, and read this once, for `at` is past it now.
            sum = step(sum, slot.with(|it| unsafe { (*it).assume_init_read() }));
        }
        (sum, *at - first)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // One by one, block after block: a long chain must not be dropped from its first block on down.
        while self.pop().is_some() {}
        self.block.taken.store(self.at, Ordering::Relaxed);
    }
}

/// An empty queue.
pub(super) fn chain<T>() -> (Sender<T>, Receiver<T>) {
    let block = Block::new(SLOTS);
    let sender = Sender {
        block: UnsafeCell::new(Arc::clone(&block)),
        at: Cell::new(0),
    };
    let receiver = Receiver {
        block,
        at: 0,
        seen: 0,
    };
    (sender, receiver)
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::foreach::loom_tests::model;

    /// Two blocks and one value more, read by the time all were sent, or not.
    #[test]
    fn a_chain_loses_and_doubles_nothing() {
        model(4, || {
            let (sender, mut receiver) = chain();
            let thread = loom::thread::spawn(move || (0..5).for_each(|n| sender.push(Box::new(n))));
            let mut next = 0;
            while next < 5 {
                match receiver.pop() {
                    Some(value) => {
                        assert_eq!(*value, next);
                        next += 1;
                    }
                    None => loom::thread::yield_now(),
                }
            }
            thread.join().unwrap();
            assert!(receiver.pop().is_none());
        });
    }

    #[test]
    fn a_chain_is_dropped_once_whoever_goes_last() {
        model(4, || {
            let value = std::sync::Arc::new(());
            let (sender, mut receiver) = chain();
            let sent = std::sync::Arc::clone(&value);
            let thread = loom::thread::spawn(move || {
                (0..3).for_each(|_| sender.push(std::sync::Arc::clone(&sent)));
            });
            drop(receiver.pop());
            drop(receiver);
            thread.join().unwrap();
            assert_eq!(std::sync::Arc::strong_count(&value), 1);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn values_come_in_their_order_over_many_blocks() {
        let (sender, mut receiver) = chain();
        let mut next = 0;
        for round in 0..50 {
            for n in 0..round * 7 {
                sender.push(Box::new((round, n)));
            }
            while let Some(value) = receiver.pop() {
                assert_eq!(*value, (round, next));
                next += 1;
            }
            assert_eq!(next, round * 7);
            next = 0;
        }
    }

    #[test]
    fn values_of_any_size_fit() {
        let (sender, mut receiver) = chain::<[u8; 1 << 14]>();
        for n in 0..20 {
            sender.push([n; 1 << 14]);
        }
        assert!((0..20).all(|n| receiver.pop().is_some_and(|it| it[5] == n)));
        let (sender, mut receiver) = chain();
        (0..200).for_each(|_| sender.push(()));
        assert_eq!(std::iter::from_fn(|| receiver.pop()).count(), 200);
    }

    #[test]
    fn every_value_is_dropped_once_whichever_end_goes_first() {
        let value = Arc::new(());
        for read in [0, 1, 64, 65, 150] {
            for sender_first in [true, false] {
                let (sender, mut receiver) = chain();
                (0..200).for_each(|_| sender.push(Arc::clone(&value)));
                (0..read).for_each(|_| drop(receiver.pop().unwrap()));
                assert_eq!(Arc::strong_count(&value), 201 - read);
                if sender_first {
                    drop(sender);
                    drop(receiver);
                } else {
                    drop(receiver);
                    assert_eq!(Arc::strong_count(&value), 1);
                    // Nobody reads any more.
                    (0..200).for_each(|_| sender.push(Arc::clone(&value)));
                    drop(sender);
                }
                assert_eq!(Arc::strong_count(&value), 1);
            }
        }
    }

    #[test]
    fn two_threads_lose_and_double_nothing() {
        const COUNT: u64 = if cfg!(miri) { 500 } else { 200_000 };
        let (sender, mut receiver) = chain();
        let thread = std::thread::spawn(move || {
            (0..COUNT).for_each(|n| sender.push(Box::new(n)));
        });
        for n in 0..COUNT {
            let value = loop {
                match receiver.pop() {
                    Some(value) => break value,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(*value, n);
        }
        thread.join().unwrap();
        assert!(receiver.pop().is_none());
    }

    #[test]
    fn a_long_chain_is_dropped_without_a_deep_stack() {
        let (sender, receiver) = chain();
        let count = if cfg!(miri) { 1_000 } else { 4_000_000 };
        (0..count).for_each(|_| sender.push(()));
        drop(sender);
        drop(receiver);
    }
}
