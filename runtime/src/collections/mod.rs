//! Collections that the items of a parallel call, jobs and invocations can share: those of .NET's
//! `System.Collections.Concurrent`, which PowerShell's parallel loops write their findings to.
//!
//! | .NET | here |
//! |---|---|
//! | `ConcurrentBag` | [`Bag`]: no order, the cheapest to add to |
//! | `ConcurrentQueue` | [`Queue`]: first in, first out |
//! | `ConcurrentStack` | [`Stack`]: last in, first out |
//! | `ConcurrentDictionary` | [`Dictionary`]: values by key |
//! | `BlockingCollection` | [`BlockingCollection`]: a queue to wait at, bounded if wanted |
//!
//! **Clones share.** As in .NET these are references: a clone is the same collection, so
//! `using(bag.clone())` gives the items of a call the bag that their caller reads afterwards. Lists
//! of the contents at one moment are made by `to_vec()` and by iterating.
//!
//! **They stay in their process.** In another there would be a copy, and what is added to that is seen by nobody here. So
//! they can be no captures, items or results where a body runs, or by a plan may run, in another process (`on = process`,
//! `on = plan`, `on = cluster(..)`, `start_job!`): the compiler refuses that. Answer the values from the body instead, and collect them
//! from the results; what a body only reads goes as `to_vec()` or as a map of the standard library's. With the feature
//! `serde` they can be written as data, and are read by collecting what a `Vec` or a `HashMap` has read.
//!
//! **Nothing is lent.** Calls answer values, by moving them out or by cloning them, and never guards:
//! there is nothing to hold that could keep another thread, or the same one, from going on.
//!
//! ```
//! use runspace::collections::Bag;
//! use runspace::foreach_parallel;
//!
//! let found = Bag::new();
//! foreach_parallel!(1..=100, using(found.clone()), |n: u32| {
//!     if n % 25 == 0 {
//!         found.add(n);
//!     }
//! });
//! let mut found = found.into_vec();
//! found.sort();
//! assert_eq!(found, [25, 50, 75, 100]);
//! ```

mod bag;
mod blocking;
mod dictionary;
mod queue;
#[cfg(feature = "serde")]
mod serde;
mod shards;
mod stack;
mod store;

pub use bag::Bag;
pub use blocking::{AddError, AddErrorKind, BlockingCollection, ConsumingIter, TakeError};
pub use dictionary::Dictionary;
pub use queue::Queue;
pub use stack::Stack;
