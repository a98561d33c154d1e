//! Other people's programs, some at once.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use runspace::{JobState, foreach_parallel, start_job};

use super::super::{Question, Setup};
use crate::measure::{Contender, race};
use crate::peers::find;
use crate::report::{Answer, standings};

pub(crate) const QUESTION: Question = Question {
    name: "process-programs",
    title: "Programs, two at once",
    ask,
};

const THROTTLE: usize = 2;
const PROGRAM: &str = "/bin/true";
const XARGS: &str = "xargs -n1 -P2";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let jobs = setup.count(100).max(40);
    let mut contenders = Vec::new();
    if find("xargs").is_some() {
        let run = move || by_xargs(jobs, THROTTLE).map(|()| jobs).expect("xargs");
        contenders.push(Contender::new(XARGS, run));
    }
    if find("parallel").is_some() {
        let run = move || {
            by_parallel(jobs, THROTTLE)
                .map(|()| jobs)
                .expect("parallel")
        };
        contenders.push(Contender::new("GNU parallel -j2", run));
    } else {
        answer.say("GNU parallel is not here.");
    }
    contenders.push(Contender::new(
        "runspace, items that run a Command",
        move || {
            let done = foreach_parallel!(0..jobs, throttle = THROTTLE, |_| {
                let status = Command::new(PROGRAM).status();
                u64::from(status.is_ok_and(|it| it.success()))
            });
            done.sum()
        },
    ));
    contenders.push(Contender::new(
        "runspace, items that run a job with file",
        move || {
            let done = foreach_parallel!(0..jobs, throttle = THROTTLE, |_| {
                let job = start_job!(file = PROGRAM);
                job.wait();
                u64::from(job.state() == JobState::Completed)
            });
            done.sum()
        },
    ));
    let against: &[&str] = if find("xargs").is_some() {
        &[XARGS]
    } else {
        &[]
    };
    let race = race(setup.rounds, contenders);
    answer.say(format!(
        "`{PROGRAM}`, {jobs} times. A job with `file` has its program's lines and its status, and can be stopped."
    ));
    answer.say(standings(&race, jobs, "each", against));
    answer
}

/// `/bin/true` for so many arguments.
pub(super) fn by_xargs(jobs: u64, at_once: usize) -> io::Result<()> {
    let mut xargs = Command::new("xargs");
    xargs.args(["-n1", &format!("-P{at_once}"), PROGRAM]);
    fed(xargs, jobs)
}

pub(super) fn by_parallel(jobs: u64, at_once: usize) -> io::Result<()> {
    let program = find("parallel").unwrap_or_else(|| PathBuf::from("parallel"));
    let mut parallel = Command::new(program);
    parallel.args([&format!("-j{at_once}"), PROGRAM]);
    fed(parallel, jobs)
}

fn fed(mut program: Command, lines: u64) -> io::Result<()> {
    let mut child = program
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut to = child.stdin.take().expect("piped");
    let lines: String = (0..lines).map(|it| format!("{it}\n")).collect();
    to.write_all(lines.as_bytes())?;
    drop(to);
    match child.wait()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("it failed")),
    }
}
