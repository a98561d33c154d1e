//! One item to a worker process and back.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use runspace::{ProcessPool, Results, foreach_parallel};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use super::super::{Question, Setup};
use crate::alone;
use crate::measure::{Contender, Race, Times, Turn, race};
use crate::peers::Python;
use crate::report::{Answer, Bar, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "process-round-trip",
    title: "One item to a worker process and back",
    ask,
};

/// Items in a turn.
const ITEMS: u64 = 500;

const PIPES: &str = "two pipes, to cat and back";
const PROCSPAWN: &str = "procspawn::Pool, spawn and join";
const OURS: &str = "runspace, an item of a running call";
const OURS_NEAR: &str = "runspace, the same on a thread";
const CALL: &str = "runspace, a call with one item";
const CALL_NEAR: &str = "runspace, such a call on a thread";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let race = compete(setup.rounds, Python::start(1));
    answer.say(format!(
        "{ITEMS} items a turn, each back before the next is sent; one worker, kept. The running call has \
         `throttle = 1, buffer = 0` and takes its items from a channel."
    ));
    answer.say(standings(&race, ITEMS, "per item", &[PIPES, PROCSPAWN]));
    answer.bar(Bar::seconds(
        "one item to a worker process and back, in a running call",
        MOST,
        race.of(OURS).wall().map(|it| it / ITEMS as f64),
    ));
    answer.bar(Bar::seconds(
        "the same, a call of its own",
        MOST,
        race.of(CALL).wall().map(|it| it / ITEMS as f64),
    ));
    answer.bar(Bar::times(
        "the same in a running call, of two pipes",
        MOST / PIPES_THEN,
        race.ratio(OURS, PIPES),
    ));
    let near = on_one_processor(setup.rounds);
    answer.say(
        "The same on one processor. A processor that has nothing to do goes to sleep, and to wake it is most of what is \
         measured above; here it never sleeps, and what is left is the work:",
    );
    answer.say(standings(&near, ITEMS, "per item", &[PIPES, PROCSPAWN]));
    answer.bar(Bar::seconds(
        "the same in a running call, on one processor",
        MOST,
        near.of(OURS).wall().map(|it| it / ITEMS as f64),
    ));
    answer.panel(panel(
        "One item to a worker process and back",
        &race,
        ITEMS,
        |it| it.name == OURS_NEAR || it.name == CALL_NEAR,
    ));
    answer
}

/// The most that an item may take, where two pipes take [`PIPES_THEN`].
const MOST: f64 = 20e-6;
const PIPES_THEN: f64 = 4.4e-6;

fn compete(rounds: usize, python: Option<Python>) -> Race {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat");
    let (mut to, mut from) = (
        cat.stdin.take().expect("piped"),
        cat.stdout.take().expect("piped"),
    );
    let peer = procspawn::Pool::new(1).expect("a pool");
    let pool = ProcessPool::builder().workers(1).build();
    let pool_of_calls = ProcessPool::builder().workers(1).build();
    let (mut items, mut results) = ours(&pool);
    let (mut near_items, mut near_results) = on_a_thread();
    let mut contenders = vec![
        Contender::new(PIPES, || repeat(|it| echo(&mut to, &mut from, it))),
        Contender::new(PROCSPAWN, || {
            repeat(|it| peer.spawn(it, |it| it).join().expect("a worker"))
        }),
        Contender::new(OURS, || {
            repeat(|it| there_and_back(&mut items, &mut results, it))
        }),
        Contender::new(OURS_NEAR, || {
            repeat(|it| there_and_back(&mut near_items, &mut near_results, it))
        }),
        Contender::new(CALL, || {
            repeat(|it| foreach_parallel!([it], on = process(&pool_of_calls), |it| it).sum())
        }),
        Contender::new(CALL_NEAR, || {
            repeat(|it| foreach_parallel!([it], throttle = 1, |it| it).sum())
        }),
    ];
    if let Some(mut python) = python {
        contenders.push(Contender::new(
            "Python ProcessPoolExecutor, submit",
            move || python.ask(&format!("trips {ITEMS}")),
        ));
    }
    let race = race(rounds, contenders);
    drop((to, from));
    cat.wait().expect("the end of cat");
    peer.shutdown();
    race
}

/// Those that take part on one processor, in their order.
const NEAR: [&str; 6] = [PIPES, PROCSPAWN, OURS, OURS_NEAR, CALL, CALL_NEAR];

fn on_one_processor(rounds: usize) -> Race {
    let nanos = alone::ask(&["round-trips", &rounds.to_string()]);
    let turns = nanos.chunks(rounds);
    let times = NEAR.iter().zip(turns).map(|(name, turns)| {
        let turns = turns
            .iter()
            .map(|it| Turn::of(Duration::from_nanos(*it), 0));
        Times::of(*name, turns)
    });
    Race {
        all: times.collect(),
    }
}

/// In a process of its own: the nanoseconds of each turn, contender by contender.
pub(crate) fn round_trips(rounds: usize) -> Result<Vec<u64>, String> {
    // Before there is any thread or process beside this one, which are bound with it.
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).map_err(|error| format!("not bound: {error}"))?;
    let race = compete(rounds, None);
    let nanos = |turn: &Turn| u64::try_from(turn.wall.as_nanos()).unwrap_or(u64::MAX);
    Ok(NEAR
        .iter()
        .flat_map(|name| race.of(name).turns().map(nanos))
        .collect())
}

fn repeat(mut item: impl FnMut(u64) -> u64) -> u64 {
    (0..ITEMS).map(&mut item).fold(0, u64::wrapping_add)
}

fn echo(to: &mut ChildStdin, from: &mut ChildStdout, item: u64) -> u64 {
    let mut bytes = item.to_ne_bytes();
    to.write_all(&bytes).expect("cat reads");
    from.read_exact(&mut bytes).expect("cat writes");
    u64::from_ne_bytes(bytes)
}

/// A call that takes its items from a channel.
fn ours(pool: &ProcessPool) -> (Sender<u64>, Results<u64>) {
    let (sender, items) = channel();
    let results = foreach_parallel!(
        items,
        on = process(pool),
        throttle = 1,
        buffer = 0,
        |it: u64| it
    );
    (sender, results)
}

/// What the call alone costs, without a process.
fn on_a_thread() -> (Sender<u64>, Results<u64>) {
    let (sender, items) = channel();
    let results = foreach_parallel!(items, throttle = 1, buffer = 0, |it: u64| it);
    (sender, results)
}

fn there_and_back(items: &mut Sender<u64>, results: &mut Results<u64>, item: u64) -> u64 {
    items.send(item).expect("the call goes on");
    results.next().expect("a result")
}
