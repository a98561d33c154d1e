//! How many items run at once: as a number, as one that several calls share, or as whatever does best.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::debug::{self, Name};
use crate::loan::Loan;
use crate::per_process::PerProcess;
use crate::sync::atomic::{AtomicU64, Ordering};
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
    /// until it returns. An item that emits and waits for its reader does not run: it gives its place back, and goes on
    /// when it has one again. An item that makes a call of its own under the same
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

    /// As many as do best, as far as can be seen: begins with one for each core, doubles that while more items end in the
    /// same time, up to 16 for each core, and looks again now and then whether more or fewer do better. Where items take
    /// a fifth of a second at most it is within a tenth of the best number's rate after about two seconds. For work whose
    /// best number nobody knows: services that answer as they like, disks, networks.
    #[must_use]
    pub fn auto() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::auto_at_most(cores.saturating_mul(16))
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
    /// How many workers wait for a place.
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
    pub(crate) fn try_pass(self: &Arc<Self>, loans: &[Arc<Loan>]) -> Option<Permit> {
        self.take(&mut self.places.lock(), loans)
    }

    fn take(self: &Arc<Self>, places: &mut Places, loans: &[Arc<Loan>]) -> Option<Permit> {
        let loan = loans.iter().find(|it| it.take());
        if loan.is_none() {
            if places.taken >= places.limit {
                return None;
            }
            places.taken = places.taken.saturating_add(1);
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
        places.waiting = places.waiting.saturating_add(1);
        loop {
            if is_over() {
                places.waiting = places.waiting.saturating_sub(1);
                return None;
            }
            places = self.freed.wait_timeout(places, LOOK).0;
            if let Some(permit) = self.take(&mut places, loans) {
                places.waiting = places.waiting.saturating_sub(1);
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
                places.taken = places.taken.saturating_sub(1);
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

/// What has been seen since one number of items at once began to be tried.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The zero of the times below.
    made: Instant,
    /// When that number began, in nanoseconds.
    since: AtomicU64,
    /// Items that began after that and have ended, and how long they took together, in nanoseconds.
    count: AtomicU64,
    busy: AtomicU64,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            made: Instant::now(),
            since: AtomicU64::new(0),
            count: AtomicU64::new(0),
            busy: AtomicU64::new(0),
        }
    }

    fn nanos(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Another number begins. What is noted at the same moment may be lost or count for it: one item of many.
    pub(crate) fn begin(&self, now: Instant) {
        let now = Self::nanos(now.saturating_duration_since(self.made));
        self.since.store(now, Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
    }

    /// An item has ended that took this long. One that began with another number says nothing of this one.
    pub(crate) fn note(&self, time: Duration) {
        let time = Self::nanos(time);
        let began = Self::nanos(self.made.elapsed()).saturating_sub(time);
        if began >= self.since.load(Ordering::Relaxed) {
            self.count.fetch_add(1, Ordering::Relaxed);
            self.busy.fetch_add(time, Ordering::Relaxed);
        }
    }

    /// How many items there were, and how long they took together.
    pub(crate) fn read(&self) -> (u64, Duration) {
        let count = self.count.load(Ordering::Relaxed);
        let busy = self.busy.load(Ordering::Relaxed);
        (count, Duration::from_nanos(busy))
    }
}

/// The search for the number of items at once with which most of them end: a hill climber that doubles its
/// number while that pays, then looks in smaller steps, rests, and looks again.
///
/// Rates are items a second. Where many items end while a number is tried they are counted. Where few do, a count says
/// little, for items that began together end together; then the rate is the number of items at once over the mean
/// time of one.
#[derive(Debug)]
pub(crate) struct Climb {
    most: usize,
    /// The best number so far, and its rate once it is known.
    best: usize,
    rate: Option<f64>,
    /// The number that is tried, which is `best` at rest.
    now: usize,
    /// What has not been tried from `best` yet, in quarters of it; the next last.
    steps: Vec<usize>,
    /// How long it rests when there is nothing left to try.
    rest: Duration,
    /// How long the last trial took: where items take long, it rests for longer.
    trial: Duration,
    since: Instant,
    ended: u64,
}

impl Climb {
    /// How often it is looked at.
    pub(crate) const STEP: Duration = Duration::from_millis(25);
    /// How long one number is tried at least.
    const TRIAL: Duration = Duration::from_millis(100);
    /// How long the best is kept before others are tried again: at first, and where nothing changes.
    const FIRST_REST: Duration = Duration::from_secs(2);
    const LONGEST_REST: Duration = Duration::from_secs(8);
    /// And for so many times a trial, since those with fewer items cost what they are fewer.
    const TRIALS_OF_REST: u32 = 24;
    const LONGEST_TRIAL: Duration = Duration::from_secs(2);
    /// A difference below this is chance.
    const CHANCE: f64 = 0.05;
    /// A difference above this is another kind of work.
    const CHANGE: f64 = 0.3;
    /// From so many items for each that runs on, their count is exact enough.
    const MANY: u64 = 16;
    /// The numbers to try, in quarters of the best: upwards first, the largest step first.
    const AROUND: [usize; 6] = [1, 2, 3, 5, 6, 8];

    pub(crate) fn new(most: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::starting_with(cores, most)
    }

    fn starting_with(cores: usize, most: usize) -> Self {
        let first = cores.min(most);
        Self {
            most,
            best: first,
            rate: None,
            now: first,
            steps: Self::AROUND.to_vec(),
            rest: Self::FIRST_REST,
            trial: Self::TRIAL,
            since: Instant::now(),
            ended: 0,
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.now
    }

    /// When the number of now began to be tried.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// `ended` items have ended in all by `now`; of those that began since the number of now did, `count`, which
    /// took `busy` together. Answers the number to go on with.
    pub(crate) fn look(
        &mut self,
        ended: u64,
        (count, busy): (u64, Duration),
        now: Instant,
    ) -> usize {
        let took = now.saturating_duration_since(self.since);
        let new = ended.saturating_sub(self.ended);
        let running = u64::try_from(self.now).unwrap_or(u64::MAX);
        let is_exact = new >= running.saturating_mul(Self::MANY);
        let expected = self.rate.unwrap_or(0.0) * took.as_secs_f64();
        let is_worse = self.now != self.best
            && expected >= as_f64(running).max(8.0) * 2.0
            && as_f64(new) < expected * (1.0 - Self::CHANGE);
        // Too few to tell: what runs takes long, and deserves as long a look; unless that is why.
        if took < Self::TRIAL || !(is_exact || is_worse || count >= running.max(2)) {
            return self.now;
        }
        let rate = match is_exact || is_worse {
            true => as_f64(new) / took.as_secs_f64(),
            false => as_f64(running) * as_f64(count) / busy.as_secs_f64().max(1e-9),
        };
        if self.now == self.best {
            let is_at_rest = self.steps.is_empty();
            let has_changed = self.differs(rate, Self::CHANGE);
            let rest = self
                .rest
                .max(self.trial.saturating_mul(Self::TRIALS_OF_REST));
            if is_at_rest && !has_changed && took < rest {
                return self.now;
            }
            if is_at_rest || has_changed {
                self.rest = match has_changed {
                    true => Self::FIRST_REST,
                    false => self.rest.saturating_mul(2).min(Self::LONGEST_REST),
                };
                self.steps = Self::AROUND.to_vec();
            }
            self.rate = Some(rate);
        } else if self
            .rate
            .is_none_or(|best| rate > best * (1.0 + Self::CHANCE))
        {
            // Further in the same direction; what lies behind is known to be worse.
            let up = self.now > self.best;
            self.best = self.now;
            self.rate = Some(rate);
            self.rest = Self::FIRST_REST;
            self.steps = Self::AROUND.to_vec();
            self.steps.retain(|quarters| (*quarters > 4) == up);
        }
        if self.now != self.best || !self.steps.is_empty() {
            self.trial = took.min(Self::LONGEST_TRIAL);
        }
        self.now = self.next();
        self.since = now;
        self.ended = ended;
        self.now
    }

    fn differs(&self, rate: f64, by: f64) -> bool {
        self.rate
            .is_some_and(|before| (rate - before).abs() > by * before)
    }

    /// The next number to try; the best one when all have been.
    fn next(&mut self) -> usize {
        while let Some(quarters) = self.steps.pop() {
            let next = self.best.saturating_mul(quarters) / 4;
            let next = next.clamp(1, self.most);
            if next != self.best {
                // A step that is none for small numbers is not tried twice.
                let best = self.best;
                self.steps.retain(|it| best.saturating_mul(*it) / 4 != next);
                return next;
            }
        }
        self.best
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate, of which 52 bits will do"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::foreach::loom_tests::model;
    use crate::sync::atomic::{AtomicUsize, Ordering};

    /// Passes the gate, and looks how many have at once.
    fn run_one(gate: &Arc<Gate>, running: &AtomicUsize, most: usize) {
        let permit = gate.pass(&[], || false).expect("the call is not over");
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
            let permit = gate.pass(&[], || false);
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
            let permit = gate.pass(&[], || false);
            let others = [0, 1].map(|_| {
                let gate = Arc::clone(&gate);
                loom::thread::spawn(move || gate.pass(&[], || false))
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

    /// Bodies that sleep, and compute for some time of one of `cores` processors, which those that run share. With
    /// more than `choke` of them at once they do half of what one does alone.
    #[derive(Clone, Copy, Debug)]
    struct Bodies {
        sleep: f64,
        compute: f64,
        choke: usize,
    }

    const CORES: usize = 4;

    impl Bodies {
        const fn new(sleep: f64, compute: f64) -> Self {
            Self {
                sleep,
                compute,
                choke: usize::MAX,
            }
        }

        /// Items a second with `n` at once.
        fn rate(self, n: usize) -> f64 {
            let n_f64 = n as f64;
            let alone = n_f64 / (self.sleep + self.compute);
            let rate = match self.compute > 0.0 {
                true => alone.min(CORES as f64 / self.compute),
                false => alone,
            };
            if n > self.choke {
                self.rate(1) / 2.0
            } else {
                rate
            }
        }

        fn best(self, most: usize) -> f64 {
            (1..=most).map(|n| self.rate(n)).fold(0.0, f64::max)
        }
    }

    /// Runs such bodies for `secs` in a model of time, in which each trial is off by up to `noise` either way. Answers, for each
    /// look, the time and the part of the best rate that there was from the look before.
    fn climb(bodies: Bodies, most: usize, secs: f64, noise: f64) -> Vec<(f64, f64)> {
        let mut climb = Climb::starting_with(CORES, most);
        let start = climb.since;
        let step = Climb::STEP.as_secs_f64();
        let mut state = 1_u32;
        let mut chance = move || {
            // Knuth's and Lewis's generator.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unit = f64::from(state >> 8) / f64::from(1 << 24);
            1.0 - noise + 2.0 * noise * unit
        };
        let mut factor = chance();
        let (mut ended, mut time) = (0.0, 0.0);
        let mut parts = Vec::new();
        while time < secs {
            let number = climb.number();
            let rate = bodies.rate(number);
            parts.push((time, rate / bodies.best(most)));
            let seen_rate = rate * factor;
            let latency = number as f64 / seen_rate;
            time += step;
            ended += seen_rate * step;
            let now = crate::time::later(start, Duration::from_secs_f64(time)).unwrap();
            let since = now.saturating_duration_since(climb.since()).as_secs_f64();
            // The items that began since then, and have ended.
            let count = ((since - latency).max(0.0) * seen_rate).floor();
            let busy = Duration::from_secs_f64(count * latency);
            let before = climb.since();
            let _ = climb.look(ended as u64, (count as u64, busy), now);
            if climb.since() != before {
                factor = chance();
            }
        }
        parts
    }

    const SLEEPING: [Bodies; 4] = [
        Bodies::new(0.0005, 0.0),
        Bodies::new(0.005, 0.0),
        Bodies::new(0.05, 0.0),
        Bodies::new(0.2, 0.0),
    ];
    const COMPUTING: [Bodies; 3] = [
        Bodies::new(0.0, 0.0001),
        Bodies::new(0.0, 0.005),
        Bodies::new(0.0, 0.1),
    ];
    const MIXED: [Bodies; 4] = [
        Bodies::new(0.005, 0.001),
        Bodies::new(0.005, 0.005),
        Bodies::new(0.1, 0.01),
        Bodies::new(0.001, 0.01),
    ];

    #[test]
    fn nine_tenths_of_the_best_are_reached_in_two_seconds_and_kept() {
        for noise in [0.0, 0.02, 0.05] {
            for bodies in SLEEPING.into_iter().chain(COMPUTING).chain(MIXED) {
                let most = 16 * CORES;
                let parts = climb(bodies, most, 30.0, noise);
                let reached = parts.iter().find(|it| it.1 >= 0.9).expect("it is reached");
                assert!(reached.0 <= 2.0, "{bodies:?}, {noise}: {reached:?}");
                let later: Vec<f64> = parts
                    .iter()
                    .filter(|it| it.0 > 2.0)
                    .map(|it| it.1)
                    .collect();
                let mean = later.iter().sum::<f64>() / later.len() as f64;
                assert!(mean >= 0.9, "{bodies:?}, {noise}: {mean}");
            }
        }
    }

    #[test]
    fn what_chokes_is_given_less() {
        for choke in [1, 2, 6, 20] {
            let bodies = Bodies {
                choke,
                ..Bodies::new(0.01, 0.0)
            };
            let parts = climb(bodies, 16 * CORES, 30.0, 0.02);
            let later: Vec<f64> = parts
                .iter()
                .filter(|it| it.0 > 2.0)
                .map(|it| it.1)
                .collect();
            let mean = later.iter().sum::<f64>() / later.len() as f64;
            assert!(mean >= 0.8, "{choke}: {mean}");
        }
    }

    #[test]
    fn no_more_than_the_most_run_at_once_and_no_less_than_one() {
        for most in [1, 2, 3, 5, usize::MAX] {
            let mut climb = Climb::starting_with(CORES, most);
            let mut now = climb.since;
            for look in 0..200_u64 {
                now += Duration::from_millis(200);
                let number = climb.number();
                // As if all of them did nothing but sleep: the more the better.
                let busy = Duration::from_millis(10).saturating_mul(u32::MAX);
                let count = u64::from(u32::MAX).max(number as u64);
                let number = climb.look(look, (count, busy), now);
                assert!((1..=most).contains(&number), "{number} of {most}");
            }
        }
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
        assert_eq!(climb.look(1, (1, Duration::from_secs(1)), later), number);
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
