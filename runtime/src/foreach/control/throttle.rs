//! How many items run at once: as a number, as one that several calls share, or as whatever does best.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::debug::{self, Name};
use crate::loan::Loan;
use crate::per_process::PerProcess;
use crate::sync::{Condvar, Mutex};

/// How many items run at once: the value of `throttle = ..`, beside a plain number.
///
/// ```
/// use runspace::{Throttle, foreach_parallel};
///
/// // These two calls have four places between them.
/// let database = Throttle::named("database", 4);
/// let users = foreach_parallel!(0..10, throttle = &database, |id| id);
/// let orders = foreach_parallel!(0..10, throttle = &database, |id| id * 2);
/// assert_eq!(users.count() + orders.count(), 20);
/// ```
#[derive(Clone, Debug)]
pub struct Throttle {
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Fixed(usize),
    Shared(Arc<Gate>),
    Auto(usize),
}

impl Throttle {
    /// So many places, for one call. `throttle = count` says the same.
    ///
    /// # Panics
    /// On 0.
    #[must_use]
    #[track_caller]
    pub fn new(count: usize) -> Self {
        Self {
            kind: Kind::Fixed(at_least_one(count)),
        }
    }

    /// So many places for all calls that are given this throttle or a clone of it.
    ///
    /// A place is taken for as long as an item runs; a body that is given up after its `timeout` keeps it
    /// until it returns. An item that makes a call of its own under the same
    /// throttle lends it its place, so that such a call runs one item at a time and cannot wait for itself. The same
    /// goes for a call that a thread job or an invocation makes which the item has started: as long as the item
    /// runs, one item of such calls at a time runs on its place, beside those that have places of their own.
    ///
    /// # Panics
    /// On 0.
    #[must_use]
    #[track_caller]
    pub fn shared(count: usize) -> Self {
        Self {
            kind: Kind::Shared(Gate::shared(None, at_least_one(count))),
        }
    }

    /// Like [`shared`](Self::shared), for all calls of this process that use this name, as long as
    /// one of them runs or somebody keeps the throttle.
    ///
    /// # Panics
    /// On 0. If the name is in use with another count.
    #[must_use]
    #[track_caller]
    pub fn named(name: &str, count: usize) -> Self {
        let gate = by_name(name, at_least_one(count));
        let there = gate.limit();
        assert!(
            there == count,
            "the throttle `{name}` is in use with {there} places, and cannot have {count} at the same time; \
             change it with `Throttle::set`, or give this one another name"
        );
        Self {
            kind: Kind::Shared(gate),
        }
    }

    /// As many as do best, as far as can be seen: begins with one for each core, and goes on in
    /// the direction in which more items end in the same time, up to 16 for each core. For work whose
    /// best number nobody knows: services that answer as they like, disks, networks.
    #[must_use]
    pub fn auto() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::auto_at_most(cores * 16)
    }

    /// Like [`auto`](Self::auto), with at most `most`.
    ///
    /// # Panics
    /// On 0.
    #[must_use]
    #[track_caller]
    pub fn auto_at_most(most: usize) -> Self {
        Self {
            kind: Kind::Auto(at_least_one(most)),
        }
    }

    /// How many places there are. Of an automatic throttle, how many there are at most.
    #[must_use]
    pub fn get(&self) -> usize {
        match &self.kind {
            Kind::Fixed(count) | Kind::Auto(count) => *count,
            Kind::Shared(gate) => gate.limit(),
        }
    }

    /// Changes the number of places while calls use them. With fewer, what runs comes to its end
    /// and less is started. A call never runs more at once than there were places when it began; to raise
    /// that too, see [`Results::throttle`](crate::Results::throttle).
    ///
    /// # Panics
    /// On 0. On a throttle that is not shared, which belongs to its one call: that of a running call is
    /// [`Results::throttle`](crate::Results::throttle).
    #[track_caller]
    pub fn set(&self, count: usize) {
        match &self.kind {
            Kind::Shared(gate) => gate.set_limit(at_least_one(count)),
            Kind::Fixed(_) | Kind::Auto(_) => panic!(
                "this throttle is not shared, so it has nothing to set; use `Results::throttle` of the call that runs"
            ),
        }
    }
}

#[track_caller]
fn at_least_one(count: usize) -> usize {
    assert!(
        count > 0,
        "`throttle = 0` would never run an item; give it at least 1, or leave it out for 5"
    );
    count
}

impl From<usize> for Throttle {
    #[track_caller]
    fn from(count: usize) -> Self {
        Self::new(count)
    }
}

/// What `throttle = ..` takes.
#[diagnostic::on_unimplemented(
    message = "`throttle` is a number of items, a `usize`, or a `Throttle`, not `{Self}`",
    label = "not a number of items"
)]
pub trait IntoThrottle {
    /// The throttle that it means.
    fn into_throttle(self) -> Throttle;
}

impl IntoThrottle for usize {
    #[track_caller]
    fn into_throttle(self) -> Throttle {
        self.into()
    }
}

impl IntoThrottle for Throttle {
    fn into_throttle(self) -> Throttle {
        self
    }
}

impl IntoThrottle for &Throttle {
    fn into_throttle(self) -> Throttle {
        self.clone()
    }
}

fn by_name(name: &str, count: usize) -> Arc<Gate> {
    // In a process made by `fork` the places are free: who has them is not there.
    static NAMED: PerProcess<std::sync::Mutex<HashMap<String, Weak<Gate>>>> =
        PerProcess::new(Default::default);
    let mut named = NAMED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(gate) = named.get(name).and_then(Weak::upgrade) {
        return gate;
    }
    named.retain(|_, gate| gate.strong_count() > 0);
    let gate = Gate::shared(Some(name), count);
    named.insert(name.to_owned(), Arc::downgrade(&gate));
    gate
}

/// Places that several calls share.
pub(crate) struct Gate {
    name: Option<String>,
    places: Mutex<Places>,
    freed: Condvar,
}

struct Places {
    limit: usize,
    taken: usize,
    /// Who waits for one.
    waiting: usize,
}

/// A place that is taken, until it is dropped.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    /// It is that of another item, which lends it.
    loan: Option<Arc<Loan>>,
}

impl Gate {
    fn new(limit: usize) -> Self {
        Self {
            name: None,
            places: Mutex::new(Places {
                limit,
                taken: 0,
                waiting: 0,
            }),
            freed: Condvar::new(),
        }
    }

    /// One that several calls can have.
    fn shared(name: Option<&str>, limit: usize) -> Arc<Self> {
        let mut gate = Self::new(limit);
        gate.name = name.map(str::to_owned);
        let gate = Arc::new(gate);
        debug::enlist(&gate);
        gate
    }

    /// In words, for somebody who looks where a program hangs.
    pub(crate) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("the throttle {}", Name(name)),
            None => format!("a shared throttle without a name, #{:x}", self.id()),
        }
    }

    /// Tells this set of places from every other that is alive.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn limit(&self) -> usize {
        self.places.lock().limit
    }

    fn set_limit(&self, limit: usize) {
        self.places.lock().limit = limit;
        self.freed.notify_all();
    }

    /// A place, if one is free or lent.
    #[cfg(feature = "cluster")]
    pub(crate) fn try_pass(self: &Arc<Self>, loans: &[Arc<Loan>]) -> Option<Permit> {
        self.take(&mut self.places.lock(), loans)
    }

    fn take(self: &Arc<Self>, places: &mut Places, loans: &[Arc<Loan>]) -> Option<Permit> {
        let loan = loans.iter().find(|it| it.take());
        if loan.is_none() {
            if places.taken >= places.limit {
                return None;
            }
            places.taken += 1;
        }
        Some(Permit {
            gate: Arc::clone(self),
            loan: loan.cloned(),
        })
    }

    /// Waits for a place, one of these `loans` for instance; `None` once `is_over`.
    pub(crate) fn pass(
        self: &Arc<Self>,
        loans: &[Arc<Loan>],
        is_over: impl Fn() -> bool,
    ) -> Option<Permit> {
        /// Nobody wakes those who wait here for calls that end otherwise.
        const LOOK: Duration = Duration::from_millis(20);
        let mut places = self.places.lock();
        if let Some(permit) = self.take(&mut places, loans) {
            return Some(permit);
        }
        let _waits = debug::wait(|| format!("a worker: a place of {}", self.title()));
        places.waiting += 1;
        loop {
            if is_over() {
                places.waiting -= 1;
                return None;
            }
            places = self.freed.wait_timeout(places, LOOK).0;
            if let Some(permit) = self.take(&mut places, loans) {
                places.waiting -= 1;
                return Some(permit);
            }
        }
    }
}

impl debug::Tell for Gate {
    fn heading(&self) -> &'static str {
        "throttles"
    }

    fn tell(&self, out: &mut String) {
        let title = self.title();
        match self.places.try_lock() {
            None => debug::line(out, 1, format_args!("{title}: busy")),
            Some(places) => {
                let (limit, taken, waiting) = (places.limit, places.taken, places.waiting);
                debug::line(
                    out,
                    1,
                    format_args!(
                        "{title}: {taken} of {limit} places taken, {waiting} wait for one"
                    ),
                );
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut places = self.gate.places.lock();
        match &self.loan {
            Some(loan) => {
                loan.give_back();
                drop(places);
                // Only some of those that wait can use it.
                self.gate.freed.notify_all();
            }
            None => {
                places.taken -= 1;
                drop(places);
                self.gate.freed.notify_one();
            }
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.places.lock();
        f.debug_struct("Gate")
            .field("limit", &places.limit)
            .field("taken", &places.taken)
            .finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// The search for the number of items at once with which most of them end.
#[derive(Debug)]
pub(crate) struct Climb {
    most: usize,
    now: usize,
    up: bool,
    /// Items a second, with the number before this one.
    before: Option<f64>,
    since: Instant,
    ended: u64,
}

impl Climb {
    /// How long one number is tried.
    pub(crate) const STEP: Duration = Duration::from_millis(200);
    /// A difference below this is chance.
    const CHANCE: f64 = 0.05;

    pub(crate) fn new(most: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            most,
            now: cores.min(most),
            up: true,
            before: None,
            since: Instant::now(),
            ended: 0,
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.now
    }

    /// `ended` items have ended in all by `now`. Answers the number to go on with.
    pub(crate) fn look(&mut self, ended: u64, now: Instant) -> usize {
        let took = now.saturating_duration_since(self.since);
        let new = ended.saturating_sub(self.ended);
        // Too few to tell: what runs takes long, and deserves as long a look.
        if took < Self::STEP || new < 2 * self.now as u64 {
            return self.now;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate, of which 52 bits will do"
        )]
        let rate = new as f64 / took.as_secs_f64();
        let change = self.before.map(|before| (rate - before) / before);
        match change {
            // Worse than before: back.
            Some(change) if change < -Self::CHANCE => self.up = !self.up,
            // No better for more: fewer do as well.
            Some(change) if change < Self::CHANCE && self.up => self.up = false,
            _ => {}
        }
        self.now = self.next();
        self.before = Some(rate);
        self.since = now;
        self.ended = ended;
        self.now
    }

    fn next(&mut self) -> usize {
        let step = (self.now / 4).max(1);
        let next = match self.up {
            true => self.now.saturating_add(step).min(self.most),
            false => self.now.saturating_sub(step).max(1),
        };
        // At an end there is only one way to go.
        if next == self.now {
            self.up = !self.up;
        }
        next
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::foreach::loom_tests::model;
    use crate::sync::atomic::{AtomicUsize, Ordering};

    /// Passes the gate, and looks how many have at once.
    fn run_one(gate: &Arc<Gate>, running: &AtomicUsize, most: usize) {
        let permit = gate.pass(|| false).expect("the call is not over");
        assert!(running.fetch_add(1, Ordering::SeqCst) < most);
        running.fetch_sub(1, Ordering::SeqCst);
        drop(permit);
    }

    fn elsewhere(
        gate: &Arc<Gate>,
        running: &Arc<AtomicUsize>,
        most: usize,
    ) -> loom::thread::JoinHandle<()> {
        let (gate, running) = (Arc::clone(gate), Arc::clone(running));
        loom::thread::spawn(move || run_one(&gate, &running, most))
    }

    #[test]
    fn a_gate_lets_one_after_the_other_through() {
        model(3, || {
            let (gate, running) = (Arc::new(Gate::new(1)), Arc::default());
            let others = [0, 1].map(|_| elsewhere(&gate, &running, 1));
            run_one(&gate, &running, 1);
            others.into_iter().for_each(|it| it.join().unwrap());
        });
    }

    #[test]
    fn a_gate_that_is_widened_lets_the_next_through() {
        model(4, || {
            let (gate, running) = (Arc::new(Gate::new(1)), Arc::default());
            let permit = gate.pass(|| false);
            let other = elsewhere(&gate, &running, 2);
            gate.set_limit(2);
            // It need not wait for the place that is taken.
            other.join().unwrap();
            drop(permit);
        });
    }

    #[test]
    fn a_gate_that_is_widened_lets_all_through_that_fit() {
        model(3, || {
            let gate = Arc::new(Gate::new(1));
            let permit = gate.pass(|| false);
            let others = [0, 1].map(|_| {
                let gate = Arc::clone(&gate);
                loom::thread::spawn(move || gate.pass(|| false))
            });
            gate.set_limit(3);
            // No place is given back before all are taken.
            let permits = others.map(|it| it.join().unwrap());
            assert_eq!(permits.iter().chain([&permit]).flatten().count(), 3);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Where the search is after `steps` looks at something that does `rate(n)` items a second.
    fn climb(most: usize, steps: u32, rate: impl Fn(usize) -> f64) -> Vec<usize> {
        let mut climb = Climb::new(most);
        let (mut now, mut ended) = (climb.since, 0.0);
        (0..steps)
            .map(|_| {
                let took = Duration::from_secs(10);
                now += took;
                ended += rate(climb.number()) * took.as_secs_f64();
                climb.look(ended as u64, now)
            })
            .collect()
    }

    #[test]
    fn what_waits_gets_all_there_is() {
        let numbers = climb(32, 40, |n| n as f64 * 10.0);
        assert!(numbers.contains(&32), "{numbers:?}");
        assert!(numbers[30..].iter().all(|n| *n >= 20), "{numbers:?}");
    }

    #[test]
    fn what_computes_stays_near_the_cores() {
        let numbers = climb(64, 60, |n| n.min(4) as f64 * 10.0);
        assert!(
            numbers[30..].iter().all(|n| (2..=8).contains(n)),
            "{numbers:?}"
        );
    }

    #[test]
    fn what_chokes_is_given_less() {
        let numbers = climb(64, 60, |n| if n <= 6 { n as f64 * 10.0 } else { 10.0 });
        let most = numbers[30..].iter().filter(|n| **n > 8).count();
        assert_eq!(most, 0, "{numbers:?}");
    }

    /// What a machine that has other things to do makes of it: rates that are a tenth off, either way.
    #[test]
    fn chance_does_not_lead_it_astray() {
        let best = 160.0;
        let rate = |n: usize| n.min(16) as f64 * 10.0;
        let state = std::cell::Cell::new(1_u32);
        let numbers = climb(64, 400, |n| {
            // Knuth's and Lewis's generator.
            state.set(
                state
                    .get()
                    .wrapping_mul(1_664_525)
                    .wrapping_add(1_013_904_223),
            );
            let chance = f64::from(state.get() >> 8) / f64::from(1 << 24);
            rate(n) * (0.9 + 0.2 * chance)
        });
        let later = &numbers[40..];
        let mean = later.iter().map(|n| rate(*n)).sum::<f64>() / later.len() as f64;
        assert!(mean > 0.85 * best, "{mean}: {later:?}");
        let number = later.iter().sum::<usize>() / later.len();
        assert!((10..=26).contains(&number), "{number}: {later:?}");
    }

    #[test]
    fn what_one_call_has_alone_cannot_be_set_from_outside() {
        for throttle in [Throttle::new(2), Throttle::auto_at_most(2)] {
            let set = std::panic::AssertUnwindSafe(|| throttle.set(1));
            let payload = std::panic::catch_unwind(set).unwrap_err();
            let text = crate::error::PanicPayload::new(payload);
            assert!(text.message().contains("is not shared"), "{text:?}");
            assert_eq!(throttle.get(), 2);
        }
    }

    #[test]
    fn too_few_ends_say_nothing() {
        let mut climb = Climb::new(8);
        let number = climb.number();
        let later = climb.since + Duration::from_secs(60);
        assert_eq!(climb.look(1, later), number);
    }

    #[test]
    fn a_name_is_one_throttle_while_it_is_in_use() {
        let one = Throttle::named("throttle-test", 2);
        let two = Throttle::named("throttle-test", 2);
        let (Kind::Shared(a), Kind::Shared(b)) = (&one.kind, &two.kind) else {
            panic!("shared");
        };
        assert!(Arc::ptr_eq(a, b));
        two.set(3);
        assert_eq!(one.get(), 3);
        drop((one, two));
        assert_eq!(Throttle::named("throttle-test", 5).get(), 5);
    }
}
