//! Run a block of Rust many times at once: a few at a time, results as they finish, stoppable at
//! any moment.
//!
//! * [`foreach_parallel!`] runs a body over items, at most `throttle` at once, and answers a
//!   stream of [`Results`]. The input may be endless, memory is bounded, bodies may block, and a body
//!   that panics costs its own item.
//! * [`start_thread_job!`] runs a block in the background and answers a [`Job`] with a state, outputs, a
//!   place in a [`JobQueue`] and a line in the table of [`jobs`].
//! * [`scope`] lets parallel calls borrow and stream at once. [`stopping`] tells a body that it is no
//!   longer wanted.
//!
//! The model is PowerShell's family of parallel commands; the README has a table from one to the other.
//!
//! ```
//! use runspace::{foreach_parallel, start_thread_job};
//!
//! let total: u64 = foreach_parallel!(1..=1000, throttle = 4, |n: u64| n * n).sum();
//! assert_eq!(total, 333_833_500);
//!
//! let job = start_thread_job!(name = "answer", { 6 * 7 });
//! assert_eq!(job.join().unwrap(), 42);
//! ```
//!
//! # Choosing something simpler
//! For pure computation over a slice, with nothing that blocks and no limit but the cores,
//! rayon's `par_iter` is simpler. For one thread that borrows, [`std::thread::scope`] is.
//!
//! # Threads
//! Threads are started when there is work for them, kept for ten seconds after it, and used again. A call never waits for
//! the threads of another: a body that blocks costs its own call one of its places and others
//! nothing. A thread that waits for results runs no foreign items meanwhile, so a lock held across a
//! parallel call cannot deadlock with an item that wants it.
//!
//! # Platforms
//! Everything here is std and crossbeam, for any platform with threads; it is tested on Linux x86-64.

#[macro_use]
mod macros;

mod capture;
mod context;
mod error;
mod foreach;
mod job;
#[cfg(feature = "rayon")]
mod on_rayon;
mod scope;
mod stop;
mod sync;
mod threads;

pub use error::{Cause, ItemError, PanicPayload};
pub use foreach::{DEFAULT_THROTTLE, ItemContext, Outcomes, Results};
pub use job::{
    AnyJob, Job, JobContext, JobEntry, JobError, JobErrorKind, JobIter, JobLocation, JobQueue,
    JobState, JobTable, Level, Record, RemoveError, SuspendError, jobs, record, wait_all,
    wait_all_timeout, wait_any, wait_any_timeout,
};
pub use scope::{Scope, scope};
pub use stop::{StopToken, stop_token, stopping};

/// What the macros expand to. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub mod macros {
        pub use runspace_macros::{foreach_parallel, start_thread_job};
    }

    pub use crate::capture::{borrow, capture, capture_within, send};
    pub use crate::foreach::{
        Options, Place, Worker, foreach, foreach_borrowed, foreach_within, on_sequential,
    };
    pub use crate::job::{JobOptions, thread_job, thread_job_emitting};
    #[cfg(feature = "rayon")]
    pub use crate::on_rayon::{on_rayon, on_rayon_pool};
}
