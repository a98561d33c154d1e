//! In the child: the body runs, and what comes of it goes to the parent.

use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::entry::{ChildIo, Panicked, Sender, catch, flush_output};
use super::super::wire::Kind;
use crate::context::{self, Context};
use crate::stop::StopToken;

/// Unwinds out of a body that is stopped, or whose output cannot be sent.
struct Leave;

/// Serves a body with one value.
pub(crate) fn serve_call<C: DeserializeOwned, T: Serialize>(io: &mut ChildIo, body: fn(C) -> T) {
    let Some(captures) = io.captures_of_job::<C>() else {
        return;
    };
    let sender = io.sender.clone();
    run(io, || {
        let value = body(captures);
        let was_cut_off = context::was_cut_off();
        flush_output();
        let sent = sender.value(Kind::Output, &value);
        // Before the end is told: a job whose destructor panics has failed.
        drop(value);
        if sent {
            sender.plain(Kind::Done, &was_cut_off);
        }
    });
}

/// Serves a body that emits its values: `run` calls it with what was captured and its job.
pub(crate) fn serve_job<C: DeserializeOwned, T: Serialize>(
    io: &mut ChildIo,
    body: impl FnOnce(C, ChildJob<T>),
) {
    let Some(captures) = io.captures_of_job::<C>() else {
        return;
    };
    let job = ChildJob {
        sender: io.sender.clone(),
        stop: io.stop().clone(),
        outputs: PhantomData,
    };
    let sender = io.sender.clone();
    run(io, || {
        body(captures, job);
        let was_cut_off = context::was_cut_off();
        flush_output();
        sender.plain(Kind::Done, &was_cut_off);
    });
}

/// Serves a body that emits its values.
#[cfg(test)]
pub(crate) fn serve_emitting<C: DeserializeOwned, T: Serialize>(
    io: &mut ChildIo,
    body: fn(C, &ChildJob<T>),
) {
    serve_job(io, |captures, job| body(captures, &job));
}

fn run(io: &mut ChildIo, body: impl FnOnce()) {
    let _entered = context::enter(Context {
        stop: Some(io.stop().clone()),
        job: Some(Arc::new(io.sender.clone())),
        ..Context::default()
    });
    if let Err(payload) = catch(body) {
        flush_output();
        // The parent knows of a stop, and of an output that could not be sent.
        if !payload.is::<Leave>() {
            Panicked::new(payload).report(&io.sender);
        }
    }
}

/// The job that runs, as a body in a process of its own sees it.
#[derive(Debug)]
pub(crate) struct ChildJob<T> {
    sender: Sender,
    stop: StopToken,
    outputs: PhantomData<fn(T)>,
}

impl<T: Serialize> ChildJob<T> {
    /// Hands one output to whoever holds the job. Once the job is being stopped, or if the output
    /// cannot be sent, it unwinds out of the body instead.
    pub(crate) fn emit(&self, value: T) {
        let goes_on = !self.stop.is_stopping() && self.sender.value(Kind::Output, &value);
        if !goes_on && cfg!(panic = "unwind") && !std::thread::panicking() {
            resume_unwind(Box::new(Leave));
        }
    }
}

impl<T> ChildJob<T> {
    #[cfg(test)]
    pub(crate) fn stopping(&self) -> bool {
        self.stop.is_stopping()
    }

    pub(crate) fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    /// Adds a message of this level.
    pub(crate) fn note(&self, level: u8, text: impl Into<String>) {
        self.sender.note(level, text.into());
    }
}
