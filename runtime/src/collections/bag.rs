//! A bag: what is put in comes out, in any order.

use std::fmt;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::store::{Store, drop_each, this_thread};

/// A collection without an order: .NET's `ConcurrentBag`.
///
/// Many threads can add at once without getting into each other's way: each has a shelf of its own
/// most of the time. A thread takes from its own shelf first, what it added last, and then from the
/// others. For an order, take a [`Queue`](super::Queue) or a [`Stack`](super::Stack).
///
/// Clones are the same bag.
///
/// ```
/// use runspace::collections::Bag;
///
/// let bag: Bag<u32> = (1..=3).collect();
/// let same = bag.clone();
/// same.add(4);
/// assert_eq!(bag.len(), 4);
/// let mut all = bag.to_vec();
/// all.sort();
/// assert_eq!(all, [1, 2, 3, 4]);
/// while bag.try_take().is_some() {}
/// assert!(same.is_empty());
/// ```
pub struct Bag<T> {
    shelves: Arc<[CachePadded<Store<Vec<T>>>]>,
}

impl<T> Bag<T> {
    /// An empty bag.
    #[must_use]
    pub fn new() -> Self {
        /// More of them would only cost those who look into all.
        const MOST: usize = 32;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let count = threads.next_power_of_two().min(MOST);
        let shelves = (0..count).map(|_| CachePadded::new(Store::new(Vec::new())));
        Self {
            shelves: shelves.collect(),
        }
    }

    /// Puts a value in. It never waits for more than a moment.
    pub fn add(&self, value: T) {
        self.shelves[self.own()].lock().push(value);
    }

    /// Takes a value out, whichever; `None` if the bag is empty.
    pub fn try_take(&self) -> Option<T> {
        let own = self.own();
        let (before, after) = self.shelves.split_at(own);
        let mut shelves = after.iter().chain(before);
        let taken = shelves.find_map(|shelf| shelf.lock().pop());
        // A value may have come behind the look while another went ahead of it: only all shelves at
        // one moment tell that there is none.
        taken.or_else(|| self.lock_all().iter_mut().find_map(|shelf| shelf.pop()))
    }

    /// A copy of a value in the bag, whichever; `None` if it is empty.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very bag.
    #[must_use]
    pub fn try_peek(&self) -> Option<T>
    where
        T: Clone,
    {
        let own = self.own();
        let (before, after) = self.shelves.split_at(own);
        let mut shelves = after.iter().chain(before);
        let found = shelves.find_map(|shelf| shelf.lock_to_copy().last().cloned());
        found.or_else(|| {
            let shelves: Vec<_> = self.shelves.iter().map(|it| it.lock_to_copy()).collect();
            shelves.iter().find_map(|it| it.last().cloned())
        })
    }

    /// How many values are in the bag at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock_all().iter().map(|shelf| shelf.len()).sum()
    }

    /// Whether there is no value in the bag at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock_all().iter().all(|shelf| shelf.is_empty())
    }

    /// Copies of all values in the bag at this moment. While it copies, other threads that use the
    /// bag wait.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very bag.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T>
    where
        T: Clone,
    {
        let shelves: Vec<_> = self.shelves.iter().map(|it| it.lock_to_copy()).collect();
        shelves.iter().flat_map(|it| it.iter().cloned()).collect()
    }

    /// Takes all values out. With other clones of the bag about, these find it empty.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.take_all()
    }

    /// Iterates over copies of all values in the bag at this moment.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very bag.
    pub fn iter(&self) -> std::vec::IntoIter<T>
    where
        T: Clone,
    {
        self.to_vec().into_iter()
    }

    /// Drops all values in the bag at this moment.
    pub fn clear(&self) {
        drop_each(self.take_all());
    }

    fn take_all(&self) -> Vec<T> {
        let mut shelves = self.lock_all();
        let mut shelves = shelves.iter_mut().map(|it| std::mem::take(&mut **it));
        let mut all = shelves.next().unwrap_or_default();
        all.extend(shelves.flatten());
        all
    }

    /// Always in the same order, so that two who do this do not wait for each other.
    fn lock_all(&self) -> Vec<crate::sync::MutexGuard<'_, Vec<T>>> {
        self.shelves.iter().map(|it| it.lock()).collect()
    }

    fn own(&self) -> usize {
        // The marks of threads are far apart in memory; the bits in between tell them apart well
        // enough once they are mixed.
        let mixed = (this_thread() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize % self.shelves.len()
    }
}

impl<T> Clone for Bag<T> {
    /// The same bag, not a copy of what is in it.
    fn clone(&self) -> Self {
        Self {
            shelves: Arc::clone(&self.shelves),
        }
    }
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<T> for Bag<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|it| self.add(it));
    }
}

impl<T> FromIterator<T> for Bag<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut bag = Self::new();
        bag.extend(values);
        bag
    }
}

impl<T> IntoIterator for Bag<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<T: Clone> IntoIterator for &Bag<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> fmt::Debug for Bag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what is in it: that is code of the user's, and may be long.
        f.debug_struct("Bag").field("len", &self.len()).finish()
    }
}
