//! The items of a call that run, for somebody who looks where a program hangs.

use std::collections::BTreeMap;
use std::time::Instant;

use super::observe::{End, Observer, Try};
use crate::debug::{Name, Seconds, line};
use crate::sync::Mutex;

/// The items that run.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    all: Mutex<BTreeMap<u64, Flight>>,
}

#[derive(Debug)]
struct Flight {
    attempt: u32,
    since: Instant,
    /// The thread that runs it, or speaks with the process that does.
    thread: String,
}

impl Observer for Flights {
    fn began(&self, item: Try) {
        let thread = std::thread::current();
        let thread = match thread.name() {
            Some(name) => name.to_owned(),
            None => format!("{:?}", thread.id()),
        };
        let flight = Flight {
            attempt: item.attempt,
            since: Instant::now(),
            thread,
        };
        self.all.lock().insert(item.index, flight);
    }

    fn ended(&self, item: Try, _: End<'_>, _: Option<std::time::Duration>) {
        self.all.lock().remove(&item.index);
    }
}

impl Flights {
    /// How many there are, if that can be seen now.
    pub(crate) fn count(&self) -> Option<usize> {
        self.all.try_lock().map(|it| it.len())
    }

    /// Says which they are, the oldest first.
    pub(crate) fn tell(&self, out: &mut String) {
        /// More than those do not make it any clearer.
        const MOST: usize = 32;
        let Some(all) = self.all.try_lock() else {
            return;
        };
        let mut items: Vec<_> = all.iter().collect();
        items.sort_by_key(|(_, flight)| flight.since);
        let count = items.len();
        for (index, flight) in items.into_iter().take(MOST) {
            let (attempt, time) = (flight.attempt, Seconds(flight.since.elapsed()));
            let thread = Name(&flight.thread);
            line(
                out,
                2,
                format_args!("item {index} (try {attempt}) runs for {time}, on thread {thread}"),
            );
        }
        if count > MOST {
            line(out, 2, format_args!("and {} more", count - MOST));
        }
    }
}
