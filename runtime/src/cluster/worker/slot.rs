//! The places of a worker in which items run: a thread each, with a body of its own.

use std::collections::{HashMap, VecDeque};
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use super::super::message::{Announcement, Meaning, Said};
use crate::context::{self, Context, CurrentJob};
use crate::error::drop_quietly;
use crate::judge::Judgement;
use crate::key::CallKey;
use crate::process::entry::{CodecReport, Note, Panicked, What, catch, flush_output};
use crate::process::pool::{Pool, There};
use crate::process::wire::{from_bytes, to_bytes};
use crate::stop::StopToken;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// How many outputs of a run may be under way to the server before bodies wait.
const UNDER_WAY: usize = 256;

/// An item that a worker has been given.
#[derive(Debug)]
pub(crate) struct Work {
    /// Tells it from every other that the worker has had of this run.
    pub(crate) token: u64,
    pub(crate) index: u64,
    pub(crate) attempt: u32,
    pub(crate) limit: Option<Duration>,
    pub(crate) value: Bytes,
    /// How many outputs it has had.
    pub(crate) emitted: Arc<AtomicU64>,
}

/// Something that has come of an item.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) token: u64,
    pub(crate) index: u64,
    pub(crate) attempt: u32,
    pub(crate) number: u64,
    pub(crate) said: Said,
    pub(crate) took: Duration,
    pub(crate) value: Vec<u8>,
}

/// A run that a worker serves, as its slots see it.
pub(crate) struct Serving {
    pub(crate) announcement: Announcement,
    pub(crate) captures: Bytes,
    pub(crate) stop: StopToken,
    /// The processes that items run in, if they do.
    pub(crate) isolation: Option<Pool>,
    made: UnboundedSender<Made>,
    queue: Mutex<Queue>,
    work: Condvar,
    flow: Arc<Flow>,
}

/// How many outputs of a run are under way to the server: of all its items, wherever in the worker they run.
#[derive(Default)]
pub(crate) struct Flow {
    under_way: Mutex<usize>,
    less: Condvar,
}

impl Flow {
    /// An output has arrived, or never will.
    pub(crate) fn flowed(&self) {
        let mut under_way = self.under_way.lock();
        *under_way = under_way.saturating_sub(1);
        drop(under_way);
        self.less.notify_one();
    }

    /// Waits until an output may be sent.
    fn may_flow(&self, stop: &StopToken) {
        let mut under_way = self.under_way.lock();
        while *under_way >= UNDER_WAY && !stop.is_stopping() {
            under_way = self
                .less
                .wait_timeout(under_way, Duration::from_millis(100))
                .0;
        }
        *under_way += 1;
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    running: HashMap<u64, Running>,
    /// How many threads there may be, as it was said last.
    slots: usize,
    /// Threads that have a slot, and those of them that wait for work.
    threads: usize,
    idle: usize,
    last_slot: u64,
    /// No item starts any more.
    closed: bool,
    /// The longest of the items lately, in its decline: what the next may take.
    pace: Option<Duration>,
}

/// What runs in a slot.
struct Running {
    token: u64,
    index: u64,
    attempt: u32,
    since: Instant,
    limit: Option<Duration>,
    stop: Option<StopToken>,
    emitted: Arc<AtomicU64>,
}

impl Serving {
    pub(crate) fn new(
        announcement: Announcement,
        captures: Bytes,
        stop: StopToken,
        isolation: Option<Pool>,
        made: UnboundedSender<Made>,
        flow: Arc<Flow>,
    ) -> Arc<Self> {
        Arc::new(Self {
            announcement,
            captures,
            stop,
            isolation,
            made,
            queue: Mutex::default(),
            work: Condvar::new(),
            flow,
        })
    }

    /// Has an item run as soon as one of `slots` is free.
    pub(crate) fn push(self: &Arc<Self>, work: Work, slots: usize) {
        let mut queue = self.queue.lock();
        queue.slots = slots;
        queue.waiting.push_back(work);
        self.staff(queue);
    }

    /// Sees to it that somebody comes for what waits: a thread without work, or one more.
    fn staff(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        let wanted = queue.waiting.len() > queue.idle && queue.threads < queue.slots;
        if !wanted {
            drop(queue);
            return self.work.notify_one();
        }
        queue.threads += 1;
        queue.last_slot += 1;
        let slot = queue.last_slot;
        drop(queue);
        let own = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("slot {slot}"));
        if thread.spawn(move || own.serve(slot)).is_err() {
            let mut queue = self.queue.lock();
            queue.threads -= 1;
            // Those that there are will come for it.
            let nobody = queue.threads == 0;
            let left = if nobody {
                queue.waiting.drain(..).collect()
            } else {
                Vec::new()
            };
            drop(queue);
            for work in left {
                let said = Said::Crashed("the system gives its worker no thread".to_owned());
                self.tell((work.token, work.index, work.attempt), 0, said, Vec::new());
            }
        }
    }

    /// The thread of a slot has gone, or has it no more. What came while it was going has counted on it.
    fn leave(self: &Arc<Self>, threads: usize) {
        let mut queue = self.queue.lock();
        queue.threads -= threads;
        if !queue.waiting.is_empty() {
            self.staff(queue);
        }
    }

    /// The life of a slot.
    fn serve(self: Arc<Self>, slot: u64) {
        let body = self.announcement.body;
        let mut io = SlotIo {
            serving: Arc::clone(&self),
            slot,
            first: None,
            is_given_up: false,
        };
        // So that what a worker makes for itself is made only where an item needs it.
        io.first = io.take();
        if let Some(first) = &io.first {
            let first = (first.token, first.index, first.attempt);
            let ended = catch(|| {
                let _entered = context::enter(io.context(self.stop.clone(), first));
                body.run(&mut io)
            });
            let said = match ended {
                // A stop came before there was a process for it.
                Ok(true) => Said::NotRun,
                Ok(false) => Said::NoState(Panicked {
                    message: "no such code is in this program".to_owned(),
                    location: None,
                    within: None,
                }),
                Err(payload) => Said::NoState(Panicked::new(payload)),
            };
            if io.first.is_some() {
                self.queue.lock().running.remove(&slot);
                self.tell(first, 0, said, Vec::new());
            }
        }
        if !io.is_given_up {
            self.leave(1);
        }
    }

    fn tell(
        &self,
        (token, index, attempt): (u64, u64, u32),
        number: u64,
        said: Said,
        value: Vec<u8>,
    ) {
        let took = Duration::ZERO;
        let _ = self.made.send(Made {
            token,
            index,
            attempt,
            number,
            said,
            took,
            value,
        });
    }

    /// Takes the items back that have not begun.
    pub(crate) fn take_waiting(&self) -> Vec<Work> {
        self.queue.lock().waiting.drain(..).collect()
    }

    /// From now on nothing starts. Answers what has not begun.
    pub(crate) fn close(&self) -> Vec<Work> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let waiting = queue.waiting.drain(..).collect();
        drop(queue);
        self.work.notify_all();
        waiting
    }

    /// How many items to have in hand for `slots`: one for each, or what they do in a millisecond.
    pub(crate) fn depth(&self, slots: usize) -> usize {
        const AHEAD: Duration = Duration::from_millis(1);
        const MOST: u128 = 64;
        let pace = self.queue.lock().pace;
        let each = match pace {
            Some(pace) => (AHEAD.as_nanos() / pace.as_nanos().max(1)).clamp(1, MOST),
            None => 1,
        };
        slots.saturating_mul(usize::try_from(each).unwrap_or(1))
    }

    /// Ends the items that are out of time. Answers when to look again.
    pub(crate) fn give_up_late(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        if self.isolation.is_some() {
            return None; // their processes are ended, and say so
        }
        let mut queue = self.queue.lock();
        let due = |it: &Running| Some(it.since + it.limit?);
        let late: Vec<u64> = queue
            .running
            .iter()
            .filter(|(_, it)| due(it).is_some_and(|due| due <= now))
            .map(|(slot, _)| *slot)
            .collect();
        let mut tokens = Vec::new();
        let mut given_up = 0;
        for slot in late {
            let Some(it) = queue.running.remove(&slot) else {
                continue;
            };
            given_up += 1;
            let limit = it.limit.unwrap_or_default();
            let item = (it.token, it.index, it.attempt);
            let number = it.emitted.load(Ordering::SeqCst);
            self.tell(item, number, Said::TimedOut(limit), Vec::new());
            tokens.extend(it.stop);
        }
        let next = queue.running.values().filter_map(due).min();
        drop(queue);
        if given_up > 0 {
            // Their threads have a slot no more.
            self.leave(given_up);
        }
        tokens.iter().for_each(StopToken::stop);
        next
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving")
            .field("run", &self.announcement.run)
            .finish_non_exhaustive()
    }
}

/// A slot, as the function that serves a body has it.
pub(crate) struct SlotIo {
    serving: Arc<Serving>,
    slot: u64,
    first: Option<Work>,
    /// The item took too long, and the slot is another thread's.
    is_given_up: bool,
}

impl SlotIo {
    /// The processes that items are to run in, if they are.
    pub(crate) fn isolation(&self) -> Option<&Pool> {
        self.serving.isolation.as_ref()
    }

    pub(crate) fn stop(&self) -> &StopToken {
        &self.serving.stop
    }

    /// The key of the call that the items are of.
    pub(crate) fn call(&self) -> CallKey {
        self.serving.announcement.key
    }

    /// For what is said of the item in hand by others than its body.
    pub(crate) fn recorder(&self) -> SlotRecorder {
        SlotRecorder {
            serving: Arc::clone(&self.serving),
            slot: self.slot,
        }
    }

    /// Sends an output of the item in hand.
    pub(crate) fn output(&self, work: &Work, value: Vec<u8>) {
        self.serving.flow.may_flow(&self.serving.stop);
        let item = (work.token, work.index, work.attempt);
        let number = work.emitted.fetch_add(1, Ordering::SeqCst);
        self.serving.tell(item, number, Said::Output, value);
    }

    /// What the body has captured.
    ///
    /// # Panics
    /// If it cannot be read, in words for the caller of the loop.
    pub(crate) fn captures<C: DeserializeOwned>(&self) -> C {
        match from_bytes(&self.serving.captures) {
            Ok(captures) => captures,
            Err(error) => panic!(
                "the captured values (of type `{}`) cannot be read: {error}",
                std::any::type_name::<C>()
            ),
        }
    }

    /// Waits for an item. `None` when there will be none for this slot.
    fn take(&self) -> Option<Work> {
        /// How long a thread without work stays.
        const IDLE: Duration = Duration::from_secs(10);
        let mut queue = self.serving.queue.lock();
        let until = Instant::now() + IDLE;
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                queue.running.insert(
                    self.slot,
                    Running {
                        token: work.token,
                        index: work.index,
                        attempt: work.attempt,
                        since: Instant::now(),
                        limit: work.limit,
                        stop: work.limit.map(|_| self.serving.stop.child()),
                        emitted: Arc::clone(&work.emitted),
                    },
                );
                return Some(work);
            }
            let left = until.saturating_duration_since(Instant::now());
            if queue.closed || left.is_zero() {
                return None;
            }
            queue.idle += 1;
            queue = self.serving.work.wait_timeout(queue, left).0;
            queue.idle -= 1;
        }
    }

    pub(crate) fn next(&mut self) -> Option<Work> {
        if self.is_given_up {
            return None;
        }
        self.first.take().or_else(|| self.take())
    }

    /// The token that stops the item in hand.
    pub(crate) fn item_stop(&self) -> StopToken {
        let queue = self.serving.queue.lock();
        let running = queue.running.get(&self.slot);
        let own = running.and_then(|it| it.stop.clone());
        own.unwrap_or_else(|| self.serving.stop.clone())
    }

    fn context(&self, stop: StopToken, (token, index, attempt): (u64, u64, u32)) -> Context {
        Context {
            stop: Some(stop),
            job: Some(Arc::new(Noting {
                serving: Arc::clone(&self.serving),
                item: (token, index, attempt),
            })),
            attempt,
            ..Context::default()
        }
    }

    /// Ends the item in hand.
    pub(crate) fn end(&mut self, work: &Work, said: Said, value: Vec<u8>) {
        let mut queue = self.serving.queue.lock();
        let is_mine = |it: &Running| it.token == work.token;
        if !queue.running.get(&self.slot).is_some_and(is_mine) {
            self.is_given_up = true;
            return;
        }
        let took = queue
            .running
            .remove(&self.slot)
            .map_or(Duration::ZERO, |it| it.since.elapsed());
        // One that is slow counts at once, quick ones only by and by.
        queue.pace = Some(match queue.pace {
            Some(before) if took < before => before - (before - took) / 8,
            _ => took,
        });
        drop(queue);
        let number = match said {
            // Nobody waits for what it has emitted.
            Said::Stopped | Said::NotRun => 0,
            _ => work.emitted.load(Ordering::SeqCst),
        };
        let _ = self.serving.made.send(Made {
            token: work.token,
            index: work.index,
            attempt: work.attempt,
            number,
            said,
            took,
            value,
        });
    }

    /// Sends an output of the item in hand. False once it is to stop.
    fn emit(serving: &Serving, stop: &StopToken, work: &Emits, value: Vec<u8>) -> bool {
        if stop.is_stopping() {
            return false;
        }
        serving.flow.may_flow(&serving.stop);
        let item = (work.token, work.index, work.attempt);
        let number = work.number.fetch_add(1, Ordering::SeqCst);
        serving.tell(item, number, Said::Output, value);
        true
    }
}

impl std::fmt::Debug for SlotIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotIo")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// Adds to the records of the job that a slot runs.
pub(crate) struct SlotRecorder {
    serving: Arc<Serving>,
    slot: u64,
}

impl SlotRecorder {
    /// Between two items nobody is there to be told.
    pub(crate) fn note(&self, note: Note) {
        let queue = self.serving.queue.lock();
        let running = queue.running.get(&self.slot);
        let item = running.map(|it| (it.token, it.index, it.attempt));
        drop(queue);
        if let Some(item) = item {
            self.serving.tell(item, 0, Said::Note(note), Vec::new());
        }
    }
}

/// What code on a slot belongs to: the call or the job of the client.
struct Noting {
    serving: Arc<Serving>,
    item: (u64, u64, u32),
}

impl CurrentJob for Noting {
    fn note(&self, level: u8, text: String) {
        let said = Said::Note(Note::now(level, text));
        self.serving.tell(self.item, 0, said, Vec::new());
    }
}

/// An item that emits.
struct Emits {
    token: u64,
    index: u64,
    attempt: u32,
    number: Arc<AtomicU64>,
}

/// The end of an item: what is said of it, and its value.
type End = (Said, Vec<u8>);

/// Unwinds out of a body that is stopped, or whose output cannot be written.
struct Leave(Option<CodecReport>);

/// The items of a slot: what the macro's worker closure takes them from.
pub(crate) struct SlotLoop<'a, T, R> {
    io: &'a mut SlotIo,
    types: PhantomData<fn(T) -> R>,
}

impl<'a, T: DeserializeOwned, R: Serialize> SlotLoop<'a, T, R> {
    pub(crate) fn new(io: &'a mut SlotIo) -> Self {
        Self {
            io,
            types: PhantomData,
        }
    }

    /// Runs `body` on every item: one value an item.
    pub(crate) fn run(&mut self, body: &mut dyn FnMut(T) -> R) {
        self.run_judged(body, &|_| Judgement::Good);
    }

    /// Like [`run`](Self::run); `judge` says what each value means.
    pub(crate) fn run_judged(
        &mut self,
        body: &mut dyn FnMut(T) -> R,
        judge: &dyn Fn(&R) -> Judgement,
    ) {
        self.each(&mut |_, item, _| {
            let value = body(item);
            if context::was_cut_off() {
                drop_quietly(value);
                return (Said::Stopped, Vec::new());
            }
            let meaning = Meaning::from(judge(&value));
            match written(&value) {
                Ok(bytes) => (Said::Value(meaning), bytes),
                Err(report) => (Said::Codec(report), Vec::new()),
            }
        });
    }

    /// Runs `body` on every item: any number of outputs an item.
    pub(crate) fn run_emitting(&mut self, body: &mut dyn FnMut(T, Arc<SlotItem<R>>)) {
        let serving = Arc::clone(&self.io.serving);
        self.each(&mut |work, item, stop| {
            let emits = Emits {
                token: work.token,
                index: work.index,
                attempt: work.attempt,
                number: Arc::clone(&work.emitted),
            };
            let context = Arc::new(SlotItem {
                serving: Arc::clone(&serving),
                stop: stop.clone(),
                emits,
                outputs: PhantomData,
            });
            body(item, context);
            let said = match context::was_cut_off() {
                true => Said::Stopped,
                false => Said::Ended,
            };
            (said, Vec::new())
        });
    }

    fn each(&mut self, one: &mut dyn FnMut(&Work, T, &StopToken) -> End) {
        while let Some(work) = self.io.next() {
            let stop = self.io.item_stop();
            let item = (work.token, work.index, work.attempt);
            let entered = context::enter(self.io.context(stop.clone(), item));
            let ended = catch(|| match from_bytes::<T>(&work.value) {
                Ok(item) => one(&work, item, &stop),
                Err(error) => {
                    let report = CodecReport::new::<T>(What::Item, &error);
                    (Said::Codec(report), Vec::new())
                }
            });
            drop(entered);
            flush_output();
            let (said, value) = match ended {
                Ok(end) => end,
                Err(payload) => match payload.downcast::<Leave>() {
                    Ok(leave) => match leave.0 {
                        Some(report) => (Said::Codec(report), Vec::new()),
                        None => (Said::Stopped, Vec::new()),
                    },
                    Err(payload) => (Said::Panicked(Panicked::new(payload)), Vec::new()),
                },
            };
            self.io.end(&work, said, value);
        }
    }
}

fn written<R: Serialize>(value: &R) -> Result<Vec<u8>, CodecReport> {
    to_bytes(value).map_err(|error| CodecReport::new::<R>(What::Output, &error))
}

/// An item that runs on a slot, as a body that emits sees it.
pub(crate) struct SlotItem<R> {
    serving: Arc<Serving>,
    stop: StopToken,
    emits: Emits,
    outputs: PhantomData<fn(R)>,
}

impl<R: Serialize> There<R> for SlotItem<R> {
    fn emit(&self, value: R) {
        let left = match written(&value) {
            Ok(bytes) => match SlotIo::emit(&self.serving, &self.stop, &self.emits, bytes) {
                true => return,
                false => Leave(None),
            },
            Err(report) => Leave(Some(report)),
        };
        if cfg!(panic = "unwind") && !std::thread::panicking() {
            resume_unwind(Box::new(left));
        }
    }

    fn index(&self) -> u64 {
        self.emits.index
    }

    fn attempt(&self) -> u32 {
        self.emits.attempt
    }

    fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    fn key(&self) -> String {
        self.serving.announcement.key.of_item(self.emits.index)
    }
}

impl<R> SlotItem<R> {
    /// Adds a message to the records of the job.
    pub(crate) fn note(&self, level: u8, text: String) {
        let item = (self.emits.token, self.emits.index, self.emits.attempt);
        let said = Said::Note(Note::now(level, text));
        self.serving.tell(item, 0, said, Vec::new());
    }
}

impl<R> std::fmt::Debug for SlotItem<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotItem")
            .field("index", &self.emits.index)
            .finish_non_exhaustive()
    }
}
