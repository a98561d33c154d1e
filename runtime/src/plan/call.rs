//! The loop whose place a plan chooses.

use std::fmt;
use std::sync::Arc;

use super::{Plan, current};
use crate::capture::{AllSent, Portable};
#[cfg(feature = "cluster")]
use crate::cluster::SlotIo;
use crate::foreach::executor::{Elastic, Sequential, Sized};
use crate::foreach::{Copied, ItemContext, Options, Place, Results, Worker, foreach};
#[cfg(feature = "journal")]
use crate::foreach::{JournalItem, JournalValue};
#[cfg(feature = "process")]
use crate::foreach::{ProcessWorker, foreach_in_workers, serve_in_worker};
#[cfg(feature = "cluster")]
use crate::foreach::{foreach_on, serve_on_slot};
use crate::judge::Judgement;
#[cfg(feature = "process")]
use crate::process::entry::ChildIo;
use crate::values::Made;

/// A call that runs where the plan of the moment says.
///
/// # Panics
/// If `RUNSPACE_PLAN` says something that is no plan.
#[track_caller]
pub fn foreach_plan<I, K, C, W, R>(
    items: I,
    options: Options,
    captures: K,
    maker: fn(C) -> W,
    made: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Portable + Send + 'static,
    K: AllSent<Itself = C>,
    W: Fn(&mut PlanWorker<'_, '_, I::Item, R>) + Send + Sync + 'static,
    R: Portable + Send + 'static,
{
    where_planned::<I, K, W, R>(items, options, captures, maker, made)
}

/// The same, where the captures are known to be what they are sent as.
#[track_caller]
fn where_planned<I, K, W, R>(
    items: I,
    options: Options,
    captures: K,
    maker: fn(K::Itself) -> W,
    made: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Portable + Send + 'static,
    K: AllSent,
    W: Fn(&mut PlanWorker<'_, '_, I::Item, R>) + Send + Sync + 'static,
    R: Portable + Send + 'static,
{
    let captures = captures.itself();
    let options = match current() {
        Plan::Threads(None) => options,
        Plan::Threads(Some(size)) => options.on(Place(Arc::new(Sized::new(Elastic, size)))),
        #[cfg(feature = "rayon")]
        Plan::Rayon => options.on(crate::on_rayon::on_rayon()),
        Plan::Sequential => options.on(Place(Arc::new(Sequential))),
        #[cfg(feature = "process")]
        Plan::Process(size) => {
            let options = options.default_throttle(size);
            let serve = serve::<K::Itself, I::Item, R, W>;
            return foreach_in_workers(items, options, captures, serve, maker, made);
        }
        #[cfg(feature = "cluster")]
        Plan::Cluster(url) => {
            let cluster = crate::Cluster::shared(&url);
            let serve = serve_slot::<K::Itself, I::Item, R, W>;
            return foreach_on(cluster, items, options, captures, serve, maker, made);
        }
    };
    let local = |captures| {
        let body = maker(captures);
        move |worker: &mut Worker<'_, I::Item, R>| body(&mut PlanWorker(Inner::Here(worker)))
    };
    foreach(items, options, captures, local, made)
}

/// In the worker process.
#[cfg(feature = "process")]
fn serve<C, T, R, W>(io: &mut ChildIo, maker: fn(C) -> W)
where
    C: Portable,
    T: Portable,
    R: Portable,
    W: Fn(&mut PlanWorker<'_, '_, T, R>),
{
    let _worker = super::AsWorker::begin();
    serve_in_worker(io, |captures: C, worker| {
        maker(captures)(&mut PlanWorker(Inner::There(worker)));
    });
}

/// In a worker of a cluster.
#[cfg(feature = "cluster")]
fn serve_slot<C, T, R, W>(io: &mut SlotIo, maker: fn(C) -> W)
where
    C: Portable,
    T: Portable,
    R: Portable,
    W: Fn(&mut PlanWorker<'_, '_, T, R>),
{
    // For good: this process does nothing else than work for others.
    std::mem::forget(super::AsWorker::begin());
    serve_on_slot(io, serve::<C, T, R, W>, maker, |captures: C, worker| {
        maker(captures)(&mut PlanWorker(Inner::There(worker)));
    });
}

/// Takes items and runs the body on them, wherever that is: what the macro's worker closure is given
/// where a plan chooses.
pub struct PlanWorker<'a, 'w, T, R>(Inner<'a, 'w, T, R>);

enum Inner<'a, 'w, T, R> {
    Here(&'a mut Worker<'w, T, R>),
    #[cfg(feature = "process")]
    There(ProcessWorker<'a, T, R>),
}

impl<T, R> PlanWorker<'_, '_, T, R> {
    /// Runs `body` on every item this worker gets: one value an item.
    pub fn run<F: FnMut(T) -> R>(&mut self, body: F) {
        match &mut self.0 {
            Inner::Here(worker) => worker.run(body),
            #[cfg(feature = "process")]
            Inner::There(worker) => worker.run(body),
        }
    }

    /// Like [`run`](Self::run); `judge` says what each value means.
    pub fn run_judged<F, J>(&mut self, body: F, judge: J)
    where
        F: FnMut(T) -> R,
        J: Fn(&R) -> Judgement,
    {
        match &mut self.0 {
            Inner::Here(worker) => worker.run_judged(body, judge),
            #[cfg(feature = "process")]
            Inner::There(worker) => worker.run_judged(body, judge),
        }
    }

    /// From here on an item is copied before it runs, for another try.
    pub fn copying(&mut self)
    where
        T: Copied,
    {
        match &mut self.0 {
            Inner::Here(worker) => worker.copying(),
            #[cfg(feature = "process")]
            Inner::There(worker) => worker.copying(),
        }
    }

    /// From here on items are written down, and those that are finished are not run. False if there is
    /// nothing left to run.
    #[cfg(feature = "journal")]
    pub fn journalling(&mut self) -> bool
    where
        T: JournalItem,
        R: JournalValue,
    {
        match &mut self.0 {
            Inner::Here(worker) => worker.journalling(),
            #[cfg(feature = "process")]
            Inner::There(worker) => worker.journalling(),
        }
    }

    /// Nothing: without the feature there is no journal.
    #[cfg(not(feature = "journal"))]
    pub fn journalling(&mut self) -> bool {
        true
    }

    /// Runs `body` on every item this worker gets: any number of outputs an item.
    pub fn run_emitting<F: FnMut(T, &ItemContext<'_, R>)>(&mut self, body: F) {
        match &mut self.0 {
            Inner::Here(worker) => worker.run_emitting(body),
            #[cfg(feature = "process")]
            Inner::There(worker) => worker.run_emitting(body),
        }
    }
}

impl<T, R> fmt::Debug for PlanWorker<'_, '_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Here(worker) => worker.fmt(f),
            #[cfg(feature = "process")]
            Inner::There(worker) => worker.fmt(f),
        }
    }
}
