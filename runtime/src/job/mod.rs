//! Jobs: blocks that run on their own, in a queue, with outputs, records and states.
//!
//! A [`Job`] is a handle; what is behind it has two parts. [`core`] is the job without its outputs:
//! its state, its records, who watches it. [`port`] adds the outputs, typed. The body reaches them
//! through a [`JobContext`], a call that is turned into a job through a [`Feeder`](feed::Feeder).
//! What can be done to the work from outside is for a [`backend`].
//!
//! A thread job stands in a [`JobQueue`] ([`mod@line`] has the rules) until [`run`] gives it a thread.
//! [`waits`](crate::waits) knows which work waits for which. [`table`] lists them all.
//!
//! No lock is held while code of the user's runs. Where two are held, they were taken in this order:
//! waits, a queue; waits, a job; a job, the table or a signal; a port, no other.

mod backend;
mod context;
mod core;
mod error;
mod feed;
mod globals;
mod handle;
#[cfg(feature = "process")]
mod in_process;
mod iter;
mod line;
mod location;
mod of_call;
#[cfg(feature = "process")]
mod of_program;
#[cfg(feature = "cluster")]
mod on_cluster;
mod options;
mod port;
mod queue;
mod record;
mod run;
mod signal;
mod state;
mod table;
mod wait;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use std::panic::Location;
use std::sync::Arc;

pub use backend::SuspendError;
pub use context::JobContext;
pub use error::{JobError, JobErrorKind, RemoveError};
pub use handle::Job;
#[cfg(feature = "process")]
pub use in_process::{
    ProcessJobOptions, function_job, named_job, process_job, process_job_emitting,
};
pub use iter::JobIter;
pub use location::JobLocation;
#[cfg(feature = "process")]
pub use of_program::program_job;
#[cfg(feature = "cluster")]
pub use on_cluster::{ClusterJobOptions, cluster_job, cluster_job_emitting};
pub use options::JobOptions;
pub use queue::JobQueue;
pub use record::{Level, Record, record};
pub use state::JobState;
pub(crate) use table::tell;
pub use table::{JobEntry, JobTable, jobs};
#[cfg(all(feature = "ctrl_c", unix))]
pub(crate) use table::{running, stop_queued};
pub use wait::{AnyJob, wait_all, wait_all_timeout, wait_any, wait_any_timeout};

use self::backend::OnThread;
use self::core::{Core, Origin};
use self::port::{Outputs, Port};
use crate::capture::AllMoved;
use crate::context as surroundings;
use crate::stop::StopToken;
use crate::values::{Made, Output};

/// Starts a job of one output: what `maker` answers. What `start_thread_job!` expands to.
#[track_caller]
pub fn thread_job<C, M, T>(options: JobOptions, captures: C, maker: M, _: Made<T>) -> Job<T>
where
    C: AllMoved + 'static,
    M: FnOnce(C) -> T + Send + 'static,
    T: Output + 'static,
{
    let body = move |job: &JobContext<T>| {
        let value = maker(captures);
        // Before it is delivered: a stop by its receiver comes after the end of the body.
        surroundings::note_return();
        job.deliver(value);
    };
    start(options, Location::caller(), body)
}

/// Starts a job of as many outputs as it emits. What `start_thread_job!` with `|job|` expands to.
#[track_caller]
pub fn thread_job_emitting<C, M, T>(
    options: JobOptions,
    captures: C,
    maker: M,
    _: Made<T>,
) -> Job<T>
where
    C: AllMoved + 'static,
    M: FnOnce(C, &JobContext<T>) + Send + 'static,
    T: Output + 'static,
{
    let body = move |job: &JobContext<T>| maker(captures, job);
    start(options, Location::caller(), body)
}

fn start<T, B>(options: JobOptions, source: &'static Location<'static>, body: B) -> Job<T>
where
    T: Send + 'static,
    B: FnOnce(&JobContext<T>) + Send + 'static,
{
    // The item that starts a job, and not only the job around it: its time limit reaches the job, too.
    let stop = StopToken::child_of_current();
    let origin = Origin {
        name: options.name,
        source,
        command: "start_thread_job!",
        stop,
        queue: Some(options.queue.unwrap_or_else(JobQueue::global)),
        places: surroundings::places_for_others(),
        backend: Box::new(OnThread),
    };
    let outputs = Arc::new(Outputs::default());
    let inside = Arc::clone(&outputs);
    let body = move |core: &Arc<Core>| {
        let core = Arc::clone(core);
        body(&JobContext::new(Port {
            core,
            outputs: inside,
        }));
    };
    let core = Core::new(origin, Some(Box::new(body)));
    core.stop_token().listen(&core);
    run::start(&core);
    Job {
        port: Port { core, outputs },
    }
}
