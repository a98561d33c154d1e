//! How a case becomes a call: its options, its input, its place.

use std::sync::Arc;
use std::time::Duration;

use runspace::__private::{
    Options, capture, capture_within, foreach, foreach_borrowed, foreach_plan, foreach_process,
    foreach_within, made, on_pool, on_sequential, portable, serial,
};
#[cfg(feature = "rayon")]
use runspace::__private::{on_rayon, on_rayon_pool};
use runspace::{Halt, Plan, Results, Retry, Scope, Throttle, Timeout};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bodies::{self, Answer, Capture, Item, State, Thing};
use super::case::{Amount, Broken, Case, Ends, Hint, Input, Limit, Pause, Place, Throttling};
use super::ledger::{Of, Token};
use super::log::Live;

/// What the macro expands to, with options that are chosen at run time. `worker` is another type on each back end.
macro_rules! run {
    ($worker:ident, $capture:ident) => {{
        let case = &$capture.case;
        if case.retry.is_some() {
            $worker.copying();
        }
        if case.journal && !$worker.journalling() {
            return;
        }
        let mut state = State::new(&$capture);
        if case.emits {
            $worker.run_emitting(|item, job| bodies::emit(&$capture, &mut state, item, job));
        } else if case.retry.is_some() || case.halt.is_some() || case.journal {
            $worker.run_judged(
                |item| bodies::value(&$capture, &mut state, item),
                |answer| $capture.judge(answer),
            );
        } else {
            $worker.run(|item| bodies::value(&$capture, &mut state, item));
        }
    }};
}

/// What a call can be made of.
pub trait Any: Thing + Clone + Serialize + DeserializeOwned + Send + 'static {}
impl<T: Thing + Clone + Serialize + DeserializeOwned + Send + 'static> Any for T {}

fn on_threads<I>(items: I, options: Options, it: Capture) -> Results<Answer>
where
    I: IntoIterator<Item: Any, IntoIter: Send + 'static>,
{
    foreach(
        items,
        options,
        (capture(it), ()),
        |(it, ())| move |worker| run!(worker, it),
        made(),
    )
}

fn on_processes<I>(items: I, options: Options, it: Capture) -> Results<Answer>
where
    I: IntoIterator<Item: Any, IntoIter: Send + 'static>,
{
    foreach_process(
        items,
        options,
        (serial()(it), ()),
        |(it, ())| move |worker| run!(worker, it),
        made(),
    )
}

fn on_plan<I>(items: I, options: Options, it: Capture) -> Results<Answer>
where
    I: IntoIterator<Item: Any, IntoIter: Send + 'static>,
{
    foreach_plan(
        items,
        options,
        (portable()(it), ()),
        |(it, ())| move |worker| run!(worker, it),
        made(),
    )
}

fn streaming<I>(items: I, options: Options, it: Capture) -> Results<Answer>
where
    I: IntoIterator<Item: Any, IntoIter: Send + 'static>,
{
    let place = it.case.place;
    let mut options = options;
    if (place.is_process() || place.is_plan()) && it.case.emits {
        options = options.emitting();
    }
    if (place.is_process() || place.is_plan()) && it.case.state {
        options = options.with_state();
    }
    match place {
        Place::Process | Place::ProcessPool => on_processes(items, options, it),
        it_is if it_is.is_plan() => on_plan(items, options, it),
        _ => on_threads(items, options, it),
    }
}

fn within<'scope, I>(
    scope: &'scope Scope<'scope, '_>,
    items: I,
    options: Options,
    it: Capture,
) -> Results<Answer>
where
    I: IntoIterator<Item: Thing + Clone + Serialize + Send + 'scope, IntoIter: Send + 'scope>,
{
    foreach_within(
        scope,
        items,
        options,
        (capture_within(it), ()),
        |(it, ())| move |worker| run!(worker, it),
        made(),
    )
}

fn borrowing<I>(items: I, options: Options, it: Capture) -> Results<Answer>
where
    I: IntoIterator<Item: Thing + Clone + Serialize + Send, IntoIter: Send>,
{
    foreach_borrowed(
        items,
        options,
        (capture_within(it), ()),
        |(it, ())| move |worker| run!(worker, it),
        made(),
    )
}

/// A call that owns its items.
pub fn stream(case: &Case, number: u64, live: &Arc<Live>, options: Options) -> Results<Answer> {
    let capture = Capture::new(case, number);
    if case.place.is_plan() {
        runspace::plan(match case.place {
            Place::PlanSequential => Plan::Sequential,
            Place::PlanProcess => Plan::Process(None),
            #[cfg(feature = "rayon")]
            Place::PlanRayon => Plan::Rayon,
            _ => Plan::Threads(None),
        });
    }
    match case.input {
        Input::Range => streaming(0..case.total() as u64, options, capture),
        Input::Vec | Input::Slice => streaming(items(case, number), options, capture),
        Input::Results => streaming(earlier(case, number), options, capture),
        Input::Stages => {
            let before = earlier(case, number);
            let stage = foreach(
                before,
                Options::new().throttle(2).ordered(true),
                (),
                |()| |worker| worker.run(|item| item),
                made(),
            );
            streaming(stage, options, capture)
        }
        _ => streaming(Lazy::new(case, number, live), options, capture),
    }
}

/// A call that may borrow from outside of the scope.
pub fn scoped<'scope>(
    scope: &'scope Scope<'scope, '_>,
    case: &Case,
    number: u64,
    live: &Arc<Live>,
    items: &'scope [Item],
    options: Options,
) -> Results<Answer> {
    let capture = Capture::new(case, number);
    match case.input {
        Input::Range => within(scope, 0..case.total() as u64, options, capture),
        Input::Slice => within(scope, items, options, capture),
        Input::Vec => within(scope, self::items(case, number), options, capture),
        Input::Results | Input::Stages => within(scope, earlier(case, number), options, capture),
        _ => within(scope, Lazy::new(case, number, live), options, capture),
    }
}

/// A call that has run when it answers.
pub fn borrowed(case: &Case, number: u64, items: &[Item], options: Options) -> Results<Answer> {
    let capture = Capture::new(case, number);
    match case.input {
        Input::Range => borrowing(0..case.total() as u64, options, capture),
        _ => borrowing(items, options, capture),
    }
}

pub fn items(case: &Case, number: u64) -> Vec<Item> {
    let all = 0..case.total();
    all.map(|index| Item::new(case, number, index)).collect()
}

/// A call whose results are the items.
fn earlier(case: &Case, number: u64) -> Results<Item> {
    let all = items(case, number);
    foreach(
        all,
        Options::new().throttle(3).ordered(true).buffer(2),
        (),
        |()| |worker| worker.run(|item| item),
        made(),
    )
}

pub fn options(case: &Case, live: &Live, journal: Option<&std::path::Path>) -> Options {
    let mut options = Options::new().ordered(case.ordered);
    options = match case.throttle {
        Throttling::Default => options,
        Throttling::Fixed(count) => options.throttle(count),
        Throttling::Auto(most) => options.throttle(Throttle::auto_at_most(most)),
        Throttling::Shared(count) | Throttling::Named(count) => {
            let throttle = match case.throttle {
                Throttling::Named(_) => Throttle::named(&format!("whole calls {count}"), count),
                _ => Throttle::shared(count),
            };
            *live.throttle.lock().unwrap() = Some(throttle.clone());
            options.throttle(throttle)
        }
    };
    if let Some(buffer) = case.buffer {
        options = options.buffer(buffer);
    }
    if let Some(limit) = case.timeout {
        options = match limit {
            Limit::Median => {
                options.timeout(Timeout::median(3.0).at_least(Duration::from_secs(60)))
            }
            _ => options.timeout(time(limit)),
        };
    }
    if let Some(limit) = case.deadline {
        options = options.deadline(time(limit));
    }
    if let Some(again) = case.retry {
        options = options.retry(match again.pause {
            Pause::None => Retry::times(again.times),
            Pause::Every(tenths) => {
                Retry::every(again.times, Duration::from_micros(100 * u64::from(tenths)))
            }
            Pause::Growing => Retry::exponential(again.times, Duration::from_micros(50))
                .at_most(Duration::from_millis(1)),
        });
    }
    if let Some(enough) = case.halt {
        let halt = match enough.now {
            true => Halt::now(),
            false => Halt::soon(),
        };
        options = options.halt(match (enough.of, enough.amount) {
            (Ends::Fail, Amount::Count(count)) => halt.fail(count),
            (Ends::Success, Amount::Count(count)) => halt.success(count),
            (Ends::Done, Amount::Count(count)) => halt.done(count),
            (Ends::Fail, Amount::Percent(share)) => halt.fail_percent(share.into()),
            (Ends::Success, Amount::Percent(share)) => halt.success_percent(share.into()),
            (Ends::Done, Amount::Percent(share)) => halt.done_percent(share.into()),
        });
    }
    #[cfg(feature = "journal")]
    if let Some(path) = journal {
        options = options.journal(path).resume(true);
    }
    #[cfg(not(feature = "journal"))]
    let _ = journal;
    match case.place {
        Place::Sequential => options.on(on_sequential()),
        #[cfg(feature = "rayon")]
        Place::Rayon => options.on(on_rayon()),
        #[cfg(feature = "rayon")]
        Place::RayonPool => options.on(on_rayon_pool(&bodies::RAYON)),
        Place::Pool => options.on(on_pool(&bodies::POOL)),
        Place::Process => options.on_process(),
        Place::ProcessPool => options.on_process_pool(&bodies::PROCESSES),
        _ => options,
    }
}

fn time(limit: Limit) -> Duration {
    match limit {
        Limit::Short(millis) => Duration::from_millis(millis.into()),
        Limit::Long | Limit::Median => Duration::from_secs(600),
        Limit::Max => Duration::MAX,
    }
}

/// An input that is no range and no `Vec`.
struct Lazy {
    case: Case,
    number: u64,
    live: Arc<Live>,
    next: usize,
    _token: Token,
}

impl Lazy {
    fn new(case: &Case, number: u64, live: &Arc<Live>) -> Self {
        Self {
            case: case.clone(),
            number,
            live: Arc::clone(live),
            next: 0,
            _token: Token::new(number, Of::Input),
        }
    }
}

impl Iterator for Lazy {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let index = self.next;
        if self.case.broken == Some(Broken::Next(index)) {
            bodies::raise("next");
        }
        if index >= self.case.total() {
            return None;
        }
        if let Input::Slow(tenths) = self.case.input
            && index.is_multiple_of(4)
        {
            std::thread::sleep(Duration::from_micros(100 * u64::from(tenths)));
        }
        self.next += 1;
        self.live.take();
        Some(Item::new(&self.case, self.number, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.case.broken == Some(Broken::SizeHint) {
            bodies::raise("size_hint");
        }
        let left = self.case.total() - self.next;
        match self.case.input {
            Input::Vague(Hint::Nothing) => (0, None),
            Input::Vague(Hint::Half) => (left / 2, None),
            Input::Vague(Hint::More) => (left / 2, Some(left * 2 + 1)),
            Input::Vague(Hint::Endless) => (left, Some(usize::MAX)),
            _ => (left, Some(left)),
        }
    }
}

impl Drop for Lazy {
    fn drop(&mut self) {
        if self.case.broken == Some(Broken::InputDrop) && !std::thread::panicking() {
            bodies::raise("input");
        }
    }
}
