//! What does a job cost as more and more of them wait?

use std::sync::mpsc::channel;
use std::time::Instant;

use runspace::{JobQueue, start_thread_job};
use threadpool::ThreadPool;
use tokio::runtime;

use super::memory::resident;
use super::{Question, Setup};
use crate::alone;
use crate::measure::Figure;
use crate::report::{Answer, Bar, Table, Unit};

pub(crate) const QUESTION: Question = Question {
    name: "jobs",
    title: "Many jobs that wait in a queue",
    ask,
};

const COUNTS: [u64; 3] = [10, 1_000, 100_000];

const CONTENDERS: [(&str, &str); 4] = [
    ("threadpool, execute and mpsc", "threadpool"),
    ("rayon, spawn and mpsc", "rayon"),
    ("tokio, spawn_blocking", "tokio"),
    ("runspace, start_thread_job!", "job"),
];

/// With less, a page more or less is much for each.
const LEAST_FOR_BYTES: u64 = 1_000;

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    answer.say(
        "A queue with one place, which is taken by a job that waits for a signal. So many jobs are started behind it (`start`); \
         then the signal comes, and all of them are joined, in their order (`run and join`). `bytes` is by how much \
         the resident memory of the process has grown when all of them wait, their handles included. Each count of each contender in a process of its own.",
    );
    let rounds = setup.rounds.min(5);
    let columns = COUNTS.iter().map(|it| format!("{it} jobs"));
    let head = ["", "", "each"].map(str::to_owned);
    let mut table = Table::new(head[..2].iter().cloned().chain(columns));
    let mut ours = Vec::new();
    for (name, what) in CONTENDERS {
        let figures = COUNTS.map(|count| measure(what, count, rounds));
        let rows = ["start", "run and join", "bytes"];
        for (at, row) in rows.into_iter().enumerate() {
            let cells = figures.iter().zip(COUNTS).map(|(it, count)| match at {
                2 if count < LEAST_FOR_BYTES => "-".to_owned(),
                2 => Unit::Bytes.write(it[at].median),
                _ => Unit::Seconds.write(it[at].median),
            });
            let shown = if at == 0 { name } else { "" };
            let front = [shown.to_owned(), row.to_owned()];
            table.row(front.into_iter().chain(cells));
        }
        if what == "job" {
            ours = figures.to_vec();
        }
    }
    answer.say(table);
    let [few, many] = [1, 2].map(|at: usize| ours[at]);
    let per_job = |it: [Figure; 3]| it[0].median + it[1].median;
    let growth = many[3 - 1];
    let linear = Figure::once(per_job(many) / per_job(few));
    let what = format!(
        "{} queued jobs, time for each, of that with {}",
        COUNTS[2], COUNTS[1]
    );
    // What is linear in theory is not so in a cache: some room for that.
    answer.bar(Bar::times(what, 1.5, linear));
    let what = format!("{} queued jobs, memory for each", COUNTS[2]);
    answer.bar(Bar::bytes(what, 1024.0, growth));
    answer
}

/// Seconds to start one, seconds to run and join one, bytes of one.
fn measure(what: &str, count: u64, rounds: usize) -> [Figure; 3] {
    let takes: Vec<Vec<u64>> = (0..rounds)
        .map(|_| alone::ask(&["queued", what, &count.to_string()]))
        .collect();
    let figure = |at: usize, unit: f64| {
        Figure::of(takes.iter().map(|it| it[at] as f64 * unit / count as f64))
    };
    [figure(0, 1e-9), figure(1, 1e-9), figure(2, 1.0)]
}

/// In a process of its own: nanoseconds to start `count` jobs, nanoseconds to run and join them, and by
/// how many bytes the process grew while they waited.
pub(crate) fn queued(what: &str, count: u64) -> Result<Vec<u64>, String> {
    Ok(match what {
        "threadpool" => {
            let pool = ThreadPool::new(1);
            with_channel(count, |job| pool.execute(job))
        }
        "rayon" => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            let pool = pool.expect("a thread for rayon");
            with_channel(count, |job| pool.spawn(job))
        }
        "tokio" => {
            let mut builder = runtime::Builder::new_multi_thread();
            let builder = builder.worker_threads(1).max_blocking_threads(1);
            let tokio = builder.build().expect("threads for tokio");
            watch(
                count,
                |run| drop(tokio.spawn_blocking(run)),
                |it| tokio.spawn_blocking(move || it),
                |job| tokio.block_on(job).expect("a task that does not panic"),
            )
        }
        "job" => {
            let queue = JobQueue::new(1);
            watch(
                count,
                |run| drop(start_thread_job!(queue = &queue, using(run), { run() })),
                |it| start_thread_job!(queue = &queue, using(it), { it }),
                |job| job.join().expect("a job that does not panic"),
            )
        }
        _ => return Err(format!("{what:?} has no queue")),
    })
}

/// For those whose jobs have no results: a channel has them.
fn with_channel(count: u64, start: impl Fn(Job)) -> Vec<u64> {
    watch(
        count,
        &start,
        |it| {
            let (sender, result) = channel();
            start(Box::new(move || {
                let _ = sender.send(it);
            }));
            result
        },
        |result| result.recv().expect("a result"),
    )
}

type Job = Box<dyn FnOnce() + Send>;

fn watch<J>(
    count: u64,
    block: impl Fn(Job),
    start: impl Fn(u64) -> J,
    join: impl Fn(J) -> u64,
) -> Vec<u64> {
    let nanos = |since: Instant| u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let (signal, wait) = channel::<()>();
    // What the first one of all costs is another question.
    assert_eq!(join(start(1)), 1);
    block(Box::new(move || {
        let _ = wait.recv();
    }));
    let mut jobs = Vec::with_capacity(usize::try_from(count).expect("a number of jobs"));
    let before = resident().unwrap_or(0);
    let since = Instant::now();
    jobs.extend((0..count).map(start));
    let started = nanos(since);
    let grown = resident().unwrap_or(0).saturating_sub(before);
    let since = Instant::now();
    drop(signal);
    let sum = jobs.into_iter().map(join).fold(0, u64::wrapping_add);
    let joined = nanos(since);
    assert_eq!(sum, count * count.saturating_sub(1) / 2);
    vec![started, joined, grown]
}
