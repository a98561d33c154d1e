//! `on = cluster(&cluster)`: items on other machines.
//!
//! The call has one worker thread, the *dispatcher*: it hands all items to the [`Run`], and puts what comes back into its
//! lane. How many are with workers at once is the server's business; how many are taken from the input that of the window, as
//! everywhere.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::control::{Permit, Try};
use super::executor::{Elastic, Sized};
use super::item::ItemContext;
use super::on_process::{Items, PassedOn, ProcessWorker, serve};
use super::settle::{self, take_note};
use super::supply::{Found, Numbered};
use super::worker::Worker;
use super::{DEFAULT_THROTTLE, Options, Results, foreach};
use crate::capture::AllSent;
use crate::cluster::{
    Cluster, ClusterError, ClusterErrorKind, NEAR, News, Plan, Run, Said, SlotIo, SlotLoop, Turn,
};
use crate::error::{Cause, PanicPayload, drop_caught, drop_quietly};
use crate::judge::Judgement;
use crate::policy;
use crate::process::child::Lines;
use crate::process::entry::{Body, CodecReport, Note, Panicked, Pointer, Serve, What, catch};
use crate::process::pool::{Item, Outcome, Pool, Run as ChildRun, Session};
use crate::process::wire::{CodecError, from_bytes, to_bytes};
use crate::process::{Failure, ProcessError, Start};
use crate::trace::{Place, Runner};
use crate::values::{Input, Made, SentItem, SentOutput};

/// What `on = cluster(..)` takes.
#[diagnostic::on_unimplemented(
    message = "`on = cluster(..)` takes a `Cluster`, not `{Self}`",
    label = "not a cluster; write `on = cluster(&cluster)`, with `Cluster::connect(url)?`"
)]
pub trait IntoCluster {
    /// The cluster that it means.
    fn into_cluster(self) -> Cluster;
}

impl IntoCluster for &Cluster {
    fn into_cluster(self) -> Cluster {
        self.clone()
    }
}

impl IntoCluster for Cluster {
    fn into_cluster(self) -> Cluster {
        self
    }
}

impl Options {
    /// `on = cluster(&cluster)`.
    pub fn on_cluster(mut self, cluster: impl IntoCluster) -> Self {
        self.cluster = Some(cluster.into_cluster());
        self
    }
}

/// A call whose body runs on other machines.
#[track_caller]
pub fn foreach_cluster<I, K, C, W, R>(
    items: I,
    mut options: Options,
    captures: K,
    maker: fn(C) -> W,
    made: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'static,
    I::Item: SentItem + 'static,
    K: AllSent<Itself = C>,
    C: Serialize + DeserializeOwned,
    W: Fn(&mut ProcessWorker<'_, I::Item, R>),
    R: SentOutput + 'static,
{
    let cluster = options
        .cluster
        .take()
        .ok_or_else(|| ClusterError::new(ClusterErrorKind::Options, "no cluster was named"));
    let serve = serve_slot::<C, I::Item, R, W>;
    foreach_on(
        cluster,
        items,
        options,
        captures.itself(),
        serve,
        maker,
        made,
    )
}

/// Like [`foreach_cluster`]; what `serve` does with `maker` in a worker is its own affair.
#[track_caller]
pub(crate) fn foreach_on<I, C, F, R>(
    cluster: Result<Cluster, ClusterError>,
    items: I,
    mut options: Options,
    captures: C,
    serve: Serve<F, SlotIo>,
    maker: F,
    made: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'static,
    I::Item: Serialize + Send + 'static,
    C: Serialize,
    F: Pointer,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    options.runs_elsewhere = true;
    options.has_one_worker = true;
    options.target = Arc::new(Sized::new(Elastic, DEFAULT_THROTTLE));
    let is_limited = options.asked_throttle().is_some();
    let (is_job, emits) = (options.is_job, options.emits);
    let body = Body::new(serve, maker)
        .map_err(|error| ClusterError::new(ClusterErrorKind::NotInProgram, error.to_string()));
    let written = to_bytes(&captures).map_err(|error| {
        let report = CodecReport::new::<C>(What::Captures, &error);
        ClusterError::new(ClusterErrorKind::Value, Failure::write(report).to_string())
    });
    // Before the call begins: at the end of this function a destructor that panics would leave its results behind,
    // with all that works for them.
    drop(captures);
    let start = cluster.and_then(|cluster| Ok((cluster, body?, written?)));
    let local = move |()| {
        move |worker: &mut Worker<I::Item, R>| match &start {
            Ok((cluster, body, captures)) => {
                let plan = Plan {
                    body: *body,
                    captures: captures.clone(),
                    throttle: is_limited.then(|| worker.call().throttle()),
                    title: worker.call().site.title(),
                    is_job,
                    in_order: emits && worker.call().is_ordered(),
                };
                dispatch(worker, cluster, plan);
            }
            Err(error) => worker.call().fail(None, Cause::Cluster(error.clone())),
        }
    };
    foreach(items, options, (), local, made)
}

/// In a worker of the cluster.
pub(super) fn serve_slot<C, T, R, W>(io: &mut SlotIo, maker: fn(C) -> W)
where
    C: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
    W: Fn(&mut ProcessWorker<'_, T, R>),
{
    let run = |captures, mut worker: ProcessWorker<'_, T, R>| maker(captures)(&mut worker);
    serve_on_slot(io, serve::<C, T, R, W>, maker, run);
}

/// In a worker of the cluster: `run` is given what was captured, and the items; if each of them is to run in a process of its own, that
/// is served by `child`.
pub(crate) fn serve_on_slot<C, T, R, F>(
    io: &mut SlotIo,
    child: Serve<F>,
    maker: F,
    run: impl FnOnce(C, ProcessWorker<'_, T, R>),
) where
    C: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
    F: Pointer,
{
    let captures = io.captures::<C>();
    match io.isolation().cloned() {
        None => run(captures, ProcessWorker::new(&mut SlotLoop::new(io))),
        Some(pool) => {
            let told = Told {
                lines: Arc::new(PassedOn),
                note: &take_note,
            };
            isolated::<C, T, R, F>(io, &pool, &captures, child, maker, &told);
        }
    }
}

impl<T: DeserializeOwned, R: Serialize> Items<T, R> for SlotLoop<'_, T, R> {
    fn run(&mut self, body: &mut dyn FnMut(T) -> R) {
        SlotLoop::run(self, body);
    }

    fn run_judged(&mut self, body: &mut dyn FnMut(T) -> R, judge: &dyn Fn(&R) -> Judgement) {
        SlotLoop::run_judged(self, body, judge);
    }

    fn run_emitting(&mut self, body: &mut dyn FnMut(T, &ItemContext<'_, R>)) {
        SlotLoop::run_emitting(self, &mut |item, slot| {
            body(item, &ItemContext::there(&*slot))
        });
    }
}

/// Who is told what the process of an item prints, and what its body notes.
pub(crate) struct Told<'a> {
    pub(crate) lines: Arc<dyn Lines>,
    pub(crate) note: &'a dyn Fn(Note),
}

/// The life of a slot whose items run in processes.
pub(crate) fn isolated<C, T, R, F>(
    io: &mut SlotIo,
    pool: &Pool,
    captures: &C,
    child: Serve<F>,
    maker: F,
    told: &Told<'_>,
) where
    C: Serialize,
    T: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
    F: Pointer,
{
    let run = policy::check(policy::Start::Block { name: None })
        .map_err(Failure::Denied)
        .and_then(|()| Ok(Body::new(child, maker)?))
        .and_then(|body| ChildRun::new(Start::here()?, body, captures, true));
    let run = match run {
        Ok(run) => Arc::new(run.with_key(io.call())),
        Err(failure) => panic!("its worker has no process for it: it {failure}"),
    };
    let stop = io.stop().clone();
    let Some(mut session) = Session::open(pool, run, Arc::clone(&told.lines), &stop, || {}) else {
        return;
    };
    while let Some(work) = io.next() {
        let mut items = VecDeque::new();
        match from_bytes::<T>(&work.value) {
            Ok(value) => items.push_back(Item {
                index: work.index,
                attempt: work.attempt,
                value,
                spent: Duration::ZERO,
            }),
            Err(error) => {
                let said = Said::Codec(CodecReport::new::<T>(What::Item, &error));
                io.end(&work, said, Vec::new());
                continue;
            }
        }
        let mut end = None;
        while end.is_none() {
            let tried = session.batch(&mut items, 1, work.limit, &mut |outcome: Outcome<T, R>| {
                let ends = outcome.ends().is_some();
                // The items and values that come back are dropped here, and their destructors are the
                // user's code: the thread of the slot has to outlive them.
                let said = catch(|| match outcome {
                    Outcome::Value(_, value, judgement) => Some(value_said(&value, judgement)),
                    Outcome::Output(_, value) => match to_bytes(&value) {
                        Ok(value) => {
                            io.output(&work, value);
                            None
                        }
                        Err(error) => Some(not_written::<R>(&error)),
                    },
                    Outcome::Ended(_) => Some((Said::Ended, Vec::new())),
                    Outcome::Failed(_, failure) => Some((said_of(failure), Vec::new())),
                    Outcome::Note(note) => {
                        (told.note)(note);
                        None
                    }
                });
                match said {
                    Ok(said) => end = end.take().or(said),
                    Err(payload) if ends || end.is_none() => {
                        end = Some((Said::Panicked(Panicked::new(payload)), Vec::new()));
                    }
                    Err(payload) => drop_quietly(payload),
                }
            });
            if let Err(failure) = tried {
                end = end.or_else(|| Some((said_of(failure), Vec::new())));
            }
        }
        drop_quietly(items);
        session.flush();
        let (said, value) = end.unwrap_or((Said::Stopped, Vec::new()));
        io.end(&work, said, value);
    }
    let _ = session.finish(&mut |note| (told.note)(note));
}

fn value_said<R: Serialize>(value: &R, judgement: Judgement) -> (Said, Vec<u8>) {
    match to_bytes(value) {
        Ok(value) => (Said::Value(judgement.into()), value),
        Err(error) => not_written::<R>(&error),
    }
}

fn not_written<R>(error: &CodecError) -> (Said, Vec<u8>) {
    let report = CodecReport::new::<R>(What::Output, error);
    (Said::Codec(report), Vec::new())
}

fn said_of(failure: Failure) -> Said {
    match failure {
        Failure::Panicked(panicked) => Said::Panicked(panicked),
        Failure::Stopped => Said::Stopped,
        Failure::TimedOut(limit) => Said::TimedOut(limit),
        Failure::There(report) => Said::Codec(report),
        failure => Said::Crashed(failure.to_string()),
    }
}

/// An item that is with the run.
struct Away<T> {
    attempt: u32,
    value: T,
    /// An output came after the stop, and was dropped.
    has_lost: bool,
    /// A place among all calls that share the throttle.
    _permit: Option<Permit>,
    _span: Place,
}

/// Has all items run on the cluster, and takes in what comes of them.
fn dispatch<T, R>(worker: &mut Worker<T, R>, cluster: &Cluster, plan: Plan)
where
    T: Serialize,
    R: Serialize + DeserializeOwned,
{
    #[cfg(feature = "journal")]
    if !worker.journalling() {
        return;
    }
    let call = Arc::clone(worker.call());
    let throttle = call.throttle();
    let is_limited = plan.throttle.is_some();
    let turns = plan.in_order.then(Turns::default);
    let sleeping = Arc::downgrade(&call);
    let wake = Box::new(move || {
        if let Some(call) = sleeping.upgrade() {
            call.to_workers.notify();
        }
    });
    let run = match Run::start(cluster, plan, wake) {
        Ok(run) => run,
        Err(error) => return call.fail(None, Cause::Cluster(error)),
    };
    let dispatcher = Dispatcher {
        worker,
        call,
        run,
        away: HashMap::new(),
        next: None,
        permit: None,
        throttle,
        is_limited,
        closing: None,
        turns,
        last: Instant::now(),
        is_over: false,
    };
    dispatcher.run();
}

/// The thread of a call on a cluster.
struct Dispatcher<'a, 'w, T, R> {
    worker: &'a mut Worker<'w, T, R>,
    call: Arc<Call>,
    run: Run,
    away: HashMap<u64, Away<T>>,
    /// An item that may not start yet.
    next: Option<Numbered<T>>,
    permit: Option<Permit>,
    throttle: usize,
    /// Somebody has said what the throttle is; otherwise it follows the workers.
    is_limited: bool,
    /// The run has been closed; and stopped, if that is true.
    closing: Option<bool>,
    /// Of a call whose outputs are read in the order of the items.
    turns: Option<Turns>,
    last: Instant,
    is_over: bool,
}

/// What outputs have been put into the lane, in a call that is read in order.
#[derive(Default)]
struct Turns {
    /// For each item from the one on whose turn it is: how many, and how many of them were of its last try.
    passed: BTreeMap<u64, Passed>,
    /// What the run was told last.
    told: Option<Turn>,
    /// There is more of the item whose turn it is than comes by itself.
    is_far: bool,
    /// The item whose turn it was when the run was told last.
    head: u64,
}

#[derive(Clone, Copy, Default)]
struct Passed {
    all: usize,
    attempt: u32,
    of_attempt: u64,
}

impl Turns {
    fn pass(&mut self, name: Try) {
        let passed = self.passed.entry(name.index).or_default();
        if passed.attempt != name.attempt {
            (passed.attempt, passed.of_attempt) = (name.attempt, 0);
        }
        passed.all += 1;
        passed.of_attempt += 1;
    }

    /// How far the outputs of `head` may be read, if that has changed by much; and else how many outputs of all items
    /// the consumer may still have before it for that to be so. `ahead` are those of all items that the consumer has
    /// not had, `quota` is how many it may be of one.
    fn next(&mut self, head: Try, ahead: usize, quota: usize) -> Result<Turn, Option<usize>> {
        self.passed = self.passed.split_off(&head.index);
        let passed = self.passed.get(&head.index).copied().unwrap_or_default();
        self.is_far = passed.attempt == head.attempt && passed.of_attempt >= NEAR;
        if !self.is_far {
            return Err(None);
        }
        let all: usize = self.passed.values().map(|it| it.all).sum();
        let of_others = all - passed.all;
        let room = quota.saturating_sub(ahead.saturating_sub(of_others)) as u64;
        let turn = Turn {
            index: head.index,
            attempt: head.attempt,
            room: passed.of_attempt + room,
        };
        let told = self.told;
        let told = told.filter(|it| (it.index, it.attempt) == (turn.index, turn.attempt));
        let much = told.map_or(0, |it| it.room.saturating_add((quota as u64 / 4).max(1)));
        if turn.room < much {
            let missing = usize::try_from(much - turn.room).unwrap_or(usize::MAX);
            return Err(Some(ahead.saturating_sub(missing)));
        }
        self.told = Some(turn);
        Ok(turn)
    }
}

/// How many items are handed over before news is looked at.
const ROUND: usize = 128;
/// How long the dispatcher sleeps at most: whoever changes something wakes it.
const LONG: Duration = Duration::from_secs(3600);
/// The same while it waits for a place that is shared with other calls: nobody wakes it when one is free.
const SHORT: Duration = Duration::from_millis(5);

impl<T: Serialize, R: DeserializeOwned> Dispatcher<'_, '_, T, R> {
    fn run(mut self) {
        // Whatever goes wrong in here, the items that are away come to an end.
        let ended = catch_unwind(AssertUnwindSafe(|| self.give_and_take()));
        if let Err(payload) = ended {
            let cause = Cause::Panicked(PanicPayload::new(payload));
            self.call.fail(None, cause);
            self.call.stop.stop();
        }
        if let Some(item) = self.next.take() {
            self.worker.put_back(item);
        }
        self.end_rest();
        self.worker.exit().lane.flush_now();
    }

    fn give_and_take(&mut self) {
        loop {
            self.take_in();
            self.follow_call();
            if self.is_over || (self.closing.is_some() && self.away.is_empty()) {
                break;
            }
            if self.closing.is_some() {
                self.wait_for_news(LONG);
            } else if !self.hand_over() {
                break;
            }
        }
    }

    /// What has been changed about the call.
    fn follow_call(&mut self) {
        if self.call.is_closed() {
            self.follow_turn();
            self.follow_backlog();
            let stop = self.call.stop.is_stopping();
            if self.closing != Some(true) && self.closing != Some(stop) {
                self.closing = Some(stop);
                self.run.close(stop);
            }
            return;
        }
        let throttle = self.call.throttle();
        if self.is_limited && throttle != self.throttle {
            self.throttle = throttle;
            self.run.set_throttle(throttle);
        }
        self.follow_turn();
        self.follow_backlog();
    }

    /// Tells the run whose outputs the consumer wants, and how many; and has the consumer say when that changes.
    fn follow_turn(&mut self) {
        let Some(turns) = &mut self.turns else {
            return;
        };
        let index = self.call.awaited();
        turns.head = index;
        let backlog = self.worker.exit().lane.ahead();
        backlog.unwatch();
        let Some(away) = self.away.get(&index) else {
            turns.is_far = false;
            return;
        };
        let attempt = away.attempt;
        let quota = self.call.quota().max(NEAR as usize);
        let mut looks = 0;
        loop {
            match turns.next(Try { index, attempt }, backlog.len(), quota) {
                Ok(turn) => self.run.set_turn(turn),
                Err(None) => return,
                Err(Some(low)) if !backlog.watch(low) => return,
                // The consumer has come so far meanwhile. Or it has nothing more, and what is missing comes as news.
                Err(Some(_)) => {
                    backlog.unwatch();
                    looks += 1;
                    if looks > 1 {
                        return;
                    }
                }
            }
        }
    }

    /// Stops the run from sending outputs that the consumer has no room for; it says when there is room again.
    fn follow_backlog(&mut self) {
        // In order, an item's outputs may have to wait for those of another, which must then come in.
        if self.turns.is_some() || self.call.is_ordered() {
            return;
        }
        let most = self.call.quota().saturating_mul(self.call.throttle());
        let backlog = self.worker.exit().lane.ahead();
        backlog.unwatch();
        let is_full = backlog.len() >= most && !backlog.watch(most / 2);
        if !is_full {
            backlog.unwatch();
        }
        self.run.set_full(is_full);
    }

    /// Whether something has changed that the dispatcher follows, beside the news of the run: the consumer wakes it for
    /// its part, and whoever stops the call or sets its throttle.
    fn changes(&self) -> impl Fn() -> bool + use<T, R> {
        let call = Arc::clone(&self.call);
        let backlog = Arc::clone(self.worker.exit().lane.ahead());
        let head = self.turns.as_ref().map(|it| it.head);
        let throttle = self.is_limited.then_some(self.throttle);
        let closing = self.closing;
        move || {
            closing != Some(true) && call.stop.is_stopping()
                || closing.is_none() && call.is_closed()
                || head.is_some_and(|head| call.awaited() != head)
                || throttle.is_some_and(|throttle| call.throttle() != throttle)
                || backlog.is_low()
        }
    }

    fn wait_for_news(&self, longest: Duration) {
        let run = &self.run;
        let end = Instant::now() + longest;
        let changes = self.changes();
        let look = || {
            let is_late = Instant::now() >= end;
            (run.has_news() || changes() || is_late).then_some(())
        };
        let _waits = self.call.idles();
        self.call.to_workers.wait_with(look, || longest);
    }

    /// Hands over what there is, or waits for something. False when all is done.
    fn hand_over(&mut self) -> bool {
        for round in 0..ROUND {
            let longest = if round == 0 { LONG } else { Duration::ZERO };
            match self.next_item(longest) {
                Found::Item(item) => self.give(item),
                Found::Nothing => return true,
                Found::End if self.call.is_closed() => return true,
                Found::End if self.away.is_empty() && !self.run.has_news() => return false,
                Found::End => {
                    if round == 0 {
                        self.wait_for_news(LONG);
                    }
                    return true;
                }
            }
        }
        true
    }

    /// The next item that may start.
    fn next_item(&mut self, longest: Duration) -> Found<T> {
        let call = Arc::clone(&self.call);
        let control = call.control.as_deref();
        if control.is_some_and(|it| it.may_halt()) && self.away.len() >= call.throttle() {
            self.wait_for_news(longest);
            return Found::Nothing;
        }
        if let Some(gate) = control.and_then(|it| it.gate())
            && self.permit.is_none()
        {
            let Some(permit) = call.try_pass(gate) else {
                self.wait_for_news(SHORT.min(longest));
                return Found::Nothing;
            };
            self.permit = permit;
        }
        let found = match self.next.take() {
            Some(item) => Found::Item(item),
            None => {
                let changes = self.changes();
                let run = &self.run;
                self.worker.poll(&|| run.has_news() || changes(), longest)
            }
        };
        let Found::Item(item) = found else {
            return found;
        };
        let pause = control.map_or(Duration::ZERO, |it| it.until_rate_allows());
        if pause.is_zero() {
            return Found::Item(item);
        }
        self.next = Some(item);
        self.wait_for_news(pause.min(LONG).min(longest));
        Found::Nothing
    }

    fn give(&mut self, (index, value): Numbered<T>) {
        let exit = self.worker.exit();
        let attempt = exit.attempt(index);
        let name = Try { index, attempt };
        let control = exit.control();
        exit.tell_began(std::iter::once(name));
        let span = control.map(|it| it.span(name, self.call.throttle(), Runner::Process));
        let limit = control.and_then(|it| it.time_limit());
        let since = Instant::now();
        let written = match to_bytes(&value) {
            Ok(written) => written,
            Err(error) => {
                let report = CodecReport::new::<T>(What::Item, &error);
                let (may_pass, cause) = of_codec(Failure::write(report));
                return settle::failed(exit, name, value, may_pass, cause, Duration::ZERO);
            }
        };
        // To write it is part of its time, here as on its worker.
        let spent = since.elapsed();
        if let Some(limit) = limit.filter(|it| *it <= spent) {
            return settle::failed(exit, name, value, true, Cause::TimedOut(limit), spent);
        }
        let left = limit.map(|it| it.saturating_sub(spent));
        self.run.give(index, attempt, left, written);
        let away = Away {
            attempt,
            value,
            has_lost: false,
            _permit: self.permit.take(),
            _span: span.unwrap_or_default(),
        };
        self.away.insert(index, away);
    }

    /// Takes in what there is.
    fn take_in(&mut self) {
        let all = self.run.take_news();
        if all.is_empty() {
            return;
        }
        let (before, count) = (self.away.len(), all.len() as u64);
        for news in all {
            self.take(news);
        }
        let ended = before.saturating_sub(self.away.len()) as u64;
        if ended > 0 {
            let now = Instant::now();
            self.call.pace.record(now - self.last, ended);
            self.last = now;
        }
        self.worker.exit().lane.flush(count);
    }

    fn take(&mut self, news: News) {
        match news {
            News::Said {
                index,
                attempt,
                said,
                took,
                value,
            } => self.said(Try { index, attempt }, said, took, &value),
            News::Failed {
                index,
                attempt,
                error,
            } => {
                if let Some(item) = self.back(Try { index, attempt }) {
                    let cause = Cause::Cluster(error);
                    self.failed(Try { index, attempt }, item, false, cause, Duration::ZERO);
                }
            }
            News::NotRun { index, attempt } => {
                if let Some(item) = self.back(Try { index, attempt }) {
                    self.not_run(index, item);
                }
            }
            News::Slots(slots) => {
                if !self.is_limited && slots > 0 {
                    self.call.set_throttle(slots.max(DEFAULT_THROTTLE));
                }
            }
            News::Over(error) => {
                self.is_over = true;
                self.call.fail(None, Cause::Cluster(error));
            }
        }
    }

    fn back(&mut self, name: Try) -> Option<T> {
        let is_it = |it: &Away<T>| it.attempt == name.attempt;
        match self.away.get(&name.index) {
            Some(away) if is_it(away) => self.away.remove(&name.index).map(|it| it.value),
            _ => None,
        }
    }

    fn not_run(&self, index: u64, item: T) {
        let cause = match drop_caught(item) {
            Ok(()) => self.call.end_came_first(false),
            Err(payload) => Cause::DropPanicked(payload),
        };
        self.worker.exit().end_not_run(index, cause);
    }

    fn failed(&self, name: Try, item: T, may_pass: bool, cause: Cause, took: Duration) {
        settle::failed(self.worker.exit(), name, item, may_pass, cause, took);
    }

    fn said(&mut self, name: Try, said: Said, took: Duration, value: &[u8]) {
        if let Said::Note(note) = said {
            return take_note(note);
        }
        if let Said::Output = said {
            return self.output(name, value);
        }
        let has_lost = self.away.get(&name.index).is_some_and(|it| it.has_lost);
        let Some(item) = self.back(name) else {
            return;
        };
        self.call.slowest.note(name.index, took);
        match said {
            Said::Value(meaning) => match from_bytes::<R>(value) {
                Ok(value) => {
                    let exit = self.worker.exit();
                    settle::value(exit, name, item, value, meaning.into(), took);
                }
                Err(error) => {
                    let (may_pass, cause) = unread::<R>(&error);
                    self.failed(name, item, may_pass, cause, took);
                }
            },
            // The stop came before its end, as it does for a body here that is left where it emits.
            Said::Ended if has_lost => {
                let cause = self.call.end_came_first(true);
                self.failed(name, item, false, cause, took);
            }
            Said::Ended => settle::ended(self.worker.exit(), name, item, took),
            Said::Panicked(panicked) => {
                let cause = Cause::Panicked(panicked.into_payload());
                self.failed(name, item, true, cause, took);
            }
            Said::NoState(panicked) => {
                let cause = Cause::InitPanicked(panicked.into_payload());
                self.call.fail(None, cause);
                self.not_run(name.index, item);
            }
            Said::Codec(report) => {
                let (may_pass, cause) = of_codec(Failure::there(report));
                self.failed(name, item, may_pass, cause, took);
            }
            Said::TimedOut(limit) => self.failed(name, item, true, Cause::TimedOut(limit), took),
            Said::Crashed(text) => {
                let error = ClusterError::new(ClusterErrorKind::Worker, text);
                self.failed(name, item, true, Cause::Cluster(error), took);
            }
            Said::Stopped => {
                // Perhaps it was stopped from inside: by a body, which has the token of its call there too.
                self.call.stop.stop();
                let cause = self.call.end_came_first(true);
                self.failed(name, item, false, cause, took);
            }
            Said::NotRun => self.not_run(name.index, item),
            Said::Output | Said::Note(_) => {}
        }
    }

    fn output(&mut self, name: Try, value: &[u8]) {
        let away = self.away.get_mut(&name.index);
        let Some(away) = away.filter(|it| it.attempt == name.attempt) else {
            return;
        };
        if self.call.stop.is_stopping() {
            away.has_lost = true;
            return;
        }
        match from_bytes::<R>(value) {
            Ok(value) => {
                self.worker.exit().lane.pass_on(name.index, value);
                self.turns.iter_mut().for_each(|it| it.pass(name));
            }
            Err(error) => {
                if let Some(item) = self.back(name) {
                    let (may_pass, cause) = unread::<R>(&error);
                    self.failed(name, item, may_pass, cause, Duration::ZERO);
                }
            }
        }
    }

    /// What is still away when the run is over.
    fn end_rest(&mut self) {
        for (index, away) in std::mem::take(&mut self.away) {
            let name = Try {
                index,
                attempt: away.attempt,
            };
            let cause = self.call.end_came_first(true);
            self.failed(name, away.value, false, cause, Duration::ZERO);
        }
    }
}

fn unread<R>(error: &CodecError) -> (bool, Cause) {
    of_codec(Failure::read(CodecReport::new::<R>(What::Output, error)))
}

/// Why an item has failed whose value did not cross, and whether another try may pass.
fn of_codec(failure: Failure) -> (bool, Cause) {
    match failure {
        Failure::Panicked(panicked) => (true, Cause::Panicked(panicked.into_payload())),
        failure => (false, Cause::Process(ProcessError::new(failure))),
    }
}
