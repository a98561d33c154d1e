//! Finding waits that could never end: rings of work that waits for each other.
//!
//! Work cannot end while one of its threads waits for something that cannot come, and a wait cannot end when none of
//! its targets can. The work for which both hold is what is left when all that can get on has been taken
//! away, again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Until, Wait, Waits, Work, Yield};

/// A wait that could never end, told as the ring it would close.
#[derive(Debug)]
pub(crate) struct Deadlock {
    text: String,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Waits {
    /// Answers the waits that were given up for these, to be woken.
    ///
    /// # Errors
    /// One of the waits that this work is about to start could never end.
    pub(super) fn refuse_ring(
        &self,
        by: &[Arc<dyn Work>],
        new: &[Arc<Wait>],
    ) -> Result<Vec<Arc<Yield>>, Deadlock> {
        let mut given_up = Vec::new();
        if new.iter().all(|it| it.is_limited) || !self.could_close(by, new) {
            return Ok(given_up);
        }
        loop {
            let stuck = Stuck::find(self, by, new);
            let Some(wait) = new.iter().find(|it| stuck.holds(it, Sense::End)) else {
                return Ok(given_up);
            };
            // One that yields itself is the one to be told.
            let yielding = match wait.yields {
                Some(_) => Vec::new(),
                None => stuck.yielding(),
            };
            if yielding.is_empty() {
                return Err(stuck.tell(by, wait));
            }
            let give_up = |it: &Arc<Yield>| it.is_given_up.store(true, Ordering::SeqCst);
            yielding.iter().for_each(give_up);
            given_up.extend(yielding);
        }
    }

    /// The quick answer for almost every wait: what is waited for does not wait itself.
    fn could_close(&self, by: &[Arc<dyn Work>], new: &[Arc<Wait>]) -> bool {
        let is_own = |it: &Arc<dyn Work>| by.iter().any(|by| by.number() == it.number());
        let waits = |it: &Arc<dyn Work>| self.blocked.contains_key(&it.number());
        let mut targets = new.iter().flat_map(|it| &it.targets);
        targets.any(|it| is_own(it) || waits(it) || !it.behind().is_empty())
    }
}

/// What work comes to.
#[derive(Clone, Copy, PartialEq)]
enum Sense {
    End,
    Output,
}

/// The work that the end of other work hangs on.
enum Need<'a> {
    Wait(&'a Wait),
    /// It stands behind that.
    Behind(Arc<dyn Work>),
}

/// The work that cannot get on, if the new waits begin.
struct Stuck<'a> {
    work: BTreeMap<u64, Arc<dyn Work>>,
    needs: BTreeMap<u64, Vec<Need<'a>>>,
    /// It cannot end, since one of its threads waits in vain.
    endless: BTreeSet<u64>,
    /// It makes no output either, since the body itself waits in vain.
    silent: BTreeSet<u64>,
}

impl<'a> Stuck<'a> {
    fn find(all: &'a Waits, by: &[Arc<dyn Work>], new: &'a [Arc<Wait>]) -> Self {
        let mut stuck = Self {
            work: BTreeMap::new(),
            needs: BTreeMap::new(),
            endless: BTreeSet::new(),
            silent: BTreeSet::new(),
        };
        stuck.gather(all, by, new);
        let ids: BTreeSet<u64> = stuck.needs.keys().copied().collect();
        let is_call = |id: &u64| stuck.work[id].is_call();
        stuck.silent = ids.iter().copied().filter(|it| !is_call(it)).collect();
        stuck.endless = ids;
        while stuck.take_away() {}
        stuck
    }

    /// Finds all that the new waits lead to, and what waits itself.
    fn gather(&mut self, all: &'a Waits, by: &[Arc<dyn Work>], new: &'a [Arc<Wait>]) {
        let mut ahead: Vec<Arc<dyn Work>> = by.to_vec();
        while let Some(work) = ahead.pop() {
            let id = work.number();
            if self.needs.contains_key(&id) {
                continue;
            }
            let own = by.iter().any(|it| it.number() == id);
            let before = all.blocked.get(&id);
            let before = before.into_iter().flat_map(|it| it.waits.values());
            let new = new.iter().filter(|_| own);
            let mut needs: Vec<Need<'a>> = before.chain(new).map(|it| Need::Wait(it)).collect();
            needs.extend(work.behind().into_iter().map(Need::Behind));
            for need in &needs {
                match need {
                    Need::Wait(wait) => ahead.extend(wait.targets.iter().cloned()),
                    Need::Behind(work) => ahead.push(Arc::clone(work)),
                }
            }
            self.needs.insert(id, needs);
            self.work.insert(id, work);
        }
    }

    /// Takes away what can get on; whether there was any.
    fn take_away(&mut self) -> bool {
        let endless = self.keep(&self.endless, Sense::End);
        let silent = self.keep(&self.silent, Sense::Output);
        let changed = endless.len() < self.endless.len() || silent.len() < self.silent.len();
        (self.endless, self.silent) = (endless, silent);
        changed
    }

    fn keep(&self, work: &BTreeSet<u64>, sense: Sense) -> BTreeSet<u64> {
        let in_vain = |id: &u64| {
            let mut needs = self.needs[id].iter();
            !self.work[id].is_over() && needs.any(|it| self.is_in_vain(*id, it, sense))
        };
        work.iter().copied().filter(in_vain).collect()
    }

    fn is_in_vain(&self, id: u64, need: &Need<'_>, sense: Sense) -> bool {
        match need {
            Need::Wait(wait) => {
                let counts = sense == Sense::End || wait.bodies.contains(&id);
                counts && self.holds(wait, sense)
            }
            Need::Behind(work) => self.endless.contains(&work.number()),
        }
    }

    /// Whether this wait is in vain.
    fn holds(&self, wait: &Wait, sense: Sense) -> bool {
        let stuck = match (wait.until, sense) {
            (Until::End, _) | (Until::Results, Sense::End) => &self.endless,
            (Until::Output, _) | (Until::Results, Sense::Output) => &self.silent,
        };
        let mut targets = wait.targets.iter();
        !wait.is_limited && !wait.is_over() && targets.all(|it| stuck.contains(&it.number()))
    }

    /// The waits in vain that can be given up.
    fn yielding(&self) -> Vec<Arc<Yield>> {
        let needs = self.needs.values().flatten();
        let waits = needs.filter_map(|it| match it {
            Need::Wait(wait) if self.holds(wait, Sense::End) => wait.yields.clone(),
            _ => None,
        });
        waits.collect()
    }

    /// Follows the shortest ring that `wait` would close.
    fn tell(&self, by: &[Arc<dyn Work>], wait: &Wait) -> Deadlock {
        let ends: Vec<u64> = by.iter().map(|it| it.number()).collect();
        let mut from: HashMap<u64, (u64, Link)> = HashMap::new();
        let mut ahead: VecDeque<u64> = wait.targets.iter().map(|it| it.number()).collect();
        let mut seen: BTreeSet<u64> = ahead.iter().copied().collect();
        let end = loop {
            let Some(id) = ahead.pop_front() else {
                break None;
            };
            if ends.contains(&id) {
                break Some(id);
            }
            for (next, link) in self.links(id) {
                if seen.insert(next) {
                    from.insert(next, (id, link));
                    ahead.push_back(next);
                }
            }
        };
        // What is in vain leads round to where it began; the first is as good as any if it did not.
        let closes = end.unwrap_or(ends[0]);
        let mut steps = Vec::new();
        let mut at = closes;
        while let Some((before, link)) = from.get(&at) {
            steps.push((at, *link));
            at = *before;
        }
        steps.reverse();
        let titled = |id: u64| self.work.get(&id).map_or_else(String::new, |it| it.title());
        let mut text = titled(closes);
        text += if text.starts_with('`') {
            " would wait for "
        } else {
            " waits for "
        };
        text += &match at == closes && steps.is_empty() {
            true => "itself".to_owned(),
            false => titled(at),
        };
        for (id, link) in steps {
            text += match link {
                Link::Wait => ", which waits for ",
                Link::Behind => ", which is queued behind ",
            };
            text += &titled(id);
            if let Link::Behind = link {
                text += &self.work[&id].place();
            }
        }
        text += ": this wait would never end";
        Deadlock { text }
    }

    /// The work that this work needs in vain.
    fn links(&self, id: u64) -> Vec<(u64, Link)> {
        let mut links = Vec::new();
        for need in self.needs.get(&id).into_iter().flatten() {
            match need {
                Need::Wait(wait) if self.holds(wait, Sense::End) => {
                    links.extend(wait.targets.iter().map(|it| (it.number(), Link::Wait)));
                }
                Need::Wait(_) => {}
                Need::Behind(work) => links.push((work.number(), Link::Behind)),
            }
        }
        links
    }
}

/// A step on the way round.
#[derive(Clone, Copy)]
enum Link {
    Wait,
    Behind,
}
