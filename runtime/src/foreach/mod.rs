//! `foreach_parallel!`: a block over many items, a few at a time.
//!
//! # How it works
//! One *feeder* takes items from the input into a queue, as many as the window (`throttle + buffer`)
//! allows. At most `throttle` *workers* take them from there, run the body, and put what comes of it
//! into a lane of their own; the consumer ([`Results`]) visits the lanes. An input that is at hand, such as a
//! range or a `Vec`, needs no feeder: the workers take from it themselves. Cheap items move in batches,
//! but each is in reach of the others all the time: another worker steals what is behind a slow one,
//! and the consumer sees a result as soon as it is there. All of them are kept threads
//! (`crate::threads`) or what another [`Executor`](executor::Executor) offers.
//!
//! A call with one item for a process is run by the thread that reads its result, see `attendant`.
//!
//! What an item emits, and its end, come in their order: within a lane by itself, and by a *join* where an item goes from one
//! lane to another, because it is given up or tried again, see `lease`. An emitter that is too far ahead of the consumer waits
//! at its lane's `backlog`.
//!
//! The layers, each knowing only those before it: `signal`, `backlog`, `lease`, `pace`, `control` (limits), `journal`, `options`;
//! `call` (the shared state); `lane`, `hand`, `entry` and `supply` (the queues); `exit` (how items end); `worker`; `source` (the input), `shelf`
//! and `feeder` (the two ways out of it); `crew`; `reorder`; `results`, which sees only `call`, `lane` and `reorder`.

#[cfg(feature = "process")]
mod attendant;
mod backlog;
mod call;
mod chain;
mod control;
mod crew;
mod entry;
pub(crate) mod executor;
mod exit;
mod feeder;
mod hand;
mod item;
#[cfg(feature = "journal")]
mod journal;
mod lane;
mod lease;
#[cfg(not(feature = "cluster"))]
mod no_cluster;
#[cfg(not(feature = "journal"))]
mod no_journal;
#[cfg(not(feature = "process"))]
mod no_process;
#[cfg(feature = "cluster")]
mod on_cluster;
#[cfg(feature = "process")]
mod on_process;
mod options;
mod pace;
mod reorder;
mod report;
mod results;
#[cfg(all(feature = "ctrl_c", unix))]
pub(crate) mod roll;
mod sequence;
#[cfg(feature = "process")]
mod settle;
mod shelf;
mod shortage;
mod signal;
mod source;
mod supply;
#[cfg(feature = "process")]
mod turns;
mod worker;

#[cfg(all(test, loom))]
mod loom_tests;

use std::panic::Location;

#[cfg(feature = "rate")]
pub use control::Rate;
pub use control::{Halt, IntoRetry, IntoThrottle, IntoTimeout, Retry, Throttle, Timeout};
pub use control::{IntoProgress, IntoRate, PerTime};
pub use item::{ItemContext, attempt};
#[cfg(feature = "journal")]
pub use journal::{
    CallJournal, IntoJournal, Journal, JournalError, JournalErrorKind, JournalItem, JournalValue,
};
#[cfg(not(feature = "cluster"))]
pub use no_cluster::IntoCluster;
#[cfg(not(feature = "journal"))]
pub use no_journal::IntoJournal;
#[cfg(not(feature = "process"))]
pub use no_process::foreach_process;
#[cfg(feature = "cluster")]
pub use on_cluster::{IntoCluster, foreach_cluster};
#[cfg(feature = "cluster")]
pub(crate) use on_cluster::{Told, foreach_on, isolated, serve_on_slot};
#[cfg(feature = "process")]
pub use on_process::{ProcessPool, ProcessPoolBuilder, foreach_process};
#[cfg(feature = "process")]
pub(crate) use on_process::{ProcessWorker, foreach_in_workers, serve_in_worker};
pub use options::{DEFAULT_THROTTLE, Options, Place, on_sequential};
pub use report::{Group, Report};
pub use results::{CallThrottle, Outcomes, Results};
pub use signal::{late_wakes, watch_wakes};
pub use worker::{Copied, Worker};

use call::{Call, Shape};
use crew::{Crew, Work};
use executor::{Direct, Executor};
use lane::Outlet;
use source::Source;

use crate::error::CallSite;
use crate::scope::{Scope, scope};
use crate::stop::StopToken;
use crate::values::{Input, Item, Made, Outcome};

/// A call that owns its items and captures.
#[track_caller]
pub fn foreach<I, C, M, W, R>(
    items: I,
    options: Options,
    captures: C,
    maker: M,
    _: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'static,
    I::Item: Item + 'static,
    M: FnOnce(C) -> W,
    W: Fn(&mut Worker<'_, I::Item, R>) + Send + Sync + 'static,
    R: Outcome + 'static,
{
    let site = site(&options);
    let input = Box::new(items.into_iter());
    let work = Box::new(maker(captures));
    let stop = StopToken::child_of_current();
    let executor = Direct(options.target.clone());
    start(input, &options, site, work, stop, Box::new(executor))
}

/// A call in a scope: what it owns may borrow from outside the scope.
#[track_caller]
pub fn foreach_within<'scope, I, C, M, W, R>(
    scope: &'scope Scope<'scope, '_>,
    items: I,
    options: Options,
    captures: C,
    maker: M,
    _: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'scope,
    I::Item: Item + 'scope,
    M: FnOnce(C) -> W,
    W: Fn(&mut Worker<'_, I::Item, R>) + Send + Sync + 'scope,
    R: Outcome + 'scope,
{
    let site = site(&options);
    let input = Box::new(items.into_iter());
    let work = Box::new(maker(captures));
    let executor = scope.executor(&options.target);
    let stop = scope.stop_token();
    start(input, &options, site, work, stop, Box::new(executor))
}

/// A call that borrows: it runs all items before it answers.
#[track_caller]
pub fn foreach_borrowed<'a, I, C, M, W, R>(
    items: I,
    options: Options,
    captures: C,
    maker: M,
    _: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'a,
    I::Item: Item + 'a,
    M: FnOnce(C) -> W,
    W: Fn(&mut Worker<'_, I::Item, R>) + Send + Sync + 'a,
    R: Outcome + 'a,
{
    let site = site(&options);
    let input = Box::new(items.into_iter());
    let work = Box::new(maker(captures));
    start_and_finish(input, &options, site, work)
}

#[track_caller]
fn site(options: &Options) -> CallSite {
    let here = Location::caller();
    CallSite {
        location: options.location.unwrap_or(here),
        name: options.name.clone(),
    }
}

// The functions above are compiled for each call of the macro, and so is as little as can be. What
// is below is compiled for each type of item and result.

#[track_caller]
fn start_and_finish<'a, T: Send + 'a, R: Send + 'a>(
    input: Box<dyn Source<T> + 'a>,
    options: &Options,
    site: CallSite,
    work: Work<'a, T, R>,
) -> Results<R> {
    scope(|scope| {
        let executor = scope.executor(&options.target);
        let stop = scope.stop_token();
        start(input, options, site, work, stop, Box::new(executor)).finish()
    })
}

#[track_caller]
fn start<'a, T: Send + 'a, R: Send + 'a>(
    input: Box<dyn Source<T> + 'a>,
    options: &Options,
    site: CallSite,
    work: Work<'a, T, R>,
    stop: StopToken,
    executor: Box<dyn Executor<'a> + 'a>,
) -> Results<R> {
    let shape = Shape::of::<T, R>(input.size());
    let call = Call::new(site, options, stop, executor.may_leave_behind(), shape);
    let outlet = Outlet::new(call.throttle());
    let results = Results::live(call.clone(), outlet.clone(), options.ordered);
    Crew::start(call, outlet, work, executor, input);
    results
}
