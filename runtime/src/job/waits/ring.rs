//! Finding waits that could never end: rings of jobs that wait for each other.
//!
//! A job cannot end while one of its threads waits for something that cannot come, and a wait
//! cannot end when none of its targets can. The jobs for which both hold are what is left when
//! every job that can get on has been taken away, again and again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use super::super::core::Core;
use super::{Until, Wait, Waits};

/// A wait that could never end, told as the ring of jobs it would close.
#[derive(Debug)]
pub(in crate::job) struct Deadlock {
    text: String,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Waits {
    /// # Errors
    /// One of the waits that `job` is about to start could never end.
    pub(super) fn refuse_ring(&self, job: &Arc<Core>, new: &[Arc<Wait>]) -> Result<(), Deadlock> {
        if new.iter().all(|it| it.limited) || !self.could_close(job, new) {
            return Ok(());
        }
        let stuck = Stuck::find(self, job, new);
        match new.iter().find(|it| stuck.holds(it)) {
            Some(wait) => Err(stuck.tell(job, wait)),
            None => Ok(()),
        }
    }

    /// The quick answer for almost every wait: what is waited for does not wait itself.
    fn could_close(&self, job: &Core, new: &[Arc<Wait>]) -> bool {
        let mut targets = new.iter().flat_map(|it| &it.targets);
        targets.any(|it| it.id() == job.id() || self.blocked.contains_key(&it.id()))
    }
}

/// The jobs that cannot get on, if the new waits begin.
struct Stuck<'a> {
    waits: BTreeMap<u64, Vec<&'a Wait>>,
    /// They cannot end, since one of their threads waits in vain.
    endless: BTreeSet<u64>,
    /// They make no output either, since the body itself waits in vain.
    silent: BTreeSet<u64>,
}

impl<'a> Stuck<'a> {
    fn find(all: &'a Waits, job: &Core, new: &'a [Arc<Wait>]) -> Self {
        let waits = reachable(all, job, new);
        let ids: BTreeSet<u64> = waits.keys().copied().collect();
        let mut stuck = Self {
            waits,
            endless: ids.clone(),
            silent: ids,
        };
        while stuck.take_away() {}
        stuck
    }

    /// Takes away the jobs that can get on; whether there were any.
    fn take_away(&mut self) -> bool {
        let endless = self.keep(&self.endless, |_| true);
        let silent = self.keep(&self.silent, |it| it.in_body);
        let changed = endless.len() < self.endless.len() || silent.len() < self.silent.len();
        (self.endless, self.silent) = (endless, silent);
        changed
    }

    fn keep(&self, jobs: &BTreeSet<u64>, counts: impl Fn(&Wait) -> bool) -> BTreeSet<u64> {
        let in_vain = |id: &u64| self.waits[id].iter().any(|it| counts(it) && self.holds(it));
        jobs.iter().copied().filter(in_vain).collect()
    }

    /// Whether this wait is in vain.
    fn holds(&self, wait: &Wait) -> bool {
        let stuck = match wait.until {
            Until::End => &self.endless,
            Until::Output => &self.silent,
        };
        !wait.limited && !wait.is_over() && wait.targets.iter().all(|it| stuck.contains(&it.id()))
    }

    /// Follows the ring that `wait` would close.
    fn tell(&self, job: &Arc<Core>, wait: &Wait) -> Deadlock {
        let mut text = format!("job `{}`", job.name());
        let mut seen = HashSet::from([job.id()]);
        let mut next = wait.targets.first();
        while let Some(target) = next {
            let link = if seen.len() == 1 {
                " waits"
            } else {
                ", which waits"
            };
            let fresh = seen.insert(target.id());
            text += &match (fresh, target.id() == job.id(), seen.len()) {
                (false, true, 1) => format!("{link} for itself"),
                _ => format!("{link} for job `{}`", target.name()),
            };
            let waits = self.waits.get(&target.id()).filter(|_| fresh);
            let in_vain = waits.and_then(|all| all.iter().find(|it| self.holds(it)));
            next = in_vain.and_then(|it| it.targets.first());
        }
        text += ": this wait would never end";
        Deadlock { text }
    }
}

/// The waits of all jobs that the new waits lead to, and of `job` itself.
fn reachable<'a>(all: &'a Waits, job: &Core, new: &'a [Arc<Wait>]) -> BTreeMap<u64, Vec<&'a Wait>> {
    let of = |id: u64| {
        all.blocked
            .get(&id)
            .into_iter()
            .flat_map(|it| it.waits.values())
    };
    let own: Vec<&Wait> = of(job.id()).chain(new).map(|it| &**it).collect();
    let mut found = BTreeMap::from([(job.id(), own)]);
    let mut ahead = vec![job.id()];
    while let Some(id) = ahead.pop() {
        let targets = found[&id].iter().flat_map(|it| &it.targets);
        let targets: Vec<u64> = targets.map(|it| it.id()).collect();
        for target in targets {
            found.entry(target).or_insert_with(|| {
                ahead.push(target);
                of(target).map(|it| &**it).collect()
            });
        }
    }
    found
}
