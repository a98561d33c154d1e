//! Stopping: a request that running code is asked to honour, and a way to see it.
//!
//! A thread cannot be ended from outside, so stopping one is cooperative: the call or the job is
//! told to stop, starts nothing new, and its body looks at [`stopping`] at good moments. Tokens
//! form a tree: stopping a job also stops the parallel calls that its body has made.
//!
//! The shape is that of .NET's `CancellationToken`, which PowerShell's `StopProcessing` rests on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::context;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex};

/// Asks a call or a job to stop, and tells its body that it was asked.
///
/// Clones speak of the same request. A token is never un-stopped.
///
/// ```
/// use runspace::{StopToken, foreach_parallel};
///
/// let token = StopToken::new();
/// let seen = token.clone();
/// assert!(!seen.is_stopping());
/// token.stop();
/// assert!(seen.is_stopping());
/// ```
#[derive(Clone)]
pub struct StopToken {
    inner: Arc<Inner>,
}

/// Someone who sleeps and has to hear of a stop.
pub(crate) trait OnStop: Send + Sync {
    fn on_stop(&self);
}

struct Inner {
    stopped: AtomicBool,
    links: Mutex<Links>,
    woken: Condvar,
    /// Where this token is registered, to leave it when dropped.
    parent: Option<(Weak<Inner>, u64)>,
}

#[derive(Default)]
struct Links {
    next: u64,
    children: BTreeMap<u64, Weak<Inner>>,
    listeners: BTreeMap<u64, Weak<dyn OnStop>>,
}

impl Links {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl StopToken {
    /// A token that nobody has stopped and that no other token stops.
    #[must_use]
    pub fn new() -> Self {
        Self::with_parent(None)
    }

    /// A token that the code now running on this thread also stops when it is stopped itself.
    pub(crate) fn child_of_current() -> Self {
        match context::current_stop() {
            Some(parent) => parent.child(),
            None => Self::new(),
        }
    }

    /// A token that is stopped when this one is, and can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let mut links = self.inner.links.lock();
        let id = links.id();
        let child = Self::with_parent(Some((Arc::downgrade(&self.inner), id)));
        links.children.insert(id, Arc::downgrade(&child.inner));
        drop(links);
        // A stop that came before the child was listed has not reached it.
        if self.is_stopping() {
            child.stop();
        }
        child
    }

    fn with_parent(parent: Option<(Weak<Inner>, u64)>) -> Self {
        Self {
            inner: Arc::new(Inner {
                stopped: AtomicBool::new(false),
                links: Mutex::new(Links::default()),
                woken: Condvar::new(),
                parent,
            }),
        }
    }

    /// Asks everything that holds this token to stop. Returns at once; asking twice is harmless.
    pub fn stop(&self) {
        if self.inner.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        let (children, listeners) = {
            let links = self.inner.links.lock();
            self.inner.woken.notify_all();
            let children: Vec<_> = links.children.values().filter_map(Weak::upgrade).collect();
            let listeners: Vec<_> = links.listeners.values().filter_map(Weak::upgrade).collect();
            (children, listeners)
        };
        for inner in children {
            StopToken { inner }.stop();
        }
        for listener in listeners {
            listener.on_stop();
        }
    }

    /// Whether a stop was asked for.
    #[inline]
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        // Acquire: who sees the stop of a child sees that of the parent, which came before it.
        self.inner.stopped.load(Ordering::Acquire)
    }

    /// Sleeps for `limit`, or less if a stop comes first. True when stopping.
    ///
    /// The sleep for bodies that wait between two tries, so that a stop need not wait with them.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let token = runspace::StopToken::new();
    /// assert!(!token.sleep(Duration::from_millis(1)));
    /// token.stop();
    /// assert!(token.sleep(Duration::from_secs(3600)));
    /// ```
    pub fn sleep(&self, limit: Duration) -> bool {
        let end = Instant::now().checked_add(limit);
        let mut links = self.inner.links.lock();
        while !self.is_stopping() {
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                break;
            }
            links = self.inner.woken.wait_timeout(links, left).0;
        }
        drop(links);
        self.is_stopping()
    }

    /// Calls `listener` once when a stop comes, at once if it has come already.
    ///
    /// Only a weak reference is kept.
    pub(crate) fn listen<L: OnStop + 'static>(&self, listener: &Arc<L>) {
        let weak = Arc::downgrade(listener) as Weak<dyn OnStop>;
        let mut links = self.inner.links.lock();
        let id = links.id();
        links.listeners.insert(id, weak);
        drop(links);
        if self.is_stopping() {
            listener.on_stop();
        }
    }
}

impl Default for StopToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StopToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopToken")
            .field("is_stopping", &self.is_stopping())
            .finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((parent, id)) = &self.parent
            && let Some(parent) = parent.upgrade()
        {
            parent.links.lock().children.remove(id);
        }
    }
}

/// Whether the code that runs now was asked to stop: the `StopToken` of the innermost parallel
/// item or job on this thread. False outside of one.
///
/// ```
/// use runspace::foreach_parallel;
///
/// assert!(!runspace::stopping());
/// let mut results = foreach_parallel!(0..1000, throttle = 2, |n| {
///     while n == 7 && !runspace::stopping() {
///         std::thread::yield_now(); // item 7 works until it is told not to
///     }
///     n
/// });
/// assert!(results.next().is_some());
/// drop(results); // ends item 7, starts no other
/// ```
#[must_use]
pub fn stopping() -> bool {
    context::current_stop_is_set()
}

/// The token of the code that runs now, to hand to a thread or a callback of its own: that of the
/// innermost parallel item or job on this thread. Outside of one it is a token nobody stops.
#[must_use]
pub fn stop_token() -> StopToken {
    context::current_stop().unwrap_or_default()
}
