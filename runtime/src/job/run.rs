//! How a job gets a thread, runs on it, and hands its place on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::context::StopMarker;
use super::core::{Core, End};
use super::error::JobErrorKind;
use super::line::Left;
use crate::context;
use crate::error::{PanicPayload, drop_caught};
use crate::waits::{self, Queue as _};

#[cfg(all(test, loom))]
use super::loom_tests::spawn;
#[cfg(not(all(test, loom)))]
use crate::threads::spawn;

/// Puts a new job in its queue, and on a thread if it is its turn.
pub(super) fn start(core: &Arc<Core>) {
    #[cfg(all(feature = "ctrl_c", unix))]
    if core.queue().is_some() {
        crate::interrupt::flag::stop_if_late(core.stop_token());
    }
    if let Some(first) = core.queue().and_then(|queue| queue.arrive(core)) {
        launch(first);
    }
    // A stop that came before the job stood in the queue has not found it there.
    if core.stop_token().is_stopping() {
        core.cancel();
    }
}

/// Gives a job that was let in a thread. If there is none, the job waits for the thread of another job of its queue. If
/// none runs there either, it fails and the next is tried.
///
/// False if a job waits again: then no thread is to be had now.
pub(super) fn launch(core: Arc<Core>) -> bool {
    let mut has_threads = true;
    let mut waiting = vec![core];
    while let Some(core) = waiting.pop() {
        let job = Arc::clone(&core);
        if let Err(error) = spawn(Box::new(move || serve(job))) {
            if core.queue().is_some_and(|queue| queue.put_back(&core)) {
                // A stop that came in between has not found it in the queue.
                if core.stop_token().is_stopping() {
                    core.cancel();
                }
                has_threads = false;
                continue;
            }
            let end = discard(&core, JobErrorKind::NoThread(error));
            waiting.extend(end_job(&core, end));
        }
    }
    has_threads
}

/// The work of a thread: a job, then what can run because it has ended.
fn serve(first: Arc<Core>) {
    let mut next = Some(first);
    while let Some(core) = next {
        let end = run(&core);
        next = end_job(&core, end);
    }
}

/// Ends a job that had a place, and answers the one that has it next, if there is one. The place is handed on
/// before the end is seen, so that whoever has waited finds it at home.
fn end_job(core: &Core, end: End) -> Option<Arc<Core>> {
    let left = core.queue().map(|queue| (queue, queue.leave(core.id())));
    core.finish(end);
    match left {
        Some((_, Left::Next(next))) => Some(next),
        // Only now: the lender may have waited for this very end, and need its place itself.
        Some((queue, Left::Lend)) => {
            let let_in = waits::lend_within(queue.key());
            let_in.into_iter().for_each(|it| it());
            None
        }
        Some((_, Left::Nothing)) | None => None,
    }
}

/// Runs the body in the surroundings of its job. All it owned is dropped when this returns.
fn run(core: &Arc<Core>) -> End {
    let body = match core.take_body() {
        Some(body) if !core.stop_token().is_stopping() => body,
        body => return drop_unrun(core, body, JobErrorKind::Stopped),
    };
    core.begin(Some(thread::current().id()));
    let entered = context::enter(core.context());
    let caught = catch_unwind(AssertUnwindSafe(|| body(core)));
    let was_cut_off = context::was_cut_off();
    drop(entered);
    match caught {
        Err(payload) if !payload.is::<StopMarker>() => {
            Err(JobErrorKind::Panicked(PanicPayload::new(payload)))
        }
        Ok(()) if !was_cut_off => Ok(()),
        _ => Err(JobErrorKind::Stopped),
    }
}

/// Drops what a job owns that will not run. `reason` is why it does not.
pub(super) fn discard(core: &Arc<Core>, reason: JobErrorKind) -> End {
    drop_unrun(core, core.take_body(), reason)
}

fn drop_unrun<B>(core: &Arc<Core>, body: B, reason: JobErrorKind) -> End {
    let entered = context::enter(core.context());
    let dropped = drop_caught(body);
    drop(entered);
    match (dropped, reason) {
        (Err(payload), JobErrorKind::Stopped) => Err(JobErrorKind::DropPanicked(payload)),
        (_, reason) => Err(reason),
    }
}
