//! A queue to wait at.

mod error;
mod gate;

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::Duration;

pub use error::{AddError, AddErrorKind, TakeError};

use gate::{Gate, Limit};

use super::store::drop_each;
use crate::context;
use crate::sync::Mutex;

/// First in, first out, with waiting: .NET's `BlockingCollection`.
///
/// Producers add until they call [`complete_adding`](Self::complete_adding); consumers take until
/// there is nothing left then. A bounded collection has producers wait while it is full.
///
/// Every wait ends: when there is a value or room, when adding is complete, when its time is up, and
/// when the code that waits is [asked to stop](crate::stopping).
///
/// Clones are the same collection.
///
/// ```
/// use runspace::collections::BlockingCollection;
/// use runspace::start_thread_job;
///
/// let line = BlockingCollection::bounded(2);
/// let producer = start_thread_job!(using(line.clone()), {
///     for n in 1..=10 {
///         line.add(n).unwrap();
///     }
///     line.complete_adding();
/// });
/// assert_eq!(line.consuming_iter().sum::<i32>(), 55);
/// assert!(line.is_completed());
/// producer.join().unwrap();
/// ```
pub struct BlockingCollection<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    gate: Arc<Gate>,
    /// Locked only under the lock of the gate.
    values: Mutex<VecDeque<T>>,
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut *self.values.lock());
        drop_each(values);
    }
}

// Made.
impl<T> BlockingCollection<T> {
    /// A collection that holds any number of values.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::with(None)
    }

    /// A collection that holds at most `capacity` values.
    ///
    /// # Panics
    /// `capacity` is 0.
    #[must_use]
    #[track_caller]
    pub fn bounded(capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "a collection of at most 0 values would never take one; give it room for at least 1"
        );
        Self::with(Some(capacity))
    }

    fn with(capacity: Option<usize>) -> Self {
        Self {
            shared: Arc::new(Shared {
                gate: Arc::new(Gate::new(capacity)),
                values: Mutex::new(VecDeque::new()),
            }),
        }
    }
}

// Adding.
impl<T> BlockingCollection<T> {
    /// Adds a value, waiting for room if it has to.
    ///
    /// # Errors
    /// Adding is complete, or a stop came first. The error holds the value.
    pub fn add(&self, value: T) -> Result<(), AddError<T>> {
        self.add_within(value, Limit::None)
    }

    /// Adds a value if there is room now.
    ///
    /// # Errors
    /// There is none, or adding is complete. The error holds the value.
    pub fn try_add(&self, value: T) -> Result<(), AddError<T>> {
        self.add_within(value, Limit::Never)
    }

    /// Adds a value, waiting for room for at most `limit`.
    ///
    /// # Errors
    /// There was none in time, adding is complete, or a stop came first. The error holds the value.
    pub fn try_add_for(&self, value: T, limit: Duration) -> Result<(), AddError<T>> {
        self.add_within(value, Limit::after(limit))
    }

    fn add_within(&self, value: T, limit: Limit) -> Result<(), AddError<T>> {
        let Shared { gate, values } = &*self.shared;
        match gate.wait_for_room(limit) {
            Ok(entered) => {
                values.lock().push_back(value);
                entered.added();
                Ok(())
            }
            Err(kind) => Err(AddError::new(value, kind)),
        }
    }
}

// Taking.
impl<T> BlockingCollection<T> {
    /// Takes the first value, waiting for one if it has to.
    ///
    /// # Errors
    /// There is none and adding is complete, or a stop came first.
    pub fn take(&self) -> Result<T, TakeError> {
        self.take_within(Limit::None)
    }

    /// Takes the first value; `None` if there is none now.
    pub fn try_take(&self) -> Option<T> {
        self.take_within(Limit::Never).ok()
    }

    /// Takes the first value, waiting for one for at most `limit`.
    ///
    /// # Errors
    /// There was none in time, there is none and adding is complete, or a stop came first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use runspace::collections::{BlockingCollection, TakeError};
    ///
    /// let line = BlockingCollection::<u8>::unbounded();
    /// assert_eq!(line.take_for(Duration::from_millis(1)), Err(TakeError::Empty));
    /// line.complete_adding();
    /// assert_eq!(line.take_for(Duration::from_secs(3600)), Err(TakeError::Completed));
    /// ```
    pub fn take_for(&self, limit: Duration) -> Result<T, TakeError> {
        self.take_within(Limit::after(limit))
    }

    fn take_within(&self, limit: Limit) -> Result<T, TakeError> {
        let Shared { gate, values } = &*self.shared;
        let entered = gate.wait_for_value(limit)?;
        let value = values.lock().pop_front();
        entered.taken();
        Ok(value.expect("the gate has counted it"))
    }

    /// Takes value after value, waiting for each, until there is none and adding is complete, or
    /// until the code that iterates is asked to stop.
    ///
    /// Several threads can iterate at once; each value goes to one of them.
    pub fn consuming_iter(&self) -> ConsumingIter<'_, T> {
        ConsumingIter { collection: self }
    }
}

// The rest.
impl<T> BlockingCollection<T> {
    /// Says that nothing will be added any more. What waits for room or for values ends its wait;
    /// what is there can be taken. Saying it twice is harmless.
    pub fn complete_adding(&self) {
        self.shared.gate.complete();
    }

    /// Whether nothing will be added any more.
    #[must_use]
    pub fn is_adding_completed(&self) -> bool {
        self.shared.gate.is_complete()
    }

    /// Whether nothing will be added any more and all has been taken.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.shared.gate.is_complete_and_empty()
    }

    /// How many values can be in the collection; `None` for any number.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.shared.gate.capacity()
    }

    /// How many values are in the collection at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.gate.len()
    }

    /// Whether there is no value in the collection at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes the values of a [`BlockingCollection`], waiting for them. Made by
/// [`consuming_iter`](BlockingCollection::consuming_iter).
#[must_use = "items are taken when it is read"]
pub struct ConsumingIter<'a, T> {
    collection: &'a BlockingCollection<T>,
}

impl<T> Iterator for ConsumingIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if context::current_stop_is_set() {
            return None;
        }
        self.collection.take().ok()
    }
}

impl<T> FusedIterator for ConsumingIter<'_, T> {}

impl<T> fmt::Debug for ConsumingIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("ConsumingIter");
        out.field(self.collection).finish()
    }
}

impl<T> Clone for BlockingCollection<T> {
    /// The same collection, not a copy of what is in it.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Default for BlockingCollection<T> {
    /// One that holds any number of values.
    fn default() -> Self {
        Self::unbounded()
    }
}

impl<T> FromIterator<T> for BlockingCollection<T> {
    /// A collection that holds any number of values and can be added to.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values: VecDeque<T> = values.into_iter().collect();
        Self {
            shared: Arc::new(Shared {
                gate: Arc::new(Gate::with_values(values.len())),
                values: Mutex::new(values),
            }),
        }
    }
}

impl<T> fmt::Debug for BlockingCollection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingCollection")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_adding_completed", &self.is_adding_completed())
            .finish()
    }
}
