//! In the worker: the body runs on the items that come.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::entry::{ChildIo, CodecReport, Panicked, Sender, What, catch, flush_output};
use super::super::sys::memory::resident;
use super::super::wire::{Kind, Label, SendError};
use crate::context::{self, Context};
use crate::error::drop_quietly;
use crate::judge::Judgement;
use crate::key::CallKey;
use crate::stop::StopToken;

/// When a worker makes room for a fresh one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recycle {
    /// After so many items, over all runs.
    pub(crate) items: Option<u64>,
    /// Once it holds so many bytes more than before its first item.
    pub(crate) growth: Option<u64>,
}

/// What is told of an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// A value follows, and the item has ended.
    Value,
    /// Like `Value`, of an item that has failed.
    Bad,
    /// Like `Bad`, and another try may end better.
    Again,
    /// A value follows.
    Output,
    /// The item has ended without (another) value.
    Ended,
    /// The body has returned after it was told to stop, and has not said that it was done.
    CutOff,
    Panicked(Panicked),
    Codec(CodecReport),
}

impl Told {
    /// What the value that follows means.
    pub(super) fn judgement(&self) -> Judgement {
        match self {
            Self::Again => Judgement::Again,
            Self::Bad => Judgement::Bad,
            _ => Judgement::Good,
        }
    }
}

/// How often a worker looks how much memory it holds.
const LOOK: Duration = Duration::from_millis(10);

/// What a worker process remembers between runs.
#[derive(Debug, Default)]
pub(crate) struct Wear {
    items: u64,
    before: Option<u64>,
    looked: Option<Instant>,
}

impl Wear {
    /// Whether it is time for a fresh worker, after one more item.
    fn is_worn(&mut self, limit: &Recycle) -> bool {
        self.items += 1;
        if limit.items.is_some_and(|items| self.items >= items) {
            return true;
        }
        let Some(growth) = limit.growth else {
            return false;
        };
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return false;
        }
        self.looked = Some(Instant::now());
        let before = self.before.unwrap_or(0);
        resident().is_some_and(|now| now.saturating_sub(before) > growth)
    }
}

/// Unwinds out of a body that is stopped, or whose output cannot be sent.
struct Leave;

/// Takes items and runs the body on them, in a worker process: what the macro's worker closure is given.
pub(crate) struct ItemLoop<'a, T, R> {
    io: &'a mut ChildIo,
    has_run: bool,
    worn: bool,
    types: PhantomData<fn(T) -> R>,
}

/// Serves a run: `run` is given what was captured and the items, and calls [`ItemLoop::run`].
pub(crate) fn serve_items<C, T, R>(io: &mut ChildIo, run: impl FnOnce(C, &mut ItemLoop<'_, T, R>))
where
    C: DeserializeOwned,
{
    let Some(captures) = io.captures::<C>() else {
        return;
    };
    let _entered = context::enter(Context {
        stop: Some(io.stop().clone()),
        job: Some(Arc::new(io.sender.clone())),
        ..Context::default()
    });
    let mut worn = false;
    let ended = catch(|| {
        let mut items = ItemLoop {
            io: &mut *io,
            has_run: false,
            worn: false,
            types: PhantomData,
        };
        run(captures, &mut items);
        worn = items.worn;
    });
    flush_output();
    match ended {
        Ok(()) => io.sender.plain(Kind::Done, &()),
        Err(payload) => Panicked::new(payload).report(&io.sender),
    }
    if worn {
        super::super::entry::leave(0);
    }
}

/// Serves a run: `maker` makes the worker closure of the captures.
#[cfg(test)]
pub(crate) fn serve_run<C, T, R, W>(io: &mut ChildIo, maker: fn(C) -> W)
where
    C: DeserializeOwned,
    W: Fn(&mut ItemLoop<'_, T, R>),
{
    serve_items(io, |captures, items| maker(captures)(items));
}

impl<T: DeserializeOwned, R: Serialize> ItemLoop<'_, T, R> {
    /// Runs `body` on every item this worker gets: one value an item.
    pub(crate) fn run<F: FnMut(T) -> R>(&mut self, mut body: F) {
        self.each(|sender, label, end_follows, item| {
            let value = body(item);
            if context::was_cut_off() {
                return tell_cut_off(sender, label.index, value);
            }
            tell_value(sender, label.index, &Told::Value, value, !end_follows);
        });
    }

    /// Like [`run`](Self::run); `judge` says what each value means.
    pub(crate) fn run_judged<F, J>(&mut self, mut body: F, judge: J)
    where
        F: FnMut(T) -> R,
        J: Fn(&R) -> Judgement,
    {
        self.each(|sender, label, end_follows, item| {
            let value = body(item);
            if context::was_cut_off() {
                return tell_cut_off(sender, label.index, value);
            }
            let told = match judge(&value) {
                Judgement::Good => Told::Value,
                Judgement::Bad => Told::Bad,
                Judgement::Again => Told::Again,
            };
            tell_value(sender, label.index, &told, value, !end_follows);
        });
    }

    /// Runs `body` on every item this worker gets: any number of outputs an item.
    pub(crate) fn run_emitting<F: FnMut(T, &ChildItem<R>)>(&mut self, mut body: F) {
        let stop = self.io.stop().clone();
        let key = self.io.key;
        self.each(|sender, label, _, item| {
            let context = ChildItem {
                key,
                sender: sender.clone(),
                stop: stop.clone(),
                label,
                outputs: PhantomData,
            };
            body(item, &context);
            let told = match context::was_cut_off() {
                true => Told::CutOff,
                false => Told::Ended,
            };
            sender.plain(Kind::Item, &(label.index, told));
        });
    }

    /// Runs `one` on every item. A panic is that item's; so is one while it is read.
    /// `one` is told whether what it sends may go with the end of the run, which then follows at once.
    fn each(&mut self, mut one: impl FnMut(&Sender, Label, bool, T)) {
        self.has_run = true;
        let sender = self.io.sender.clone();
        self.io.wear.before = self.io.wear.before.or_else(resident);
        let mut is_ready = !self.io.bare;
        if is_ready {
            sender.plain(Kind::Ready, &());
        }
        loop {
            let frame = self.io.next();
            let is_short = frame.is_short();
            let mut parcels = match frame.kind {
                Kind::Items => frame.into_parcels(),
                // The end of the run.
                _ => {
                    // The token is that of the process, and a body has stopped it: the next run needs another process.
                    if self.io.stop().is_stopping() {
                        self.retire(&sender);
                    }
                    return;
                }
            };
            // The parent sees whether a short batch has been read; of a long one it has to be told.
            if !std::mem::replace(&mut is_ready, true) && !is_short {
                sender.plain(Kind::Ready, &());
            }
            while let Some((label, parcel, is_last)) = parcels.next() {
                if self.io.stop().is_stopping() {
                    return;
                }
                let end_follows = self.io.bare && is_last && self.io.has_next(Kind::EndRun);
                context::begin_attempt(label.attempt);
                let ended = catch(|| match parcel.value::<T>() {
                    Ok(item) => one(&sender, label, end_follows, item),
                    Err(error) => {
                        let told = Told::Codec(CodecReport::new::<T>(What::Item, &error));
                        sender.plain(Kind::Item, &(label.index, told));
                    }
                });
                if let Err(payload) = ended
                    && !payload.is::<Leave>()
                {
                    let told = Told::Panicked(Panicked::new(payload));
                    sender.plain(Kind::Item, &(label.index, told));
                }
                let ChildIo { wear, recycle, .. } = &mut *self.io;
                let worn = wear.is_worn(recycle);
                if worn {
                    self.retire(&sender);
                    return;
                }
            }
        }
    }

    /// Makes room for a fresh worker.
    fn retire(&mut self, sender: &Sender) {
        self.worn = true;
        flush_output();
        sender.plain(Kind::Retire, &());
    }
}

/// Ends an item without the half a value that its body has made of it.
fn tell_cut_off<R>(sender: &Sender, index: u64, value: R) {
    drop_quietly(value);
    flush_output();
    sender.plain(Kind::Item, &(index, Told::CutOff));
}

/// Sends `value` for an item, `now` or with what is sent next. False if it cannot be sent; that is told
/// as the item's end.
///
/// # Panics
/// With the panic of the value's destructor. Nothing has been told then: the value is gone before its
/// frame is whole, because an item that has been told as good could not fail any more.
fn tell_value<R: Serialize>(sender: &Sender, index: u64, told: &Told, value: R, now: bool) -> bool {
    flush_output();
    let mut dropped = Ok(());
    let sent = sender.with(|writer| {
        let written = writer
            .part(&(index, told))
            .and_then(|_| writer.part(&value));
        dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
        if dropped.is_err() {
            writer.abandon();
            return Ok(());
        }
        if let Err(error) = written {
            writer.abandon();
            return Err(error);
        }
        writer.end(Kind::Item)?;
        match now {
            true => writer.flush().map_err(SendError::Io),
            false => Ok(()),
        }
    });
    if let Err(payload) = dropped {
        resume_unwind(payload);
    }
    if let Err(error) = &sent {
        let told = Told::Codec(CodecReport::new::<R>(What::Output, error));
        sender.plain(Kind::Item, &(index, told));
    }
    sent.is_ok()
}

/// An item of a call in another process, as a body that emits sees it.
pub(crate) trait There<R> {
    /// Hands one output to the consumer. Once the item is to stop, or if the output cannot be sent, it
    /// unwinds out of the body instead.
    fn emit(&self, value: R);
    fn index(&self) -> u64;
    /// Which try this is, from 1.
    fn attempt(&self) -> u32;
    fn stop_token(&self) -> StopToken;
    /// What tells it from every other item.
    fn key(&self) -> String;
}

/// An item that runs in a worker process.
#[derive(Debug)]
pub(crate) struct ChildItem<R> {
    sender: Sender,
    stop: StopToken,
    label: Label,
    key: Option<CallKey>,
    outputs: PhantomData<fn(R)>,
}

impl<R> ChildItem<R> {
    /// Adds a message to the records of the job.
    #[cfg(feature = "cluster")]
    pub(crate) fn note(&self, level: u8, text: String) {
        self.sender.note(level, text);
    }
}

impl<R> Clone for ChildItem<R> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            stop: self.stop.clone(),
            label: self.label,
            key: self.key,
            outputs: PhantomData,
        }
    }
}

impl<R: Serialize> There<R> for ChildItem<R> {
    fn emit(&self, value: R) {
        let goes_on = !self.stop.is_stopping()
            && tell_value(&self.sender, self.label.index, &Told::Output, value, true);
        if !goes_on && cfg!(panic = "unwind") && !std::thread::panicking() {
            resume_unwind(Box::new(Leave));
        }
    }

    fn index(&self) -> u64 {
        self.label.index
    }

    fn attempt(&self) -> u32 {
        self.label.attempt
    }

    fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    fn key(&self) -> String {
        self.key
            .map_or_else(String::new, |key| key.of_item(self.label.index))
    }
}
