//! Where the workers of a call run.

use std::io;

use crate::threads;

/// Something that runs tasks, each on its own, none waiting for another to end.
pub(crate) trait Executor<'a>: Send + Sync {
    /// Starts `task`, soon and beside what runs already.
    fn launch(&self, task: Box<dyn FnOnce() + Send + 'a>) -> io::Result<()>;

    /// Whether a thread that hangs in the user's input may be left behind when a call is stopped.
    /// Only where nothing borrowed can be reached from it.
    fn may_leave_input_behind(&self) -> bool;
}

/// The kept threads of this process.
pub(crate) struct Elastic;

impl Executor<'static> for Elastic {
    fn launch(&self, task: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        threads::spawn(task)
    }

    fn may_leave_input_behind(&self) -> bool {
        true
    }
}
