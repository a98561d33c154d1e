//! Items, values and captures, and what bodies do with them.

use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use runspace::__private::judge::Judgement;
use runspace::{
    ItemContext, JobQueue, ProcessPool, Runspace, RunspacePool, Throttle, foreach_parallel, invoke,
    start_job, start_thread_job,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::case::{Broken, Case, Deed, Nest, Way, Work};
use super::ledger::{self, Of, Token};
use super::log::{self, Entry, What};

/// What the calls of all cases share.
pub static POOL: LazyLock<RunspacePool> =
    LazyLock::new(|| RunspacePool::builder().max(3).open().unwrap());
pub static RUNSPACE: LazyLock<Runspace> = LazyLock::new(|| Runspace::open().unwrap());
pub static PROCESSES: LazyLock<ProcessPool> =
    LazyLock::new(|| ProcessPool::builder().workers(2).build());
#[cfg(feature = "rayon")]
pub static RAYON: LazyLock<Arc<rayon::ThreadPool>> = LazyLock::new(|| {
    Arc::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(2)
            .build()
            .unwrap(),
    )
});

/// A piece of user code that panics where the call runs it.
#[derive(Debug, Default)]
pub struct Trap(Option<At>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum At {
    Drop,
    Clone,
    Serialize,
    Deserialize,
}

/// Panics as a body would, without a report.
pub fn raise(text: &str) -> ! {
    resume_unwind(Box::new(format!("planned: {text}")))
}

impl Drop for Trap {
    fn drop(&mut self) {
        if self.0 == Some(At::Drop) && !std::thread::panicking() {
            raise("drop");
        }
    }
}

impl Clone for Trap {
    fn clone(&self) -> Self {
        if self.0 == Some(At::Clone) {
            raise("clone");
        }
        Self(self.0)
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 == Some(At::Serialize) {
            raise("serialize");
        }
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let at = Option::<At>::deserialize(from)?;
        if at == Some(At::Deserialize) {
            raise("deserialize");
        }
        Ok(Self(at))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    index: u64,
    token: Token,
    // The last field: what comes before it is dropped whatever it does.
    trap: Trap,
}

impl Item {
    pub fn new(case: &Case, number: u64, index: usize) -> Self {
        let at = case.broken.and_then(|it| match it {
            Broken::ItemDrop(it) if it == index => Some(At::Drop),
            Broken::ItemClone(it) if it == index => Some(At::Clone),
            Broken::ItemSerialize(it) if it == index => Some(At::Serialize),
            Broken::ItemDeserialize(it) if it == index => Some(At::Deserialize),
            _ => None,
        });
        Self {
            index: index as u64,
            token: Token::new(number, Of::Item),
            trap: Trap(at),
        }
    }
}

/// An item, or what stands for one.
pub trait Thing {
    fn index(&self) -> u64;
}

impl Thing for Item {
    fn index(&self) -> u64 {
        self.index
    }
}

impl Thing for &Item {
    fn index(&self) -> u64 {
        self.index
    }
}

impl Thing for u64 {
    fn index(&self) -> u64 {
        *self
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Output {
    pub index: u64,
    pub attempt: u32,
    pub seq: u32,
    /// Values of earlier calls that are left in the process that made this.
    pub leaked: usize,
    token: Token,
    trap: Trap,
}

/// What a body answers or emits.
pub type Answer = Result<Output, Output>;

/// The payload of a body's panic.
pub struct Payload {
    pub index: u64,
    pub attempt: u32,
    _token: Token,
    _trap: Trap,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capture {
    #[serde(with = "as_text")]
    pub case: Case,
    pub number: u64,
    /// The process that runs the call.
    pub program: u32,
    token: Token,
    trap: Trap,
}

/// A case leaves fields out where it is written down, which cannot be done on the way to a process.
mod as_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Case;

    pub fn serialize<S: Serializer>(case: &Case, to: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(case).unwrap().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Case, D::Error> {
        serde_json::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Capture {
    pub fn new(case: &Case, number: u64) -> Self {
        let at = case.broken.and_then(|it| match it {
            Broken::CaptureDrop => Some(At::Drop),
            Broken::CaptureSerialize => Some(At::Serialize),
            Broken::CaptureDeserialize => Some(At::Deserialize),
            _ => None,
        });
        Self {
            case: case.clone(),
            number,
            program: std::process::id(),
            token: Token::new(number, Of::Capture),
            trap: Trap(at),
        }
    }

    fn write(&self, what: What, index: u64, attempt: u32, stopping: bool) {
        let entry = Entry {
            what,
            index,
            attempt,
            stopping,
        };
        log::write(self.program, self.number, entry);
    }

    /// Whether this is not the process that runs the call.
    fn is_away(&self) -> bool {
        self.program != std::process::id()
    }

    fn output(&self, index: u64, attempt: u32, seq: u32) -> Output {
        let concerns = |it: usize| it as u64 == index;
        let at = self.case.broken.and_then(|it| match it {
            Broken::ValueDrop(it) if concerns(it) => Some(At::Drop),
            Broken::ValueSerialize(it) if concerns(it) => Some(At::Serialize),
            Broken::ValueDeserialize(it) if concerns(it) => Some(At::Deserialize),
            _ => None,
        });
        let leaked = match self.is_away() {
            true => ledger::live_of_others(self.number),
            false => 0,
        };
        Output {
            index,
            attempt,
            seq,
            leaked,
            token: Token::new(self.number, Of::Value),
            trap: Trap(at),
        }
    }

    /// What `retry` is told of an answer.
    pub fn judge(&self, answer: &Answer) -> Judgement {
        let failed = answer.is_err();
        match self.case.retry {
            Some(it) if it.asks => Judgement::asked(failed, answer, |it| self.asked(it)),
            _ => Judgement::of(failed),
        }
    }

    /// `retry_if`
    fn asked(&self, answer: &Answer) -> bool {
        let (Ok(output) | Err(output)) = answer;
        let index = usize::try_from(output.index).unwrap();
        if self.case.broken == Some(Broken::Predicate(index)) {
            raise("predicate");
        }
        asks_again(index, output.attempt, answer.is_ok())
    }
}

/// The `retry_if` of all cases: failures of items with even numbers, and the first values of some.
pub fn asks_again(index: usize, attempt: u32, good: bool) -> bool {
    match good {
        true => index % 5 == 4 && attempt == 1,
        false => index.is_multiple_of(2),
    }
}

/// What `init(..)` makes.
pub struct State {
    items: u64,
    _token: Token,
    _trap: Trap,
}

impl State {
    pub fn new(capture: &Capture) -> Option<Self> {
        if !capture.case.state {
            return None;
        }
        if capture.case.broken == Some(Broken::StateMake) {
            raise("state");
        }
        if let Some(live) = log::case(capture.number) {
            live.inits.fetch_add(1, Ordering::SeqCst);
        }
        let drops = capture.case.broken == Some(Broken::StateDrop);
        Some(Self {
            items: 0,
            _token: Token::new(capture.number, Of::State),
            _trap: Trap(drops.then_some(At::Drop)),
        })
    }
}

/// A body that runs.
struct Running<'a> {
    capture: &'a Capture,
    index: u64,
    attempt: u32,
}

impl<'a> Running<'a> {
    fn begin(capture: &'a Capture, index: u64) -> Self {
        let attempt = runspace::attempt().max(1);
        if let Some(live) = log::case(capture.number) {
            live.running.fetch_add(1, Ordering::SeqCst);
        }
        capture.write(What::Begin, index, attempt, runspace::stopping());
        let stops = capture.case.stop_inside.map(|it| it as u64) == Some(index);
        if stops && let Some(live) = log::case(capture.number) {
            let token = live.token.lock().unwrap().clone();
            token.inspect(runspace::StopToken::stop);
        }
        Self {
            capture,
            index,
            attempt,
        }
    }

    fn deed(&self) -> Deed {
        let index = usize::try_from(self.index).unwrap();
        self.capture.case.deed(index, self.attempt)
    }

    fn returns(&self) {
        let stopping = runspace::stopping();
        self.capture
            .write(What::Return, self.index, self.attempt, stopping);
    }

    fn panic(&self) -> ! {
        let Self {
            capture,
            index,
            attempt,
        } = *self;
        if capture.is_away() {
            raise(&format!("item {index} try {attempt}"));
        }
        let drops = capture.case.broken == Some(Broken::PayloadDrop);
        resume_unwind(Box::new(Payload {
            index,
            attempt,
            _token: Token::new(capture.number, Of::Payload),
            _trap: Trap(drops.then_some(At::Drop)),
        }))
    }

    fn end(&self, way: Way) {
        match way {
            Way::Panic => self.panic(),
            Way::Abort if self.capture.is_away() => std::process::abort(),
            Way::Exit if self.capture.is_away() => std::process::exit(3),
            _ => {}
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.capture
            .write(What::Leave, self.index, self.attempt, runspace::stopping());
        if let Some(live) = log::case(self.capture.number) {
            live.running.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn count(state: &mut Option<State>) {
    if let Some(state) = state {
        state.items += 1;
    }
}

/// One value an item.
pub fn value(capture: &Capture, state: &mut Option<State>, thing: impl Thing) -> Answer {
    let running = Running::begin(capture, thing.index());
    count(state);
    let deed = running.deed();
    work(capture, deed.work);
    drop(thing);
    running.end(deed.way);
    let output = capture.output(running.index, running.attempt, 0);
    running.returns();
    match deed.way {
        Way::Err => Err(output),
        _ => Ok(output),
    }
}

/// Any number of outputs an item.
pub fn emit(
    capture: &Capture,
    state: &mut Option<State>,
    thing: impl Thing,
    job: &ItemContext<'_, Answer>,
) {
    let running = Running::begin(capture, thing.index());
    count(state);
    assert_eq!(
        (job.index(), job.attempt()),
        (running.index, running.attempt)
    );
    let deed = running.deed();
    let all = u32::from(deed.outputs);
    let emit = |seq| job.emit(Ok(capture.output(running.index, running.attempt, seq)));
    (0..all / 2).for_each(emit);
    work(capture, deed.work);
    (all / 2..all).for_each(emit);
    drop(thing);
    running.end(deed.way);
    running.returns();
}

fn work(capture: &Capture, work: Work) {
    match work {
        Work::None => {}
        Work::Yield => std::thread::yield_now(),
        Work::Spin(turns) => (0..turns).for_each(|it| drop(std::hint::black_box(it.to_string()))),
        Work::Sleep(tenths) => std::thread::sleep(Duration::from_micros(100 * u64::from(tenths))),
        Work::Hang => {
            while !runspace::stopping() {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        Work::Nest(nest) => nested(capture, nest),
    }
}

/// What is inside an item has its own results, unless the item is told to stop.
fn nested(capture: &Capture, nest: Nest) {
    let all = |sum: u64| assert!(sum == 15 || runspace::stopping(), "a nested call: {sum}");
    match nest {
        Nest::Call => all(foreach_parallel!(0..6_u64, throttle = 2, |n| n).sum()),
        Nest::Ordered => {
            all(foreach_parallel!(0..6_u64, throttle = 2, ordered = true, buffer = 0, |n| n).sum())
        }
        Nest::Borrowed => {
            let numbers = [1_u64, 2, 3, 4, 5];
            all(foreach_parallel!(&numbers, throttle = 2, |n| *n).sum());
        }
        Nest::Sequential => all(foreach_parallel!(0..6_u64, on = sequential, |n| n).sum()),
        Nest::OnPool => all(foreach_parallel!(0..6_u64, on = pool(&POOL), |n| n).sum()),
        Nest::OnPoolDeeper => all(foreach_parallel!(0..3_u64, throttle = 2, |n| {
            foreach_parallel!([2 * n, 1], on = pool(&POOL), |n| n).sum::<u64>()
                + u64::from(n == 0) * 6
        })
        .sum()),
        Nest::ThreadJob => {
            let queue = JobQueue::new(1);
            let job = start_thread_job!(queue = &queue, { 15 });
            job.join()
                .map_or_else(|it| assert!(it.is_stopped(), "{it}"), all);
        }
        Nest::JobOfCall => {
            let queue = JobQueue::new(1);
            let job = start_thread_job!(queue = &queue, {
                foreach_parallel!(0..6_u64, |n| n).sum::<u64>()
            });
            let sum = job.join();
            sum.map_or_else(
                |it| assert!(it.is_stopped(), "{it}"),
                |it| {
                    assert!(it == 15 || runspace::stopping(), "{it}");
                },
            );
        }
        Nest::Runspace => {
            let sum = invoke!(&*RUNSPACE, { 15 }).end();
            sum.map_or_else(|it| assert!(it.is_stopped(), "{it}"), all);
        }
        Nest::InvokeOnPool => {
            let sum = invoke!(&*POOL, { 15 }).end();
            sum.map_or_else(|it| assert!(it.is_stopped(), "{it}"), all);
        }
        Nest::SharedThrottle => {
            let shared: Option<Throttle> =
                log::case(capture.number).and_then(|it| it.throttle.lock().unwrap().clone());
            let Some(shared) = shared else { return };
            all(foreach_parallel!(0..6_u64, throttle = &shared, |n| n).sum());
        }
        Nest::ProcessJob => {
            if capture.is_away() {
                return;
            }
            let sum = start_job!({ 15_u64 }).join();
            sum.map_or_else(|it| assert!(it.is_stopped(), "{it}"), all);
        }
    }
}
