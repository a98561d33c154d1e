//! What does a call or a job cost, beside what it runs?

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use runspace::{foreach_parallel, start_thread_job};
use threadpool::ThreadPool;
use tokio::runtime;

use super::{Question, Setup};
use crate::alone;
use crate::measure::{Contender, Turn, race};
use crate::report::{Answer, Bar, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "start-join",
    title: "Start and join of a thread job, and of a call with one item",
    ask,
};

/// Calls in a turn.
const CALLS: u64 = 1_000;

const SPAWN: &str = "std::thread, spawn and join";
const JOB: &str = "runspace, start_thread_job! and join";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    warm(setup, &mut answer);
    for_the_first_time(setup, &mut answer);
    answer
}

fn warm(setup: &Setup, answer: &mut Answer) {
    let pool = ThreadPool::new(1);
    let rayon = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread for rayon");
    let tokio = tokio();
    let race = race(
        setup.rounds,
        vec![
            Contender::new(SPAWN, || repeat(by_thread)),
            Contender::new("std::thread::scope, one spawn", || repeat(by_scope)),
            Contender::new("threadpool, execute and mpsc", || {
                repeat(|it| by_pool(&pool, it))
            }),
            Contender::new("rayon, spawn and mpsc", || {
                repeat(|it| by_rayon(&rayon, it))
            }),
            Contender::new("rayon, install", || repeat(|it| rayon.install(|| it))),
            Contender::new("tokio, spawn_blocking", || {
                repeat(|it| by_tokio(&tokio, it))
            }),
            Contender::new(JOB, || repeat(by_job)),
            Contender::new("runspace, foreach_parallel!, one item", || repeat(by_call)),
            Contender::new("runspace, the same, borrowing", || repeat(by_borrowing)),
        ],
    );
    answer.say(format!(
        "### Warm: {CALLS} times a turn, one after another\n\nThe pools of the others are there already, as our threads \
         are after the first job."
    ));
    answer.say(standings(&race, CALLS, "each", &[SPAWN]));
    let ratio = race.ratio(JOB, SPAWN);
    answer.bar(Bar::times(
        "warm thread job, start and join, of std::thread's",
        0.5,
        ratio,
    ));
    let title = "Start of a job and its result, warm";
    answer.panel(panel(title, &race, CALLS, |_| false));
}

fn for_the_first_time(setup: &Setup, answer: &mut Answer) {
    let contender = |name: &'static str, what: &'static str| {
        Contender::timing_itself(name, move || {
            let nanos = alone::ask(&["cold", what])[0];
            Turn::of(Duration::from_nanos(nanos), 0)
        })
    };
    let race = race(
        2 * setup.rounds,
        vec![
            contender(SPAWN, "thread"),
            contender("threadpool, new, execute and mpsc", "threadpool"),
            contender("rayon, a pool of one, spawn and mpsc", "rayon"),
            contender("tokio, a runtime, spawn_blocking", "tokio"),
            contender(JOB, "job"),
            contender("runspace, foreach_parallel!, one item", "call"),
        ],
    );
    answer.say(
        "### Cold: the first in a process\n\nEach in a new process, which times it; what it needs is made within that time.",
    );
    answer.say(standings(&race, 1, "each", &[SPAWN]));
}

/// In a new process: the nanoseconds that the first one takes.
pub(crate) fn cold(what: &str) -> Result<u64, String> {
    let run: fn(u64) -> u64 = match what {
        "thread" => by_thread,
        "threadpool" => |it| by_pool(&ThreadPool::new(1), it),
        "rayon" => |it| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            by_rayon(&pool.expect("a thread for rayon"), it)
        },
        "tokio" => |it| by_tokio(&tokio(), it),
        "job" => by_job,
        "call" => by_call,
        _ => return Err(format!("{what:?} is nothing that starts")),
    };
    let start = Instant::now();
    assert_eq!(run(42), 42);
    Ok(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

fn repeat(mut call: impl FnMut(u64) -> u64) -> u64 {
    (0..CALLS).map(&mut call).fold(0, u64::wrapping_add)
}

fn by_thread(item: u64) -> u64 {
    thread::spawn(move || item)
        .join()
        .expect("a thread that does not panic")
}

fn by_scope(item: u64) -> u64 {
    thread::scope(|scope| scope.spawn(|| item).join()).expect("a thread that does not panic")
}

fn by_pool(pool: &ThreadPool, item: u64) -> u64 {
    let (sender, result) = channel();
    pool.execute(move || {
        let _ = sender.send(item);
    });
    result.recv().expect("a result")
}

fn by_rayon(pool: &rayon::ThreadPool, item: u64) -> u64 {
    let (sender, result) = channel();
    pool.spawn(move || {
        let _ = sender.send(item);
    });
    result.recv().expect("a result")
}

fn tokio() -> runtime::Runtime {
    let mut builder = runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).max_blocking_threads(1);
    builder.build().expect("threads for tokio")
}

fn by_tokio(tokio: &runtime::Runtime, item: u64) -> u64 {
    let task = tokio.spawn_blocking(move || item);
    tokio.block_on(task).expect("a task that does not panic")
}

fn by_job(item: u64) -> u64 {
    start_thread_job!(using(item), { item })
        .join()
        .expect("a job that does not panic")
}

fn by_call(item: u64) -> u64 {
    foreach_parallel!([item], |it| it).sum()
}

fn by_borrowing(item: u64) -> u64 {
    foreach_parallel!(&[item], |it| *it).sum()
}
