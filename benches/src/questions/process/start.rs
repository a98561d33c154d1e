//! From the start of a job to its result.

use std::process::Command;

use runspace::start_job;

use super::super::{Question, Setup};
use super::programs::{by_parallel, by_xargs};
use crate::measure::{Contender, race};
use crate::peers::find;
use crate::report::{Answer, Bar, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "process-start",
    title: "A block in a process of its own, one after another",
    ask,
};

const TRUE: &str = "posix_spawn and wait, /bin/true";
const PROCSPAWN: &str = "procspawn, spawn and join";
const OURS: &str = "runspace, start_job! and join";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let jobs = setup.count(50).max(20);
    let repeat = |job: fn(u64) -> u64| (0..jobs).map(job).fold(0, u64::wrapping_add);
    let mut contenders = vec![
        Contender::new(TRUE, || repeat(nothing)),
        Contender::new(PROCSPAWN, || repeat(procspawn)),
        Contender::new(OURS, || repeat(ours)),
    ];
    let sum = repeat(|it| it);
    if find("xargs").is_some() {
        let run = move || by_xargs(jobs, 1).map(|()| sum).expect("xargs");
        contenders.push(Contender::new("xargs -n1, /bin/true", run));
    }
    if find("parallel").is_some() {
        let run = move || by_parallel(jobs, 1).map(|()| sum).expect("parallel");
        contenders.push(Contender::new("GNU parallel -j1, /bin/true", run));
    }
    let race = race(setup.rounds, contenders);
    answer.say(format!(
        "{jobs} jobs a turn, each joined before the next starts."
    ));
    answer.say(standings(&race, jobs, "per job", &[TRUE, PROCSPAWN]));
    answer.bar(Bar::times(
        "start_job!, start to result, of procspawn's",
        0.5,
        race.ratio(OURS, PROCSPAWN),
    ));
    answer.bar(Bar::times(
        "start_job!, start to result, of posix_spawn and wait of /bin/true",
        1.0,
        race.ratio(OURS, TRUE),
    ));
    answer.panel(panel(
        "A process of its own, and its result",
        &race,
        jobs,
        |_| false,
    ));
    answer
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
