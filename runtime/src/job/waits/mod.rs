//! Which job waits for which: to lend places along, and to refuse a wait that could never end.
//!
//! One lock guards it, taken before that of any queue. It is taken when a job starts or ends a wait
//! for another and when a place comes home; jobs that wait for none never touch it.

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
    waits: BTreeMap<u64, Wait>,
}

#[derive(Default)]
struct Waits {
    next: u64,
    blocked: BTreeMap<u64, Blocked>,
}

global! {
    static WAITS: Mutex<Waits> = Mutex::new(Waits::default());
}

/// Says, until it is dropped, that the job of this thread waits.
pub(super) struct Waiting {
    job: Arc<Core>,
    keys: Range<u64>,
}

/// The job of this thread, if it runs for one, starts to wait: for one target of each group.
///
/// # Errors
/// The wait would close a ring of jobs that wait for each other.
pub(super) fn begin(
    groups: Vec<Vec<Arc<Core>>>,
    until: Until,
    limit: Limit,
) -> Result<Option<Waiting>, Deadlock> {
    let context = context::current();
    let Some(job) = Core::current(&context) else {
        return Ok(None);
    };
    let wait = |targets| Wait {
        targets,
        until,
        limited: limit.is_some(),
        in_body: context.call == 0,
    };
    let waits: Vec<_> = groups.into_iter().map(wait).collect();
    let (keys, let_in) = {
        let mut all = WAITS.lock();
        all.refuse_ring(&job, &waits)?;
        (all.add(&job, waits), all.lend(None))
    };
    let_in.into_iter().for_each(run::launch);
    Ok(Some(Waiting { job, keys }))
}

/// Lends the places of this queue's waiting jobs, as far as that is possible now. Answers the jobs
/// that are let in; the caller gives them threads.
pub(super) fn lend_within(queue: &JobQueue) -> Vec<Arc<Core>> {
    WAITS.lock().lend(Some(queue))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITS.lock().remove(&self.job, self.keys.clone());
    }
}

// Whoever waits holds the jobs it waits for until its `Waiting` is gone, so no reference that is
// dropped here, under the lock, is the last to a job.
impl Waits {
    fn add(&mut self, job: &Arc<Core>, waits: Vec<Wait>) -> Range<u64> {
        let first = self.next;
        self.next += waits.len() as u64;
        let entry = self.blocked.entry(job.id()).or_insert_with(|| Blocked {
            core: Arc::clone(job),
            threads: 0,
            waits: BTreeMap::new(),
        });
        entry.threads += 1;
        entry.waits.extend((first..).zip(waits));
        if let Some(queue) = job.queue() {
            queue.park(job.id());
        }
        first..self.next
    }

    fn remove(&mut self, job: &Arc<Core>, keys: Range<u64>) {
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
