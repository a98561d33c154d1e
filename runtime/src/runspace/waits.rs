//! Which work waits for which: to let in what is needed, and to refuse a wait that could never end.
//!
//! Work of a pool that waits for queued work of any pool is helped: [`Line`](super::host) lets that
//! in beside the others. A runspace by itself cannot be helped, since what it runs counts on its
//! state. So a ring of waits that stands still always goes through work that waits for itself or
//! for what is queued behind it on such a runspace. Those are looked for when a wait begins.
//!
//! One lock guards it, taken before that of any host. Waits from outside of work never touch it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::here;
use super::host::Seat;
use crate::per_process::PerProcess;
use crate::sync::Mutex;

/// A wait of one piece of work for another.
struct Wait {
    by: Arc<Seat>,
    target: Arc<Seat>,
    /// It has a time limit, so it always ends.
    is_limited: bool,
}

#[derive(Default)]
struct Waits {
    next: u64,
    /// By the work that waits and a number.
    all: BTreeMap<(u64, u64), Wait>,
}

static WAITS: PerProcess<Mutex<Waits>> = PerProcess::new(Mutex::default);

/// A wait that could never end.
#[derive(Debug)]
pub(super) struct Deadlock {
    text: String,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Says, until it is dropped, that work waits.
pub(super) struct Waiting {
    keys: Vec<(u64, Range<u64>)>,
}

/// The work of this thread, if there is any, starts to wait for all of the targets.
///
/// # Errors
/// The wait would close a ring.
pub(super) fn begin(targets: &[Arc<Seat>], is_limited: bool) -> Result<Option<Waiting>, Deadlock> {
    let seats = here::all();
    if seats.is_empty() {
        return Ok(None);
    }
    let waiting = {
        let mut waits = WAITS.lock();
        if !is_limited {
            waits.refuse_ring(&seats, targets)?;
        }
        waits.add(&seats, targets, is_limited)
    };
    // Both: what is waited for may be let in, and what waits leaves room at home.
    for seat in targets.iter().chain(&seats) {
        if let Some(host) = seat.host() {
            host.lend();
        }
    }
    Ok(Some(waiting))
}

impl Waits {
    fn add(&mut self, seats: &[Arc<Seat>], targets: &[Arc<Seat>], is_limited: bool) -> Waiting {
        let mut keys = Vec::new();
        for by in seats {
            let first = self.next;
            for target in targets {
                by.wait_for(target);
                let wait = Wait {
                    by: Arc::clone(by),
                    target: Arc::clone(target),
                    is_limited,
                };
                self.all.insert((by.id(), self.next), wait);
                self.next += 1;
            }
            keys.push((by.id(), first..self.next));
        }
        Waiting { keys }
    }

    fn refuse_ring(&self, seats: &[Arc<Seat>], targets: &[Arc<Seat>]) -> Result<(), Deadlock> {
        for by in seats {
            for target in targets {
                if let Some(path) = self.path(target, by) {
                    return Err(tell(by, target, &path));
                }
            }
        }
        Ok(())
    }

    /// How the end of `from` hangs on the end of `to`, if it does: the way between, both included.
    fn path(&self, from: &Arc<Seat>, to: &Arc<Seat>) -> Option<Vec<Link>> {
        let mut seen = HashSet::from([from.id()]);
        let mut paths = vec![vec![Link::of(from, false)]];
        while let Some(path) = paths.pop() {
            let last = path.last().expect("a path begins somewhere");
            if Arc::ptr_eq(&last.seat, to) {
                return Some(path);
            }
            for link in self.links(&last.seat) {
                if seen.insert(link.seat.id()) {
                    let mut longer = path.clone();
                    longer.push(link);
                    paths.push(longer);
                }
            }
        }
        None
    }

    /// What the end of `seat` hangs on.
    fn links(&self, seat: &Arc<Seat>) -> Vec<Link> {
        let ahead = seat.host().and_then(|host| host.ahead_of(seat.id()));
        if let Some(ahead) = ahead {
            return ahead.iter().map(|it| Link::of(it, true)).collect();
        }
        let waits = self.all.range((seat.id(), 0)..=(seat.id(), u64::MAX));
        let endless = waits.filter(|(_, wait)| !wait.is_limited);
        endless
            .map(|(_, wait)| Link::of(&wait.target, false))
            .collect()
    }
}

/// A step on the way round.
#[derive(Clone)]
struct Link {
    seat: Arc<Seat>,
    /// The one before is queued behind it, rather than waiting for it.
    is_ahead: bool,
}

impl Link {
    fn of(seat: &Arc<Seat>, is_ahead: bool) -> Self {
        Self {
            seat: Arc::clone(seat),
            is_ahead,
        }
    }
}

fn tell(by: &Seat, target: &Seat, path: &[Link]) -> Deadlock {
    let mut text = format!("`{}` would wait for ", by.name());
    if by.id() == target.id() {
        text += "itself";
    } else {
        text += &format!("`{}`", target.name());
    }
    for link in &path[1..] {
        text += if link.is_ahead {
            ", which is queued behind"
        } else {
            ", which waits for"
        };
        text += &format!(" `{}`", link.seat.name());
        if let (true, Some(host)) = (link.is_ahead, link.seat.host()) {
            text += &format!(" on {}", host.title());
        }
    }
    text += ": this wait would never end";
    Deadlock { text }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        let mut gone = Vec::new();
        for (by, keys) in &self.keys {
            for key in keys.clone() {
                if let Some(wait) = waits.all.remove(&(*by, key)) {
                    wait.by.wait_no_more_for(&wait.target);
                    gone.push(wait);
                }
            }
        }
        drop(waits);
        drop(gone);
    }
}
