//! A queue: first in, first out.

// Behind a lock, although there are queues without: those that are maintained cannot be looked
// into without taking something out, and on few cores they are no faster.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::store::{Store, drop_each};

/// First in, first out: .NET's `ConcurrentQueue`.
///
/// To wait for values, take a [`BlockingCollection`](super::BlockingCollection).
///
/// Clones are the same queue.
///
/// ```
/// use runspace::collections::Queue;
///
/// let queue = Queue::new();
/// queue.enqueue("a");
/// queue.clone().enqueue("b");
/// assert_eq!(queue.try_peek(), Some("a"));
/// assert_eq!(queue.try_dequeue(), Some("a"));
/// assert_eq!(queue.try_dequeue(), Some("b"));
/// assert_eq!(queue.try_dequeue(), None);
/// ```
pub struct Queue<T> {
    values: Arc<Store<VecDeque<T>>>,
}

impl<T> Queue<T> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::from(VecDeque::new())
    }

    fn from(values: VecDeque<T>) -> Self {
        Self {
            values: Arc::new(Store::new(values)),
        }
    }

    /// Puts a value at the end. It never waits for more than a moment.
    pub fn enqueue(&self, value: T) {
        self.values.lock().push_back(value);
    }

    /// Takes the first value out; `None` if the queue is empty.
    pub fn try_dequeue(&self) -> Option<T> {
        self.values.lock().pop_front()
    }

    /// A copy of the first value; `None` if the queue is empty.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very queue.
    #[must_use]
    pub fn try_peek(&self) -> Option<T>
    where
        T: Clone,
    {
        self.values.lock_to_copy().front().cloned()
    }

    /// How many values are in the queue at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.lock().len()
    }

    /// Whether there is no value in the queue at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.lock().is_empty()
    }

    /// Copies of all values in the queue at this moment, the first one first. While it copies, other
    /// threads that use the queue wait.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very queue.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.values.lock_to_copy().iter().cloned().collect()
    }

    /// Takes all values out, the first one first. With other clones of the queue about, these find
    /// it empty.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.take_all().into()
    }

    /// Iterates over copies of all values in the queue at this moment, the first one first.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very queue.
    pub fn iter(&self) -> std::vec::IntoIter<T>
    where
        T: Clone,
    {
        self.to_vec().into_iter()
    }

    /// Drops all values in the queue at this moment.
    pub fn clear(&self) {
        drop_each(self.take_all());
    }

    fn take_all(&self) -> VecDeque<T> {
        std::mem::take(&mut *self.values.lock())
    }
}

impl<T> Clone for Queue<T> {
    /// The same queue, not a copy of what is in it.
    fn clone(&self) -> Self {
        Self {
            values: Arc::clone(&self.values),
        }
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<T> for Queue<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|it| self.enqueue(it));
    }
}

impl<T> FromIterator<T> for Queue<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::from(values.into_iter().collect())
    }
}

impl<T> IntoIterator for Queue<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<T: Clone> IntoIterator for &Queue<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish()
    }
}
