//! `on = process`: items in worker processes.
//!
//! Each worker thread of the call has a session with one worker process at a time. It sends items
//! there in batches and puts what comes back into its lane, so that everything else, the window, the
//! order, the end of the call, is what it is on threads. A process that dies fails the item it ran.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attendant;
use super::control::Try;
use super::exit::Exit;
use super::item::ItemContext;
use super::settle::{self, take_note};
use super::turns::Turns;
use super::worker::Worker;
use super::{Options, Results, foreach};
use crate::capture::AllSent;
use crate::error::Cause;
use crate::judge::Judgement;
use crate::policy;
use crate::process::child::{Lines, Stream};
use crate::process::entry::{Body, ChildIo, Pointer, Serve};
use crate::process::limits;
use crate::process::pool::{Item, ItemLoop, Outcome, Pool, PoolOptions, Run, Session, serve_items};
use crate::process::{Failure, ProcessError, Start, default_pool};
use crate::values::{Input, Made, SentItem, SentOutput};

/// Worker processes with settings of their own: `on = process(&pool)`.
///
/// Without one, `on = process` uses workers of the whole program, which are kept for some seconds and
/// used again. Clones are the same pool; with the last, its idle workers leave.
///
/// ```
/// use runspace::{ProcessPool, foreach_parallel};
///
/// let pool = ProcessPool::builder().workers(2).memory(512 << 20).max_items(1000).build();
/// let squares = foreach_parallel!(0..4_u64, on = process(&pool), ordered = true, |n| n * n);
/// assert!(squares.eq([0, 1, 4, 9]));
/// ```
#[derive(Clone, Debug)]
pub struct ProcessPool {
    pool: Pool,
}

impl ProcessPool {
    /// The settings of a new pool, at their defaults.
    pub fn builder() -> ProcessPoolBuilder {
        ProcessPoolBuilder {
            options: PoolOptions {
                workers: std::thread::available_parallelism().map_or(1, usize::from),
                ..PoolOptions::default()
            },
        }
    }
}

/// The settings of a [`ProcessPool`].
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until `build` makes a pool of them"]
pub struct ProcessPoolBuilder {
    options: PoolOptions,
}

impl ProcessPoolBuilder {
    /// The most workers at once, over all calls that use the pool; the cores of the machine when left
    /// out. Also the throttle of a call on this pool that sets none.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn workers(mut self, count: usize) -> Self {
        assert!(
            count > 0,
            "a pool of no workers would never run an item; give it at least 1"
        );
        self.options.workers = count;
        self
    }

    /// How long a worker without work is kept; 5 s when left out.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.idle = limit;
        self
    }

    /// Sets a variable for the workers, beside those of this process.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.options
            .variables
            .push((name.into(), Some(value.into())));
        self
    }

    /// Takes a variable away from the workers.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.options.variables.push((name.into(), None));
        self
    }

    /// The working directory of the workers, if it is not that of this process.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.directory = Some(directory.into());
        self
    }

    /// The most memory that a worker may have, in bytes of address space. An item that asks for more
    /// fails, with its worker.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn memory(mut self, bytes: u64) -> Self {
        limits::check_memory(bytes);
        self.options.limits.memory = Some(bytes);
        self
    }

    /// The most processor time that a worker may use over all its items; whole seconds, rounded up.
    ///
    /// # Panics
    /// On no time at all.
    #[track_caller]
    pub fn cpu_time(mut self, limit: Duration) -> Self {
        limits::check_cpu_time(limit);
        self.options.limits.cpu = Some(limits::whole_seconds(limit));
        self
    }

    /// The most descriptors that a worker may have open at once.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn open_files(mut self, count: u64) -> Self {
        limits::check_open_files(count);
        self.options.limits.files = Some(count);
        self
    }

    /// A worker makes room for a fresh one after this many items.
    ///
    /// # Panics
    /// On 0.
    #[track_caller]
    pub fn max_items(mut self, count: u64) -> Self {
        assert!(count > 0, "a worker has to run at least 1 item");
        self.options.recycle.items = Some(count);
        self
    }

    /// A worker makes room for a fresh one when it holds this many bytes more than before its first item.
    pub fn max_growth(mut self, bytes: u64) -> Self {
        self.options.recycle.growth = Some(bytes);
        self
    }

    /// How long a worker that is to stop has between SIGTERM and SIGKILL; 2 s when left out.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.patience.terminated = grace;
        self
    }

    /// The pool. Workers start when a call needs them.
    #[must_use]
    pub fn build(self) -> ProcessPool {
        ProcessPool {
            pool: Pool::new(self.options),
        }
    }
}

impl Options {
    /// `on = process`: the processes of a pool that all such calls share.
    pub fn on_process(self) -> Self {
        self
    }

    /// `on = process(&pool)`.
    pub fn on_process_pool(mut self, pool: &ProcessPool) -> Self {
        self.process_pool = Some(pool.pool.clone());
        self
    }
}

/// A call whose body runs in worker processes.
#[track_caller]
pub fn foreach_process<I, K, C, W, R>(
    items: I,
    options: Options,
    captures: K,
    maker: fn(C) -> W,
    made: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'static,
    I::Item: SentItem + 'static,
    K: AllSent<Itself = C>,
    W: Fn(&mut ProcessWorker<'_, I::Item, R>),
    R: SentOutput + 'static,
{
    in_processes::<I, K, W, R>(items, options, captures, maker, made)
}

#[track_caller]
fn in_processes<I, K, W, R>(
    items: I,
    options: Options,
    captures: K,
    maker: fn(K::Itself) -> W,
    made: Made<R>,
) -> Results<R>
where
    I: IntoIterator,
    I::IntoIter: Input + 'static,
    I::Item: SentItem + 'static,
    K: AllSent,
    W: Fn(&mut ProcessWorker<'_, I::Item, R>),
    R: SentOutput + 'static,
{
    let serve = serve::<K::Itself, I::Item, R, W>;
    foreach_in_workers(items, options, captures.itself(), serve, maker, made)
}

/// Like [`foreach_process`]; what `serve` does with `maker` in a worker process is its own affair.
#[track_caller]
pub(crate) fn foreach_in_workers<I, C, F, R>(
    items: I,
    mut options: Options,
    captures: C,
    serve: Serve<F>,
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
    let pool = match options.process_pool.take() {
        Some(pool) => {
            options.set_default_throttle(pool.options().workers);
            pool
        }
        None => default_pool(),
    };
    options.runs_elsewhere = true;
    let items = items.into_iter();
    if !options.emits && options.control.is_empty() && attendant::is_one_in_memory(&items) {
        options.target = Arc::new(attendant::Reader);
    }
    let has_state = options.has_state;
    // Not in a closure: the policy wants to know the line that asks.
    let asked = policy::Start::Block {
        name: options.name.as_deref(),
    };
    let run = policy::check(asked)
        .map_err(Failure::Denied)
        .and_then(|()| Ok(Body::new(serve, maker)?))
        .and_then(|body| Run::new(Start::here()?, body, &captures, has_state))
        .map(Arc::new)
        .map_err(ProcessError::new);
    // Before the call begins: at the end of this function a destructor that panics would leave its results behind,
    // with all that works for them.
    drop(captures);
    let local = move |()| {
        move |worker: &mut Worker<'_, I::Item, R>| match &run {
            Ok(run) => converse(worker, &pool, run),
            Err(error) => worker.call().fail(None, Cause::Process(error.clone())),
        }
    };
    foreach(items, options, (), local, made)
}

/// In the worker process.
pub(super) fn serve<C, T, R, W>(io: &mut ChildIo, maker: fn(C) -> W)
where
    C: DeserializeOwned,
    T: DeserializeOwned,
    R: Serialize,
    W: Fn(&mut ProcessWorker<'_, T, R>),
{
    serve_in_worker(io, |captures, mut worker| maker(captures)(&mut worker));
}

/// In the worker process: `run` is given what was captured, and the items.
pub(crate) fn serve_in_worker<C, T, R>(
    io: &mut ChildIo,
    run: impl FnOnce(C, ProcessWorker<'_, T, R>),
) where
    C: DeserializeOwned,
    T: DeserializeOwned,
    R: Serialize,
{
    serve_items(io, |captures: C, items: &mut ItemLoop<'_, T, R>| {
        run(captures, ProcessWorker { items });
    });
}

/// Takes items and runs the body on them, in a worker process: what the macro's worker closure is
/// given there.
///
/// Its methods have no bounds: what does not fit has been reported at the call.
pub struct ProcessWorker<'a, T, R> {
    items: &'a mut (dyn Items<T, R> + 'a),
}

impl<'a, T, R> ProcessWorker<'a, T, R> {
    #[cfg(feature = "cluster")]
    pub(super) fn new(items: &'a mut (dyn Items<T, R> + 'a)) -> Self {
        Self { items }
    }

    /// Runs `body` on every item this worker gets: one value an item.
    pub fn run<F: FnMut(T) -> R>(&mut self, mut body: F) {
        self.items.run(&mut body);
    }

    /// Like [`run`](Self::run); `judge` says what each value means.
    pub fn run_judged<F, J>(&mut self, mut body: F, judge: J)
    where
        F: FnMut(T) -> R,
        J: Fn(&R) -> Judgement,
    {
        self.items.run_judged(&mut body, &judge);
    }

    /// Nothing: an item that may be tried again has stayed with the process that sent it.
    pub fn copying(&mut self) {}

    /// True: the journal is with the process that sends the items.
    pub fn journalling(&mut self) -> bool {
        true
    }

    /// Runs `body` on every item this worker gets: any number of outputs an item.
    pub fn run_emitting<F: FnMut(T, &ItemContext<'_, R>)>(&mut self, mut body: F) {
        self.items.run_emitting(&mut body);
    }
}

/// The items of a worker, where it is known how they are read.
pub(super) trait Items<T, R> {
    fn run(&mut self, body: &mut dyn FnMut(T) -> R);
    fn run_judged(&mut self, body: &mut dyn FnMut(T) -> R, judge: &dyn Fn(&R) -> Judgement);
    fn run_emitting(&mut self, body: &mut dyn FnMut(T, &ItemContext<'_, R>));
}

impl<T: DeserializeOwned, R: Serialize> Items<T, R> for ItemLoop<'_, T, R> {
    fn run(&mut self, body: &mut dyn FnMut(T) -> R) {
        ItemLoop::run(self, body);
    }

    fn run_judged(&mut self, body: &mut dyn FnMut(T) -> R, judge: &dyn Fn(&R) -> Judgement) {
        ItemLoop::run_judged(self, body, judge);
    }

    fn run_emitting(&mut self, body: &mut dyn FnMut(T, &ItemContext<'_, R>)) {
        ItemLoop::run_emitting(self, |item, child| body(item, &ItemContext::there(child)));
    }
}

impl<T, R> fmt::Debug for ProcessWorker<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessWorker").finish_non_exhaustive()
    }
}

/// What worker processes print goes where this process prints, line by line.
pub(super) struct PassedOn;

impl Lines for PassedOn {
    fn line(&self, stream: Stream, line: String) {
        #[cfg(feature = "progress")]
        match stream {
            Stream::Out => crate::progress::println(line),
            Stream::Err => crate::progress::eprintln(line),
        }
        #[cfg(not(feature = "progress"))]
        match stream {
            Stream::Out => crate::print::out(&line),
            Stream::Err => crate::print::err(&line),
        }
    }
}

/// Sends items to a worker process, and takes in what comes of them, until there are no more.
fn converse<T, R>(worker: &mut Worker<'_, T, R>, pool: &Pool, run: &Arc<Run>)
where
    T: Serialize,
    R: Serialize + DeserializeOwned,
{
    #[cfg(feature = "journal")]
    if !worker.journalling() {
        return;
    }
    let stop = worker.call().stop.clone();
    // Who has a place may be waiting for just the item that this one would hold while it waits for one.
    let call = Arc::clone(worker.call());
    let mut blocked = None;
    let wait = || {
        worker.let_go();
        blocked = Some(call.block());
    };
    let lines = Arc::new(PassedOn);
    let Some(mut session) = Session::open(pool, Arc::clone(run), lines, &stop, wait) else {
        return;
    };
    drop(blocked);
    let mut items = VecDeque::new();
    while take(worker, &mut session, &mut items) {
        if worker.is_under_way() {
            if let Err(failure) = session.prepare() {
                return give_up(worker, run, items, failure);
            }
            worker.begun();
        }
        worker.exit().tell_began(items.iter().map(name));
        if worker.call().control.is_none() && worker.is_at_end() {
            session.expect_end();
        }
        let done = catch_unwind(AssertUnwindSafe(|| batch(worker, &mut session, &mut items)));
        match done {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return give_up(worker, run, items, failure),
            Err(payload) => {
                // Nothing of the user's unwinds out of a batch. Should something of ours do, the items that
                // are left are not taken along: others run them, with another worker process.
                put_back(worker, items);
                worker.call().to_workers.notify_all();
                resume_unwind(payload);
            }
        }
    }
    if let Err(failure) = session.finish(&mut take_note)
        && !matches!(failure, Failure::Stopped)
    {
        worker.call().fail(None, drop_cause(failure));
    }
}

/// Takes items for a batch, waiting for the first. False when there are no more.
fn take<T, R>(
    worker: &mut Worker<'_, T, R>,
    session: &mut Session<T, R>,
    items: &mut VecDeque<Item<T>>,
) -> bool
where
    T: Serialize,
    R: DeserializeOwned,
{
    let most = session.batch_size();
    let mut taken = Vec::new();
    let mut fill = || worker.fill(most, &mut |it| taken.push(it));
    // The second look is for what a session that can have no worker has put back since the first.
    let has_taken = fill() || {
        session.off_duty();
        fill()
    };
    // One that is tried again is taken before others, and may be of a later place in the input than one of them: its
    // outputs would wait for those of an item behind it.
    taken.sort_unstable_by_key(|(index, _)| *index);
    let exit = worker.exit();
    items.extend(taken.into_iter().map(|(index, value)| Item {
        index,
        attempt: exit.attempt(index),
        value,
        spent: Duration::ZERO,
    }));
    has_taken
}

/// Runs a batch to its end, with as many workers as it takes.
fn batch<T, R>(
    worker: &mut Worker<'_, T, R>,
    session: &mut Session<T, R>,
    items: &mut VecDeque<Item<T>>,
) -> Result<(), Failure>
where
    T: Serialize,
    R: DeserializeOwned,
{
    let mut turns = Turns::new(worker.call(), items.iter().map(name), session.watch());
    let mut refused = None;
    while !items.is_empty() {
        let count = items.len();
        let exit = worker.exit();
        let call = exit.call();
        let limit = call.control.as_ref().and_then(|it| it.time_limit());
        let start = Instant::now();
        let mut last = start;
        #[cfg(feature = "journal")]
        let process = session.process();
        let end = session.batch(items, count, limit, &mut |outcome| {
            let now = Instant::now();
            let ends = outcome.ends();
            if let Some(index) = ends {
                call.slowest.note(index, now - last);
                #[cfg(feature = "journal")]
                if let Some(ledger) = call.control.as_ref().and_then(|it| it.ledger()) {
                    ledger.note_process(index, process());
                }
            }
            if let (Some(index), Some(turns)) = (ends, &turns) {
                turns.ends(index);
            }
            tell(exit, outcome, &mut refused, now - last);
            if let (Some(index), Some(turns)) = (ends, &mut turns) {
                turns.has_ended(index);
            }
            last = now;
        });
        let ended = count.saturating_sub(items.len()) as u64;
        if ended > 0 {
            call.pace.record(start.elapsed(), ended);
        }
        exit.lane.flush(ended.max(1));
        end?;
    }
    Ok(())
}

/// Whether another try may end differently. A value that cannot be written or read never will.
fn may_pass(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Panicked(_) | Failure::Crashed(_) | Failure::TimedOut(_)
    )
}

/// `refused` is the last item whose output nobody wanted any more.
fn tell<T, R>(
    exit: &Exit<T, R>,
    outcome: Outcome<T, R>,
    refused: &mut Option<u64>,
    time: Duration,
) {
    match outcome {
        Outcome::Value(item, value, judgement) => {
            settle::value(exit, name(&item), item.value, value, judgement, time);
        }
        Outcome::Output(index, value) => {
            if !exit.lane.emit(index, value) {
                *refused = Some(index);
            }
        }
        // The stop came before its end, as it does for a body here that is left where it emits.
        Outcome::Ended(item) if *refused == Some(item.index) => {
            let cause = exit.call().end_came_first(true);
            settle::failed(exit, name(&item), item.value, false, cause, time);
        }
        Outcome::Ended(item) => settle::ended(exit, name(&item), item.value, time),
        Outcome::Failed(item, failure) => {
            let may_pass = may_pass(&failure);
            let cause = cause(exit, failure);
            settle::failed(exit, name(&item), item.value, may_pass, cause, time);
        }
        Outcome::Note(note) => take_note(note),
    }
}

fn name<T>(item: &Item<T>) -> Try {
    Try {
        index: item.index,
        attempt: item.attempt,
    }
}

fn cause<T, R>(exit: &Exit<T, R>, failure: Failure) -> Cause {
    match failure {
        Failure::Stopped => {
            // Perhaps it was stopped from inside: by a body, which has the token of its call there too.
            exit.call().stop.stop();
            exit.call().end_came_first(true)
        }
        Failure::TimedOut(limit) => Cause::TimedOut(limit),
        failure => call_cause(failure),
    }
}

fn call_cause(failure: Failure) -> Cause {
    match failure {
        Failure::Stopped => Cause::Stopped,
        Failure::Panicked(it) => Cause::Panicked(it.into_payload()),
        failure => Cause::Process(ProcessError::new(failure)),
    }
}

fn drop_cause(failure: Failure) -> Cause {
    match call_cause(failure) {
        Cause::Panicked(payload) => Cause::DropPanicked(payload),
        cause => cause,
    }
}

fn put_back<T, R>(worker: &Worker<T, R>, items: VecDeque<Item<T>>) {
    let exit = worker.exit();
    items
        .into_iter()
        .for_each(|it| exit.put_back((it.index, it.value), it.attempt));
}

/// No worker can be had. Other sessions may go on with what is in hand, on the workers that there are;
/// otherwise it ends here, and the call with it.
fn give_up<T, R>(worker: &mut Worker<T, R>, run: &Run, items: VecDeque<Item<T>>, failure: Failure) {
    put_back(worker, items);
    if run.goes_on_without(&failure) {
        match &failure {
            Failure::NoProcess(error) => worker.call().note_refused(error),
            failure => worker.call().note_refused(failure),
        }
        // They may have no work and be asleep.
        worker.call().to_workers.notify_all();
    } else if !matches!(failure, Failure::Stopped) {
        let cause = match call_cause(failure) {
            Cause::Panicked(payload) => Cause::InitPanicked(payload),
            cause => cause,
        };
        worker.call().fail(None, cause);
    }
}
