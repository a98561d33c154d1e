//! Things that are made before anyone asks for them, and handed out one by one.
//!
//! Whoever asks takes what is ready, waits for what is being made, or makes one. At any time at most one
//! thread makes, and it has the maker; it goes on until there is one for each who waits. That no taker
//! waits for what does not come, and that nothing made is lost or handed out twice, is explored in
//! `loom_tests`.

use std::fmt;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, MutexGuard};

#[cfg(all(test, loom))]
mod loom_tests;

/// Things of type `T`, ready or to be made by an `M`.
pub(crate) struct Stock<T, M> {
    inner: Mutex<Inner<T, M>>,
    changed: Condvar,
}

struct Inner<T, M> {
    ready: Vec<T>,
    /// `None` while someone makes.
    maker: Option<M>,
    /// Takers that wait for what is being made.
    waiting: usize,
}

/// The right to make things for a [`Stock`], and the maker to do it by. Dropped, it is somebody else's turn,
/// and nobody waits any more.
pub(crate) struct Making<'a, T, M> {
    stock: &'a Stock<T, M>,
    /// There until it is given back.
    maker: Option<M>,
}

impl<T, M> Stock<T, M> {
    #[cfg(not(loom))]
    pub(crate) const fn new(maker: M) -> Self {
        Self {
            inner: Mutex::new(Inner::new(maker)),
            changed: Condvar::new(),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(maker: M) -> Self {
        Self {
            inner: Mutex::new(Inner::new(maker)),
            changed: Condvar::new(),
        }
    }

    /// The thing that has been ready longest. If there is none: one that is being made, at the latest at
    /// `end`; or one that `make` makes, if the maker `suits`.
    pub(crate) fn take(
        &self,
        end: Instant,
        suits: impl Fn(&M) -> bool,
        make: impl Fn(&mut M) -> Option<T>,
    ) -> Option<T> {
        let mut inner = self.inner.lock();
        loop {
            if !inner.ready.is_empty() {
                return Some(inner.ready.remove(0));
            }
            match inner.maker.take_if(|it| suits(it)) {
                Some(maker) => {
                    drop(inner);
                    if !self.making(maker).until(1, &make) {
                        return None;
                    }
                    inner = self.inner.lock();
                }
                None if inner.maker.is_some() => return None,
                None => inner = self.wait(inner, end)?,
            }
        }
    }

    /// Waits for a change. `None` after `end`.
    fn wait<'a>(
        &self,
        mut inner: MutexGuard<'a, Inner<T, M>>,
        end: Instant,
    ) -> Option<MutexGuard<'a, Inner<T, M>>> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        inner.waiting += 1;
        inner = self.changed.wait_timeout(inner, left).0;
        inner.waiting -= 1;
        Some(inner)
    }

    /// The right to make what nobody has asked for yet; `None` if as much as `wanted` is ready, or something
    /// is being made.
    pub(crate) fn start_making(&self, wanted: usize) -> Option<Making<'_, T, M>> {
        let mut inner = self.inner.lock();
        if inner.ready.len() >= wanted {
            return None;
        }
        inner.maker.take().map(|it| self.making(it))
    }

    fn making(&self, maker: M) -> Making<'_, T, M> {
        Making {
            stock: self,
            maker: Some(maker),
        }
    }

    /// Takes everything away and goes on with another maker. `None` if someone makes.
    pub(crate) fn clear(&self, maker: M) -> Option<(Vec<T>, M)> {
        let mut inner = self.inner.lock();
        let before = inner.maker.as_mut()?;
        let before = std::mem::replace(before, maker);
        Some((std::mem::take(&mut inner.ready), before))
    }

    /// How many are ready.
    #[cfg(all(test, feature = "process"))]
    pub(crate) fn ready(&self) -> usize {
        self.inner.lock().ready.len()
    }
}

impl<T, M> Inner<T, M> {
    const fn new(maker: M) -> Self {
        Self {
            ready: Vec::new(),
            maker: Some(maker),
            waiting: 0,
        }
    }
}

impl<T, M> Making<'_, T, M> {
    /// Makes things until there are `wanted` and one for each who waits. False if one could not be made.
    pub(crate) fn until(mut self, wanted: usize, make: impl Fn(&mut M) -> Option<T>) -> bool {
        loop {
            let mut inner = self.stock.inner.lock();
            if inner.ready.len() >= wanted + inner.waiting {
                // Under the same lock, so that nobody begins to wait between the look and the end.
                inner.maker = self.maker.take();
                return true;
            }
            drop(inner);
            let Some(made) = self.maker.as_mut().and_then(&make) else {
                return false;
            };
            self.stock.inner.lock().ready.push(made);
            self.stock.changed.notify_all();
        }
    }
}

impl<T, M> Drop for Making<'_, T, M> {
    fn drop(&mut self) {
        if let Some(maker) = self.maker.take() {
            self.stock.inner.lock().maker = Some(maker);
            self.stock.changed.notify_all();
        }
    }
}

impl<T, M> fmt::Debug for Stock<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("Stock")
            .field("ready", &inner.ready.len())
            .field("waiting", &inner.waiting)
            .finish_non_exhaustive()
    }
}
