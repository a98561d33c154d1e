//! A queue from one thread to another that neither ever waits for: a chain of blocks, each of which is
//! filled once and read once.
//!
//! What makes it cheap is that the sender looks at nothing that the receiver writes, and the receiver
//! at one word of the sender's for as many values as there are: the two meet about once a batch. A block that
//! was read goes back to a sender, which fills it again: memory that one thread takes and another gives back has
//! them wait for each other in the allocator.
//!
//! A slot has room for a value and nothing else. A *mark* may take the place of one, which is a bit; and what is
//! not like the others, an *extra*, lies beside them, at the place of its mark.
//!
//! `unsafe` in this module: the slots of a block, which one side writes and then the other reads. Who
//! may touch what is said by `filled`: slots and extras below it, and `next` once it is at its end, are the
//! receiver's, everything else the sender's. At a place without a mark the slot was written, at one whose bit in
//! `with_extra` is set the extra; both bits are set before `filled` passes the place. The room for extras is made before
//! the first of them, and stays. There is one of each side: neither can be cloned, the sender is not `Sync`, and the
//! receiver asks for `&mut`.

#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

use crate::error::drop_quietly;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{CountedArc as Arc, Mutex, SharedCell};

/// The slots of the first block. Each has twice as many as the one before it, up to [`MOST`].
const SLOTS: usize = if cfg!(loom) { 2 } else { 32 };
/// The most slots of a block.
const MOST: usize = if cfg!(loom) { 2 } else { 256 };
/// The bytes of a block, if that leaves it a few slots.
const BYTES: usize = 1 << 14;

type Slot<T> = SharedCell<MaybeUninit<T>>;
type Slots<T> = Box<[Slot<T>]>;

/// A bit for each place of a block.
type Bits = [AtomicU64; MOST.div_ceil(64)];

#[repr(C)]
struct Block<T, E> {
    slots: Slots<T>,
    /// As many as there are slots, made when there is one.
    extras: SharedCell<Option<Slots<E>>>,
    /// How many places the receiver has done with; told when it leaves the block.
    taken: AtomicUsize,
    next: SharedCell<Option<Arc<Block<T, E>>>>,
    /// What is above is read for each value, what is below changes with each: not on the same line.
    _apart: [u64; 8],
    /// Places that have an extra. Set by the sender alone, like the next.
    with_extra: Bits,
    /// Places that have no value.
    marks: Bits,
    /// How many places are filled, from the first.
    filled: AtomicUsize,
}

// SAFETY: values go from one thread to another, so `T: Send`; no two threads touch the same slot at
// the same time, as the head of the module says, so nothing of `T` is shared. The same for `E`.
unsafe impl<T: Send, E: Send> Sync for Block<T, E> {}

impl<T, E> Block<T, E> {
    /// A block of up to `slots` slots.
    fn new(slots: usize) -> Arc<Self> {
        let most = slots.min(MOST);
        let count = (BYTES / size_of::<T>().max(1)).clamp(most.min(8), most);
        Arc::new(Self {
            slots: empty_slots(count),
            extras: SharedCell::new(None),
            taken: AtomicUsize::new(0),
            next: SharedCell::new(None),
            _apart: [0; 8],
            with_extra: std::array::from_fn(|_| AtomicU64::new(0)),
            marks: std::array::from_fn(|_| AtomicU64::new(0)),
            filled: AtomicUsize::new(0),
        })
    }

    /// Puts an extra in. Only for the sender, at a place that is not below `filled`.
    #[inline]
    fn put_extra(&self, at: usize, extra: E) {
        // SAFETY: before the first extra the room is the sender's, and it changes it no more after it.
        if self.extras.with(|it| unsafe { (*it).is_none() }) {
            self.make_room();
        }
        self.at_extra(at, |slot| {
            // SAFETY: a place that is not below `filled` is the sender's.
            slot.with_mut(|it| unsafe { (*it).write(extra) });
        });
        set(&self.with_extra, at);
    }

    /// Makes room for extras. Only for the sender, when there is none.
    #[cold]
    fn make_room(&self) {
        let room = Some(empty_slots(self.slots.len()));
        // SAFETY: the receiver does not look before there is an extra.
        self.extras.with_mut(|it| unsafe { *it = room });
    }

    /// Hands `f` the slot of an extra. Only for the sender when it has made room, and for the receiver where
    /// there is one.
    #[inline]
    fn at_extra<V>(&self, at: usize, f: impl FnOnce(&Slot<E>) -> V) -> V {
        // SAFETY: nobody changes it after the first extra.
        self.extras.with(|it| unsafe {
            let extras = (*it).as_deref().unwrap_or_default();
            f(&extras[at])
        })
    }

    /// The first mark from `from` on, or `end` if there is none before.
    #[inline]
    fn next_mark(&self, from: usize, end: usize) -> usize {
        let mut at = from;
        while at < end {
            let marks = self.marks[at / 64].load(Ordering::Relaxed) >> (at % 64);
            if marks != 0 {
                return end.min(at + marks.trailing_zeros() as usize);
            }
            at = (at / 64 + 1) * 64;
        }
        end
    }

    /// As it was when it was new, but for the room for extras. Everything in it has been read.
    fn clear(&mut self) {
        for word in self.marks.iter().chain(&self.with_extra) {
            word.store(0, Ordering::Relaxed);
        }
        self.taken.store(0, Ordering::Relaxed);
        self.filled.store(0, Ordering::Relaxed);
    }
}

/// Where receivers leave blocks for the senders: those of one chain, or of several.
pub(super) struct Blocks<T, E> {
    free: Arc<Mutex<Free<T, E>>>,
}

type Free<T, E> = Vec<Arc<Block<T, E>>>;

/// The most blocks that lie there: what a receiver that comes for a lot at a time reads at once.
const KEPT: usize = if cfg!(loom) { 1 } else { 32 };

impl<T, E> Blocks<T, E> {
    pub(super) fn new() -> Self {
        Self {
            free: Arc::new(Mutex::new(Vec::new())),
        }
    }

    fn take(&self) -> Option<Arc<Block<T, E>>> {
        self.free.lock().pop()
    }

    /// Takes a block that has been read, if nobody else has it and there is room.
    fn put(&self, mut block: Arc<Block<T, E>>) {
        // The sender may be just about to let go of it: then it is freed.
        let Some(only) = Arc::get_mut(&mut block) else {
            return;
        };
        only.clear();
        let mut free = self.free.lock();
        if free.len() < KEPT {
            free.push(block);
        }
    }

    fn clear(&self) {
        self.free.lock().clear();
    }
}

impl<T, E> Clone for Blocks<T, E> {
    fn clone(&self) -> Self {
        Self {
            free: Arc::clone(&self.free),
        }
    }
}

/// Sets a bit of the sender's. It is seen with `filled`, which is stored with `Release` when it passes the place.
#[inline]
fn set(bits: &Bits, at: usize) {
    let word = &bits[at / 64];
    word.store(
        word.load(Ordering::Relaxed) | 1 << (at % 64),
        Ordering::Relaxed,
    );
}

#[inline]
fn is_set(bits: &Bits, at: usize) -> bool {
    bits[at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1
}

#[cfg(not(loom))]
fn empty_slots<T>(count: usize) -> Slots<T> {
    // SAFETY: a slot may hold anything, nothing included.
    unsafe { Box::new_uninit_slice(count).assume_init() }
}

/// Loom's slots know who has touched them.
#[cfg(loom)]
fn empty_slots<T>(count: usize) -> Slots<T> {
    let slots = (0..count).map(|_| SharedCell::new(MaybeUninit::uninit()));
    slots.collect()
}

impl<T, E> Drop for Block<T, E> {
    fn drop(&mut self) {
        // Both sides have left, and what they did happened before this.
        let mut at = self.taken.load(Ordering::Relaxed);
        let filled = self.filled.load(Ordering::Relaxed);
        while at < filled {
            let mark = self.next_mark(at, filled);
            for slot in &self.slots[at..mark] {
                // SAFETY: it was written, and not read.
                drop_quietly(slot.with(|it| unsafe { (*it).assume_init_read() }));
            }
            if mark < filled && is_set(&self.with_extra, mark) {
                self.at_extra(mark, |slot| {
                    // SAFETY: it was written, as its bit says, and not read.
                    drop_quietly(slot.with(|it| unsafe { (*it).assume_init_read() }));
                });
            }
            at = mark + 1;
        }
    }
}

/// The end that values are put in at.
pub(super) struct Sender<T, E> {
    block: UnsafeCell<Arc<Block<T, E>>>,
    /// The first free place.
    at: Cell<usize>,
    /// How many places the blocks before this one had.
    before: Cell<u64>,
    blocks: Blocks<T, E>,
}

impl<T, E> Sender<T, E> {
    #[inline(always)]
    pub(super) fn push(&self, value: T) {
        let at = self.at.get();
        let block = self.block();
        // No check of the index, which could panic: a value to be dropped then would have to lie on the
        // stack first, and a processor waits for what is read right after it was written in parts.
        debug_assert!(at < block.slots.len());
        // SAFETY: `at` is below the count of slots, for `pass` goes on to another block when it gets there.
        let slot = unsafe { block.slots.get_unchecked(at) };
        // SAFETY: a slot that is not below `filled` is the sender's.
        slot.with_mut(|it| unsafe { (*it).write(value) });
        self.pass(at);
    }

    /// A mark, in the place of a value.
    #[inline(always)]
    pub(super) fn push_mark(&self) {
        let at = self.at.get();
        set(&self.block().marks, at);
        self.pass(at);
    }

    /// A mark with something beside it.
    #[inline]
    pub(super) fn push_extra(&self, extra: E) {
        self.block().put_extra(self.at.get(), extra);
        self.push_mark();
    }

    /// How many places have been filled.
    pub(super) fn position(&self) -> u64 {
        self.before.get() + self.at.get() as u64
    }

    #[inline(always)]
    fn block(&self) -> &Block<T, E> {
        // SAFETY: nothing that uses the reference is code of anybody else's that could call `push` again, so
        // its last use is before `extend` changes the block.
        unsafe { &*self.block.get() }
    }

    /// Gives the place `at` to the receiver.
    #[inline(always)]
    fn pass(&self, at: usize) {
        let block = self.block();
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
            let block = self.block();
            let next = self.next_block(block.slots.len());
            // SAFETY: `filled` is not at the end, so `next` is the sender's.
            block
                .next
                .with_mut(|it| unsafe { *it = Some(Arc::clone(&next)) });
            block.filled.store(block.slots.len(), Ordering::Release);
            self.before
                .set(self.before.get() + block.slots.len() as u64);
            self.at.set(0);
            // SAFETY: `block` has ended, and whoever has come here has no other: see `block`.
            unsafe { std::mem::replace(&mut *self.block.get(), next) }
        };
        // Values may go with it, if there is no receiver any more: the last thing that is done here.
        drop(old);
    }

    /// One that was read, unless there should be a larger one.
    fn next_block(&self, slots: usize) -> Arc<Block<T, E>> {
        let free = self.blocks.take();
        let free = free.filter(|it| it.slots.len() >= slots);
        free.unwrap_or_else(|| Block::new(2 * slots))
    }
}

/// The end that values are taken out at.
pub(super) struct Receiver<T, E> {
    block: Arc<Block<T, E>>,
    /// The next place to be read.
    at: usize,
    /// The first from there on that has a mark or was not seen.
    plain: usize,
    /// How many places are known to be filled.
    seen: usize,
    /// How many places the blocks before this one had.
    before: u64,
    blocks: Blocks<T, E>,
}

/// What comes next in a chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T, E> {
    Value(T),
    Mark(Option<E>),
}

impl<T, E> Receiver<T, E> {
    /// The next of what there is.
    #[cfg(test)]
    pub(super) fn pop(&mut self) -> Option<Next<T, E>> {
        self.look();
        let value = self.pop_value().map(Next::Value);
        value.or_else(|| self.pop_mark().map(Next::Mark))
    }

    /// How many places have been read.
    pub(super) fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// A look at the next of what there is.
    pub(super) fn peek(&mut self) -> Option<Next<(), &E>> {
        self.look();
        self.peek_seen()
    }

    /// The same, of what the last look has seen.
    pub(super) fn peek_seen(&self) -> Option<Next<(), &E>> {
        if self.at < self.plain {
            return Some(Next::Value(()));
        }
        if self.at == self.seen {
            return None;
        }
        if !is_set(&self.block.with_extra, self.at) {
            return Some(Next::Mark(None));
        }
        // SAFETY: it is below `filled`, which was read with `Acquire`, has its bit, and was not read yet.
        let extra = |slot: &Slot<E>| unsafe { &*slot.with(|it| (*it).as_ptr()) };
        Some(Next::Mark(Some(self.block.at_extra(self.at, extra))))
    }

    /// Sees what there is, if all that was seen has been read.
    #[inline]
    pub(super) fn look(&mut self) {
        if self.at == self.seen {
            self.see_more();
        }
    }

    fn see_more(&mut self) {
        if self.at == self.block.slots.len() {
            // SAFETY: `filled` was seen at its end, so `next` is the receiver's.
            let next = self.block.next.with_mut(|it| unsafe { (*it).take() });
            let Some(next) = next else {
                return;
            };
            self.block.taken.store(self.at, Ordering::Relaxed);
            self.before += self.at as u64;
            let old = std::mem::replace(&mut self.block, next);
            self.at = 0;
            self.blocks.put(old);
        }
        self.seen = self.block.filled.load(Ordering::Acquire);
        self.plain = self.block.next_mark(self.at, self.seen);
    }

    /// The next of what the last look has seen, if it is a value.
    #[inline(always)]
    pub(super) fn pop_value(&mut self) -> Option<T> {
        if self.at == self.plain {
            return None;
        }
        let slot = &self.block.slots[self.at];
        self.at += 1;
        // SAFETY: it is below `filled`, which was read with `Acquire`, has no mark, and is read this once, for
        // `at` is past it now.
        Some(slot.with(|it| unsafe { (*it).assume_init_read() }))
    }

    /// The next of what the last look has seen, if it is a mark: with its extra, if it has one.
    #[inline]
    pub(super) fn pop_mark(&mut self) -> Option<Option<E>> {
        let at = self.at;
        if at < self.plain || at == self.seen {
            return None;
        }
        self.at += 1;
        self.plain = self.block.next_mark(self.at, self.seen);
        if !is_set(&self.block.with_extra, at) {
            return Some(None);
        }
        // SAFETY: it is below `filled`, which was read with `Acquire`, has its bit, and is read this once, for
        // `self.at` is past it now.
        let extra = |slot: &Slot<E>| slot.with(|it| unsafe { (*it).assume_init_read() });
        Some(Some(self.block.at_extra(at, extra)))
    }

    /// Folds the next values that the last look has seen, up to `most`; answers how many there were too.
    /// Should `step` panic, the value it was given is gone, and no other.
    #[inline]
    pub(super) fn fold_values<B>(
        &mut self,
        most: usize,
        start: B,
        mut step: impl FnMut(B, T) -> B,
    ) -> (B, usize) {
        let Self {
            block, at, plain, ..
        } = self;
        let first = *at;
        let end = first.saturating_add(most).min(*plain);
        let mut sum = start;
        for slot in &block.slots[first..end] {
            *at += 1;
            // SAFETY: it is below `filled`, which was read with `Acquire`, has no mark, and is read this once,
            // for `at` is past it now.
            sum = step(sum, slot.with(|it| unsafe { (*it).assume_init_read() }));
        }
        (sum, end - first)
    }
}

impl<T, E> Drop for Receiver<T, E> {
    fn drop(&mut self) {
        // One by one, block after block: a long chain must not be dropped from its first block on down. And each
        // on its own: a destructor that panics keeps no other from running, and what it has dropped is counted as
        // taken below, or the block would drop it again.
        loop {
            self.look();
            if let Some(value) = self.pop_value() {
                drop_quietly(value);
            } else if let Some(extra) = self.pop_mark() {
                drop_quietly(extra);
            } else {
                break;
            }
        }
        self.block.taken.store(self.at, Ordering::Relaxed);
        // Should it be the last, none is left.
        self.blocks.clear();
    }
}

/// An empty queue, with blocks of its own.
pub(super) fn chain<T, E>() -> (Sender<T, E>, Receiver<T, E>) {
    chain_with(&Blocks::new())
}

/// An empty queue, whose blocks are those of others too.
pub(super) fn chain_with<T, E>(blocks: &Blocks<T, E>) -> (Sender<T, E>, Receiver<T, E>) {
    let block = Block::new(SLOTS);
    let sender = Sender {
        block: UnsafeCell::new(Arc::clone(&block)),
        at: Cell::new(0),
        before: Cell::new(0),
        blocks: blocks.clone(),
    };
    let receiver = Receiver {
        block,
        at: 0,
        plain: 0,
        seen: 0,
        before: 0,
        blocks: blocks.clone(),
    };
    (sender, receiver)
}

/// Sends a value, beside the others now and then, and now and then with a mark before it.
#[cfg(test)]
fn send<T>(sender: &Sender<T, T>, n: usize, value: T) {
    match n % 4 {
        1 => sender.push_extra(value),
        2 => {
            sender.push_mark();
            sender.push(value);
        }
        _ => sender.push(value),
    }
}

#[cfg(test)]
impl<T> Receiver<T, T> {
    /// The next value, as an extra or not.
    fn next(&mut self) -> Option<T> {
        loop {
            match self.pop()? {
                Next::Value(value) | Next::Mark(Some(value)) => return Some(value),
                Next::Mark(None) => {}
            }
        }
    }
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
            let thread =
                loom::thread::spawn(move || (0..5).for_each(|n| send(&sender, n, Box::new(n))));
            let mut next = 0;
            while next < 5 {
                match receiver.next() {
                    Some(value) => {
                        assert_eq!(*value, next);
                        next += 1;
                    }
                    None => loom::thread::yield_now(),
                }
            }
            thread.join().unwrap();
            assert!(receiver.next().is_none());
        });
    }

    #[test]
    fn a_chain_is_dropped_once_whoever_goes_last() {
        model(4, || {
            let value = std::sync::Arc::new(());
            let (sender, mut receiver) = chain();
            let sent = std::sync::Arc::clone(&value);
            let thread = loom::thread::spawn(move || {
                (0..3).for_each(|n| send(&sender, n, std::sync::Arc::clone(&sent)));
            });
            drop(receiver.next());
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
    fn all_come_in_their_order_over_many_blocks() {
        let (sender, mut receiver) = chain();
        for round in 0..50 {
            let count = round * 7;
            for n in 0..count {
                send(&sender, n, Box::new((round, n)));
            }
            for n in 0..count {
                if n % 4 == 2 {
                    assert_eq!(receiver.peek(), Some(Next::Mark(None)));
                    assert_eq!(receiver.pop(), Some(Next::Mark(None)));
                }
                let value = Box::new((round, n));
                match n % 4 == 1 {
                    true => {
                        assert_eq!(receiver.peek(), Some(Next::Mark(Some(&value))));
                        assert_eq!(receiver.pop(), Some(Next::Mark(Some(value))));
                    }
                    false => {
                        assert_eq!(receiver.peek(), Some(Next::Value(())));
                        assert_eq!(receiver.pop(), Some(Next::Value(value)));
                    }
                }
            }
            assert!(receiver.peek().is_none() && receiver.pop().is_none());
        }
    }

    #[test]
    fn a_fold_ends_before_a_mark_and_at_the_most() {
        let (sender, mut receiver) = chain();
        (0..10).for_each(|n| sender.push(n));
        sender.push_extra("ten");
        sender.push(11);
        sender.push_mark();
        assert_eq!(receiver.fold_values(9, 0, |a, b| a + b), (0, 0)); // nothing was seen
        receiver.look();
        assert_eq!(receiver.fold_values(5, 0, |a, b| a + b), (10, 5));
        assert_eq!(receiver.fold_values(9, 0, |a, b| a + b), (35, 5));
        assert_eq!(receiver.fold_values(9, 0, |a, b| a + b), (0, 0));
        assert_eq!(receiver.pop_value(), None);
        assert_eq!(receiver.pop_mark(), Some(Some("ten")));
        assert_eq!(receiver.pop_mark(), None);
        assert_eq!(receiver.pop_value(), Some(11));
        assert_eq!(receiver.pop_value(), None);
        assert_eq!(receiver.pop_mark(), Some(None));
        assert_eq!(receiver.pop(), None);
    }

    #[test]
    fn values_of_any_size_fit() {
        let (sender, mut receiver) = chain();
        for n in 0..20 {
            send(&sender, n, [n; 1 << 11]);
        }
        assert!((0..20).all(|n| receiver.next().is_some_and(|it| it[5] == n)));
        let (sender, mut receiver) = chain();
        (0..200).for_each(|n| send(&sender, n, ()));
        assert_eq!(std::iter::from_fn(|| receiver.next()).count(), 200);
    }

    #[test]
    fn every_value_is_dropped_once_whichever_end_goes_first() {
        let value = Arc::new(());
        for read in [0, 1, 64, 65, 150] {
            for sender_first in [true, false] {
                let (sender, mut receiver) = chain();
                (0..200).for_each(|n| send(&sender, n, Arc::clone(&value)));
                (0..read).for_each(|_| drop(receiver.next().unwrap()));
                assert_eq!(Arc::strong_count(&value), 201 - read);
                if sender_first {
                    drop(sender);
                    drop(receiver);
                } else {
                    drop(receiver);
                    assert_eq!(Arc::strong_count(&value), 1);
                    // Nobody reads any more.
                    (0..200).for_each(|n| send(&sender, n, Arc::clone(&value)));
                    drop(sender);
                }
                assert_eq!(Arc::strong_count(&value), 1);
            }
        }
    }

    /// A value that counts how often it is dropped, and whose destructor may panic.
    struct Counted<'a> {
        drops: &'a Cell<u32>,
        panics: bool,
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.drops.set(self.drops.get() + 1);
            if self.panics {
                std::panic::resume_unwind(Box::new(()));
            }
        }
    }

    #[test]
    fn a_destructor_that_panics_is_run_once_and_so_are_the_others() {
        // In the receiver, in the block that it leaves behind, and in the sender.
        for (read, sender_first) in [(0, true), (70, true), (0, false), (70, false)] {
            let drops: Vec<Cell<u32>> = (0..400).map(|_| Cell::new(0)).collect();
            let (sender, mut receiver) = chain();
            let send_some = |range: std::ops::Range<usize>| {
                for n in range {
                    let panics = n % 5 < 2;
                    let drops = &drops[n];
                    send(&sender, n, Counted { drops, panics });
                }
            };
            send_some(0..200);
            for _ in 0..read {
                std::mem::forget(receiver.next().unwrap());
            }
            if sender_first {
                send_some(200..400);
                drop(sender);
                drop(receiver);
            } else {
                drop(receiver);
                // Into the block that the receiver has left, and on.
                send_some(200..400);
                drop(sender);
            }
            let counts = drops.iter().map(Cell::get);
            assert!(counts.skip(read).all(|count| count == 1));
            assert!(drops.iter().take(read).all(|count| count.get() == 0));
        }
    }

    #[test]
    fn a_position_counts_every_place_on_both_sides() {
        let (sender, mut receiver) = chain();
        let mut count = 0;
        for n in 0..700_usize {
            send(&sender, n, n);
            count += if n % 4 == 2 { 2 } else { 1 };
            assert_eq!(sender.position(), count);
        }
        let mut read = 0;
        while receiver.pop().is_some() {
            read += 1;
            assert_eq!(receiver.position(), read);
        }
        assert_eq!(read, count);
    }

    #[test]
    fn two_threads_lose_and_double_nothing() {
        const COUNT: usize = if cfg!(miri) { 500 } else { 200_000 };
        let (sender, mut receiver) = chain();
        let thread = std::thread::spawn(move || {
            (0..COUNT).for_each(|n| send(&sender, n, Box::new(n)));
        });
        for n in 0..COUNT {
            let value = loop {
                match receiver.next() {
                    Some(value) => break value,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(*value, n);
        }
        thread.join().unwrap();
        assert!(receiver.next().is_none());
    }

    #[test]
    fn a_long_chain_is_dropped_without_a_deep_stack() {
        let (sender, receiver) = chain();
        let count = if cfg!(miri) { 1_000 } else { 4_000_000 };
        (0..count).for_each(|n| send(&sender, n, ()));
        drop(sender);
        drop(receiver);
    }
}
