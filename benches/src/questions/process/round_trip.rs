//! One item to a worker process and back.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use runspace::{ProcessPool, Results, foreach_parallel};

use super::super::{Question, Setup};
use crate::measure::{Contender, race};
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
    let mut python = Python::start(1);
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
    if let Some(python) = &mut python {
        contenders.push(Contender::new("Python ProcessPoolExecutor, submit", || {
            python.ask(&format!("trips {ITEMS}"))
        }));
    }
    let race = race(setup.rounds, contenders);
    drop((to, from));
    cat.wait().expect("the end of cat");
    peer.shutdown();
    answer.say(format!(
        "{ITEMS} items a turn, each back before the next is sent; one worker, kept. The running call has \
         `throttle = 1, buffer = 0` and takes its items from a channel."
    ));
    answer.say(standings(&race, ITEMS, "per item", &[PIPES, PROCSPAWN]));
    answer.bar(Bar::seconds(
        "one item to a worker process and back, in a running call",
        20e-6,
        race.of(OURS).wall().map(|it| it / ITEMS as f64),
    ));
    answer.panel(panel(
        "One item to a worker process and back",
        &race,
        ITEMS,
        |it| it.name == OURS_NEAR || it.name == CALL_NEAR,
    ));
    answer
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
