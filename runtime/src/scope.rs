//! Parallel calls that borrow: a scope that outlives none of what it lends.
//!
//! The shape is that of [`std::thread::scope`], on kept threads instead of new ones.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::foreach::executor::{Desk, Executor, Target};
use crate::stop::StopToken;
use crate::sync::{Condvar, Mutex};
use crate::threads::{self, Task};

/// A place for calls that borrow and still stream: `within = s` in
/// [`foreach_parallel!`](crate::foreach_parallel). Made by [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    state: Arc<State>,
    stop: StopToken,
    // Invariant in both, so that neither can be shrunk to fit a shorter borrow.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Counts the tasks that may still touch what is borrowed.
#[derive(Default)]
struct State {
    running: Mutex<usize>,
    quiet: Condvar,
}

/// Runs `body` with a [`Scope`] in which parallel calls may borrow everything that lives outside.
///
/// Streaming and borrowing at once needs it; to borrow without streaming, `&items` or `&name` in
/// the call itself is shorter. At the end of `body` every call of the scope that is still running
/// is stopped, and `scope` returns when nothing of them is left. To let one run to its end instead,
/// read it to its end, or [`wait`](crate::Results::wait).
///
/// # Panics
/// With the panic of `body`.
///
/// ```
/// use runspace::foreach_parallel;
///
/// let words = vec!["some", "words", "here"];
/// let total: usize = runspace::scope(|s| {
///     foreach_parallel!(&words, within = s, throttle = 2, |word| word.len()).sum()
/// });
/// assert_eq!(total, 13);
/// ```
pub fn scope<'env, F, V>(body: F) -> V
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> V,
{
    let scope = Scope {
        state: Arc::default(),
        stop: StopToken::for_scope(),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| body(&scope)));
    scope.stop.stop();
    scope.state.wait();
    match result {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}

impl<'scope> Scope<'scope, '_> {
    pub(crate) fn executor(&'scope self, target: &Arc<dyn Target>) -> Scoped<'scope> {
        Scoped {
            state: Arc::clone(&self.state),
            target: Arc::clone(target),
            scope: PhantomData,
        }
    }

    /// A token for one call of the scope: the scope's end stops it.
    pub(crate) fn stop_token(&self) -> StopToken {
        self.stop.child()
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Runs tasks that borrow for `'scope`.
pub(crate) struct Scoped<'scope> {
    state: Arc<State>,
    target: Arc<dyn Target>,
    scope: PhantomData<&'scope mut &'scope ()>,
}

impl<'scope> Scoped<'scope> {
    /// A task that the scope waits for, and that may therefore be called free of borrows.
    fn lend(&self, task: Box<dyn FnOnce() + Send + 'scope>) -> Task {
        // SAFETY: only the lifetime changes. The task, and all it holds, is gone before its
        // `Running` is dropped (see `Lent`), and `scope` does not return before every `Running`
        // is, neither by value nor by panic. Everything that lives for `'scope` outlives that:
        // `'scope` is picked by `scope`'s own signature to last at least as long as its body's
        // call, it is invariant, and nothing else makes a `Scope`.
        let task = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + 'scope>, Task>(task) };
        let lent = Lent {
            task,
            running: Running::new(&self.state),
        };
        Box::new(move || lent.run())
    }
}

impl<'scope> Executor<'scope> for Scoped<'scope> {
    fn launch(&self, task: Box<dyn FnOnce() + Send + 'scope>, desk: &Arc<Desk>) -> io::Result<()> {
        self.target.spawn(self.lend(task), desk)
    }

    fn launch_feeder(
        &self,
        task: Box<dyn FnOnce() + Send + 'scope>,
        _: &Arc<Desk>,
    ) -> io::Result<()> {
        threads::spawn(self.lend(task))
    }

    fn outlive(&self, function: Box<dyn Fn() + Send + 'scope>) -> Box<dyn Fn() + Send> {
        // SAFETY: only the lifetime changes. Who takes it lets go of it while a task of this
        // executor, or the thread that holds the executor, is still running (`Call::leave_crew`
        // drops it, under the lock that is held while it is called, before the last of them goes),
        // so within `'scope`, for the reasons in `lend`.
        unsafe {
            std::mem::transmute::<Box<dyn Fn() + Send + 'scope>, Box<dyn Fn() + Send>>(function)
        }
    }

    fn may_leave_behind(&self) -> bool {
        false
    }
}

/// A task and the mark that it has not ended. Dropped without being run, the task goes first: fields
/// are dropped in the order of their declaration.
struct Lent {
    task: Task,
    running: Running,
}

impl Lent {
    fn run(self) {
        // A local is dropped after what it stands above, on a return as on a panic, and the call
        // consumes the task: so the mark goes last.
        let _running = self.running;
        (self.task)();
    }
}

/// Counts as running for as long as it lives.
struct Running(Arc<State>);

impl Running {
    fn new(state: &Arc<State>) -> Self {
        *state.running.lock() += 1;
        Self(Arc::clone(state))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.0.running.lock();
        *running -= 1;
        if *running == 0 {
            self.0.quiet.notify_all();
        }
    }
}

impl State {
    fn wait(&self) {
        let _waits = crate::debug::wait(|| "the end of all that runs in a scope".to_owned());
        let mut running = self.running.lock();
        while *running > 0 {
            running = self.quiet.wait(running);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::foreach::executor::Elastic;
    use crate::sync::SharedCell;

    /// What a task borrows: loom fails if it is reached when the scope has ended.
    #[derive(Debug)]
    struct Borrowed(SharedCell<usize>);

    // SAFETY: loom lets one thread at a time run, and reports what would be a race.
    unsafe impl Sync for Borrowed {}

    /// Looks at what is borrowed when it goes.
    struct Touch<'a>(&'a Borrowed);

    impl Drop for Touch<'_> {
        fn drop(&mut self) {
            self.0.0.with(|_| ());
        }
    }

    #[test]
    fn a_task_that_nobody_runs_is_gone_before_its_scope() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = model.preemption_bound.or(Some(3));
        model.check(|| {
            let borrowed = Borrowed(SharedCell::new(0));
            let thread = scope(|s| {
                let touch = Touch(&borrowed);
                let target: Arc<dyn Target> = Arc::new(Elastic);
                let task = s.executor(&target).lend(Box::new(move || drop(touch)));
                // As when the system has no thread for it.
                loom::thread::spawn(move || drop(task))
            });
            borrowed.0.with_mut(|_| ());
            thread.join().unwrap();
        });
    }
}
