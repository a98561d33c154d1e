//! Where the workers of a call run.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

pub(crate) use super::backlog::Backlog;
use crate::sync::Mutex;
use crate::threads::{self, Refused, Task};

/// A kind of place that runs the workers of calls.
pub(crate) trait Target: Send + Sync + fmt::Debug {
    /// Starts `task`, on its own: it need not end before another that is started here. If that may
    /// take a while because others run there, the task waits on `desk`.
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()>;

    /// Starts a feeder: on a kept thread, unless it cannot block.
    fn spawn_feeder(&self, task: Task, _: &Arc<Desk>) -> io::Result<()> {
        threads::spawn(task)
    }

    /// Called on a worker's thread before anything of the user's. Panics if the thread is not fit for it.
    fn prepare(&self) {}

    /// In a few words, for somebody who looks where a program hangs.
    fn title(&self) -> String;

    /// The throttle of a call that sets none.
    fn size(&self) -> usize;

    /// Tells `call`, which sets no throttle, when [`size`](Self::size) has changed.
    fn follow(&self, _call: Weak<dyn Resize>) {}

    /// The most that a throttle can be here.
    fn most(&self) -> usize {
        usize::MAX
    }

    /// Whether the threads are somebody else's: a worker then leaves when there is nothing to do,
    /// instead of sleeping, and is launched again.
    fn is_shared(&self) -> bool;

    /// Whether items run on the thread that reads the results.
    fn is_sequential(&self) -> bool {
        false
    }

    /// A worker begins to wait on its thread, at `ahead`, until somebody reads what it has made: until what this
    /// answers is dropped. For those who wait for the thread themselves: where one more thread can be had the worker
    /// lends its own meanwhile.
    fn wait_for_reader(&self, _ahead: &Arc<Backlog>) -> Option<Box<dyn Any>> {
        None
    }

    /// Whether a worker that waits for its reader has to go on all the same, however far it is ahead: all threads
    /// stand like this one, none can be lent, and work of another call is queued for them whose reader waits.
    fn must_go_on(&self) -> bool {
        false
    }

    /// A worker begins to wait on its thread for a place of a throttle, until what this answers is dropped.
    fn wait_for_place(&self) -> Option<Box<dyn Any>> {
        None
    }

    /// Somebody waits for what the workers make, until what this answers is dropped: workers that stand in a
    /// queue are needed.
    fn wait_for_workers(&self) -> Option<Box<dyn Any>> {
        None
    }

    /// Tells the threads that workers run on from all others, where they are somebody else's and no more than
    /// there are: code that runs on one of them may be what the others wait for.
    fn key(&self) -> Option<usize> {
        None
    }

    /// Whether this thread is one of those that workers run on. Waiting on it could be waiting for
    /// itself: it runs the workers of the call it waits for meanwhile, and nothing else.
    fn is_here(&self) -> bool {
        false
    }
}

/// A call whose throttle is the size of what it runs on.
pub(crate) trait Resize: Send + Sync {
    fn resize(&self, size: usize);
}

/// The kept threads of this process.
#[derive(Debug)]
pub(crate) struct Elastic;

impl Target for Elastic {
    fn spawn(&self, task: Task, _: &Arc<Desk>) -> io::Result<()> {
        threads::spawn(task)
    }

    fn title(&self) -> String {
        "threads".to_owned()
    }

    fn size(&self) -> usize {
        super::DEFAULT_THROTTLE
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// The thread that reads the results: one item after the other, when they are asked for. To step
/// through a body with a debugger, or to see whether a fault has to do with threads at all. The
/// input is still taken on a kept thread.
#[derive(Debug)]
pub(crate) struct Sequential;

impl Target for Sequential {
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        desk.put(task);
        Ok(())
    }

    fn title(&self) -> String {
        "the thread of its reader".to_owned()
    }

    fn size(&self) -> usize {
        1
    }

    fn most(&self) -> usize {
        1
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_here(&self) -> bool {
        true
    }

    fn is_sequential(&self) -> bool {
        true
    }
}

/// A kept thread, and no second: one item after the other, in a worker that stays.
#[derive(Debug)]
pub(crate) struct OneThread;

impl Target for OneThread {
    fn spawn(&self, task: Task, _: &Arc<Desk>) -> io::Result<()> {
        threads::spawn(task)
    }

    fn title(&self) -> String {
        "one thread".to_owned()
    }

    fn size(&self) -> usize {
        1
    }

    fn most(&self) -> usize {
        1
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// A target with a throttle of its own for calls that set none.
#[derive(Debug)]
pub(crate) struct Sized<T> {
    target: T,
    size: usize,
}

impl<T> Sized<T> {
    pub(crate) fn new(target: T, size: usize) -> Self {
        Self { target, size }
    }
}

impl<T: Target> Target for Sized<T> {
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        self.target.spawn(task, desk)
    }

    fn title(&self) -> String {
        self.target.title()
    }

    fn size(&self) -> usize {
        self.size
    }

    fn most(&self) -> usize {
        self.target.most()
    }

    fn is_shared(&self) -> bool {
        self.target.is_shared()
    }

    fn wait_for_reader(&self, ahead: &Arc<Backlog>) -> Option<Box<dyn Any>> {
        self.target.wait_for_reader(ahead)
    }

    fn must_go_on(&self) -> bool {
        self.target.must_go_on()
    }

    fn wait_for_place(&self) -> Option<Box<dyn Any>> {
        self.target.wait_for_place()
    }

    fn wait_for_workers(&self) -> Option<Box<dyn Any>> {
        self.target.wait_for_workers()
    }

    fn key(&self) -> Option<usize> {
        self.target.key()
    }

    fn is_here(&self) -> bool {
        self.target.is_here()
    }
}

/// Workers that are launched and not yet begun. Whoever comes first takes one: a thread of the
/// target, or the consumer, if it waits on such a thread.
#[derive(Default)]
pub(crate) struct Desk {
    tasks: Mutex<Vec<Task>>,
}

impl Desk {
    pub(crate) fn put(&self, task: Task) {
        self.tasks.lock().push(task);
    }

    pub(crate) fn has_some(&self) -> bool {
        !self.tasks.lock().is_empty()
    }

    pub(crate) fn take(&self) -> Option<Task> {
        self.tasks.lock().pop()
    }

    /// Runs a task, if nobody has taken it.
    pub(crate) fn run_one(&self) {
        if let Some(task) = self.take() {
            task();
        }
    }

    /// After a stop: no thread of the target needs to come for what only has to be let go.
    pub(crate) fn clear(&self) {
        while let Some(task) = self.take() {
            // The call counts on the task, so that it is never just dropped. Without a thread for it, it stays for a
            // thread of the target, or for the reader, which waits for the end of the call.
            if let Err(Refused { task, .. }) = threads::hand_over(task) {
                self.put(task);
                return;
            }
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.tasks.lock().len();
        f.debug_struct("Desk").field("tasks", &count).finish()
    }
}

/// Starts tasks that may borrow for `'a`.
pub(crate) trait Executor<'a>: Send + Sync {
    /// Starts a worker.
    fn launch(&self, task: Box<dyn FnOnce() + Send + 'a>, desk: &Arc<Desk>) -> io::Result<()>;

    /// Starts a feeder: on a kept thread wherever the workers run, for an input may block.
    fn launch_feeder(
        &self,
        task: Box<dyn FnOnce() + Send + 'a>,
        desk: &Arc<Desk>,
    ) -> io::Result<()>;

    /// The same function for whoever holds it, which they may call and keep no longer than there is
    /// a task of this executor.
    fn outlive(&self, function: Box<dyn Fn() + Send + 'a>) -> Box<dyn Fn() + Send>;

    /// Whether a thread may be left behind that hangs in the user's input when a call is stopped, or in
    /// a body that was given up.
    /// Only where nothing borrowed can be reached from it.
    fn may_leave_behind(&self) -> bool;
}

/// Runs what borrows nothing on a target.
pub(crate) struct Direct(pub(crate) Arc<dyn Target>);

impl Executor<'static> for Direct {
    fn launch(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        self.0.spawn(task, desk)
    }

    fn launch_feeder(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        self.0.spawn_feeder(task, desk)
    }

    fn outlive(&self, function: Box<dyn Fn() + Send>) -> Box<dyn Fn() + Send> {
        function
    }

    fn may_leave_behind(&self) -> bool {
        true
    }
}
