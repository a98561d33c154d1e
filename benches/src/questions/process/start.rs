//! From the start of a job to its result.

use std::process::Command;

use runspace::start_job;

use super::super::{Question, Setup};
use crate::Group;
use crate::measure::{Contender, race};
use crate::table::Table;

pub(crate) const QUESTION: Question = Question {
    group: Group::Process,
    title: "A block in a process of its own, one after another",
    ask,
};

/// Jobs in a turn.
const JOBS: u64 = 50;

fn ask(setup: &Setup) {
    let times = race(
        setup.rounds,
        vec![
            Contender::new("posix_spawn and wait, /bin/true", || repeat(nothing)),
            Contender::new("procspawn, spawn and join", || repeat(procspawn)),
            Contender::new("runspace, start_job! and join", || repeat(ours)),
        ],
    );
    let [nothing, procspawn] = [0, 1].map(|at: usize| times[at].median().as_secs_f64());
    let mut table = Table::new(["", "per job", "spread", "of /bin/true", "of procspawn"]);
    for it in &times {
        let median = it.median().as_secs_f64();
        table.row([
            it.name.to_owned(),
            format!("{:.0} us", median * 1e6 / JOBS as f64),
            format!("{:.0} %", it.spread() * 100.0),
            format!("{:.2}", median / nothing),
            format!("{:.2}", median / procspawn),
        ]);
    }
    println!(
        "{JOBS} jobs a turn, each joined before the next starts; median of {} turns.\n\n{table}",
        setup.rounds
    );
}

fn repeat(job: fn(u64) -> u64) -> u64 {
    (0..JOBS).map(job).fold(0, u64::wrapping_add)
}

/// Does none of the work, in the least that a process can be.
fn nothing(item: u64) -> u64 {
    let status = Command::new("/bin/true").status().expect("/bin/true");
    assert!(status.success());
    item
}

fn procspawn(item: u64) -> u64 {
    procspawn::spawn(item, |item| item)
        .join()
        .expect("a process that answers")
}

fn ours(item: u64) -> u64 {
    start_job!(using(item), { item })
        .join()
        .expect("a process that answers")
}
