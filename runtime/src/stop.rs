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
use crate::sync::atomic::{AtomicU8, Ordering};
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
pub struct StopToken {
    inner: Arc<Inner>,
}

/// Someone who sleeps and has to hear of a stop.
pub(crate) trait OnStop: Send + Sync {
    fn on_stop(&self);
}

/// A place in the tree of requests. It is part of the tree while there is a [`StopToken`] of it; the last
/// one that goes leaves its children to its parent, so that a stop from above goes on to reach them.
struct Inner {
    /// The state of the request, as bits: 0 while nothing has happened.
    marks: AtomicU8,
    /// The tokens that there are. Links within the tree are not counted. A counter like that of an `Arc`, of
    /// which no model has to explore anything.
    tokens: std::sync::atomic::AtomicUsize,
    /// It takes the children of those that go: see [`StopToken::for_scope`].
    inherits: bool,
    links: Mutex<Links>,
    woken: Condvar,
    /// Where this token is registered, to leave it when dropped.
    parent: Mutex<Option<(Arc<Inner>, u64)>>,
}

/// A stop was asked for.
const STOPPED: u8 = 1;
/// Some body has said that its value is whole: see [`finished`].
const HAS_FINISHED: u8 = 2;

#[derive(Default)]
struct Links {
    next: u64,
    children: BTreeMap<u64, Weak<Inner>>,
    /// In the order in which they came. Nearly every token has one at most.
    listeners: Vec<Weak<dyn OnStop>>,
}

impl Links {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Held while the children of a token that goes move up, because two neighbours in the tree that go at the
/// same time would otherwise hand them to each other. Taken before any `links` and `parent`.
#[cfg(not(loom))]
static MOVING: crate::per_process::PerProcess<Mutex<()>> =
    crate::per_process::PerProcess::new(Mutex::default);

#[cfg(loom)]
loom::lazy_static! {
    static ref MOVING: Mutex<()> = Mutex::default();
}

impl StopToken {
    /// A token that nobody has stopped and that no other token stops.
    #[must_use]
    pub fn new() -> Self {
        Self::make(true)
    }

    /// A token that the code now running on this thread also stops when it is stopped itself.
    pub(crate) fn child_of_current() -> Self {
        match context::current_stop() {
            Some(parent) => parent.child(),
            None => Self::new(),
        }
    }

    /// Like [`child_of_current`](Self::child_of_current), for a scope. The end of a scope stops what is left of
    /// it: what a finished call of it has left behind, a job for instance, belongs to the code around the scope.
    pub(crate) fn for_scope() -> Self {
        let scope = Self::make(false);
        if let Some(parent) = context::current_stop() {
            parent.adopt(&scope.inner);
        }
        scope
    }

    /// A token that is stopped when this one is, and can be stopped alone.
    ///
    /// When all clones of this one are gone before the child is, whatever stops this one's parent
    /// stops the child.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new();
        self.adopt(&child.inner);
        child
    }

    fn make(inherits: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                marks: AtomicU8::new(0),
                tokens: std::sync::atomic::AtomicUsize::new(1),
                inherits,
                links: Mutex::new(Links::default()),
                woken: Condvar::new(),
                parent: Mutex::new(None),
            }),
        }
    }

    fn adopt(&self, child: &Arc<Inner>) {
        adopt(&self.inner, child);
        // A stop that came before the child was listed has not reached it.
        if self.is_stopping() {
            stop(child);
        }
    }

    /// What it is for has ended: what that has left behind is stopped by what is around it from now on, and not with
    /// this, however long a token of it is kept.
    pub(crate) fn end(&self) {
        if !self.inner.links.lock().children.is_empty() {
            self.inner.pass_on(false);
        }
    }

    /// Asks everything that holds this token to stop. Returns at once; asking twice is harmless.
    pub fn stop(&self) {
        stop(&self.inner);
    }

    /// Whether a stop was asked for.
    #[inline]
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        // Acquire: who sees the stop of a child sees that of the parent, which came before it.
        self.inner.marks.load(Ordering::Acquire) & STOPPED != 0
    }

    /// Whether the end of an item needs no closer look: no stop was asked for, and no body calls [`finished`].
    #[inline]
    pub(crate) fn is_unmarked(&self) -> bool {
        self.inner.marks.load(Ordering::Acquire) == 0
    }

    /// Has the ends of items be looked at from here on, because a body calls [`finished`].
    fn mark_finished(&self) {
        // Bodies may call it for each item, and share the token: written once, it stays in all caches.
        if self.inner.marks.load(Ordering::Relaxed) & HAS_FINISHED == 0 {
            self.inner.marks.fetch_or(HAS_FINISHED, Ordering::Relaxed);
        }
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
        links.listeners.push(weak);
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

impl Clone for StopToken {
    fn clone(&self) -> Self {
        self.inner.tokens.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl Drop for StopToken {
    fn drop(&mut self) {
        if self.inner.tokens.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.retire();
        }
    }
}

impl Inner {
    /// Leaves the tree: nobody can ask for this stop any more.
    fn retire(&self) {
        if self.links.lock().children.is_empty() {
            // None can come either: a child is made through a token.
            let parent = self.parent.lock().take();
            if let Some((parent, id)) = parent {
                parent.links.lock().children.remove(&id);
            }
            return;
        }
        self.pass_on(true);
    }

    /// Leaves its children to the one above, and leaves the tree itself if it `goes`.
    fn pass_on(&self, goes: bool) {
        let moving = MOVING.lock();
        let children: Vec<_> = {
            let links = self.links.lock();
            links.children.values().filter_map(Weak::upgrade).collect()
        };
        let heir = self.heir();
        for child in &children {
            match &heir {
                Some(heir) => adopt(heir, child),
                None => *child.parent.lock() = None,
            }
        }
        // Last: as long as it is listed, its parent is not one that can go without a look at its children.
        let parent = goes.then(|| self.parent.lock().take()).flatten();
        if let Some((parent, id)) = parent {
            parent.links.lock().children.remove(&id);
        }
        self.links.lock().children.clear();
        drop(moving);
        // A stop that came while they moved may have looked for them in the other place.
        let is_stopped = |it: &Self| it.marks.load(Ordering::SeqCst) & STOPPED != 0;
        if is_stopped(self) || heir.is_some_and(|it| is_stopped(&it)) {
            children.iter().for_each(stop);
        }
    }

    /// The nearest one above that takes the children of those that go.
    fn heir(&self) -> Option<Arc<Self>> {
        let above = |it: &Self| it.parent.lock().as_ref().map(|it| Arc::clone(&it.0));
        let mut heir = above(self)?;
        while !heir.inherits {
            heir = above(&heir)?;
        }
        Some(heir)
    }

    fn has_gone(&self) -> bool {
        self.tokens.load(Ordering::Acquire) == 0
    }
}

/// Lists `child` below `parent`, and nowhere else.
fn adopt(parent: &Arc<Inner>, child: &Arc<Inner>) {
    let mut links = parent.links.lock();
    let id = links.id();
    links.children.insert(id, Arc::downgrade(child));
    drop(links);
    *child.parent.lock() = Some((Arc::clone(parent), id));
    // A child that has gone meanwhile may have looked for its parent before it had this one.
    if child.has_gone() {
        parent.links.lock().children.remove(&id);
    }
}

/// Stops one and all below it. In a loop, because a tree can be deeper than a stack.
fn stop(first: &Arc<Inner>) {
    let mut ahead = vec![Arc::clone(first)];
    while let Some(inner) = ahead.pop() {
        if inner.marks.fetch_or(STOPPED, Ordering::SeqCst) & STOPPED != 0 {
            continue;
        }
        let (children, listeners) = {
            let links = inner.links.lock();
            inner.woken.notify_all();
            let children: Vec<_> = links.children.values().filter_map(Weak::upgrade).collect();
            let listeners: Vec<_> = links.listeners.iter().filter_map(Weak::upgrade).collect();
            (children, listeners)
        };
        // From behind, so that the first is the next to be stopped.
        ahead.extend(children.into_iter().rev());
        listeners.iter().for_each(|it| it.on_stop());
    }
}

/// Whether the code that runs now was asked to stop: the `StopToken` of the innermost parallel
/// item or job on this thread. False outside of one.
///
/// A body that leaves early for this reason returns whatever is at hand. It is no result of the item, whose outcome is the
/// reason of the stop; a body that has all of its value nevertheless says so with [`finished`].
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

/// Says that `value` is whole, and hands it through: for a body that looks at [`stopping`], or stops its own call, and has
/// done all of its work nevertheless.
///
/// A body that leaves early because it is to stop has half a value. So what a body returns after it was told to stop is no
/// result: its item ends as [stopped](crate::ItemError::is_stopped) (or with the reason of the stop, such as
/// [`Cause::DeadlinePassed`](crate::Cause::DeadlinePassed)), a `journal` has it run again, and its job or invocation is
/// Stopped. Only the body can know better:
///
/// ```
/// use runspace::foreach_parallel;
///
/// let results = foreach_parallel!(0..1_000_000_u64, throttle = 2, |n| {
///     if n == 77 {
///         runspace::stop_token().stop(); // there is nothing to look for any more
///         return runspace::finished(Some(n));
///     }
///     None
/// });
/// assert_eq!(results.flatten().next(), Some(77));
/// ```
///
/// It speaks of the innermost item, job or invocation that runs on this thread, once; a body that emits says
/// `finished(())` when it has emitted everything. Of no effect elsewhere, and of none on an item whose time is over: past
/// its `timeout`, or the `deadline` of its call, an item has ended, whatever its body does.
pub fn finished<V>(value: V) -> V {
    context::with_current_stop(StopToken::mark_finished);
    context::set_finished();
    value
}
