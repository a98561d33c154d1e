//! What does it take to have a kept thread do something?

use std::sync::mpsc::channel;
use std::thread;

use crossbeam_channel::bounded;
use runspace::{Runspace, RunspacePool, invoke};
use threadpool::ThreadPool;

use super::{Question, Setup};
use crate::measure::{Contender, race};
use crate::report::{Answer, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "pool",
    title: "Round trip through a pool of one thread",
    ask,
};

/// Trips in a turn.
const TRIPS: u64 = 2_000;

const FLOOR: &str = "two crossbeam channels, a thread";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let threads = ThreadPool::new(1);
    let rayon = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread for rayon");
    let pool = RunspacePool::builder().min(1).max(1).open();
    let pool = pool.expect("a thread for the pool");
    let single = Runspace::open().expect("a thread for the runspace");
    let (to_thread, items) = bounded::<u64>(1);
    let (to_caller, results) = bounded(1);
    let echo = thread::spawn(move || items.iter().try_for_each(|it| to_caller.send(it)));
    let race = race(
        setup.rounds,
        vec![
            Contender::new(FLOOR, || {
                repeat(|it| {
                    to_thread.send(it).expect("a thread that reads");
                    results.recv().expect("a thread that answers")
                })
            }),
            Contender::new("threadpool, execute and mpsc", || {
                repeat(|it| {
                    let (sender, result) = channel();
                    threads.execute(move || {
                        let _ = sender.send(it);
                    });
                    result.recv().expect("a result")
                })
            }),
            Contender::new("rayon, install", || repeat(|it| rayon.install(|| it))),
            Contender::new("runspace, RunspacePool, invoke! and end", || {
                repeat(|it| {
                    invoke!(&pool, using(it), { it })
                        .end()
                        .expect("a block that does not panic")
                })
            }),
            Contender::new("runspace, Runspace, invoke! and end", || {
                repeat(|it| {
                    invoke!(&single, using(it), { it })
                        .end()
                        .expect("a block that does not panic")
                })
            }),
        ],
    );
    drop(to_thread);
    let _ = echo.join();
    answer.say(format!(
        "{TRIPS} blocks a turn, each back before the next is sent. The two channels are what it takes to wake a thread and \
         to be woken."
    ));
    answer.say(standings(&race, TRIPS, "each", &[FLOOR]));
    answer.panel(panel(
        "Round trip through a kept thread",
        &race,
        TRIPS,
        |_| false,
    ));
    answer
}

fn repeat(mut trip: impl FnMut(u64) -> u64) -> u64 {
    (0..TRIPS).map(&mut trip).fold(0, u64::wrapping_add)
}
