//! What each item may have become, and in which order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;

use runspace::JobState;

use super::bodies::asks_again;
use super::case::{Amount, Broken, Case, Deed, End, Ends, Form, Input, Limit, Throttling, Way};
use super::consume::{Extent, Seen, Story, Why};
use super::log::{Entry, Live, What};

/// What a try comes to if nothing ends it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    Bad,
    Panic,
    Crash,
}

fn fate(deed: Deed) -> Fate {
    match deed.way {
        Way::Value => Fate::Good,
        Way::Err => Fate::Bad,
        Way::Panic => Fate::Panic,
        Way::Abort | Way::Exit => Fate::Crash,
    }
}

pub struct Model<'a> {
    pub case: &'a Case,
    pub entries: &'a [Entry],
    /// The run before, whose values this one may have from a journal.
    pub before: Option<&'a Case>,
}

macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

type Check = Result<(), String>;

impl Model<'_> {
    /// The most tries of an item.
    fn tries(&self) -> u32 {
        self.case.retry.map_or(1, |it| it.times.saturating_add(1))
    }

    fn times_out(&self) -> bool {
        let cases = [Some(self.case), self.before].into_iter().flatten();
        cases.filter_map(|it| it.timeout).any(Limit::may_pass)
    }

    /// Whether the call may end before all items have.
    fn may_close(&self) -> bool {
        let case = self.case;
        let broken = case.broken.is_some_and(Broken::ends_call);
        case.halt.is_some()
            || case.deadline.is_some_and(Limit::may_pass)
            || case.stop_inside.is_some_and(|it| it < case.total())
            || case.end.stops()
            || broken
    }

    /// An item of which anything may come, since user code that belongs to it panics.
    fn is_odd(&self, index: u64) -> bool {
        let broken = self.case.broken.and_then(Broken::index);
        broken.is_some_and(|it| it as u64 == index)
    }

    /// Whether there may be a try of the item that no body sees: a clone that panics, an item that is not written, or one
    /// whose time is over before its process runs it.
    fn may_skip(&self, index: u64) -> bool {
        self.is_odd(index) || (self.case.place.is_process() && self.times_out())
    }

    /// Whether the try is followed by another one, if there is one left and nothing closes the call.
    fn goes_again(&self, index: u64, attempt: u32) -> bool {
        let index = usize::try_from(index).unwrap();
        let fate = fate(self.case.deed(index, attempt));
        match fate {
            Fate::Panic | Fate::Crash => true,
            Fate::Good | Fate::Bad if self.case.emits => false,
            Fate::Good | Fate::Bad => match self.case.retry {
                Some(it) if it.asks => asks_again(index, attempt, fate == Fate::Good),
                _ => fate == Fate::Bad,
            },
        }
    }

    /// Whether an item may have come to try number `attempt`.
    fn may_reach(&self, index: u64, attempt: u32) -> Check {
        let tries = self.tries();
        hold!(
            (1..=tries).contains(&attempt),
            "item {index} at try {attempt} of {tries}"
        );
        // The first two differ, and the rest is as the second.
        for before in 1..attempt.min(3) {
            hold!(
                self.times_out() || self.is_odd(index) || self.goes_again(index, before),
                "item {index} had no reason for a try after {before}"
            );
        }
        Ok(())
    }

    /// Whether an item may have ended with this try.
    fn may_end(&self, index: u64, attempt: u32) -> Check {
        self.may_reach(index, attempt)?;
        let last = attempt == self.tries() || !self.goes_again(index, attempt);
        hold!(
            last || self.may_close() || self.is_odd(index),
            "item {index} ended with try {attempt} of {}, which has failed",
            self.tries()
        );
        Ok(())
    }

    pub fn check(&self, story: &Story, live: &Live) -> Check {
        self.bodies()?;
        self.outcomes(story)?;
        self.extent(story, live)?;
        self.throttle()?;
        self.window(story, live)?;
        self.halt(story)?;
        self.job(story)
    }

    /// What a journal spares the second run: the items that were finished in the first, and no others.
    pub fn resumed(&self, before: &Self, story: &Story) -> Check {
        for seen in &story.seen {
            let Seen::Value { index, attempt, .. } = seen else {
                continue;
            };
            let of_try = |it: &&Entry| (it.index, it.attempt) == (*index, *attempt);
            let begins = |it: &&Entry| it.index == *index && it.what == What::Begin;
            let ran = self.entries.iter().any(|it| begins(&it));
            let returned = |it: &&Entry| of_try(it) && it.what == What::Return;
            let Some(entry) = before.entries.iter().find(returned) else {
                hold!(ran, "item {index} was finished by nobody, and has a value");
                continue;
            };
            hold!(
                ran || !entry.stopping,
                "what item {index} returned after it was told to stop is in the journal"
            );
        }
        Ok(())
    }

    /// What had a good value in a run is not run again.
    pub fn spared(&self, before: &Story) -> Check {
        for seen in &before.seen {
            let Seen::Value {
                index,
                attempt,
                good: true,
                ..
            } = seen
            else {
                continue;
            };
            // To `retry_if` some values are failures. And one that panics when it is dropped could not be kept.
            let is_odd = self.before.and_then(|it| it.broken?.index()) == Some(*index as usize);
            if is_odd || self.goes_again(*index, *attempt) {
                continue;
            }
            let mut all = self.entries.iter();
            hold!(
                !all.any(|it| it.what == What::Begin && it.index == *index),
                "item {index}, which was finished, has run again"
            );
        }
        Ok(())
    }

    /// Tries begin once, in their order, and no more often than they may.
    fn bodies(&self) -> Check {
        let mut tries: HashMap<u64, u32> = HashMap::new();
        let mut begun: HashSet<(u64, u32)> = HashSet::new();
        for entry in self.entries.iter().filter(|it| it.what == What::Begin) {
            let Entry { index, attempt, .. } = *entry;
            hold!(
                begun.insert((index, attempt)),
                "try {attempt} of item {index} began twice"
            );
            let before = tries.insert(index, attempt).unwrap_or(0);
            // A thread that stops for a moment on its way to a body is given up before the body begins.
            hold!(
                attempt == before + 1
                    || self.times_out()
                    || (self.is_odd(index) && attempt > before),
                "try {attempt} of item {index} began after try {before}"
            );
            self.may_reach(index, attempt)?;
        }
        Ok(())
    }

    /// Each outcome is one that its item may have, and all of them come in their order.
    fn outcomes(&self, story: &Story) -> Check {
        let case = self.case;
        let mut last: Option<u64> = None;
        // The output that came last, and whether there may be more.
        let mut outputs: HashMap<u64, (u32, u32)> = HashMap::new();
        let mut ended: HashMap<u64, &Seen> = HashMap::new();
        for seen in &story.seen {
            let index = match seen {
                Seen::Value { index, .. } => Some(*index),
                Seen::Failed { index, .. } => *index,
            };
            if let Seen::Failed { why, text, .. } = seen {
                self.failure(index, seen)?;
                hold!(*why != Why::Unknown, "an unknown failure: {text}");
            }
            let Some(index) = index else { continue };
            // An input that panics where it should say that it has come to its end has one more.
            let breaks = case.broken == Some(Broken::Next(index as usize));
            hold!(
                index < case.total() as u64 || breaks,
                "there is no item {index}"
            );
            if let Some(end) = ended.get(&index) {
                return Err(format!("item {index}: {seen:?} after its end, {end:?}"));
            }
            if case.ordered {
                hold!(
                    last.is_none_or(|it| it <= index),
                    "ordered, and {index} comes after {last:?}"
                );
                last = Some(index);
            }
            match seen {
                Seen::Value {
                    attempt,
                    seq,
                    good,
                    leaked,
                    ..
                } => {
                    hold!(*leaked == 0, "{leaked} values left in a worker process");
                    self.may_reach(index, *attempt)?;
                    let deed = case.deed(usize::try_from(index).unwrap(), *attempt);
                    if case.emits {
                        let (of, next) = outputs.get(&index).copied().unwrap_or((1, 0));
                        hold!(
                            (of == *attempt && next == *seq) || (*attempt > of && *seq == 0),
                            "output {seq} of try {attempt} of item {index} where {next} of {of} was due"
                        );
                        hold!(
                            *seq < u32::from(deed.outputs),
                            "item {index} emits no {seq}"
                        );
                        outputs.insert(index, (*attempt, seq + 1));
                    } else {
                        self.may_end(index, *attempt)?;
                        let fate = fate(deed);
                        hold!(
                            (fate == Fate::Good && *good) || (fate == Fate::Bad && !*good),
                            "item {index} has a value at try {attempt}: {fate:?}"
                        );
                        self.value_is_whole(index, *attempt)?;
                        ended.insert(index, seen);
                    }
                }
                Seen::Failed { .. } => {
                    ended.insert(index, seen);
                }
            }
        }
        self.outputs(story, &outputs, &ended)
    }

    /// A value counts only if its body returned it before it was told to stop.
    fn value_is_whole(&self, index: u64, attempt: u32) -> Check {
        let of_try = |it: &&Entry| (it.index, it.attempt) == (index, attempt);
        let returned = |it: &&Entry| it.what == What::Return;
        let mut entries = self.entries.iter().filter(of_try);
        let Some(entry) = entries.find(returned) else {
            // An item that is known from a journal has not run.
            hold!(
                self.case.journal,
                "item {index} has a value, and no body has returned one at try {attempt}"
            );
            return Ok(());
        };
        hold!(
            !entry.stopping,
            "item {index} has a value that its body returned after it was told to stop"
        );
        Ok(())
    }

    fn failure(&self, index: Option<u64>, seen: &Seen) -> Check {
        let case = self.case;
        let Seen::Failed {
            attempt, why, text, ..
        } = seen
        else {
            return Ok(());
        };
        if let (Some(index), Some(attempt)) = (index, attempt)
            && index < case.given() as u64
        {
            match why {
                Why::Stopped | Why::Deadline => self.may_reach(index, *attempt)?,
                _ => self.may_end(index, *attempt)?,
            }
        }
        let odd = case.broken.is_some();
        let allowed = match why {
            Why::Body(of, at) => {
                hold!(
                    index == Some(*of) && attempt.is_none_or(|it| it == *at),
                    "the panic of item {of} at try {at} is told of {index:?} at {attempt:?}"
                );
                fate(case.deed(usize::try_from(*of).unwrap(), *at)) == Fate::Panic
            }
            Why::Trap => odd,
            Why::Stopped => self.may_close(),
            Why::TimedOut => self.times_out(),
            Why::Deadline => case.deadline.is_some_and(Limit::may_pass),
            Why::Process => {
                let act = index.and_then(|it| case.acts.get(usize::try_from(it).unwrap()));
                let crashes = act.is_some_and(|it| {
                    fate(it.first) == Fate::Crash || fate(it.later) == Fate::Crash
                });
                case.place.is_process() && (crashes || odd)
            }
            Why::Unknown => false,
        };
        hold!(allowed, "no reason for {seen:?}: {text}");
        if index.is_none() && !odd {
            hold!(
                *why == Why::Deadline,
                "a failure of the whole call: {seen:?}"
            );
        }
        Ok(())
    }

    /// What was emitted has arrived, where the item was not cut short.
    fn outputs(
        &self,
        story: &Story,
        outputs: &HashMap<u64, (u32, u32)>,
        ended: &HashMap<u64, &Seen>,
    ) -> Check {
        let case = self.case;
        let complete = matches!(story.extent, Extent::All | Extent::Raised);
        if !case.emits || !complete || self.may_close() || self.times_out() {
            return Ok(());
        }
        let mut counts: BTreeMap<(u64, u32), u32> = BTreeMap::new();
        for seen in &story.seen {
            if let Seen::Value { index, attempt, .. } = seen {
                *counts.entry((*index, *attempt)).or_default() += 1;
            }
        }
        for index in 0..case.given() as u64 {
            if self.is_odd(index) {
                continue;
            }
            let mut attempt = 1;
            loop {
                let deed = case.deed(usize::try_from(index).unwrap(), attempt);
                let count = counts.get(&(index, attempt)).copied().unwrap_or(0);
                // What a process has not sent when it dies is lost with it.
                hold!(
                    count == u32::from(deed.outputs) || fate(deed) == Fate::Crash,
                    "{count} of {} outputs of item {index} at try {attempt}; {:?}",
                    deed.outputs,
                    outputs.get(&index)
                );
                if attempt == self.tries() || !self.goes_again(index, attempt) {
                    break;
                }
                attempt += 1;
            }
            let fails = fate(case.deed(usize::try_from(index).unwrap(), attempt)) != Fate::Good;
            hold!(
                ended.contains_key(&index) == fails,
                "item {index} fails ({fails}), and its end is {:?}",
                ended.get(&index)
            );
        }
        Ok(())
    }

    /// Each item that was taken from the input has an outcome.
    fn extent(&self, story: &Story, live: &Live) -> Check {
        let case = self.case;
        let given = case.given() as u64;
        let total = case.total();
        let began = |index: u64| {
            let mut all = self.entries.iter();
            all.any(|it| it.what == What::Begin && it.index == index)
        };
        if !self.may_close() && !case.journal {
            for index in (0..given).filter(|it| !self.may_skip(*it)) {
                hold!(
                    began(index)
                        || case.end == End::ForEach
                        || case.form == Form::Borrowed && story.extent == Extent::Part,
                    "item {index} of {total} never began"
                );
            }
        }
        if case.emits || !matches!(story.extent, Extent::All | Extent::Raised) {
            return Ok(());
        }
        let index = |it: &Seen| match it {
            Seen::Value { index, .. } => Some(*index),
            Seen::Failed { index, .. } => *index,
        };
        let mut ends: Vec<u64> = story.seen.iter().filter_map(index).collect();
        ends.sort_unstable();
        let broke = |it: &u64| case.broken.is_some() && *it >= given;
        ends.retain(|it| !broke(it));
        if !self.may_close() {
            // A failure that is raised does not always say of which item it is.
            let odd = case.broken.is_some() && story.extent == Extent::Raised;
            hold!(
                ends.iter().copied().eq(0..given) || odd,
                "outcomes of {ends:?}, and there are {given} items"
            );
        } else if story.extent == Extent::All {
            hold!(
                ends.iter().copied().eq(0..ends.len() as u64),
                "items without an outcome: {ends:?}"
            );
            let counted = matches!(case.input, Input::Lazy | Input::Vague(_) | Input::Slow(_));
            if counted {
                let taken = live.taken.load(Ordering::SeqCst);
                // One that comes out of `next` when the call has been stopped is dropped: it was never taken.
                let ends_here = ends.len() as i64;
                hold!(
                    ends_here == taken || ends_here + 1 == taken,
                    "{taken} items were taken, and {} have an outcome",
                    ends.len()
                );
            }
        }
        Ok(())
    }

    /// The largest throttle that was ever in force.
    fn most(&self) -> usize {
        let first = match self.case.throttle {
            Throttling::Default => 64,
            Throttling::Fixed(it)
            | Throttling::Shared(it)
            | Throttling::Named(it)
            | Throttling::Auto(it) => it,
        };
        let set = self.case.changes.iter().map(|it| it.1);
        let most = set.chain([first]).max().unwrap_or(first);
        // A shared throttle is kept whatever the call's own is, by items that do not wait for their reader.
        let shared = matches!(
            self.case.throttle,
            Throttling::Shared(_) | Throttling::Named(_)
        );
        match (shared, self.case.place.is_sequential()) {
            (_, true) => 1,
            (true, _) if !self.case.emits => first,
            _ => most,
        }
    }

    fn throttle(&self) -> Check {
        // A body that is given up makes room for another one.
        if self.times_out() {
            return Ok(());
        }
        let most = self.most();
        let mut running = 0_usize;
        for entry in self.entries {
            match entry.what {
                What::Begin => running += 1,
                What::Return => {}
                // A process that dies leaves nothing.
                What::Leave => running = running.saturating_sub(1),
            }
            if !self.case.place.is_process() {
                hold!(
                    running <= most,
                    "{running} at once with a throttle of {most}"
                );
            }
        }
        Ok(())
    }

    fn window(&self, story: &Story, live: &Live) -> Check {
        let case = self.case;
        let Some(buffer) = case.buffer else {
            return Ok(());
        };
        let counts = matches!(case.input, Input::Lazy | Input::Vague(_) | Input::Slow(_));
        let reads = story.extent != Extent::Nothing && case.form != Form::Borrowed;
        if !counts || !reads || case.emits || case.end.is_job() {
            return Ok(());
        }
        let own = match case.throttle {
            Throttling::Default => 64,
            Throttling::Fixed(it)
            | Throttling::Shared(it)
            | Throttling::Named(it)
            | Throttling::Auto(it) => it,
        };
        let set = case.changes.iter().map(|it| it.1).max().unwrap_or(0);
        // This side counts an item after the call does, and a stopped one that is passed over not at all.
        let passed = match self.may_close() {
            true => case.total(),
            false => 1,
        };
        let most = own.max(set).saturating_add(buffer).saturating_add(passed);
        let open = usize::try_from(live.most_open.load(Ordering::SeqCst)).unwrap_or(0);
        hold!(open <= most, "{open} items in the window of {most}");
        Ok(())
    }

    /// A call that has had enough ends no more items of that kind than run beside the last one.
    fn halt(&self, story: &Story) -> Check {
        let case = self.case;
        let Some(halt) = case.halt else { return Ok(()) };
        if case.emits || story.extent != Extent::All || self.times_out() || case.broken.is_some() {
            return Ok(());
        }
        // To `retry_if` some values are failures.
        let good = |it: &&Seen| match it {
            Seen::Value {
                index,
                attempt,
                good,
                ..
            } => *good && !(case.retry.is_some() && self.goes_again(*index, *attempt)),
            Seen::Failed { .. } => false,
        };
        let bad = |it: &&Seen| match it {
            Seen::Value { .. } => !good(it),
            Seen::Failed { why, .. } => !matches!(why, Why::Stopped | Why::Deadline),
        };
        let failed = story.seen.iter().filter(bad).count() as u64;
        let succeeded = story.seen.iter().filter(good).count() as u64;
        let count = match halt.of {
            Ends::Fail => failed,
            Ends::Success => succeeded,
            Ends::Done => failed + succeeded,
        };
        let Amount::Count(enough) = halt.amount else {
            return Ok(());
        };
        let most = (self.most() as u64).max(1) - 1;
        hold!(
            count <= enough.saturating_add(most),
            "{count} ends where {enough} are enough, with a throttle of {}",
            self.most()
        );
        let stopped = |it: &Seen| {
            matches!(
                it,
                Seen::Failed {
                    why: Why::Stopped,
                    ..
                }
            )
        };
        let others = case.deadline.is_some_and(Limit::may_pass)
            || case.stop_inside.is_some()
            || case.end.stops();
        hold!(
            count >= enough || others || !story.seen.iter().any(stopped),
            "items were stopped after {count} ends where {enough} are enough"
        );
        Ok(())
    }

    fn job(&self, story: &Story) -> Check {
        let Some(state) = story.job else {
            return Ok(());
        };
        if self.may_close() || self.times_out() || self.case.broken.is_some() {
            return Ok(());
        }
        let fails = |index: u64| {
            let mut attempt = 1;
            while attempt < self.tries() && self.goes_again(index, attempt) {
                attempt += 1;
            }
            let deed = self.case.deed(usize::try_from(index).unwrap(), attempt);
            matches!(fate(deed), Fate::Panic | Fate::Crash)
        };
        let expected = match (0..self.case.given() as u64).any(fails) {
            true => JobState::Failed,
            false => JobState::Completed,
        };
        hold!(
            state == expected,
            "the job is {state}, and should be {expected}"
        );
        Ok(())
    }
}
