//! What is asked: one module for each question.

mod cluster;
mod compile;
mod jobs;
mod memory;
mod on_rayon;
mod per_item;
mod pool;
mod process;
mod start_join;
mod stop;
mod tail;
mod throttle;

pub(crate) use cluster::serve_if_bare_worker;
pub(crate) use jobs::queued;
pub(crate) use process::round_trips;
pub(crate) use start_join::cold;

use crate::report::Answer;

/// One question: what it is called, what it is about, and how to answer it.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) ask: fn(&Setup) -> Answer,
}

impl Question {
    /// Whether `name` means this one: its name, or the first word of it.
    pub(crate) fn is_meant_by(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('-'))
    }
}

/// What the command line says about all of them.
pub(crate) struct Setup {
    /// How many turns everyone has.
    pub(crate) rounds: usize,
    /// Less of everything.
    pub(crate) quick: bool,
}

impl Setup {
    /// `full`, or a tenth of it.
    pub(crate) fn count(&self, full: u64) -> u64 {
        match self.quick {
            true => full.div_ceil(10),
            false => full,
        }
    }
}

/// In the order in which they are asked. Memory first: an allocator keeps what others have used.
pub(crate) const QUESTIONS: &[Question] = &[
    memory::QUESTION,
    per_item::QUESTION,
    on_rayon::QUESTION,
    tail::QUESTION,
    throttle::QUESTION,
    stop::QUESTION,
    start_join::QUESTION,
    jobs::QUESTION,
    pool::QUESTION,
    process::START,
    process::ROUND_TRIP,
    process::MANY,
    process::PAYLOAD,
    process::PROGRAMS,
    cluster::ROUND_TRIP,
    cluster::MANY,
];

/// Those that are not among all: they build programs with cargo, for some minutes.
pub(crate) const LONG: &[Question] = &[compile::CALLS, compile::TREES];
