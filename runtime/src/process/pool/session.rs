//! One place of a run: a worker at a time, and the items it is sent.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::Failure;
use super::super::child::{Handle, Lines, Patience};
use super::super::entry::{Body, CodecReport, Note, Order, What};
use super::super::link::{Link, Start, unread};
use super::super::wire::{FrameError, Kind, Label, SendError, to_bytes};
use super::shared::{Place, Pool};
use super::there::Told;
use crate::context;
use crate::debug;
use crate::judge::Judgement;
#[cfg(feature = "cluster")]
use crate::key::CallKey;
use crate::stop::{OnStop, StopToken};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// A body and its captures, for all workers of one call.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) start: Start,
    order: Order,
    /// Written once, sent to each worker.
    captures: Vec<u8>,
    /// Sessions that have a worker or are about to get one, and will look for more items.
    on_duty: AtomicUsize,
    /// A worker has been ready for items.
    has_begun: AtomicBool,
    /// Nothing of the user's runs for it but the body, on its items.
    bare: bool,
}

impl Run {
    /// `has_state` says whether a worker makes something of its own before its first item. If not, and
    /// if nothing is captured either, an item is the first thing that can go wrong in a worker.
    pub(crate) fn new<C: Serialize>(
        start: Start,
        body: Body,
        captures: &C,
        has_state: bool,
    ) -> Result<Self, Failure> {
        let written = to_bytes(captures);
        let captures = written
            .map_err(|error| Failure::write(CodecReport::new::<C>(What::Captures, &error)))?;
        Ok(Self {
            start,
            order: Order::new(body, context::current().job.is_some()),
            captures,
            on_duty: AtomicUsize::new(0),
            has_begun: AtomicBool::new(false),
            bare: !has_state && size_of::<C>() == 0,
        })
    }

    /// The same as part of a call with this key.
    #[cfg(feature = "cluster")]
    pub(crate) fn with_key(mut self, key: CallKey) -> Self {
        self.order.key = key;
        self
    }

    /// Whether other sessions go on where one can have no worker, for this reason. They do if nothing
    /// is wrong with the run itself: the system gives no more processes, or workers die at their
    /// start when they did not always. An item that was put back before this is asked is seen by one
    /// of them.
    pub(crate) fn goes_on_without(&self, failure: &Failure) -> bool {
        let may = match failure {
            Failure::NoProcess(_) => true,
            Failure::Crashed(_) | Failure::NoHello(_) => self.has_begun.load(Ordering::Relaxed),
            _ => false,
        };
        fence(Ordering::SeqCst);
        may && self.on_duty.load(Ordering::SeqCst) > 0
    }
}

/// A session of a run goes on.
#[derive(Debug)]
struct Duty(Arc<Run>);

impl Duty {
    fn new(run: &Arc<Run>) -> Self {
        run.on_duty.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(run))
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.0.on_duty.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

/// An item, in this process.
#[derive(Debug)]
pub(crate) struct Item<T> {
    pub(crate) index: u64,
    /// Which try this is, from 1.
    pub(crate) attempt: u32,
    pub(crate) value: T,
    /// How much of its time it has taken to write it, where there is a limit.
    pub(crate) spent: Duration,
}

/// What comes of an item.
#[derive(Debug)]
pub(crate) enum Outcome<T, R> {
    /// Its value, and its end. The item comes back, to be tried again perhaps.
    Value(Item<T>, R, Judgement),
    /// One of its outputs.
    Output(u64, R),
    /// Its end, without (another) value.
    Ended(Item<T>),
    /// It has failed. The item comes back, to be tried again perhaps.
    Failed(Item<T>, Failure),
    /// A message of the body on whichever item runs.
    Note(Note),
}

impl<T, R> Outcome<T, R> {
    /// The item whose end it is.
    pub(crate) fn ends(&self) -> Option<u64> {
        match self {
            Self::Value(item, ..) | Self::Ended(item) | Self::Failed(item, _) => Some(item.index),
            Self::Output(..) | Self::Note(_) => None,
        }
    }
}

/// One place of a run.
pub(crate) struct Session<T, R> {
    run: Arc<Run>,
    place: Place,
    lines: Arc<dyn Lines>,
    worker: Option<Link>,
    /// One that has been sent nothing of the run yet.
    hired: Option<Link>,
    duty: Option<Duty>,
    /// Workers that have died, one after the other, before they had what they were sent.
    lost: u32,
    control: Arc<Control>,
    pace: Pace,
    /// The next batch is expected to be the last.
    last: bool,
    /// The worker has been told that the run has no more items.
    told_end: bool,
    /// What came of a run that ended early, after a last batch that was not the last.
    late: Option<Failure>,
    types: PhantomData<fn(T) -> R>,
}

/// What a stop acts on.
#[derive(Debug)]
struct Control {
    current: Mutex<Target>,
    patience: Patience,
}

#[derive(Debug, Default)]
struct Target {
    worker: Option<Handle>,
    stopped: bool,
}

/// Sees which process works in a session.
pub(crate) struct Watch(Arc<Control>);

impl Watch {
    /// `None` while there is none.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.0.current.lock().worker.as_ref().map(Handle::pid)
    }
}

impl OnStop for Control {
    fn on_stop(&self) {
        let mut target = self.current.lock();
        target.stopped = true;
        let worker = target.worker.clone();
        drop(target);
        if let Some(worker) = worker {
            worker.stop(self.patience);
        }
    }
}

/// How many workers are started one after the other, if each dies before its first item.
const TRIES: u32 = 3;

/// The same once a worker of the run has been ready: the run itself is not what they die of.
const LATER_TRIES: u32 = 10;

impl<T: Serialize, R: DeserializeOwned> Session<T, R> {
    /// Waits for a place in `pool`, after `wait` if there is none now. `None` when `stop` is stopped
    /// before. A stop later on ends the worker: politely first, see [`Patience`].
    pub(crate) fn open(
        pool: &Pool,
        run: Arc<Run>,
        lines: Arc<dyn Lines>,
        stop: &StopToken,
        wait: impl FnOnce(),
    ) -> Option<Self> {
        let place = pool.place(stop, wait)?;
        let control = Arc::new(Control {
            current: Mutex::default(),
            patience: pool.options().patience,
        });
        stop.listen(&control);
        Some(Self {
            run,
            place,
            lines,
            worker: None,
            hired: None,
            duty: None,
            lost: 0,
            control,
            pace: Pace::default(),
            last: false,
            told_end: false,
            late: None,
            types: PhantomData,
        })
    }

    /// Says that the next batch is expected to be the last: the end of the run then goes with it, and
    /// its answer comes with those of the items. Should there be another batch after all, it runs.
    pub(crate) fn expect_end(&mut self) {
        self.last = true;
    }

    /// Has a worker process come up beside whatever is done until the first batch.
    ///
    /// # Errors
    /// There is none to be had, as for [`batch`](Self::batch).
    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
        self.duty.get_or_insert_with(|| Duty::new(&self.run));
        let hired = self.place.worker(&self.run.start, &self.lines);
        self.hired = Some(hired.inspect_err(|_| self.duty = None)?);
        Ok(())
    }

    /// Where to see which process works here.
    pub(crate) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.control))
    }

    /// How many items make a batch now: one at first, and as many as take about half a millisecond
    /// when that is known.
    pub(crate) fn batch_size(&self) -> usize {
        let most = self.place.options().recycle.items.unwrap_or(u64::MAX);
        self.pace
            .batch
            .min(usize::try_from(most).unwrap_or(usize::MAX))
            .max(1)
    }

    /// Tells what the worker has printed so far, a line that has begun too: its item has ended.
    #[cfg(feature = "cluster")]
    pub(crate) fn flush(&self) {
        let worker = self.control.current.lock().worker.clone();
        if let Some(worker) = worker {
            worker.flush();
        }
    }

    /// Tells which process runs the items, while one does.
    #[cfg(feature = "journal")]
    pub(crate) fn process(&self) -> impl Fn() -> Option<u32> + use<T, R> {
        let control = Arc::clone(&self.control);
        move || Some(control.current.lock().worker.as_ref()?.pid())
    }

    /// Runs the first `count` of `items` on the worker, which is started if need be, and tells `out`
    /// what comes of them. Those that are still in `items` afterwards have not run: when the worker
    /// has died or made room for a fresh one, the next call goes on with them.
    ///
    /// # Errors
    /// No worker can be had for this run; nothing of what is left in `items` will run. Or it was
    /// stopped.
    pub(crate) fn batch(
        &mut self,
        items: &mut VecDeque<Item<T>>,
        count: usize,
        limit: Option<Duration>,
        out: &mut dyn FnMut(Outcome<T, R>),
    ) -> Result<(), Failure> {
        self.duty.get_or_insert_with(|| Duty::new(&self.run));
        // Alone, to see whether it is this item that no worker survives.
        let count = if self.lost == 0 { count } else { 1 };
        let handed = self.hand_over(items, count, limit, out);
        let Sent {
            mut worker,
            count: sent,
            since,
            told_end,
        } = match handed.inspect_err(|_| self.duty = None)? {
            Handed::Over(sent) => sent,
            Handed::Lost(worker) => return self.not_sent(&worker, items, out),
        };
        self.lost = 0;
        self.told_end = told_end;
        self.last &= !told_end;
        self.pace.wait_for_most(sent);
        let done = receive(&mut worker, items, sent, limit, self.control.patience, out);
        match done {
            Done::All => {
                self.pace.record(since.elapsed(), sent);
                self.worker = Some(worker);
                Ok(())
            }
            Done::Retired => {
                worker.left();
                self.dismiss()
            }
            Done::Failed(failure) => {
                drop(worker);
                let stopped = self.control.current.lock().stopped;
                if let Some(item) = items.pop_front() {
                    let failure = if stopped { Failure::Stopped } else { failure };
                    out(Outcome::Failed(item, failure));
                }
                self.dismiss()
            }
        }
    }

    /// The worker has died before it had the whole batch: it has not begun. A worker may die at any
    /// time, but if several do so of the same item, as when there is no memory for it, it is that one.
    fn not_sent(
        &mut self,
        worker: &Link,
        items: &mut VecDeque<Item<T>>,
        out: &mut dyn FnMut(Outcome<T, R>),
    ) -> Result<(), Failure> {
        self.lost += 1;
        if self.lost >= TRIES && !self.control.current.lock().stopped {
            self.lost = 0;
            let failure = worker.lost();
            if let Some(item) = items.pop_front() {
                out(Outcome::Failed(item, failure));
            }
        }
        self.dismiss()
    }

    /// The worker is gone.
    fn dismiss(&mut self) -> Result<(), Failure> {
        let mut target = self.control.current.lock();
        target.worker = None;
        match target.stopped {
            true => Err(Failure::Stopped),
            false => Ok(()),
        }
    }

    /// Sends a batch to the worker, or to a new one.
    fn hand_over(
        &mut self,
        items: &mut VecDeque<Item<T>>,
        count: usize,
        limit: Option<Duration>,
        out: &mut dyn FnMut(Outcome<T, R>),
    ) -> Result<Handed, Failure> {
        if self.told_end {
            let ended = self.end_run(&mut |note| out(Outcome::Note(note)));
            self.late = self.late.take().or(ended.err());
        }
        if let Some(mut worker) = self.worker.take() {
            let since = Instant::now();
            let batch = send(&mut worker, items, count, limit, self.last, out);
            return Ok(Handed::new(worker, batch, since));
        }
        let mut tries = 0;
        loop {
            let failure = match self.hire(items, count, limit, out) {
                // One that takes too long to come up is not tried again: that would take as long.
                Err(failure @ (Failure::Crashed(_) | Failure::NoHello(_))) => failure,
                other => return other,
            };
            tries += 1;
            let most = match self.run.has_begun.load(Ordering::Relaxed) {
                true => LATER_TRIES,
                false => TRIES,
            };
            if tries >= most {
                return Err(failure);
            }
            if tries >= TRIES {
                // Whatever kills them may pass.
                std::thread::sleep(Duration::from_millis(1 << (tries - TRIES)));
            }
        }
    }

    /// Finds a worker, and sends it the run and the first batch. It was ready for it, or could have been.
    fn hire(
        &mut self,
        items: &mut VecDeque<Item<T>>,
        count: usize,
        limit: Option<Duration>,
        out: &mut dyn FnMut(Outcome<T, R>),
    ) -> Result<Handed, Failure> {
        if self.control.current.lock().stopped {
            return Err(Failure::Stopped);
        }
        let mut worker = match self.hired.take() {
            Some(worker) => worker,
            None => self.place.worker(&self.run.start, &self.lines)?,
        };
        let mut target = self.control.current.lock();
        if target.stopped {
            return Err(Failure::Stopped);
        }
        target.worker = Some(worker.handle().clone());
        drop(target);
        // Where nothing else can go wrong, and no clock has to be started, it need not say that it is ready.
        let bare = self.run.bare && worker.is_proven() && limit.is_none();
        let order = Order {
            bare,
            ..self.run.order
        };
        worker.write_run(order, &self.run.captures)?;
        let before = Instant::now();
        // The items go with the run: nearly every worker gets ready for them, and to wait until it
        // says so would cost as much as an item does.
        let batch = send(&mut worker, items, count, limit, self.last, out);
        let begun = match &batch {
            Some(batch) if bare && batch.count == 0 => Ok(()),
            Some(batch) if bare && batch.is_short => worker.wait_for_answer(),
            None if bare => return Ok(Handed::Lost(worker)),
            _ => wait_until_ready(&mut worker, out),
        };
        match begun {
            // It could have been ready: it has died of what it was sent, or by chance.
            Err(Failure::Crashed(_)) if bare => return Ok(Handed::Lost(worker)),
            begun => begun?,
        }
        self.run.has_begun.store(true, Ordering::Relaxed);
        let since = if bare { before } else { Instant::now() };
        Ok(Handed::new(worker, batch, since))
    }

    /// There seem to be no more items. One that is put back by a session without a worker is seen by
    /// whoever looks after this.
    pub(crate) fn off_duty(&mut self) {
        self.duty = None;
    }

    /// The run has no more items for this place: the worker drops its state, and goes back to the pool.
    ///
    /// # Errors
    /// The state panicked while it was dropped, or the worker died of it.
    pub(crate) fn finish(mut self, out: &mut dyn FnMut(Note)) -> Result<(), Failure> {
        let ended = self.end_run(out);
        self.late.take().map_or(ended, Err)
    }

    fn end_run(&mut self, out: &mut dyn FnMut(Note)) -> Result<(), Failure> {
        let Some(mut worker) = self.worker.take() else {
            return Ok(());
        };
        if !std::mem::take(&mut self.told_end) {
            // If it has left already, what it has said before tells whether it was free to.
            let _ = worker.writer().send(Kind::EndRun, &());
        }
        let pid = worker.handle().pid();
        let mut retired = false;
        // With the answer of the last item, all that was printed has been read.
        let mut may_have_printed = !self.run.bare;
        let end = loop {
            may_have_printed |= !worker.has_next();
            let frame = match worker.next() {
                Ok(frame) => frame,
                Err(_) if retired => break Ok(()),
                // Nothing of the user's was left to run there: as with an idle worker, nothing is lost.
                Err(Failure::Crashed(_)) if self.run.bare => {
                    retired = true;
                    break Ok(());
                }
                Err(failure) => return Err(failure),
            };
            match frame.kind {
                Kind::Done => break Ok(()),
                Kind::Retire => retired = true,
                Kind::Panicked => {
                    let strange = Failure::Nonsense(FrameError::Kind(Kind::Panicked as u8));
                    break Err(frame.value().map_or(strange, Failure::Panicked));
                }
                // The state that goes, and threads that a body has left behind, may have something to say.
                Kind::Record => match frame.value::<Note>() {
                    Ok(note) => out(note.said_in(pid)),
                    Err(_) => return Err(Failure::Nonsense(FrameError::Kind(Kind::Record as u8))),
                },
                kind => return Err(Failure::Nonsense(FrameError::Kind(kind as u8))),
            }
        };
        if may_have_printed {
            worker.handle().drain();
        }
        self.control.current.lock().worker = None;
        if retired {
            worker.left();
        } else if !worker.handle().was_stopped() {
            self.place.give_back(worker, &self.run.start);
        }
        end
    }
}

/// What came of sending a batch.
enum Handed {
    Over(Sent),
    /// The worker has gone before it had all.
    Lost(Link),
}

impl Handed {
    fn new(worker: Link, batch: Option<Batch>, since: Instant) -> Self {
        match batch {
            Some(Batch {
                count, told_end, ..
            }) => Self::Over(Sent {
                worker,
                count,
                since,
                told_end,
            }),
            None => Self::Lost(worker),
        }
    }
}

/// A batch that has been sent.
struct Batch {
    /// How many items it has.
    count: usize,
    /// It went in one piece.
    is_short: bool,
    /// The end of the run went with it.
    told_end: bool,
}

/// A batch that is under way.
struct Sent {
    worker: Link,
    /// How many items it has.
    count: usize,
    /// When the worker could begin with them.
    since: Instant,
    told_end: bool,
}

/// Waits until a worker has made what its items need, and tells `out` what that has noted.
fn wait_until_ready<T, R>(
    worker: &mut Link,
    out: &mut dyn FnMut(Outcome<T, R>),
) -> Result<(), Failure> {
    let pid = worker.handle().pid();
    loop {
        let frame = worker.next()?;
        let strange = Failure::Nonsense(FrameError::Kind(frame.kind as u8));
        match frame.kind {
            Kind::Ready => return Ok(()),
            Kind::Record => match frame.value() {
                Ok(note) => out(Outcome::Note(Note::said_in(note, pid))),
                Err(_) => return Err(strange),
            },
            Kind::Panicked => return Err(frame.value().map_or(strange, Failure::Panicked)),
            Kind::Codec => return Err(frame.value().map_or(strange, Failure::there)),
            _ => return Err(strange),
        }
    }
}

/// Sends the first `count` of `items`, without those that cannot be written within their time `limit`, whose
/// end that is; and the end of the run if they are all and the `last`. `None` if the worker has gone before it had all.
fn send<T: Serialize, R>(
    worker: &mut Link,
    items: &mut VecDeque<Item<T>>,
    count: usize,
    limit: Option<Duration>,
    last: bool,
    out: &mut dyn FnMut(Outcome<T, R>),
) -> Option<Batch> {
    /// More than this is not put together in memory.
    const FULL: usize = 1 << 20;
    let mut sent = 0;
    while sent < count && sent < items.len() && worker.writer().body_len() < FULL {
        let Item {
            index,
            attempt,
            value,
            spent,
        } = &mut items[sent];
        let label = Label {
            index: *index,
            attempt: *attempt,
        };
        let since = limit.map(|limit| (limit, Instant::now()));
        let start = worker.writer().body_len();
        match worker.writer().parcel(label, value) {
            Ok(()) => {
                if let Some((limit, since)) = since {
                    *spent = since.elapsed();
                    if *spent >= limit {
                        worker.writer().take_back(start);
                        if let Some(item) = items.remove(sent) {
                            out(Outcome::Failed(item, Failure::TimedOut(limit)));
                        }
                        continue;
                    }
                }
                sent += 1;
            }
            Err(SendError::Io(_)) => return None,
            Err(error) => {
                let failure = worker.not_sent::<T>(What::Item, error);
                if let Some(item) = items.remove(sent) {
                    out(Outcome::Failed(item, failure));
                }
            }
        }
    }
    let writer = worker.writer();
    let is_short = writer.is_short();
    if sent == 0 {
        writer.abandon();
    } else {
        writer.end(Kind::Items).ok()?;
    }
    let told_end = last && sent == items.len();
    // A worker that has all of its items may have begun: that it dies before it hears of the end is no reason to send
    // them to another one.
    let may_have_begun = sent > 0 && writer.has_sent_all();
    let ended = match told_end {
        true => writer.frame(Kind::EndRun, &()).is_ok(),
        false => true,
    };
    if !(ended && writer.flush().is_ok() || may_have_begun) {
        return None;
    }
    Some(Batch {
        count: sent,
        is_short,
        told_end,
    })
}

/// Why there is nothing more to receive.
enum Done {
    /// All items have ended.
    All,
    /// The worker makes room for a fresh one; what is left has not run.
    Retired,
    /// The first item that is left has failed with the worker.
    Failed(Failure),
}

/// The items that a worker was sent and has not answered, in words.
fn sent_items<T>(pid: u32, items: &VecDeque<Item<T>>, left: usize) -> String {
    let first = items.front().map_or(0, |it| it.index);
    let behind = match left.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} behind it"),
    };
    format!("an answer of process {pid} to item {first}, which it was sent{behind}")
}

/// Takes in what comes of the first `sent` of `items`, and takes those that have ended off.
fn receive<T, R: DeserializeOwned>(
    worker: &mut Link,
    items: &mut VecDeque<Item<T>>,
    sent: usize,
    limit: Option<Duration>,
    patience: Patience,
    out: &mut dyn FnMut(Outcome<T, R>),
) -> Done {
    let handle = worker.handle().clone();
    let pid = handle.pid();
    let mut left = sent;
    let mut since = Instant::now();
    // An item that has failed by one of its outputs while its body goes on: what else comes of it is dropped.
    let mut spoilt = None;
    while left > 0 {
        // Anew for each: how long it lasts is how long this item has run.
        let _waits = debug::wait(|| sent_items(pid, items, left));
        let waits = !worker.has_next();
        let spent = items.front().map_or(Duration::ZERO, |it| it.spent);
        let end = limit.and_then(|it| since.checked_add(it.saturating_sub(spent)));
        let mut frame = match worker.next_until(end) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                handle.drain();
                worker.stop(patience);
                handle.wait(None);
                return Done::Failed(Failure::TimedOut(limit.unwrap_or_default()));
            }
            // The worker has gone with the spoilt item, and those behind it have not begun.
            Err(_) if spoilt.is_some() => return Done::Retired,
            Err(failure) => return Done::Failed(failure),
        };
        if waits {
            // What an item has printed is told before its end is.
            handle.drain();
        }
        let strange = Failure::Nonsense(FrameError::Kind(frame.kind as u8));
        match frame.kind {
            Kind::Item => {}
            Kind::Record => {
                match frame.value() {
                    Ok(note) => out(Outcome::Note(Note::said_in(note, pid))),
                    Err(_) => return Done::Failed(strange),
                }
                continue;
            }
            // Of a run whose first batch had nothing in it that could be sent.
            Kind::Ready => continue,
            Kind::Retire => return Done::Retired,
            // The body has stopped its token, which is that of the call.
            Kind::Done => return Done::Failed(Failure::Stopped),
            _ => return Done::Failed(strange),
        }
        let Ok((index, told)) = frame.part::<(u64, Told)>() else {
            return Done::Failed(strange);
        };
        if spoilt == Some(index) {
            if !matches!(told, Told::Output) {
                spoilt = None;
                since = Instant::now();
            }
            continue;
        }
        if spoilt.is_some() || items.front().is_none_or(|it| it.index != index) {
            return Done::Failed(strange);
        }
        if let Told::Output = told {
            match frame.value::<R>() {
                Ok(value) => out(Outcome::Output(index, value)),
                // The rest of the item is of no use, and nothing but the end of its worker ends it. Not with other items
                // behind it, which may begin before that, and would run twice.
                Err(error) => {
                    let failure = unread::<R>(What::Output, &error);
                    if left == 1 {
                        return Done::Failed(failure);
                    }
                    let Some(item) = items.pop_front() else {
                        return Done::Failed(strange);
                    };
                    left -= 1;
                    spoilt = Some(index);
                    out(Outcome::Failed(item, failure));
                }
            }
            continue;
        }
        let Some(item) = items.pop_front() else {
            return Done::Failed(strange);
        };
        left -= 1;
        since = Instant::now();
        out(match told {
            Told::Value | Told::Bad | Told::Again => match frame.value::<R>() {
                Ok(value) => Outcome::Value(item, value, told.judgement()),
                Err(error) => Outcome::Failed(item, unread::<R>(What::Output, &error)),
            },
            Told::Panicked(panicked) => Outcome::Failed(item, Failure::Panicked(panicked)),
            Told::Codec(report) => Outcome::Failed(item, Failure::there(report)),
            Told::CutOff => Outcome::Failed(item, Failure::Stopped),
            Told::Ended | Told::Output => Outcome::Ended(item),
        });
    }
    Done::All
}

/// How many items make a batch, and how long one takes.
#[derive(Debug)]
struct Pace {
    batch: usize,
    item: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            batch: 1,
            item: Duration::ZERO,
        }
    }
}

impl Pace {
    /// What a batch shall take.
    const TARGET: Duration = Duration::from_micros(500);
    const MOST: usize = 512;

    /// Sleeps while most of a large batch is done: being woken for each of its results would cost
    /// more than they do.
    fn wait_for_most(&self, sent: usize) {
        const MANY: usize = 32;
        if sent >= MANY {
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            std::thread::sleep((self.item * sent / 2).min(Self::TARGET));
        }
    }

    fn record(&mut self, took: Duration, items: usize) {
        self.item = took / u32::try_from(items.max(1)).unwrap_or(u32::MAX);
        // Twice as many at most: one quick batch says little of the next.
        let fits = took.as_nanos().max(1);
        let fits = items as u128 * Self::TARGET.as_nanos() / fits;
        let fits = usize::try_from(fits).unwrap_or(Self::MOST);
        self.batch = fits.clamp(1, (self.batch * 2).min(Self::MOST));
    }
}

impl<T, R> std::fmt::Debug for Session<T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
