//! What an item sees of its call: the second parameter of `|x, job|`.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::lane::Lane;
use crate::context;
#[cfg(feature = "process")]
use crate::process::pool::There;
use crate::stop::StopToken;

/// The item that runs, as its body sees it: the second parameter of `|x, job| ..` in
/// [`foreach_parallel!`](crate::foreach_parallel).
///
/// ```
/// use runspace::foreach_parallel;
///
/// let words: Vec<&str> = foreach_parallel!(["a b", "c"], ordered = true, |line, job| {
///     for word in line.split(' ') {
///         job.emit(word);
///     }
/// })
/// .collect();
/// assert_eq!(words, ["a", "b", "c"]);
/// ```
pub struct ItemContext<'a, R> {
    inner: Inner<'a, R>,
    // Outputs go out through this thread's own queue.
    not_sync: PhantomData<Cell<()>>,
}

enum Inner<'a, R> {
    /// The call is in this process.
    Here {
        lane: &'a Lane<R>,
        index: u64,
        /// What tells this item apart from the rest of its call, if anything does.
        own: Option<(u32, StopToken)>,
    },
    /// This process is only for its items.
    #[cfg(feature = "process")]
    There(&'a dyn There<R>),
}

/// What unwinds out of a body that emits after its call was stopped.
pub(crate) struct Stopped;

impl<'a, R> ItemContext<'a, R> {
    /// The item that begins on this thread. `has_own`: its try and its token may be its own.
    pub(crate) fn new(lane: &'a Lane<R>, index: u64, has_own: bool) -> Self {
        let own = has_own.then(|| (context::current_attempt(), crate::stop::stop_token()));
        Self {
            inner: Inner::Here { lane, index, own },
            not_sync: PhantomData,
        }
    }

    #[cfg(feature = "process")]
    pub(crate) fn there(item: &'a dyn There<R>) -> Self {
        Self {
            inner: Inner::There(item),
            not_sync: PhantomData,
        }
    }

    /// Sends one output to the consumer, as soon as it is made. Waits while the consumer is behind by
    /// more than the call's `buffer` divided by its `throttle` (at least 1; 256 when no buffer is set). With `ordered` and
    /// `retry` one of the items goes on all the same when all of them wait, and the consumer for one that is to be tried
    /// again: nobody would come to that otherwise.
    ///
    /// When the item is to stop, `emit` does not return: it unwinds out of the body, past
    /// its destructors, as a panic would but without a report. So a body that emits for ever ends when
    /// nobody listens any more. (In a program built with `panic = "abort"` it returns, and the value is dropped.)
    pub fn emit(&self, value: R) {
        match &self.inner {
            Inner::Here { lane, index, .. } => {
                let can_unwind = cfg!(panic = "unwind") && !std::thread::panicking();
                if !lane.emit(*index, value) && can_unwind {
                    std::panic::resume_unwind(Box::new(Stopped));
                }
            }
            #[cfg(feature = "process")]
            Inner::There(item) => item.emit(value),
        }
    }

    /// The item's place in the input, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        match &self.inner {
            Inner::Here { index, .. } => *index,
            #[cfg(feature = "process")]
            Inner::There(item) => item.index(),
        }
    }

    /// Which try of the item this is, from 1: see the option `retry`.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match &self.inner {
            Inner::Here { own, .. } => own.as_ref().map_or(1, |own| own.0),
            #[cfg(feature = "process")]
            Inner::There(item) => item.attempt(),
        }
    }

    /// What tells this item from every other of this call and of all others: the same text each time the item
    /// runs.
    ///
    /// An item may run more than once: by `retry`, and on a cluster because its worker died just when
    /// it was done. A body that changes the world, which inserts a row, sends a message or charges a card, does
    /// so under this key, where the other side can tell that it has been done.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let keys = foreach_parallel!(0..3, retry = 1, |_n, job| {
    ///     assert!(job.attempt() == 2, "the first try fails");
    ///     job.emit(job.key());
    /// });
    /// let keys: std::collections::HashSet<String> = keys.collect();
    /// assert_eq!(keys.len(), 3);
    /// ```
    #[must_use]
    pub fn key(&self) -> String {
        match &self.inner {
            Inner::Here { lane, index, .. } => lane.call().key().of_item(*index),
            #[cfg(feature = "process")]
            Inner::There(item) => item.key(),
        }
    }

    /// Whether the item is to stop: because its call is, or because it ran out of its `timeout`. A body that returns then
    /// ends as stopped, after the outputs that it has emitted, unless it says that it has [`finished`](crate::finished).
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stop_token().is_stopping()
    }

    /// The token of the item, to hand to a callback or a thread of the body's own. A body that stops it stops its call, at
    /// the end of the item at the latest.
    #[must_use]
    pub fn stop_token(&self) -> StopToken {
        match &self.inner {
            Inner::Here { lane, own, .. } => match own {
                Some((_, token)) => token.clone(),
                None => lane.call().stop.clone(),
            },
            #[cfg(feature = "process")]
            Inner::There(item) => item.stop_token(),
        }
    }
}

/// Which try of its item the code that runs now is part of, from 1: for bodies of calls with
/// `retry`. 1 outside of one.
///
/// ```
/// use runspace::foreach_parallel;
///
/// let tries: Vec<u32> = foreach_parallel!([()], retry = 2, |()| {
///     assert!(runspace::attempt() == 3, "the first two fail");
///     runspace::attempt()
/// })
/// .collect();
/// assert_eq!(tries, [3]);
/// ```
#[must_use]
pub fn attempt() -> u32 {
    context::current_attempt()
}

impl<R> fmt::Debug for ItemContext<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemContext")
            .field("index", &self.index())
            .field("stopping", &self.stopping())
            .finish_non_exhaustive()
    }
}
