//! The threads of a call: who launches them, how many, and in what order they let go.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::{Call, Grow};
use super::entry::Queue;
use super::executor::Executor;
use super::exit::Exit;
use super::feeder::Feeder;
use super::hand::Own;
use super::lane::{Lane, Outlet};
use super::shelf::Shelf;
use super::source::{Source, Workers};
use super::supply::{Entry, Pool, Supply};
use super::worker::{Retired, Worker};
use crate::error::{Cause, PanicPayload, drop_caught};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// The macro's worker closure. Each worker enters it once, so a call through a pointer costs nothing
/// there, and what is compiled for a call of the macro ends here: all below is compiled once for each
/// type of item and result.
pub(crate) type Work<'a, T, R> = Box<dyn Fn(&mut Worker<'_, T, R>) + Send + Sync + 'a>;

/// What the threads of one call share. Holds the worker closure, and with it the captured values;
/// the last thread to leave drops it.
pub(crate) struct Crew<'a, T, R> {
    call: Arc<Call>,
    door: Door<'a, T>,
    pool: Arc<Pool<T>>,
    outlet: Arc<Outlet<R>>,
    body: Work<'a, T, R>,
    executor: Box<dyn Executor<'a> + 'a>,
    /// Those of them that have not begun.
    under_way: Arc<AtomicUsize>,
    /// There is or was somebody who calls for workers when there is room again.
    has_keeper: AtomicBool,
}

/// Where the items come from.
enum Door<'a, T> {
    Queue(Arc<Queue<T>>),
    Shelf(Shelf<'a, T>),
}

impl<'a, T: Send + 'a> Door<'a, T> {
    /// The door of a call, and the feeder if it needs one.
    fn new(call: &Arc<Call>, input: Box<dyn Source<T> + 'a>) -> (Self, Option<Feeder<'a, T>>) {
        // With limits items are taken one by one, and what of the input is left at the end is counted.
        let takes_itself = input.is_at_hand() && call.control.is_none() && !call.runs_elsewhere;
        if takes_itself {
            call.set_takes_itself();
            (Self::Shelf(Shelf::new(Arc::clone(call), input)), None)
        } else {
            let (queue, inlet) = Queue::new();
            let feeder = Feeder::new(Arc::clone(call), input, inlet);
            (Self::Queue(queue), Some(feeder))
        }
    }
}

impl<'a, T: Send + 'a, R: Send + 'a> Entry<T> for Arc<Crew<'a, T, R>> {
    fn waiting(&self) -> usize {
        match &self.door {
            Door::Queue(queue) => queue.waiting(),
            Door::Shelf(shelf) => shelf.waiting(),
        }
    }

    fn draw(&self, most: usize, own: &mut Own<T>) {
        match &self.door {
            Door::Queue(queue) => queue.draw(most, own),
            Door::Shelf(shelf) => shelf.draw(most, own),
        }
    }

    #[cfg(feature = "process")]
    fn begun(&self) {
        Crew::begun(self);
    }

    fn share(&self, has_more: bool) {
        // What is left in a queue is the feeder's to see to.
        let shelf = match &self.door {
            Door::Shelf(shelf) => Some(shelf),
            Door::Queue(_) => None,
        };
        if (has_more || shelf.is_some()) && !self.call.is_full() {
            self.recruit();
        }
        match shelf {
            Some(shelf) if shelf.waiting() > 0 => self.call.to_workers.notify(),
            _ => self.call.to_workers.hint(),
        }
    }
}

impl<'a, T: Send + 'a, R: Send + 'a> Workers for Arc<Crew<'a, T, R>> {
    fn recruit(&self) {
        Crew::recruit(self);
    }

    fn recruit_if_waiting(&self, mine: usize) {
        Crew::recruit_if_waiting(self, mine);
    }
}

impl<'a, T: Send + 'a, R: Send + 'a> Crew<'a, T, R> {
    /// Starts a call: its feeder first, which sees to the rest, or its first worker.
    pub(crate) fn start(
        call: Arc<Call>,
        outlet: Arc<Outlet<R>>,
        body: Work<'a, T, R>,
        executor: Box<dyn Executor<'a> + 'a>,
        input: Box<dyn Source<T> + 'a>,
    ) {
        let (door, feeder) = Door::new(&call, input);
        let pool = Pool::new(Arc::clone(&call.set_aside));
        let under_way = Arc::clone(&call.under_way);
        let crew = Arc::new(Self {
            call,
            door,
            pool,
            outlet,
            body,
            executor,
            under_way,
            has_keeper: AtomicBool::new(false),
        });
        // This thread counts as well while it holds the crew: it may be the last to let go.
        crew.call.join_crew();
        crew.call.set_grow(Some(crew.grow()));
        let is_watched = !crew.needs_supervisor() || crew.start_helper(Self::serve_as_supervisor);
        match (feeder, is_watched) {
            (Some(feeder), true) => crew.start_feeder(feeder),
            (Some(feeder), false) => feeder.give_up(),
            (None, _) => crew.recruit_if_waiting(0),
        }
        crew.leave();
    }

    /// Starts a thread of the call that is no worker. Without one the call fails; answers whether there is one.
    fn start_helper(self: &Arc<Self>, serve: impl FnOnce(Arc<Self>) + Send + 'a) -> bool {
        self.call.join_crew();
        let member = Arc::clone(self);
        let task = Box::new(move || member.guarded(serve));
        let launched = self.executor.launch_feeder(task, &self.call.desk);
        if let Err(error) = launched {
            self.call.fail(None, Cause::NoThread(error));
            self.call.leave_crew();
            return false;
        }
        true
    }

    /// Starts the feeder. Without a thread for it the input is let go here, because a task that is refused is dropped
    /// where a panic of what it owns would be lost, or would unwind the caller.
    fn start_feeder(self: &Arc<Self>, feeder: Feeder<'a, T>) {
        let hand = Arc::new(Mutex::new(Some(feeder)));
        let theirs = Arc::clone(&hand);
        let is_there = self.start_helper(move |crew| {
            let feeder = theirs.lock().take();
            drop(theirs);
            match feeder {
                Some(feeder) => crew.serve_as_feeder(feeder),
                None => crew.leave(),
            }
        });
        if !is_there {
            let feeder = hand.lock().take();
            if let Some(feeder) = feeder {
                feeder.give_up();
            }
        }
    }

    /// For others to launch a worker, as long as there is a crew.
    fn grow(self: &Arc<Self>) -> Grow {
        let crew = Arc::downgrade(self);
        self.executor.outlive(Box::new(move || {
            if let Some(crew) = crew.upgrade() {
                crew.recruit_if_waiting(0);
                let call = Arc::clone(&crew.call);
                call.note_drop(drop_caught(crew));
            }
        }))
    }

    fn needs_supervisor(&self) -> bool {
        let is_here = !self.call.runs_elsewhere;
        let control = self.call.control.as_ref();
        control.is_some_and(|it| it.needs_supervisor(is_here))
    }

    /// Launches a worker if there is work for one and nobody about to take it.
    ///
    /// No more are under way at a time than have begun: cheap items are done by the first few
    /// before the others are up, costly ones get all their threads in a few doublings.
    fn recruit(self: &Arc<Self>) {
        // Three things are ordered by this fence and those of the workers: who leaves a new item to
        // a worker that is under way has pushed it before looking at the count, and a worker that
        // begins, or goes for want of items, looks at the queue after it has changed the count.
        fence(Ordering::SeqCst);
        let launched = self.call.launched.load(Ordering::Relaxed);
        if launched >= self.call.places()
            || self.call.to_workers.has_sleeper()
            || self.call.shortage.forbids(launched)
        {
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
        self.under_way.fetch_add(1, Ordering::SeqCst);
        if self.call.target.is_shared() {
            // Those that wait for their reader may have taken it for one that is there already.
            self.call.tell_if_stuck();
        }
        let member = Arc::clone(self);
        let task = Box::new(move || member.guarded(Self::serve_as_worker));
        if let Err(error) = self.executor.launch(task, &self.call.desk) {
            self.go_on_without(error);
            return;
        }
        self.call.shortage.note_started();
        if self.call.target.is_shared() {
            if self.call.is_closed() {
                self.call.desk.clear();
            }
            self.call.to_consumer.notify();
        }
    }

    /// A worker could not be launched. The workers that there are will do; with none the call cannot go on.
    ///
    /// Its place is given back before anything else is decided: what is counted are workers that will look for items
    /// before they are counted out, so the one who counts out the last has to see to what waits.
    fn go_on_without(self: &Arc<Self>, error: io::Error) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let left = self.call.launched.fetch_sub(1, Ordering::SeqCst) - 1;
        self.call.tell_if_stuck();
        let shortage = &self.call.shortage;
        shortage.note_refused(left, self.call.places(), &error);
        if left == 0 && self.has_left() {
            self.call.fail(None, Cause::NoThread(error));
        }
        self.call.leave_crew();
    }

    /// Takes one of the throttle's places.
    fn reserve(&self) -> bool {
        let up = |it| (it < self.call.places()).then_some(it + 1);
        let relaxed = Ordering::Relaxed;
        self.call
            .launched
            .fetch_update(relaxed, relaxed, up)
            .is_ok()
    }

    fn serve_as_feeder(self: Arc<Self>, feeder: Feeder<'a, T>) {
        let entered = self.call.enter();
        feeder.feed(&self);
        if self.call.is_closed() {
            // What nobody takes any more is ended, which is no running of items.
            let _ = self.worker().retire(Ok(()));
        } else if self.call.target.is_shared() {
            self.recruit_if_waiting(0);
        } else if self.waiting() > 0 && self.reserve() {
            self.note_working();
            self.work(false);
        }
        drop(entered);
        self.leave();
    }

    /// On threads that are somebody else's workers do not wait for room for items. Before the first of them leaves
    /// for want of it, there has to be somebody who stays.
    fn see_to_keeper(self: &Arc<Self>) {
        let takes_itself = matches!(self.door, Door::Shelf(_)) && self.call.target.is_shared();
        let is_over = self.call.is_closed() || self.call.input_ended();
        if takes_itself && !is_over && !self.has_keeper.swap(true, Ordering::Relaxed) {
            self.start_helper(Self::serve_as_keeper);
        }
    }

    /// Calls for a worker whenever there is room for items and none of them is there.
    fn serve_as_keeper(self: Arc<Self>) {
        let call = &self.call;
        let is_over = || call.is_closed() || call.input_ended();
        while !is_over() {
            self.recruit_if_waiting(0);
            call.to_feeder.wait(|| {
                let wants_one = || {
                    let under_way = self.under_way.load(Ordering::Relaxed);
                    under_way == 0 && !call.is_full() && self.waiting() > 0
                };
                (is_over() || wants_one()).then_some(())
            });
        }
        self.leave();
    }

    fn serve_as_worker(self: Arc<Self>) {
        let entered = self.call.enter();
        // Where a worker needs a process it has begun when that is there: its own thread counts against the same limit
        // of the system, and many of them would leave no room for what they are there for.
        let begins_later = self.call.runs_elsewhere && !self.call.has_one_worker;
        if !begins_later {
            self.begun();
        }
        self.work(begins_later);
        drop(entered);
        self.leave();
    }

    /// A worker that was under way has begun.
    fn begun(self: &Arc<Self>) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        self.note_working();
        fence(Ordering::SeqCst);
        self.recruit_if_waiting(1);
    }

    fn note_working(&self) {
        let launched = self.call.launched.load(Ordering::SeqCst);
        let under_way = self.under_way.load(Ordering::SeqCst);
        let working = launched.saturating_sub(under_way);
        self.call.shortage.note_working(working);
    }

    /// Launches a worker if more than `mine` items wait.
    fn recruit_if_waiting(self: &Arc<Self>, mine: usize) {
        if self.waiting() > mine && !self.call.is_closed() {
            self.recruit();
        }
    }

    /// How many items there are that no worker has. May be a moment out of date.
    fn waiting(self: &Arc<Self>) -> usize {
        Entry::waiting(self).saturating_add(self.pool.delayed())
    }

    /// Whether there are items that were taken from the input, or can be, and have not begun.
    fn has_left(self: &Arc<Self>) -> bool {
        self.waiting() > 0 || self.pool.has_in_hand()
    }

    fn worker(self: &Arc<Self>) -> Worker<'_, T, R> {
        let lane = Lane::new(Arc::clone(&self.call), Arc::clone(&self.outlet));
        Worker::new(Supply::new(self, Arc::clone(&self.pool)), lane)
    }

    fn work(self: &Arc<Self>, is_under_way: bool) {
        let mut worker = self.worker();
        worker.set_under_way(is_under_way);
        let ended = if worker.has_work() {
            catch_unwind(AssertUnwindSafe(|| {
                self.call.target.prepare();
                (self.body)(&mut worker);
            }))
        } else {
            Ok(())
        };
        let has_begun = !worker.is_under_way();
        let retired = worker.retire(ended);
        if retired == Retired::WithPlace {
            self.call.launched.fetch_sub(1, Ordering::SeqCst);
        }
        if !has_begun {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        match retired {
            Retired::Abandoned => self.come_back(),
            Retired::Surplus => {}
            Retired::WithPlace => self.look_behind(),
        }
    }

    /// A thread is back from an item that was given up. Its place is long another's.
    fn come_back(&self) {
        if let Some(control) = &self.call.control {
            control.come_back();
        }
    }

    /// Watches over the time of the items and of the call.
    fn serve_as_supervisor(self: Arc<Self>) {
        let lane = Lane::new(Arc::clone(&self.call), Arc::clone(&self.outlet));
        let exit = Exit::new(lane, Arc::clone(&self.pool));
        // Asked anew each time: who has been given up leaves while another is launched for the item.
        while let (Some(next), false) =
            (self.look_at_the_time(&exit), self.call.has_only_watchers())
        {
            if let Some(control) = &self.call.control {
                control.watch_until(next);
            }
        }
        drop(exit);
        if self.call.is_closed() {
            // What waits for another try after everybody else has looked.
            let _ = self.worker().retire(Ok(()));
        }
        self.leave();
    }

    /// Gives up what is out of time. Answers when to look again.
    fn look_at_the_time(self: &Arc<Self>, exit: &Exit<T, R>) -> Option<Option<Instant>> {
        let control = self.call.control.as_ref()?;
        let now = Instant::now();
        if let Some(throttle) = control.next_throttle(now) {
            self.call.set_throttle(throttle);
        }
        if control.passes_deadline(now) {
            // First: what waits must not take the place of what is given up.
            self.call.close();
        }
        if control.passed_deadline().is_some() {
            // More than once: one may have been about to begin.
            let cause = || self.call.end_came_first(true);
            self.give_up_overdue(exit, Duration::ZERO, now, cause);
            self.call.stop.stop();
        } else if let Some(limit) = control.time_limit() {
            self.give_up_overdue(exit, limit, now, || Cause::TimedOut(limit));
        }
        let slots = self.pool.slots.lock();
        let oldest = slots.iter().filter_map(|slot| slot.since()).min();
        drop(slots);
        Some(control.next_look(now, oldest))
    }

    /// Ends the items that have run for `limit` or longer, whatever their bodies do.
    fn give_up_overdue(
        self: &Arc<Self>,
        exit: &Exit<T, R>,
        limit: Duration,
        now: Instant,
        cause: impl Fn() -> Cause,
    ) {
        let slots = self.pool.slots.lock().clone();
        for slot in slots {
            let abandon = || {
                if let Some(control) = &self.call.control {
                    control.abandon();
                }
            };
            let Some((mut run, mark)) = slot.take_overdue(limit, now, abandon) else {
                continue;
            };
            self.pool.forget(&slot);
            self.call.launched.fetch_sub(1, Ordering::SeqCst);
            if let Some(mark) = mark {
                exit.lane.join(run.index, mark);
            }
            let token = run.token.take();
            exit.fail(run, cause());
            exit.lane.flush_now();
            if let Some(token) = token {
                token.stop();
            }
            self.call.tell_emitters();
            // Another takes its place, if there is anything to do.
            fence(Ordering::SeqCst);
            self.recruit_if_waiting(0);
        }
    }

    /// A worker goes whose place is free from now on, and which may have to come again: an item that came after its
    /// last look may have been left to it, as one of the workers that were counted.
    fn look_behind(self: &Arc<Self>) {
        self.call.tell_if_stuck();
        fence(Ordering::SeqCst);
        if !self.call.is_closed() && (self.waiting() > 0 || self.pool.has_in_hand()) {
            self.recruit();
        } else {
            self.see_to_keeper();
        }
    }

    /// Runs a thread of the crew, which leaves the crew by itself. One that unwinds instead ends the call in
    /// words and is counted out, because a call whose crew is never complete would never end.
    fn guarded(self: Arc<Self>, serve: impl FnOnce(Arc<Self>)) {
        let call = Arc::clone(&self.call);
        let caught = catch_unwind(AssertUnwindSafe(|| serve(self)));
        if let Err(payload) = caught {
            call.fail(None, Cause::Panicked(PanicPayload::new(payload)));
            call.stop.stop();
            call.leave_crew();
        }
    }

    /// Lets go of the captured values, then of the call: in this order, so that a call that is over
    /// holds nothing of the user's.
    ///
    /// What nobody has taken from a call that has ended is ended first, by whoever leaves.
    fn leave(self: Arc<Self>) {
        if self.call.is_closed() && self.has_left() {
            let _ = self.worker().retire(Ok(()));
        }
        let call = Arc::clone(&self.call);
        call.note_drop(drop_caught(self));
        call.wait_for_growth();
        call.leave_crew();
    }
}
