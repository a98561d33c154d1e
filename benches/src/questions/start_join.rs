//! What does a call cost, beside its items?

use std::thread;

use runspace::foreach_parallel;

use super::{Question, Setup};
use crate::Group;
use crate::measure::{Contender, race};
use crate::table::Table;

pub(crate) const QUESTION: Question = Question {
    group: Group::Core,
    title: "Start and end of a call with one item",
    ask,
};

/// Calls in a turn.
const CALLS: u64 = 2_000;

fn ask(setup: &Setup) {
    let times = race(
        setup.rounds,
        vec![
            Contender::new("std::thread, spawn and join", || repeat(thread_spawn)),
            Contender::new("std::thread::scope, one spawn", || repeat(thread_scope)),
            Contender::new("runspace, read to its end", || repeat(ours)),
            Contender::new("runspace, a borrowing call", || repeat(ours_borrowing)),
        ],
    );
    let spawn = times[0].median().as_secs_f64();
    let mut table = Table::new(["", "per call", "spread", "of spawn and join"]);
    for it in &times {
        let median = it.median().as_secs_f64();
        table.row([
            it.name.to_owned(),
            format!("{:.2} us", median * 1e6 / CALLS as f64),
            format!("{:.0} %", it.spread() * 100.0),
            format!("{:.2}", median / spawn),
        ]);
    }
    println!(
        "{CALLS} calls a turn, one after the other; median of {} turns.\n\n{table}",
        setup.rounds
    );
}

fn repeat(call: fn(u64) -> u64) -> u64 {
    (0..CALLS).map(call).fold(0, u64::wrapping_add)
}

fn thread_spawn(item: u64) -> u64 {
    thread::spawn(move || item)
        .join()
        .expect("a thread that does not panic")
}

fn thread_scope(item: u64) -> u64 {
    thread::scope(|scope| scope.spawn(|| item).join()).expect("a thread that does not panic")
}

fn ours(item: u64) -> u64 {
    foreach_parallel!([item], |it| it).sum()
}

fn ours_borrowing(item: u64) -> u64 {
    foreach_parallel!(&[item], |it| *it).sum()
}
