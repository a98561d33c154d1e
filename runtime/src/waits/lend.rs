//! Lending: work that waits gives its place to work of its own queue that it needs.
//!
//! Work needs what it waits for, and what that waits for in turn. It also needs, for work that still stands in a
//! queue, the work that has the places there to get on; and for a call whose results it reads, what the items of
//! that wait for. Following all of them is what keeps a chain of waits through several queues and hosts from
//! standing still: any way round leads back to a queue where work with a place to lend needs one that waits in line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Blocked, Launch, Numbered, Queue, Waits, Work};

/// The work that waits, by the queue in which it has its place.
type InQueue<'a> = HashMap<usize, Vec<&'a Blocked>>;

/// A search for work that can use the place of `lender`.
struct Search<'a> {
    all: &'a Waits,
    lender: u64,
    queue: &'a dyn Queue,
    seen: HashSet<u64>,
    seen_queues: HashSet<usize>,
    /// The target of a wait, and the work that waits.
    ahead: Vec<(u64, &'a Numbered)>,
}

impl Waits {
    /// Lends what can be lent, in one queue or in all, and takes the work out of the line that is let in.
    pub(super) fn lend(&mut self, only: Option<usize>) -> Vec<Launch> {
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
        for (blocked, (queue, lender)) in lenders {
            let_in.extend(self.search(blocked, queue, lender, &in_queue, &mut ended));
        }
        self.forget(&ended);
        let_in
    }

    fn in_queue(&self) -> InQueue<'_> {
        let mut in_queue = InQueue::new();
        for blocked in self.blocked.values() {
            if let Some((queue, _)) = blocked.work.queue() {
                in_queue.entry(queue.key()).or_default().push(blocked);
            }
        }
        in_queue
    }

    fn search<'a>(
        &'a self,
        blocked: &'a Blocked,
        queue: &'a dyn Queue,
        lender: u64,
        in_queue: &InQueue<'a>,
        ended: &mut Vec<(u64, u64)>,
    ) -> Option<Launch> {
        let number = blocked.work.number();
        let mut search = Search {
            all: self,
            lender,
            queue,
            seen: HashSet::from([number]),
            seen_queues: HashSet::new(),
            ahead: vec![(number, &blocked.waits)],
        };
        while let Some((by, waits)) = search.ahead.pop() {
            for (key, wait) in waits {
                if wait.has_end() {
                    ended.push((by, *key));
                } else if !wait.is_over() {
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

    /// Forgets waits that have come to their end, so that a wait for very much work does not look
    /// at it again each time a place comes home.
    fn forget(&mut self, ended: &[(u64, u64)]) {
        for (id, key) in ended {
            if let Some(blocked) = self.blocked.get_mut(id) {
                blocked.waits.remove(key);
            }
        }
    }
}

impl<'a> Search<'a> {
    /// Lends the place to `target`, or to something that it is behind, or notes where to look on.
    fn look_at(&mut self, target: &Arc<dyn Work>, in_queue: &InQueue<'a>) -> Option<Launch> {
        let mut ahead = vec![Arc::clone(target)];
        while let Some(target) = ahead.pop() {
            if !self.seen.insert(target.number()) {
                continue;
            }
            let queue = target.queue().filter(|(it, id)| it.is_waiting(*id));
            let Some((queue, id)) = queue else {
                let blocked = self.all.blocked.get(&target.number());
                self.ahead.extend(blocked.map(Blocked::ahead));
                ahead.extend(target.ahead());
                continue;
            };
            if queue.key() == self.queue.key() {
                let launch = self.queue.lend(self.lender, id);
                if launch.is_some() {
                    return launch;
                }
            } else if self.seen_queues.insert(queue.key()) {
                let holders = in_queue.get(&queue.key()).into_iter().flatten();
                let seen = &mut self.seen;
                let holders = holders.filter(|it| seen.insert(it.work.number()));
                self.ahead.extend(holders.map(|it| it.ahead()));
            }
        }
        None
    }
}

impl Blocked {
    fn ahead(&self) -> (u64, &Numbered) {
        (self.work.number(), &self.waits)
    }
}

/// The queue in which this work has a place that another could use now, and its number there.
fn lendable(blocked: &Blocked, only: Option<usize>) -> Option<(&dyn Queue, u64)> {
    let (queue, id) = blocked.work.queue()?;
    let asked = only.is_none_or(|only| only == queue.key());
    (asked && queue.can_lend(id)).then_some((queue, id))
}
