//! A stack: last in, first out.

use std::fmt;
use std::sync::Arc;

use super::store::{Store, drop_each};

/// Last in, first out: .NET's `ConcurrentStack`.
///
/// Clones are the same stack. It iterates from the top, as values come out.
///
/// ```
/// use runspace::collections::Stack;
///
/// let stack = Stack::new();
/// stack.push(1);
/// stack.push_range([2, 3, 4]);
/// assert_eq!(stack.try_peek(), Some(4));
/// assert_eq!(stack.try_pop_range(2), [4, 3]);
/// assert_eq!(stack.try_pop(), Some(2));
/// assert_eq!(stack.to_vec(), [1]);
/// ```
pub struct Stack<T> {
    /// The top is the last.
    values: Arc<Store<Vec<T>>>,
}

impl<T> Stack<T> {
    /// An empty stack.
    #[must_use]
    pub fn new() -> Self {
        Self::from(Vec::new())
    }

    fn from(values: Vec<T>) -> Self {
        Self {
            values: Arc::new(Store::new(values)),
        }
    }

    /// Puts a value on top. It never waits for more than a moment.
    pub fn push(&self, value: T) {
        self.values.lock().push(value);
    }

    /// Puts values on top, the last one topmost, with nothing of other threads between them.
    pub fn push_range<I: IntoIterator<Item = T>>(&self, values: I) {
        // The iterator is code of the user's, and has run before the lock is taken.
        let mut values: Vec<T> = values.into_iter().collect();
        self.values.lock().append(&mut values);
    }

    /// Takes the topmost value off; `None` if the stack is empty.
    pub fn try_pop(&self) -> Option<T> {
        self.values.lock().pop()
    }

    /// Takes up to `count` values off, the topmost first, with nothing of other threads between
    /// them. As many as there are, if there are fewer.
    pub fn try_pop_range(&self, count: usize) -> Vec<T> {
        let mut values = self.values.lock();
        let rest = values.len().saturating_sub(count);
        let mut taken = values.split_off(rest);
        drop(values);
        taken.reverse();
        taken
    }

    /// A copy of the topmost value; `None` if the stack is empty.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very stack.
    #[must_use]
    pub fn try_peek(&self) -> Option<T>
    where
        T: Clone,
    {
        self.values.lock_to_copy().last().cloned()
    }

    /// How many values are on the stack at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.lock().len()
    }

    /// Whether there is no value on the stack at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.lock().is_empty()
    }

    /// Copies of all values on the stack at this moment, the topmost first. While it copies, other
    /// threads that use the stack wait.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very stack.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.values.lock_to_copy().iter().rev().cloned().collect()
    }

    /// Takes all values off, the topmost first. With other clones of the stack about, these find it
    /// empty.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        let mut values = self.take_all();
        values.reverse();
        values
    }

    /// Iterates over copies of all values on the stack at this moment, the topmost first.
    ///
    /// # Panics
    /// `T::clone` panics, or uses this very stack.
    pub fn iter(&self) -> std::vec::IntoIter<T>
    where
        T: Clone,
    {
        self.to_vec().into_iter()
    }

    /// Drops all values on the stack at this moment.
    pub fn clear(&self) {
        drop_each(self.take_all());
    }

    fn take_all(&self) -> Vec<T> {
        std::mem::take(&mut *self.values.lock())
    }
}

impl<T> Clone for Stack<T> {
    /// The same stack, not a copy of what is on it.
    fn clone(&self) -> Self {
        Self {
            values: Arc::clone(&self.values),
        }
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<T> for Stack<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|it| self.push(it));
    }
}

impl<T> FromIterator<T> for Stack<T> {
    /// The last value is the topmost.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::from(values.into_iter().collect())
    }
}

impl<T> IntoIterator for Stack<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<T: Clone> IntoIterator for &Stack<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> fmt::Debug for Stack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("len", &self.len()).finish()
    }
}
