//! What runs inside of what, and what waits for what: to let in what is needed, and to refuse a wait that could
//! never end.
//!
//! [`Work`] is what can be waited for and what waits: a job, an invocation, the worker of a call on a
//! runspace, a parallel call. [`Frame`]s say what a thread works for: the call of the item that it runs, the call that
//! made that one, and so on, up to the job or the invocation whose body made the outermost. All of these cannot end
//! while the thread waits. A job and an invocation end the list: what has started them waits for them only where it
//! says so, by a wait of its own.
//!
//! A wait is refused if the work that waits would wait for itself, by whatever way round ([`ring`]). Of a way round
//! that leads through a place in a queue, a place is lent instead ([`lend`]).
//!
//! One lock guards it, taken before that of any queue or host. It is taken when work starts or ends a wait; what runs
//! without waiting never touches it, nor does a wait of a thread that works for nothing.

mod lend;
mod ring;
#[cfg(all(test, not(loom)))]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::context;
use crate::debug;
use crate::sync::Mutex;

pub(crate) use ring::Deadlock;

/// Gives what was let in a thread.
pub(crate) type Launch = Box<dyn FnOnce()>;

/// Work that can be waited for, and that waits.
pub(crate) trait Work: Send + Sync {
    /// Tells it from all other work.
    fn number(&self) -> u64;

    /// The name by which the text of an error calls it.
    fn title(&self) -> String;

    /// Whether it has ended, so that a wait for its end is over.
    fn is_over(&self) -> bool;

    /// Whether it has something for those who wait for an output.
    fn has_output(&self) -> bool {
        false
    }

    /// Whether it is a call: work that is part of other work.
    fn is_call(&self) -> bool {
        false
    }

    /// Whether it is on a runspace, so that it may hold one that other work needs.
    fn is_on_host(&self) -> bool {
        false
    }

    /// Whether it goes on without a part of it that takes too long: what that waits for does not keep it from
    /// its end.
    fn gives_up(&self) -> bool {
        false
    }

    /// What cannot be told from a call's frame: whose it is now. `None`: that of what made it.
    fn owner(&self) -> Option<Owner> {
        None
    }

    /// What has to end before this can begin or end, as far as that is certain, and beside what it waits for itself.
    fn behind(&self) -> Vec<Arc<dyn Work>> {
        Vec::new()
    }

    /// Where it is, when something is [`behind`](Self::behind) other work.
    fn place(&self) -> String {
        String::new()
    }

    /// What may have to wait, or lend, before this can begin: all of [`behind`](Self::behind), and more.
    fn ahead(&self) -> Vec<Arc<dyn Work>> {
        self.behind()
    }

    /// The queue that it stands in, or has its place in, and its number there.
    fn queue(&self) -> Option<(&dyn Queue, u64)> {
        None
    }

    /// One of its threads begins to wait where none did. Under the lock.
    fn begins_to_wait(&self) {}

    /// None of its threads waits any more. Under the lock.
    fn waits_no_more(&self) {}

    /// Some wait for it begins, or has ended. Under the lock.
    fn set_needed(&self, _is_needed: bool) {}

    /// A wait that it has to do with has begun: it lets in what can be let in.
    fn lend(&self) {}
}

/// A queue in which work that waits gives its place to work that it needs.
pub(crate) trait Queue {
    fn key(&self) -> usize;
    fn is_waiting(&self, id: u64) -> bool;
    fn can_lend(&self, lender: u64) -> bool;
    fn lend(&self, lender: u64, to: u64) -> Option<Launch>;
}

/// Whose a call is that was handed on: what the thread works for that reads it; nothing that is known if `None`.
#[derive(Clone)]
pub(crate) struct Owner(pub(crate) Option<Arc<Frame>>);

/// A number that no other work has.
pub(crate) fn number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Work that code is part of.
pub(crate) struct Frame {
    work: Arc<dyn Work>,
    /// Of a call: what the code is part of that made it.
    outer: Option<Arc<Frame>>,
    /// The work that the thread is in already, and cannot go on with before.
    beneath: Option<Arc<Frame>>,
}

impl Frame {
    /// Of a job or an invocation.
    pub(crate) fn of(work: Arc<dyn Work>) -> Arc<Self> {
        Self::within(work, None, None)
    }

    pub(crate) fn within(
        work: Arc<dyn Work>,
        outer: Option<Arc<Self>>,
        beneath: Option<Arc<Self>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            work,
            outer,
            beneath,
        })
    }

    /// Of the innermost work.
    pub(crate) fn number(&self) -> u64 {
        self.work.number()
    }

    /// The work that a thread with this frame works for, each once, the innermost first.
    fn all(self: &Arc<Self>) -> By {
        let mut all = By::default();
        let mut ahead = vec![(Arc::clone(self), true)];
        while let Some((frame, is_firm)) = ahead.pop() {
            let work = &frame.work;
            let is_firm = is_firm && !work.gives_up();
            let side = if is_firm {
                &mut all.firm
            } else {
                &mut all.loose
            };
            if side.iter().any(|it| it.number() == work.number()) {
                continue;
            }
            side.push(Arc::clone(work));
            let outer = match work.owner() {
                Some(Owner(owner)) => owner,
                None => frame.outer.clone(),
            };
            ahead.extend(outer.map(|it| (it, is_firm)));
            // Work on the stack of this very thread waits in any case.
            ahead.extend(frame.beneath.clone().map(|it| (it, true)));
        }
        let firm = &all.firm;
        all.loose
            .retain(|it| !firm.iter().any(|firm| firm.number() == it.number()));
        all
    }

    /// The bodies that are on the stack of a thread with this frame: nothing else goes on with them.
    fn bodies(&self) -> Vec<u64> {
        let mut bodies = Vec::new();
        let mut next = Some(self);
        while let Some(frame) = next {
            if !frame.work.is_call() {
                bodies.push(frame.work.number());
            }
            next = frame.beneath.as_deref();
        }
        bodies
    }
}

/// The work that a wait blocks.
#[derive(Default)]
struct By {
    /// It cannot end before the wait does.
    firm: Vec<Arc<dyn Work>>,
    /// It lends its place meanwhile, but goes on one day whatever comes of the wait.
    loose: Vec<Arc<dyn Work>>,
}

impl By {
    /// All of it, and whether it is firm.
    fn iter(&self) -> impl Iterator<Item = (&Arc<dyn Work>, bool)> {
        let firm = self.firm.iter().map(|it| (it, true));
        firm.chain(self.loose.iter().map(|it| (it, false)))
    }
}

/// Whether any of the work of this thread is as asked.
pub(crate) fn is_inside(asked: impl Fn(&dyn Work) -> bool) -> bool {
    let frame = context::current_frame();
    frame.is_some_and(|frame| frame.all().iter().any(|(it, _)| asked(&**it)))
}

/// The event that a wait is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Until {
    /// The end of the work.
    End,
    /// Its next output, or its end.
    Output,
    /// The results of a call, one after the other, to their end. Whether the next ever comes nobody knows: what one
    /// item waits for need not keep the others from theirs.
    Results,
}

/// A wait for one of its targets.
struct Wait {
    targets: Vec<Arc<dyn Work>>,
    until: Until,
    /// It has a time limit, so it always ends.
    is_limited: bool,
    /// The work whose body itself waits, not a thread that works for it.
    bodies: Vec<u64>,
    /// It is given up where another wait would close a ring with it.
    yields: Option<Arc<Yield>>,
}

/// A wait that need not come to its end.
pub(crate) struct Yield {
    is_given_up: AtomicBool,
    /// Has the thread look.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Yield {
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            is_given_up: AtomicBool::new(false),
            wake: Box::new(wake),
        })
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::SeqCst)
    }
}

impl Wait {
    /// Whether what is waited for has come, though the thread may not have woken yet.
    fn is_over(&self) -> bool {
        let has_output = |it: &Arc<dyn Work>| self.until == Until::Output && it.has_output();
        if self.yields.as_ref().is_some_and(|it| it.is_given_up()) {
            return true;
        }
        self.targets.iter().any(|it| it.is_over() || has_output(it))
    }

    fn has_end(&self) -> bool {
        self.targets.iter().any(|it| it.is_over())
    }

    /// The same for work that goes on one day whatever comes of it.
    fn limited(&self) -> Self {
        Self {
            targets: self.targets.clone(),
            until: self.until,
            is_limited: true,
            bodies: self.bodies.clone(),
            yields: None,
        }
    }
}

/// Waits by a number of their own.
type Numbered = BTreeMap<u64, Arc<Wait>>;

/// Work with at least one thread that waits.
struct Blocked {
    work: Arc<dyn Work>,
    /// A thread may wait for several at once, each a wait of its own.
    threads: usize,
    waits: Numbered,
}

/// The waits of one thread that began together.
struct Record {
    frame: Arc<Frame>,
    waits: Vec<Arc<Wait>>,
    /// The work that is blocked by them.
    by: By,
}

impl Record {
    /// The waits as work has them that is blocked by them, firmly or not.
    fn numbered(&self, first: u64, is_firm: bool) -> impl Iterator<Item = (u64, Arc<Wait>)> {
        let waits = self.waits.iter().map(move |it| match is_firm {
            true => Arc::clone(it),
            false => Arc::new(it.limited()),
        });
        (first..).zip(waits)
    }
}

#[derive(Default)]
struct Waits {
    next: u64,
    blocked: BTreeMap<u64, Blocked>,
    /// By the number of their first wait.
    records: BTreeMap<u64, Record>,
}

#[cfg(not(loom))]
static WAITS: crate::per_process::PerProcess<Mutex<Waits>> =
    crate::per_process::PerProcess::new(Mutex::default);

#[cfg(loom)]
loom::lazy_static! {
    static ref WAITS: Mutex<Waits> = Mutex::default();
}

/// Says, until it is dropped, that what this thread works for waits.
pub(crate) struct Waiting {
    first: u64,
}

/// What this thread works for, if it works for any, starts to wait: for one target of each group.
///
/// # Errors
/// One of the waits could never end.
pub(crate) fn begin(
    groups: Vec<Vec<Arc<dyn Work>>>,
    until: Until,
    is_limited: bool,
) -> Result<Option<Waiting>, Deadlock> {
    begin_any(groups, until, is_limited, None)
}

/// Like [`begin`], for the ends of all targets and a wait that is given up before another is refused for it.
pub(crate) fn begin_yielding(
    targets: Vec<Arc<dyn Work>>,
    yields: &Arc<Yield>,
) -> Result<Option<Waiting>, Deadlock> {
    let groups = targets.into_iter().map(|it| vec![it]).collect();
    begin_any(groups, Until::End, false, Some(yields))
}

fn begin_any(
    groups: Vec<Vec<Arc<dyn Work>>>,
    until: Until,
    is_limited: bool,
    yields: Option<&Arc<Yield>>,
) -> Result<Option<Waiting>, Deadlock> {
    let Some(frame) = context::current_frame() else {
        return Ok(None);
    };
    let bodies = frame.bodies();
    let wait = |targets| {
        Arc::new(Wait {
            targets,
            until,
            is_limited,
            bodies: bodies.clone(),
            yields: yields.cloned(),
        })
    };
    let waits: Vec<_> = groups.into_iter().map(wait).collect();
    let record = Record {
        by: By::default(),
        frame,
        waits,
    };
    let given_up;
    let (first, launches, touched) = {
        let mut all = WAITS.lock();
        // Under the lock: whose a call is may change before.
        let by = record.frame.all();
        given_up = all.refuse_ring(&by.firm, &record.waits)?;
        // What is waited for may be let in, and what waits leaves room where it is.
        let targets = record.waits.iter().flat_map(|it| &it.targets);
        let touched = targets.chain(by.iter().map(|it| it.0));
        let touched: Vec<_> = touched.cloned().collect();
        let first = all.add(Record { by, ..record });
        (first, all.lend(None), touched)
    };
    given_up.iter().for_each(|it| (it.wake)());
    launches.into_iter().for_each(|it| it());
    touched.iter().for_each(|it| it.lend());
    Ok(Some(Waiting { first }))
}

/// Lends the places of what waits in the queue of this key, as far as that is possible now. Answers what is
/// let in, for the caller to start.
pub(crate) fn lend_within(key: usize) -> Vec<Launch> {
    WAITS.lock().lend(Some(key))
}

/// Says what waits for what.
pub(crate) fn tell(out: &mut String) {
    let Some(all) = WAITS.try_lock() else {
        return debug::line(out, 1, format_args!("which waits for which: busy"));
    };
    for record in all.records.values() {
        let by = record.frame.work.title();
        for wait in &record.waits {
            let targets: Vec<String> = wait.targets.iter().map(|it| it.title()).collect();
            let targets = targets.join(" or ");
            let what = match wait.until {
                Until::Results => format!("results of {targets}"),
                Until::End => format!("the end of {targets}"),
                Until::Output => format!("an output of {targets}"),
            };
            debug::line(out, 1, format_args!("{by} waits for {what}"));
        }
    }
}

/// A call is another's from now on: `change` says so. What its items wait for keeps others from their ends.
pub(crate) fn hand_on(call: &dyn Work, change: impl FnOnce()) {
    let launches;
    let gone;
    {
        let mut all = WAITS.lock();
        change();
        let keys = all.records_of(call.number());
        gone = keys
            .into_iter()
            .map(|key| all.sort_anew(key))
            .collect::<Vec<_>>();
        launches = all.lend(None);
    }
    drop(gone);
    launches.into_iter().for_each(|it| it());
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let gone = WAITS.lock().remove(self.first);
        drop(gone); // perhaps the last references to some work: not under the lock
    }
}

impl Waits {
    fn add(&mut self, record: Record) -> u64 {
        let first = self.next;
        // At least one, because the number stands for the record, too.
        self.next += record.waits.len().max(1) as u64;
        for wait in &record.waits {
            wait.targets.iter().for_each(|it| it.set_needed(true));
        }
        self.block(first, &record);
        self.records.insert(first, record);
        first
    }

    fn remove(&mut self, first: u64) -> Option<(Record, Vec<Blocked>)> {
        let record = self.records.remove(&first)?;
        for wait in &record.waits {
            wait.targets.iter().for_each(|it| it.set_needed(false));
        }
        let free = self.unblock(first, &record);
        Some((record, free))
    }

    fn block(&mut self, first: u64, record: &Record) {
        for (work, is_firm) in record.by.iter() {
            let entry = self
                .blocked
                .entry(work.number())
                .or_insert_with(|| Blocked {
                    work: Arc::clone(work),
                    threads: 0,
                    waits: Numbered::new(),
                });
            entry.threads += 1;
            entry.waits.extend(record.numbered(first, is_firm));
            if entry.threads == 1 {
                work.begins_to_wait();
            }
        }
    }

    fn unblock(&mut self, first: u64, record: &Record) -> Vec<Blocked> {
        let mut free = Vec::new();
        for (work, _) in record.by.iter() {
            let Some(entry) = self.blocked.get_mut(&work.number()) else {
                continue;
            };
            for key in numbers(first, record) {
                entry.waits.remove(&key);
            }
            entry.threads -= 1;
            if entry.threads == 0 {
                work.waits_no_more();
                free.extend(self.blocked.remove(&work.number()));
            }
        }
        free
    }

    /// The records that block this work.
    fn records_of(&self, number: u64) -> Vec<u64> {
        let by_it = |record: &Record| record.by.iter().any(|it| it.0.number() == number);
        if !self.blocked.contains_key(&number) {
            return Vec::new();
        }
        let records = self.records.iter().filter(|(_, it)| by_it(it));
        records.map(|(first, _)| *first).collect()
    }

    /// Finds anew what a record blocks.
    fn sort_anew(&mut self, first: u64) -> Option<(By, Vec<Blocked>)> {
        let mut record = self.records.remove(&first)?;
        let new = record.frame.all();
        let old = Record {
            frame: Arc::clone(&record.frame),
            waits: record.waits.clone(),
            by: std::mem::replace(&mut record.by, new),
        };
        // In this order: work that is in both must not seem free in between.
        self.block(first, &record);
        let free = self.unblock(first, &old);
        // Work that is in both has lost its waits with the old record.
        for (work, is_firm) in record.by.iter() {
            if let Some(entry) = self.blocked.get_mut(&work.number()) {
                entry.waits.extend(record.numbered(first, is_firm));
            }
        }
        self.records.insert(first, record);
        Some((old.by, free))
    }
}

fn numbers(first: u64, record: &Record) -> Range<u64> {
    first..first + record.waits.len() as u64
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Frame").field(&self.work.title()).finish()
    }
}
