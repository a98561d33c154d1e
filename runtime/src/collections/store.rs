//! What a collection keeps, behind a lock that cannot be waited for by the thread that has it.

use std::ops::{Deref, DerefMut};

use crate::error::{drop_caught, drop_quietly};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, thread_local};

/// A value that is locked for moments, and for the time it takes to clone what it holds. Cloning is
/// code of the user's: should that use the very collection, it is told so instead of waiting for
/// itself.
#[derive(Default)]
pub(super) struct Store<V: Contents> {
    value: Mutex<V>,
    /// The thread that clones, 0 for none.
    copying: AtomicUsize,
}

/// A list of the user's values.
pub(super) trait Contents: Default + IntoIterator {}

impl<V: Default + IntoIterator> Contents for V {}

impl<V: Contents> Drop for Store<V> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut *self.value.lock());
        drop_each(values);
    }
}

impl<V: Contents> Store<V> {
    pub(super) fn new(value: V) -> Self {
        Self {
            value: Mutex::new(value),
            copying: AtomicUsize::new(0),
        }
    }

    /// For moments: no code of the user's runs before the answer is dropped.
    pub(super) fn lock(&self) -> MutexGuard<'_, V> {
        self.check();
        self.value.lock()
    }

    /// To clone what is in there.
    pub(super) fn lock_to_copy(&self) -> Copying<'_, V> {
        let value = self.lock();
        self.copying.store(this_thread(), Ordering::Relaxed);
        Copying { store: self, value }
    }

    /// A thread sees its own mark for certain, and that is the only one that matters to it.
    fn check(&self) {
        let copying = self.copying.load(Ordering::Relaxed);
        assert!(
            copying == 0 || copying != this_thread(),
            "a collection was used by the `clone` of its own element, which it waits for"
        );
    }
}

/// A value that is being cloned.
pub(super) struct Copying<'a, V: Contents> {
    store: &'a Store<V>,
    value: MutexGuard<'a, V>,
}

impl<V: Contents> Deref for Copying<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: Contents> DerefMut for Copying<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.value
    }
}

impl<V: Contents> Drop for Copying<'_, V> {
    fn drop(&mut self) {
        self.store.copying.store(0, Ordering::Relaxed);
    }
}

/// Drops one after the other, whichever panic. The first panic is raised when all are gone.
pub(super) fn drop_each<T>(all: impl IntoIterator<Item = T>) {
    let mut first = None;
    for one in all {
        match &first {
            None => first = drop_caught(one).err(),
            Some(_) => drop_quietly(one),
        }
    }
    if let Some(payload) = first
        && !std::thread::panicking()
    {
        payload.raise();
    }
}

/// Tells the threads that live apart; never 0.
pub(super) fn this_thread() -> usize {
    thread_local! {
        static MARK: u8 = u8::default();
    }
    // A thread that is at its end uses collections only in the destructors of its locals. It does
    // not clone there and use the collection in the clone, or waits, as with any lock.
    MARK.try_with(|mark| std::ptr::from_ref(mark).addr())
        .unwrap_or(usize::MAX)
}
