//! Which job waits for which: to lend places along, and to refuse a wait that could never end.
//!
//! A job also waits for a parallel call that was made outside of it while it reads its results, and so for what the
//! items of that call wait for. Those are therefore known by call, too.
//!
//! One lock guards it, taken before that of any queue. It is taken when a job or an item starts or ends a wait
//! for a job and when a place comes home; jobs that wait for none never touch it.

mod lend;
mod ring;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::core::Core;
use super::globals::global;
use super::queue::JobQueue;
use super::run;
use super::signal::Limit;
use crate::context;
use crate::debug;
use crate::sync::Mutex;

pub(super) use ring::Deadlock;

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Until {
    /// The end of a job.
    End,
    /// Its next output, or its end.
    Output,
}

/// A wait for one of its targets.
struct Wait {
    targets: Vec<Arc<Core>>,
    /// Or for results of this call.
    call: Option<usize>,
    until: Until,
    /// It has a time limit, so it always ends.
    limited: bool,
    /// The body itself waits, not a thread that works for it.
    in_body: bool,
}

impl Wait {
    /// Whether what is waited for has come, though the thread may not have woken yet.
    fn is_over(&self) -> bool {
        let has_output = |it: &Arc<Core>| self.until == Until::Output && it.has_more_data();
        self.targets
            .iter()
            .any(|it| it.is_finished() || has_output(it))
    }

    fn has_end(&self) -> bool {
        self.targets.iter().any(|it| it.is_finished())
    }
}

/// A job with at least one thread that waits for another job.
struct Blocked {
    core: Arc<Core>,
    /// A thread may wait for several jobs at once, each a wait of its own.
    threads: usize,
    waits: Numbered,
}

/// Waits by a number of their own.
type Numbered = BTreeMap<u64, Arc<Wait>>;

#[derive(Default)]
struct Waits {
    next: u64,
    blocked: BTreeMap<u64, Blocked>,
    /// What the items of a call wait for, those of calls that they have made included.
    in_calls: BTreeMap<usize, Numbered>,
}

global! {
    static WAITS: Mutex<Waits> = Mutex::new(Waits::default());
}

/// Says, until it is dropped, that the job of this thread waits, and the calls whose item that is.
pub(super) struct Waiting {
    job: Option<Arc<Core>>,
    calls: Vec<usize>,
    keys: Range<u64>,
}

/// The job and the calls of this thread, if it runs for any, start to wait: for one target of each group.
///
/// # Errors
/// The wait would close a ring of jobs that wait for each other.
pub(super) fn begin(
    groups: Vec<Vec<Arc<Core>>>,
    until: Until,
    limit: Limit,
) -> Result<Option<Waiting>, Deadlock> {
    let context = context::current();
    let job = Core::current(&context);
    if job.is_none() && context.call == 0 {
        return Ok(None);
    }
    let wait = |targets| {
        Arc::new(Wait {
            targets,
            call: None,
            until,
            limited: limit.is_some(),
            in_body: context.call == 0,
        })
    };
    let waits: Vec<_> = groups.into_iter().map(wait).collect();
    start(job, context.calls(), waits).map(Some)
}

/// The job starts to wait for results of a call that it has not made. Whether they ever come nobody knows:
/// what one item waits for need not keep the others from theirs.
pub(super) fn begin_reading(job: &Arc<Core>, call: usize) -> Option<Waiting> {
    let wait = Arc::new(Wait {
        targets: Vec::new(),
        call: Some(call),
        until: Until::Output,
        limited: true,
        in_body: false,
    });
    start(Some(Arc::clone(job)), Vec::new(), vec![wait]).ok()
}

fn start(
    job: Option<Arc<Core>>,
    calls: Vec<usize>,
    waits: Vec<Arc<Wait>>,
) -> Result<Waiting, Deadlock> {
    let (keys, let_in) = {
        let mut all = WAITS.lock();
        if let Some(job) = &job {
            all.refuse_ring(job, &waits)?;
        }
        (all.add(job.as_ref(), &calls, &waits), all.lend(None))
    };
    let_in.into_iter().for_each(run::launch);
    Ok(Waiting { job, calls, keys })
}

/// Lends the places of this queue's waiting jobs, as far as that is possible now. Answers the jobs
/// that are let in; the caller gives them threads.
pub(super) fn lend_within(queue: &JobQueue) -> Vec<Arc<Core>> {
    WAITS.lock().lend(Some(queue))
}

/// Says which job waits for which.
pub(super) fn tell(out: &mut String) {
    let Some(waits) = WAITS.try_lock() else {
        return debug::line(out, 1, format_args!("which waits for which: busy"));
    };
    let by_jobs = waits.blocked.values().flat_map(|it| {
        let by = it.core.title();
        it.waits.values().map(move |wait| (by.clone(), wait))
    });
    let by_items = waits.in_calls.values().flat_map(BTreeMap::values);
    let by_items = by_items.map(|wait| ("an item of a call".to_owned(), wait));
    for (by, wait) in by_jobs.chain(by_items) {
        let targets: Vec<String> = wait.targets.iter().map(|it| it.title()).collect();
        let what = match (wait.call, wait.until) {
            (Some(_), _) => "results of a parallel call".to_owned(),
            (None, Until::End) => format!("the end of {}", targets.join(" or ")),
            (None, Until::Output) => format!("an output of {}", targets.join(" or ")),
        };
        debug::line(out, 1, format_args!("{by} waits for {what}"));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let job = self.job.as_ref();
        WAITS.lock().remove(job, &self.calls, self.keys.clone());
    }
}

// Whoever waits holds the jobs it waits for until its `Waiting` is gone, so no reference that is
// dropped here, under the lock, is the last to a job.
impl Waits {
    fn add(&mut self, job: Option<&Arc<Core>>, calls: &[usize], waits: &[Arc<Wait>]) -> Range<u64> {
        let first = self.next;
        self.next += waits.len() as u64;
        let numbered = || (first..).zip(waits.iter().cloned());
        for call in calls {
            self.in_calls.entry(*call).or_default().extend(numbered());
        }
        if let Some(job) = job {
            let entry = self.blocked.entry(job.id()).or_insert_with(|| Blocked {
                core: Arc::clone(job),
                threads: 0,
                waits: Numbered::new(),
            });
            entry.threads += 1;
            entry.waits.extend(numbered());
            if let Some(queue) = job.queue() {
                queue.park(job.id());
            }
        }
        first..self.next
    }

    fn remove(&mut self, job: Option<&Arc<Core>>, calls: &[usize], keys: Range<u64>) {
        for call in calls {
            if let Some(waits) = self.in_calls.get_mut(call) {
                keys.clone().for_each(|key| _ = waits.remove(&key));
                if waits.is_empty() {
                    self.in_calls.remove(call);
                }
            }
        }
        let Some(job) = job else {
            return;
        };
        let Some(entry) = self.blocked.get_mut(&job.id()) else {
            return;
        };
        for key in keys {
            entry.waits.remove(&key);
        }
        entry.threads -= 1;
        if entry.threads > 0 {
            return;
        }
        self.blocked.remove(&job.id());
        if let Some(queue) = job.queue() {
            queue.unpark(job.id());
        }
    }
}
