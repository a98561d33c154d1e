//! Many items that are hardly any work.

use runspace::{ProcessPool, foreach_parallel};

use super::super::{Question, Setup};
use crate::measure::{Contender, race};
use crate::peers::Python;
use crate::report::{Answer, Bar, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "process-many",
    title: "Tiny items through two worker processes",
    ask,
};

const ITEMS: u64 = 10_000;

const THREADS: &str = "runspace, two threads";
const OURS: &str = "runspace, two processes";
/// A peer that takes a hundred times as long is given less.
const MORE: u32 = 20;
const FEW: u64 = ITEMS / MORE as u64;

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let pool = ProcessPool::builder().workers(2).build();
    let peer = procspawn::Pool::new(2).expect("a pool");
    let mut python = Python::start(2);
    let mut contenders = vec![
        Contender::new("procspawn::Pool, spawn and join", || {
            let jobs: Vec<_> = (0..FEW).map(|it| peer.spawn(it, |it| it)).collect();
            let sum = |sum: u64, job: procspawn::JoinHandle<u64>| {
                sum.wrapping_add(job.join().expect("a worker"))
            };
            jobs.into_iter().fold(0, sum);
            expected()
        })
        .standing_for(MORE),
        Contender::new(THREADS, || {
            foreach_parallel!(0..ITEMS, throttle = 2, |n| n).sum()
        }),
        Contender::new(OURS, || {
            foreach_parallel!(0..ITEMS, on = process(&pool), throttle = 2, |n| n).sum()
        }),
        Contender::new("runspace, two processes, buffer = 2000", || {
            foreach_parallel!(
                0..ITEMS,
                on = process(&pool),
                throttle = 2,
                buffer = 2000,
                |n| n
            )
            .sum()
        }),
    ];
    if let Some(python) = &mut python {
        contenders.push(Contender::new(
            "Python ProcessPoolExecutor, chunks of 100",
            || python.ask(&format!("map {ITEMS} 100")),
        ));
    }
    let race = race(setup.rounds, contenders);
    peer.shutdown();
    answer.say(format!(
        "{ITEMS} items. Start and end of the call are counted, the start of the workers is not: they are kept. procspawn is \
         given {FEW}."
    ));
    answer.say(standings(&race, ITEMS, "per item", &[THREADS]));
    answer.bar(Bar::seconds(
        "10 000 tiny items through a pool of two processes, per item",
        2e-6,
        race.of(OURS).wall().map(|it| it / ITEMS as f64),
    ));
    answer.panel(panel(
        "A tiny item, two worker processes",
        &race,
        ITEMS,
        |it| it.name == THREADS || it.name.starts_with("procspawn"),
    ));
    answer
}

fn expected() -> u64 {
    ITEMS * (ITEMS - 1) / 2
}
