//! Lending: a job that waits gives its place to a job of its own queue that it needs.
//!
//! A job needs what it waits for, and what that waits for in turn. It also needs, for a job that
//! still stands in a queue, the jobs that have the places there to get on; and for a call whose
//! results it reads, what the items of that wait for. Following all of them is
//! what keeps a chain of waits through several queues from standing still: any way round leads back
//! to a queue where a job with a place to lend needs one that waits in line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::core::Core;
use super::super::queue::JobQueue;
use super::{Blocked, Numbered, Waits};

/// The jobs that wait, by the queue in which they have their place.
type InQueue<'a> = HashMap<usize, Vec<&'a Blocked>>;

/// A search for a job that can use the place of `lender`.
struct Search<'a> {
    all: &'a Waits,
    lender: &'a Blocked,
    queue: &'a JobQueue,
    seen: HashSet<u64>,
    seen_queues: HashSet<usize>,
    seen_calls: HashSet<usize>,
    /// What is waited for, and by which job if it is one.
    ahead: Vec<(Option<u64>, &'a Numbered)>,
}

impl Waits {
    /// Lends what can be lent, in one queue or in all, and takes the jobs out of the line that are
    /// let in.
    pub(super) fn lend(&mut self, only: Option<&JobQueue>) -> Vec<Arc<Core>> {
        let lenders = self
            .blocked
            .values()
            .filter_map(|it| Some((it, lendable(it, only)?)));
        let lenders: Vec<_> = lenders.collect();
        if lenders.is_empty() {
            return Vec::new();
        }
        let in_queue = self.in_queue();
        let mut let_in = Vec::new();
        let mut ended = Vec::new();
        for (lender, queue) in lenders {
            let_in.extend(self.search(lender, queue, &in_queue, &mut ended));
        }
        self.forget(&ended);
        let_in
    }

    fn in_queue(&self) -> InQueue<'_> {
        let mut in_queue = InQueue::new();
        for blocked in self.blocked.values() {
            if let Some(queue) = blocked.core.queue() {
                in_queue.entry(queue.key()).or_default().push(blocked);
            }
        }
        in_queue
    }

    fn search<'a>(
        &'a self,
        lender: &'a Blocked,
        queue: &'a JobQueue,
        in_queue: &InQueue<'a>,
        ended: &mut Vec<(u64, u64)>,
    ) -> Option<Arc<Core>> {
        let mut search = Search {
            all: self,
            lender,
            queue,
            seen: HashSet::from([lender.core.id()]),
            seen_queues: HashSet::new(),
            seen_calls: HashSet::new(),
            ahead: vec![(Some(lender.core.id()), &lender.waits)],
        };
        while let Some((job, waits)) = search.ahead.pop() {
            for (key, wait) in waits {
                if wait.has_end() {
                    ended.extend(job.map(|job| (job, *key)));
                } else if !wait.is_over() {
                    wait.call.into_iter().for_each(|it| search.look_into(it));
                    let mut targets = wait.targets.iter();
                    let found = targets.find_map(|it| search.look_at(it, in_queue));
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        None
    }

    /// Forgets waits that have come to their end, so that a wait for very many jobs does not look
    /// at those again each time a place comes home.
    fn forget(&mut self, ended: &[(u64, u64)]) {
        for (id, key) in ended {
            if let Some(blocked) = self.blocked.get_mut(id) {
                blocked.waits.remove(key);
            }
        }
    }
}

impl<'a> Search<'a> {
    /// Lends the place to `target`, or notes where to look on.
    fn look_at(&mut self, target: &Core, in_queue: &InQueue<'a>) -> Option<Arc<Core>> {
        if !self.seen.insert(target.id()) {
            return None;
        }
        let Some(queue) = target.queue().filter(|it| it.is_waiting(target.id())) else {
            let blocked = self.all.blocked.get(&target.id());
            self.ahead.extend(blocked.map(Blocked::ahead));
            return None;
        };
        if queue.key() == self.queue.key() {
            return self.queue.lend(self.lender.core.id(), target.id());
        }
        if self.seen_queues.insert(queue.key()) {
            let holders = in_queue.get(&queue.key()).into_iter().flatten();
            let seen = &mut self.seen;
            let holders = holders.filter(|it| seen.insert(it.core.id()));
            self.ahead.extend(holders.map(|it| it.ahead()));
        }
        None
    }

    /// Notes to look on at what the items of a call wait for.
    fn look_into(&mut self, call: usize) {
        if self.seen_calls.insert(call) {
            let waits = self.all.in_calls.get(&call);
            self.ahead.extend(waits.map(|it| (None, it)));
        }
    }
}

impl Blocked {
    fn ahead(&self) -> (Option<u64>, &Numbered) {
        (Some(self.core.id()), &self.waits)
    }
}

/// The queue in which this job has a place that another could use now.
fn lendable<'a>(blocked: &'a Blocked, only: Option<&JobQueue>) -> Option<&'a JobQueue> {
    let queue = blocked.core.queue()?;
    let asked = only.is_none_or(|only| only.key() == queue.key());
    (asked && queue.can_lend(blocked.core.id())).then_some(queue)
}
