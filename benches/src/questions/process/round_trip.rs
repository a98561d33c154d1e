//! One item to a worker process and back.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use runspace::{ProcessPool, Results, foreach_parallel};

use super::super::{Question, Setup};
use crate::Group;
use crate::measure::{Contender, race};
use crate::table::Table;

pub(crate) const QUESTION: Question = Question {
    group: Group::Process,
    title: "One item to a worker process and back",
    ask,
};

/// Items in a turn.
const ITEMS: u64 = 1_000;

fn ask(setup: &Setup) {
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
    let times = race(
        setup.rounds,
        vec![
            Contender::new("two pipes, to cat and back", || {
                repeat(|it| echo(&mut to, &mut from, it))
            }),
            Contender::new("procspawn::Pool, spawn and join", || {
                repeat(|it| peer.spawn(it, |it| it).join().expect("a worker"))
            }),
            Contender::new("runspace, an item of a running call", || {
                repeat(|it| there_and_back(&mut items, &mut results, it))
            }),
            Contender::new("the same on a thread", || {
                repeat(|it| there_and_back(&mut near_items, &mut near_results, it))
            }),
            Contender::new("runspace, a call with one item", || {
                repeat(|it| foreach_parallel!([it], on = process(&pool_of_calls), |it| it).sum())
            }),
            Contender::new("the same on a thread", || {
                repeat(|it| foreach_parallel!([it], throttle = 1, |it| it).sum())
            }),
        ],
    );
    drop((to, from));
    cat.wait().expect("the end of cat");
    peer.shutdown();
    let [pipe, peer] = [0, 1].map(|at: usize| times[at].median().as_secs_f64());
    let mut table = Table::new(["", "per item", "spread", "of the pipes", "of procspawn"]);
    for it in &times {
        let median = it.median().as_secs_f64();
        table.row([
            it.name.to_owned(),
            format!("{:.1} us", median * 1e6 / ITEMS as f64),
            format!("{:.0} %", it.spread() * 100.0),
            format!("{:.2}", median / pipe),
            format!("{:.2}", median / peer),
        ]);
    }
    println!(
        "{ITEMS} items a turn, each back before the next is sent; one worker, kept. The running call has \
         `throttle = 1, buffer = 0` and takes its items from a channel; median of {} turns.\n\n{table}",
        setup.rounds
    );
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
