//! The ledger of live values: each value of a case has a [`Token`], and a token is live from its making to its
//! drop. One that is dropped twice, or not at all, is a fault of the call.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind of value that a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Of {
    Item,
    Value,
    Capture,
    State,
    Payload,
    Input,
}

#[derive(Default)]
struct Ledger {
    next: u64,
    live: HashMap<u64, (u64, Of)>,
    /// Tokens that were dropped and were not live.
    twice: Vec<(u64, u64, Of)>,
    /// Cases whose values were forgotten on purpose. Some of them may still be dropped.
    written_off: HashSet<u64>,
}

static LEDGER: Mutex<Option<Ledger>> = Mutex::new(None);

fn ledger() -> MutexGuard<'static, Option<Ledger>> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stands for one value; a clone is another value.
pub struct Token {
    id: u64,
    case: u64,
    of: Of,
}

impl Token {
    pub fn new(case: u64, of: Of) -> Self {
        let mut ledger = ledger();
        let ledger = ledger.get_or_insert_default();
        ledger.next += 1;
        ledger.live.insert(ledger.next, (case, of));
        Self {
            id: ledger.next,
            case,
            of,
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut ledger = ledger();
        let ledger = ledger.get_or_insert_default();
        let was_live = ledger.live.remove(&self.id) == Some((self.case, self.of));
        if !was_live && !ledger.written_off.contains(&self.case) {
            ledger.twice.push((self.case, self.id, self.of));
        }
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        Self::new(self.case, self.of)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.of, self.id)
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.case, self.of).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (case, of) = Deserialize::deserialize(from)?;
        Ok(Self::new(case, of))
    }
}

/// The live tokens of a case that are of one of these kinds.
pub fn live(case: u64, kinds: &[Of]) -> Vec<Of> {
    let ledger = ledger();
    let all = ledger.iter().flat_map(|it| it.live.values());
    all.filter(|(of_case, of)| *of_case == case && kinds.contains(of))
        .map(|it| it.1)
        .collect()
}

/// How many tokens of other cases are live: in a worker process, those that an earlier call has left there.
pub fn live_of_others(case: u64) -> usize {
    let ledger = ledger();
    let all = ledger.iter().flat_map(|it| it.live.values());
    all.filter(|it| it.0 != case).count()
}

/// What was dropped twice since this was asked last.
pub fn dropped_twice() -> Vec<(u64, u64, Of)> {
    let mut ledger = ledger();
    ledger
        .as_mut()
        .map_or(Vec::new(), |it| std::mem::take(&mut it.twice))
}

/// Forgets what is live of a case whose values were forgotten on purpose.
pub fn write_off(case: u64) {
    if let Some(ledger) = &mut *ledger() {
        ledger.live.retain(|_, it| it.0 != case);
        ledger.written_off.insert(case);
    }
}
