//! What a body sees of its runspace.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::drop_quietly;
use crate::stop;

/// The runspace that an invocation runs on, and the state that it keeps: the parameter of `|rs| ..`
/// in [`invoke!`](crate::invoke).
///
/// State is found by its type, one value for each. It lives on the thread of the runspace and never
/// leaves it by itself, so it need not be `Send`: an `Rc`, a connection that is bound to its thread
/// and a `RefCell` are all welcome. It is dropped there when the runspace closes, or when a pool
/// lets the runspace go. A body that panics leaves the state as it was at that moment.
///
/// To use two values at a time, keep them in one struct or tuple.
///
/// ```
/// use runspace::{Runspace, invoke};
///
/// #[derive(Default)]
/// struct Counter(u32);
///
/// let runspace = Runspace::open().unwrap();
/// let count = || invoke!(&runspace, |rs| {
///     let counter: &mut Counter = rs.state();
///     counter.0 += 1;
///     counter.0
/// });
/// assert_eq!(count().end().unwrap(), 1);
/// assert_eq!(count().end().unwrap(), 2);
/// ```
pub struct RunspaceContext {
    id: u64,
    name: Arc<str>,
    states: HashMap<TypeId, Box<dyn Any>>,
}

impl RunspaceContext {
    pub(super) fn new(id: u64, name: Arc<str>) -> Self {
        Self {
            id,
            name,
            states: HashMap::new(),
        }
    }

    /// The number of the runspace, from 1, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name of the runspace: of one in a pool, that of the pool and a number. Its thread has the
    /// same name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the invocation was asked to stop; the same as [`stopping`](crate::stopping).
    #[must_use]
    pub fn stopping(&self) -> bool {
        stop::stopping()
    }

    /// The state of this type, made with `T::default()` if there is none yet.
    ///
    /// # Panics
    /// With the panic of `T::default()`. There is no state of this type then.
    pub fn state<T: Default + 'static>(&mut self) -> &mut T {
        self.state_or(T::default)
    }

    /// The state of this type, made with `make` if there is none yet.
    ///
    /// # Panics
    /// With the panic of `make`. There is no state of this type then.
    ///
    /// ```
    /// use runspace::{Runspace, invoke};
    ///
    /// let runspace = Runspace::open().unwrap();
    /// let text = invoke!(&runspace, |rs| {
    ///     rs.state_or(|| String::from("a")).push('b');
    ///     rs.state_or(|| String::from("z")).clone()
    /// });
    /// assert_eq!(text.end().unwrap(), "ab");
    /// ```
    pub fn state_or<T: 'static>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let state = self.states.entry(TypeId::of::<T>());
        let state = state.or_insert_with(|| Box::new(make()));
        state.downcast_mut().expect("found by its type")
    }

    /// The state of this type, if there is one.
    #[must_use]
    pub fn try_state<T: 'static>(&mut self) -> Option<&mut T> {
        self.states.get_mut(&TypeId::of::<T>())?.downcast_mut()
    }

    /// Keeps `value` as the state of its type. Answers the one that was there.
    pub fn set_state<T: 'static>(&mut self, value: T) -> Option<T> {
        let before = self.states.insert(TypeId::of::<T>(), Box::new(value));
        before.map(own)
    }

    /// Takes the state of this type out; the next [`state`](Self::state) makes a new one.
    pub fn take_state<T: 'static>(&mut self) -> Option<T> {
        self.states.remove(&TypeId::of::<T>()).map(own)
    }

    /// Drops all state, each value even if the destructor of another panics.
    pub(super) fn clear(&mut self) {
        self.states
            .drain()
            .for_each(|(_, state)| drop_quietly(state));
    }
}

fn own<T: 'static>(state: Box<dyn Any>) -> T {
    *state.downcast().expect("found by its type")
}

impl fmt::Debug for RunspaceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunspaceContext")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("states", &self.states.len())
            .finish()
    }
}
