//! What is asked: one module for each question.

mod compile;
mod memory;
mod per_item;
mod process;
mod start_join;

use crate::Group;

/// One question: what it is about, and how to answer it on stdout.
pub(crate) struct Question {
    pub(crate) group: Group,
    pub(crate) title: &'static str,
    pub(crate) ask: fn(&Setup),
}

/// What the command line says about all of them.
pub(crate) struct Setup {
    pub(crate) rounds: usize,
    pub(crate) long: bool,
}

/// In the order in which they are asked. Memory first: an allocator keeps what others have used.
pub(crate) const QUESTIONS: &[Question] = &[
    memory::QUESTION,
    per_item::QUESTION,
    start_join::QUESTION,
    process::START,
    process::ROUND_TRIP,
    process::MANY,
    process::LARGE,
    compile::CALLS,
    compile::TREES,
];
