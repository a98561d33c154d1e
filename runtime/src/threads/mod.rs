//! Elastic threads: as many as there is work for, kept for a while and used again.
//!
//! A task never waits for another task's thread: if no kept thread is idle, one is started. How
//! many tasks there are at once is for the callers to bound (the throttle); a body that blocks
//! costs its own call a slot and others nothing. Starting on a kept thread costs a lock and a
//! wake-up, a fraction of what a new thread costs.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::drop_quietly;
use crate::slot::Slot;
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// What a thread is given to run. Tasks catch their own panics.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// How long a thread without work is kept.
const KEEP: Duration = Duration::from_secs(10);

/// The kept threads.
#[derive(Default)]
pub(crate) struct Threads {
    idle: Mutex<Vec<Arc<Slot<Task>>>>,
}

/// A task that has got no thread, and why. It has not run.
pub(crate) struct Refused {
    pub(crate) error: io::Error,
    pub(crate) task: Task,
}

/// Runs `task` on one of the threads of this process.
///
/// # Errors
/// The system refuses a thread. The task is dropped then; a panic of what it owns stays here, because the caller's
/// own code must not be unwound by it.
pub(crate) fn spawn(task: Task) -> io::Result<()> {
    hand_over(task).map_err(|Refused { error, task }| {
        drop_quietly(task);
        error
    })
}

/// [`spawn`] for a caller that has another use for a task without a thread.
#[cfg(not(loom))]
pub(crate) fn hand_over(task: Task) -> Result<(), Refused> {
    static THREADS: crate::per_process::PerProcess<Arc<Threads>> =
        crate::per_process::PerProcess::new(Arc::default);
    THREADS.spawn(task)
}

#[cfg(loom)]
#[expect(clippy::unnecessary_wraps, reason = "it may fail outside of loom")]
pub(crate) fn hand_over(task: Task) -> Result<(), Refused> {
    loom::thread::spawn(task);
    Ok(())
}

impl Threads {
    /// Runs `task` on an idle thread, the one used last so that the others can go; on a new thread
    /// if all are busy.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn spawn(self: &Arc<Self>, task: Task) -> Result<(), Refused> {
        let started = match self.give(task) {
            Ok(()) => return Ok(()),
            Err(task) => self.start(task),
        };
        // A thread may have come to the end of its task meanwhile.
        started.or_else(|Refused { error, task }| {
            self.give(task).map_err(|task| Refused { error, task })
        })
    }

    /// Gives `task` to an idle thread; it comes back if there is none.
    fn give(&self, task: Task) -> Result<(), Task> {
        let slot = self.idle.lock().pop();
        match slot {
            Some(slot) => {
                slot.give(task);
                Ok(())
            }
            None => Err(task),
        }
    }

    fn start(self: &Arc<Self>, task: Task) -> Result<(), Refused> {
        let threads = Arc::clone(self);
        crate::harness::prepare();
        // The system drops the task of a thread that it refuses: all that goes with it is this share of a place.
        let hand = Arc::new(Mutex::new(Some(task)));
        let theirs = Arc::clone(&hand);
        let serve = move || {
            let task = theirs.lock().take();
            drop(theirs);
            if let Some(task) = task {
                threads.serve(task);
            }
        };
        let builder = std::thread::Builder::new().name("runspace".to_owned());
        let Err(error) = builder.spawn(serve) else {
            return Ok(());
        };
        match hand.lock().take() {
            Some(task) => Err(Refused { error, task }),
            None => Ok(()),
        }
    }

    /// The life of a thread: a task, then whatever comes within [`KEEP`] of the last.
    fn serve(&self, first: Task) {
        let slot = Arc::new(Slot::default());
        let mut task = first;
        loop {
            run(task);
            self.idle.lock().push(Arc::clone(&slot));
            match self.next(&slot) {
                Some(next) => task = next,
                None => return,
            }
        }
    }

    fn next(&self, slot: &Arc<Slot<Task>>) -> Option<Task> {
        if let Some(task) = slot.take(Some(KEEP)) {
            return Some(task);
        }
        let mut idle = self.idle.lock();
        let place = idle.iter().position(|it| Arc::ptr_eq(it, slot));
        match place {
            Some(place) => {
                idle.remove(place);
                None
            }
            // Someone has taken the slot to give it a task just as the time ran out.
            None => {
                drop(idle);
                slot.take(None)
            }
        }
    }

    /// How many threads wait for a task.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.lock().len()
    }
}

/// A task that lets a panic out would end the thread that other tasks count on.
fn run(task: Task) {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
    if let Err(payload) = caught {
        let payload: Box<dyn Any + Send> = payload;
        drop_quietly(payload);
    }
}
