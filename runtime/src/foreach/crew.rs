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
    /// Workers that there are, begun or not: never more than the throttle.
    launched: AtomicUsize,
    /// Those of them that have not begun.
    under_way: AtomicUsize,
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
            under_way: AtomicUsize::new(0),
        });
        // This thread counts as well while it holds the crew: it may be the last to let go.
        crew.call.join_crew();
        crew.call.join_crew();
        let member = Arc::clone(&crew);
        let launched = crew
            .executor
            .launch_feeder(Box::new(move || member.serve_as_feeder(feeder)));
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
        // Three things are ordered by this fence and those of the workers: who leaves a new item to
        // a worker that is under way has pushed it before looking at the count, and a worker that
        // begins, or goes for want of items, looks at the queue after it has changed the count.
        fence(Ordering::SeqCst);
        let launched = self.launched.load(Ordering::Relaxed);
        if launched >= self.call.throttle || self.call.to_workers.has_sleeper() {
            return;
        }
        let under_way = self.under_way.load(Ordering::Relaxed);
        if under_way <= launched.saturating_sub(under_way) && self.reserve() {
            self.launch();
        }
    }

    /// Launches a worker on a place that is reserved.
    fn launch(self: &Arc<Self>) {
        self.call.join_crew();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let member = Arc::clone(self);
        let task = Box::new(move || member.serve_as_worker());
        if let Err(error) = self.executor.launch(task, &self.call.desk) {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            // The workers that there are will do; with none the call cannot go on.
            if self.launched.swap(self.call.throttle, Ordering::Relaxed) == 1 {
                self.call.fail(None, Cause::NoThread(error));
            }
            self.call.leave_crew();
        } else if self.call.target.is_shared() {
            if self.call.stop.is_stopping() {
                self.call.desk.clear();
            }
            self.call.to_consumer.notify();
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
        } else if self.call.target.is_shared() {
            self.recruit_if_waiting(0);
        } else if self.pool.waiting() > 0 && self.reserve() {
            self.work();
        }
        drop(entered);
        self.leave();
    }

    fn serve_as_worker(self: Arc<Self>) {
        let entered = self.call.enter();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.recruit_if_waiting(1);
        self.work();
        drop(entered);
        self.leave();
    }

    /// Launches a worker if more than `mine` items wait.
    fn recruit_if_waiting(self: &Arc<Self>, mine: usize) {
        if self.pool.waiting() > mine {
            self.recruit();
        }
    }

    fn worker(&self) -> Worker<T, R> {
        let lane = Lane::new(Arc::clone(&self.call), Arc::clone(&self.outlet));
        Worker::new(Supply::new(Arc::clone(&self.pool)), lane)
    }

    fn work(self: &Arc<Self>) {
        let mut worker = self.worker();
        let ended = if worker.has_work() {
            catch_unwind(AssertUnwindSafe(|| {
                self.call.target.prepare();
                (self.body)(&mut worker);
            }))
        } else {
            Ok(())
        };
        worker.retire(ended);
        if self.call.target.is_shared() {
            self.give_place_back();
        }
    }

    /// A worker goes that may have to come again.
    fn give_place_back(self: &Arc<Self>) {
        self.launched.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !self.call.stop.is_stopping() {
            self.recruit_if_waiting(0);
        }
    }

    /// Lets go of the captured values, then of the call: in this order, so that a call that is over
    /// holds nothing of the user's.
    fn leave(self: Arc<Self>) {
        let call = Arc::clone(&self.call);
        call.note_drop(drop_caught(self));
        call.leave_crew();
    }
}
