//! Run a block of Rust many times at once: a few at a time, results as they finish, stoppable at
//! any moment.
//!
//! * [`foreach_parallel!`] runs a body over items, at most `throttle` at once, and answers a
//!   stream of [`Results`]. The input may be endless, memory is bounded, bodies may block, and a body
//!   that panics costs its own item.
//! * [`start_thread_job!`] runs a block in the background and answers a [`Job`] with a state, outputs, a
//!   place in a [`JobQueue`] and a line in the table of [`jobs`].
//! * [`scope`] lets parallel calls borrow and stream at once. [`stopping`] tells a body that it is no
//!   longer wanted; what it returns then is no result, unless it says that it was [`finished`].
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
//! A process that a program makes of itself by `fork` has none of these threads, nor the jobs, queues of
//! jobs and child processes: it starts with its own. Runspaces and pools that were opened before the fork, and
//! rayon's global pool once it was used, answer there with an error.
//!
//! # Features
//!
//! | feature | what it brings | default |
//! |---|---|---|
//! | `process` | [`start_job!`], `on = process`, [`policy`] | yes |
//! | `rayon` | `on = rayon` | yes |
//! | `cluster` | `on = cluster(&cluster)`, the module `cluster`: many machines, on NATS JetStream; Linux | |
//! | `ctrl_c` | `ctrl_c()`: Ctrl-C ends a program in good order; Unix | |
//! | `progress` | `progress = "Hashing"` and the module `progress` | |
//! | `rate` | `rate = 50.per_second()` | |
//! | `journal` | `journal = "run.jsonl"`, `resume = true` | |
//! | `serde` | [`collections`] written as data | |
//! | `tracing` | spans of calls, items and jobs; events of child processes, see [Tracing](#tracing) | |
//!
//! # Tracing
//! With the feature `tracing`, code that runs elsewhere belongs to the span it was started from, on every back
//! end: what a body logs with the crate [`tracing`](https://docs.rs/tracing) is in the span of the caller, and
//! goes to the subscriber of the caller, be it that of the program or one for its thread. Between the
//! two are spans of this crate, of the target `runspace`:
//!
//! | span | level | of | fields |
//! |---|---|---|---|
//! | `foreach_parallel` | info | a call, until its results are gone | `name`, `location`, `throttle`, `items` if the input says how many |
//! | `item` | debug | one try of an item | `index`, `attempt`, `call` (its name, or its place), `throttle`, `worker` (`ThreadId(3)`, `process 4711`), `outcome`, `error` |
//! | `job` | info | a job or an invocation, from when it is made | `id`, `name`, `command`, `outcome` (its last state) |
//!
//! The `outcome` of an item is `ok`; `bad` for a value that is a failure (such as an `Err`, where `retry` or `halt` asks); `failed`,
//! with what went wrong in `error`; `again` if another try follows; `stopped`; or `not run` if no worker came for it. At any moment
//! there are no more spans of items than the throttle allows, but for bodies that do not return after
//! their timeout. Of an item in a process, the span includes the start of the process if it needs
//! one, and `worker` is recorded at the end.
//!
//! Where no subscriber wants the spans of items when a call starts, it costs what it costs without the
//! feature. Where one does, items run one by one rather than in batches, and each costs its span.
//!
//! **In a child process** `main` does not run, so nobody says there what becomes of events. This crate does:
//! they arrive in the parent, in the span of the item or the job, under the target `runspace::child` with
//! their level and message, and with `child.target`, `child.pid` and `child.fields` (`name=value ..`). A
//! child sends what some subscriber of its parent wants when the call or the job starts. Beyond that, events
//! from errors to debug are always among the [`records`](Job::records) of the job that runs there, if one
//! does: as `Error`, `Warning`, `Information` and `Debug`. Spans of a child's own stay there. A
//! body that wants another subscriber sets it for its thread (`tracing::subscriber::set_default`): the one of the
//! process is taken. Where a constructor of the program has set one before, that stays, and events go to
//! it alone. A subscriber that panics when it is told of a call, an item or a job changes nothing about them: the
//! panic is reported on stderr, as every panic is.
//!
//! `examples/timeline.rs` draws which worker ran which item when, and writes it for Perfetto.
//!
//! # Where a program hangs
//! A program that is started with `RUNSPACE_DEBUG_HANG=30` in its environment says on stderr, when a wait of this crate has
//! lasted for 30 seconds, what its waits, calls, jobs, runspaces, pools, shared throttles and child processes
//! are at: see [`debug`]. Please send that with a report of a hang.
//!
//! # Platforms
//! Everything here is std and crossbeam, for any platform with threads; it is tested on Linux x86-64.

#[macro_use]
mod macros;

mod barrier;
mod capture;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod collections;
mod context;
pub mod debug;
mod error;
mod foreach;
mod harness;
#[cfg(all(feature = "ctrl_c", unix))]
mod interrupt;
mod job;
mod judge;
mod key;
mod loan;
#[cfg(feature = "process")]
mod named;
#[cfg(not(feature = "rayon"))]
mod no_rayon;
#[cfg(feature = "rayon")]
mod on_rayon;
#[cfg_attr(loom, allow(dead_code, reason = "loom explores one process"))]
mod per_process;
#[cfg(not(loom))]
mod plan;
#[cfg(feature = "process")]
pub mod policy;
mod print;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "progress")]
pub mod progress;
mod release;
mod runspace;
mod scope;
mod slot;
#[cfg(any(feature = "process", all(test, loom)))]
mod stock;
mod stop;
mod sync;
mod threads;
mod time;
mod trace;
mod values;
mod vigil;
mod waits;

#[cfg(feature = "cluster")]
pub use cluster::Cluster;
pub use error::{Cause, ItemError, PanicPayload};
#[cfg(feature = "journal")]
pub use foreach::{CallJournal, Journal, JournalError, JournalErrorKind};
pub use foreach::{
    CallThrottle, DEFAULT_THROTTLE, Group, Halt, ItemContext, Outcomes, Report, Results, Retry,
    Throttle, Timeout, attempt,
};
#[cfg(feature = "rate")]
pub use foreach::{PerTime, Rate};
#[cfg(feature = "process")]
pub use foreach::{ProcessPool, ProcessPoolBuilder};
#[cfg(all(feature = "ctrl_c", unix))]
pub use interrupt::{ctrl_c, interrupted};
pub use job::{
    AnyJob, Job, JobContext, JobEntry, JobError, JobErrorKind, JobIter, JobLocation, JobQueue,
    JobState, JobTable, Level, Record, RemoveError, SuspendError, jobs, record, wait_all,
    wait_all_timeout, wait_any, wait_any_timeout,
};
#[cfg(not(loom))]
pub use plan::{ParsePlanError, Plan, plan};
#[cfg(feature = "process")]
pub use process::{Crash, Exit, ProcessError};
pub use runspace::{
    Invocation, InvocationError, InvocationErrorKind, InvocationState, LimitsError, OpenError,
    OpenErrorKind, Runspace, RunspaceBuilder, RunspaceContext, RunspacePool, RunspacePoolBuilder,
    RunspaceState,
};
pub use scope::{Scope, scope};
pub use stop::{StopToken, finished, stop_token, stopping};

/// Makes a function a job, which [`start_job!`] starts in another process by its name.
///
/// ```
/// use std::path::PathBuf;
///
/// use runspace::start_job;
///
/// #[runspace::job]
/// fn length(path: PathBuf, factor: usize) -> usize {
///     path.as_os_str().len() * factor
/// }
///
/// let job = start_job!(length(PathBuf::from("abc"), 2));
/// assert_eq!(job.join().unwrap(), 6);
/// // It is the function that it was, besides.
/// assert_eq!(length(PathBuf::from("abc"), 1), 3);
/// ```
///
/// The process that runs it is sent its name and its arguments, and nothing else. A [policy]
/// can approve it by that name.
///
/// # Options
///
/// | option | value | without it |
/// |---|---|---|
/// | `name` | the name, a string literal; no other job of the program has it | the path of the function: `program::module::function` |
/// | `crate` | the path of this crate, where it goes by another name | `::runspace` |
///
/// ```
/// mod images {
///     #[runspace::job(name = "resize", crate = ::runspace)]
///     pub fn resize(size: (u32, u32), by: u32) -> (u32, u32) {
///         (size.0 * by, size.1 * by)
///     }
/// }
///
/// let job = runspace::start_job!(images::resize((1, 2), 3));
/// assert_eq!(job.join().unwrap(), (3, 6));
/// ```
///
/// # What it can stand on
///
/// A function that is free, not generic, not `async` and not `unsafe`. Its parameters and its value
/// are owned and implement serde's `Serialize` and `Deserialize`: `String` and not `&str`, `PathBuf`
/// and not `&Path`.
///
/// Beside the function stands a type with its name and its visibility, which is how `start_job!`
/// finds it. So `use` brings both, and no module or type in the same place can have that name.
/// `docs/expansion.md` shows all that is made.
#[cfg(feature = "process")]
pub use runspace_macros::job;

/// Lets `main` be the place where this program, as a child process that runs a job, starts to do so.
///
/// ```standalone_crate
/// #[runspace::main]
/// fn main() {
///     let job = runspace::start_job!({ 6 * 7 });
///     assert_eq!(job.join().unwrap(), 42);
/// }
/// ```
///
/// Jobs need no set-up: a child process runs its job before `main`, and `main` not at all. That is
/// early, though. What the standard library and other code do between the two has not happened then.
/// Under this attribute the job runs as the first thing that `main` does, and the rest of `main` is for the
/// process that was started by somebody else.
///
/// It stands on the `main` of the program, whatever it returns. An `async fn main` has the attribute
/// of its runtime as well; in either order, the runtime is started in no child process.
/// `docs/expansion.md` shows what becomes of it.
///
/// # Options
///
/// `crate` is the path of this crate, where it goes by another name: `#[main(crate = ::name)]`.
#[cfg(feature = "process")]
pub use runspace_macros::main;

#[cfg(not(feature = "process"))]
#[doc(hidden)]
pub use runspace_macros::{job_without_process as job, main_without_process as main};

/// What the macros expand to. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub mod macros {
        pub use runspace_macros::{
            foreach_parallel, invoke, pipeline, start_job, start_thread_job,
        };
    }

    pub use crate::capture::{borrow, capture, capture_within, portable, send, serial};
    pub use crate::foreach::IntoCluster;
    #[cfg(feature = "cluster")]
    pub use crate::foreach::foreach_cluster;
    #[cfg(not(feature = "cluster"))]
    pub use crate::foreach::foreach_process as foreach_cluster;
    pub use crate::foreach::{
        Copied, IntoRetry, IntoThrottle, IntoTimeout, Options, Place, Worker, foreach,
        foreach_borrowed, foreach_process, foreach_within, on_sequential,
    };
    pub use crate::foreach::{IntoJournal, IntoProgress, IntoRate, PerTime};
    #[cfg(feature = "journal")]
    pub use crate::foreach::{JournalItem, JournalValue};
    pub use crate::foreach::{late_wakes, watch_wakes};
    #[cfg(feature = "cluster")]
    pub use crate::job::{ClusterJobOptions, cluster_job, cluster_job_emitting};
    pub use crate::job::{JobOptions, thread_job, thread_job_emitting};
    #[cfg(feature = "process")]
    pub use crate::job::{
        ProcessJobOptions, function_job, named_job, process_job, process_job_emitting, program_job,
    };
    #[cfg(all(feature = "process", not(feature = "cluster")))]
    pub use crate::job::{
        ProcessJobOptions as ClusterJobOptions, process_job as cluster_job,
        process_job_emitting as cluster_job_emitting,
    };
    /// What `retry` and `halt` ask of a value.
    pub mod judge {
        pub use crate::judge::{Judgement, OfAny, OfResult, Value};
    }
    #[cfg(feature = "process")]
    pub use crate::named::{NamedEntry, NamedJob, parameter};
    #[cfg(not(feature = "rayon"))]
    pub use crate::no_rayon::{on_rayon, on_rayon_pool};
    #[cfg(feature = "rayon")]
    pub use crate::on_rayon::{on_rayon, on_rayon_pool};
    #[cfg(not(loom))]
    pub use crate::plan::{PlanWorker, foreach_plan};
    #[cfg(feature = "process")]
    pub use crate::process::program::ProgramOptions;
    #[cfg(all(feature = "process", not(feature = "cluster")))]
    pub use crate::process::serve_if_worker;
    #[cfg(feature = "process")]
    pub use crate::process::{Constructor, constructor_of_main};
    /// In a worker of any kind: serves and exits. Otherwise does nothing.
    #[cfg(feature = "cluster")]
    pub fn serve_if_worker() {
        crate::process::serve_if_worker();
        crate::cluster::serve_if_worker();
    }
    pub use crate::runspace::{Invoke, InvokeOptions, invoke, invoke_with_state, on_pool};
    pub use crate::values::made;
    #[cfg(feature = "process")]
    pub use inventory;
}
