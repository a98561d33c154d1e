//! A job with its outputs: the side that makes them and the side that receives them share it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::core::Core;
use crate::error::drop_quietly;
use crate::sync::Mutex;

/// The outputs of a job that nobody has received yet.
pub(super) struct Outputs<T> {
    store: Mutex<Store<T>>,
}

struct Store<T> {
    items: VecDeque<T>,
    /// Outputs that are out to be copied and come back.
    lent: usize,
    /// No one can receive any more.
    closed: bool,
}

impl<T> Store<T> {
    fn unread(&self) -> usize {
        self.items.len() + self.lent
    }
}

impl<T> Default for Outputs<T> {
    fn default() -> Self {
        Self {
            store: Mutex::new(Store {
                items: VecDeque::new(),
                lent: 0,
                closed: false,
            }),
        }
    }
}

/// What a receiver finds.
pub(super) enum Found<T> {
    Output(T),
    /// None now, but the job may make one, or one comes back from being copied.
    NotYet,
    /// None, and there will be none.
    End,
}

pub(super) struct Port<T> {
    pub(super) core: Arc<Core>,
    pub(super) outputs: Arc<Outputs<T>>,
}

impl<T> Port<T> {
    pub(super) fn deliver(&self, value: T) {
        let mut store = self.outputs.store.lock();
        if store.closed {
            drop(store);
            drop_quietly(value);
            return;
        }
        store.items.push_back(value);
        self.core.set_unread(store.unread());
        drop(store);
        self.core.notify();
    }

    /// All there is to receive now.
    pub(super) fn take_all(&self) -> VecDeque<T> {
        let mut store = self.outputs.store.lock();
        let items = std::mem::take(&mut store.items);
        self.core.set_unread(store.unread());
        items
    }

    pub(super) fn take_one(&self) -> Found<T> {
        // Asked before the outputs are looked at: all of them are there when a job has ended.
        let finished = self.core.is_finished();
        let mut store = self.outputs.store.lock();
        match store.items.pop_front() {
            Some(value) => {
                self.core.set_unread(store.unread());
                Found::Output(value)
            }
            None if finished && store.lent == 0 => Found::End,
            None => Found::NotYet,
        }
    }

    /// Whether `take_one` would find something to tell.
    pub(super) fn is_ready(&self) -> bool {
        let finished = self.core.is_finished();
        let store = self.outputs.store.lock();
        !store.items.is_empty() || (finished && store.lent == 0)
    }

    /// Takes all outputs out to be copied. They are back, in front of newer ones, when the answer is
    /// dropped: the copying is code of the user's, which must not run under a lock.
    pub(super) fn lend_all(&self) -> Lent<'_, T> {
        let mut store = self.outputs.store.lock();
        let items = std::mem::take(&mut store.items);
        store.lent += items.len();
        Lent { port: self, items }
    }

    /// No one can receive any more: what is there goes, what comes goes at once.
    pub(super) fn close(&self) {
        let mut store = self.outputs.store.lock();
        store.closed = true;
        let items = std::mem::take(&mut store.items);
        self.core.set_unread(store.unread());
        drop(store);
        items.into_iter().for_each(drop_quietly);
    }
}

impl<T> Clone for Port<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            outputs: Arc::clone(&self.outputs),
        }
    }
}

/// Outputs that are out to be copied.
pub(super) struct Lent<'a, T> {
    port: &'a Port<T>,
    pub(super) items: VecDeque<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut back = std::mem::take(&mut self.items);
        let mut store = self.port.outputs.store.lock();
        store.lent -= back.len();
        back.append(&mut store.items);
        store.items = back;
        drop(store);
        self.port.core.notify();
    }
}
