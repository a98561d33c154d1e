//! The threads of a call: who launches them, how many, and in what order they let go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::call::Call;
use super::executor::Executor;
use super::feeder::Feeder;
use super::lane::{Lane, Outlet};
use super::supply::{Pool, Supply};
use super::worker::Worker;
use crate::error::{Cause, drop_caught};
use crate::sync::atomic::{AtomicUsize, Ordering, fence};

/// What the threads of one call share. Holds the worker closure, and with it the captured values;
/// the last thread to leave drops it.
pub(crate) struct Crew<'a, T, R, W> {
    call: Arc<Call>,
    pool: Arc<Pool<T>>,
    outlet: Arc<Outlet<R>>,
    body: W,
    executor: Box<dyn Executor<'a> + 'a>,
    /// Workers launched so far, never more than the throttle.
    launched: AtomicUsize,
    /// Workers that have begun.
    started: AtomicUsize,
}

impl<'a, T, R, W> Crew<'a, T, R, W>
where
    T: Send + 'a,
    R: Send + 'a,
    W: Fn(&mut Worker<T, R>) + Send + Sync + 'a,
{
    /// Starts a call: its feeder first, which sees to the rest.
    pub(crate) fn start<I>(
        call: Arc<Call>,
        outlet: Arc<Outlet<R>>,
        body: W,
        executor: Box<dyn Executor<'a> + 'a>,
        input: I,
    ) where
        I: Iterator<Item = T> + Send + 'a,
    {
        let (pool, queue) = Pool::new();
        let feeder = Feeder::new(Arc::clone(&call), input, queue);
        let crew = Arc::new(Self {
            call,
            pool,
            outlet,
            body,
            executor,
            launched: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
        });
        // This thread counts as well while it holds the crew: it may be the last to let go.
        crew.call.join_crew();
        crew.call.join_crew();
        let member = Arc::clone(&crew);
        let launched = crew
            .executor
            .launch(Box::new(move || member.serve_as_feeder(feeder)));
        if let Err(error) = launched {
            crew.call.fail(None, Cause::NoThread(error));
            crew.call.leave_crew();
        }
        crew.leave();
    }

    /// Launches a worker if there is work for one and nobody about to take it.
    ///
    /// No more are under way at a time than have begun: cheap items are done by the first few
    /// before the others are up, costly ones get all their threads in a few doublings.
    pub(crate) fn recruit(self: &Arc<Self>) {
        let launched = self.launched.load(Ordering::Relaxed);
        if launched >= self.call.throttle || self.call.to_workers.has_sleeper() {
            return;
        }
        // A worker that begins looks at the queue after it has counted itself; whoever leaves a new
        // item to it has pushed before looking at the count.
        fence(Ordering::SeqCst);
        let started = self.started.load(Ordering::Relaxed);
        if launched - started.min(launched) <= started {
            self.launch();
        }
    }

    fn launch(self: &Arc<Self>) {
        if !self.reserve() {
            return;
        }
        self.call.join_crew();
        let member = Arc::clone(self);
        let launched = self
            .executor
            .launch(Box::new(move || member.serve_as_worker()));
        if let Err(error) = launched {
            // The workers that there are will do; with none the call cannot go on.
            if self.launched.swap(self.call.throttle, Ordering::Relaxed) == 1 {
                self.call.fail(None, Cause::NoThread(error));
            }
            self.call.leave_crew();
        }
    }

    /// Takes one of the throttle's places.
    fn reserve(&self) -> bool {
        let up = |it| (it < self.call.throttle).then_some(it + 1);
        let relaxed = Ordering::Relaxed;
        self.launched.fetch_update(relaxed, relaxed, up).is_ok()
    }

    fn serve_as_feeder<I>(self: Arc<Self>, feeder: Feeder<I>)
    where
        I: Iterator<Item = T> + Send + 'a,
    {
        let entered = self.call.enter();
        feeder.feed(&self);
        if self.call.stop.is_stopping() {
            // What nobody takes any more is ended, which is no running of items.
            self.worker().retire(Ok(()));
        } else if self.pool.waiting() > 0 && self.reserve() {
            self.work();
        }
        drop(entered);
        self.leave();
    }

    fn serve_as_worker(self: Arc<Self>) {
        let entered = self.call.enter();
        self.work();
        drop(entered);
        self.leave();
    }

    fn worker(&self) -> Worker<T, R> {
        let lane = Lane::new(Arc::clone(&self.call), Arc::clone(&self.outlet));
        Worker::new(Supply::new(Arc::clone(&self.pool)), lane)
    }

    fn work(self: &Arc<Self>) {
        self.started.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mut worker = self.worker();
        if self.pool.waiting() > 1 {
            self.recruit();
        }
        let ended = if worker.has_work() {
            catch_unwind(AssertUnwindSafe(|| (self.body)(&mut worker)))
        } else {
            Ok(())
        };
        worker.retire(ended);
    }

    /// Lets go of the captured values, then of the call: in this order, so that a call that is over
    /// holds nothing of the user's.
    fn leave(self: Arc<Self>) {
        let call = Arc::clone(&self.call);
        call.note_drop(drop_caught(self));
        call.leave_crew();
    }
}
