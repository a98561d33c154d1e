//! What does an item cost, beside its own work?

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use rayon::iter::{IntoParallelIterator, ParallelBridge, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};
use runspace::foreach_parallel;

use super::{Question, Setup};
use crate::Group;
use crate::measure::{Contender, race};
use crate::table::Table;
use crate::work::{Calibration, Work};

pub(crate) const QUESTION: Question = Question {
    group: Group::Core,
    title: "Cost of an item, 2 at once",
    ask,
};

/// How many items run at once, whoever runs them.
const THROTTLE: usize = 2;
/// What a turn should take when done serially.
const TURN: Duration = Duration::from_millis(100);
/// The capacity of the peers' channels.
const BOUND: usize = 1024;
/// The most items in a turn.
const MOST: u64 = 1_000_000;

fn ask(setup: &Setup) {
    let calibration = Calibration::new();
    let pool = ThreadPoolBuilder::new()
        .num_threads(THROTTLE)
        .build()
        .expect("threads for rayon");
    let pool = Arc::new(pool);
    println!(
        "Items of `0..n`, their results added up by the caller. `per item` is the whole time over n, median of {} \
         turns; `spread` the middle half of the turns; `of serial` is at best {:.2}.\n",
        setup.rounds,
        1.0 / THROTTLE as f64
    );
    for nanos in [0, 100, 1_000, 10_000, 1_000_000] {
        let time = Duration::from_nanos(nanos);
        let turn = u64::try_from(TURN.as_nanos()).unwrap_or(u64::MAX);
        let n = (turn / nanos.max(1)).min(MOST);
        println!("### {time:?} of work, {n} items\n");
        println!("{}", compare(setup, &pool, calibration.work(time), n));
    }
}

fn compare(setup: &Setup, pool: &Arc<ThreadPool>, work: Work, n: u64) -> Table {
    let times = race(
        setup.rounds,
        vec![
            Contender::new("serial", || serial(work, n)),
            Contender::new("rayon, indexed collect (no stream)", || {
                indexed(pool, work, n)
            }),
            Contender::new("rayon, par_bridge (no stream)", || bridged(pool, work, n)),
            Contender::new("two crossbeam channels, threads", || channels(work, n)),
            Contender::new("rayon, indexed for_each into a channel", || {
                sent(pool, work, n)
            }),
            Contender::new("runspace", || ours(work, n)),
            Contender::new("runspace, ordered", || ours_ordered(work, n)),
            Contender::new("runspace, on = rayon(&pool)", || {
                ours_on_rayon(pool, work, n)
            }),
        ],
    );
    let serial = times[0].median().as_secs_f64();
    let channels = times[3].median().as_secs_f64();
    let mut table = Table::new(["", "per item", "spread", "of serial", "of channels"]);
    for it in &times {
        let median = it.median().as_secs_f64();
        table.row([
            it.name.to_owned(),
            format!("{:.1} ns", median * 1e9 / n as f64),
            format!("{:.0} %", it.spread() * 100.0),
            format!("{:.2}", median / serial),
            format!("{:.2}", median / channels),
        ]);
    }
    table
}

fn serial(work: Work, n: u64) -> u64 {
    (0..n).map(|it| work.run(it)).fold(0, u64::wrapping_add)
}

fn indexed(pool: &ThreadPool, work: Work, n: u64) -> u64 {
    let results: Vec<u64> = pool.install(|| {
        (0..n as usize)
            .into_par_iter()
            .map(|it| work.run(it as u64))
            .collect()
    });
    results.into_iter().fold(0, u64::wrapping_add)
}

fn bridged(pool: &ThreadPool, work: Work, n: u64) -> u64 {
    let results: Vec<u64> = pool.install(|| (0..n).par_bridge().map(|it| work.run(it)).collect());
    results.into_iter().fold(0, u64::wrapping_add)
}

/// The nearest that rayon itself has to a stream: its own way to split the input, and a bounded
/// channel to the caller.
fn sent(pool: &ThreadPool, work: Work, n: u64) -> u64 {
    let (to_caller, results) = bounded(BOUND);
    pool.in_place_scope(|scope| {
        scope.spawn(move |_| {
            (0..n as usize).into_par_iter().for_each(|it| {
                to_caller
                    .send(work.run(it as u64))
                    .expect("a caller that reads to the end");
            });
        });
        results.iter().fold(0, u64::wrapping_add)
    })
}

/// What one writes by hand: a thread that feeds, two that work, and bounded channels between.
fn channels(work: Work, n: u64) -> u64 {
    let (to_workers, items) = bounded(BOUND);
    let (to_caller, results) = bounded(BOUND);
    thread::scope(|scope| {
        scope.spawn(move || (0..n).try_for_each(|it| to_workers.send(it)));
        for _ in 0..THROTTLE {
            let (items, to_caller) = (items.clone(), to_caller.clone());
            scope.spawn(move || items.iter().try_for_each(|it| to_caller.send(work.run(it))));
        }
        drop((items, to_caller));
        results.iter().fold(0, u64::wrapping_add)
    })
}

fn ours(work: Work, n: u64) -> u64 {
    foreach_parallel!(0..n, throttle = THROTTLE, using(work), |it| work.run(it))
        .fold(0, u64::wrapping_add)
}

fn ours_ordered(work: Work, n: u64) -> u64 {
    foreach_parallel!(
        0..n,
        throttle = THROTTLE,
        ordered = true,
        using(work),
        |it| work.run(it)
    )
    .fold(0, u64::wrapping_add)
}

fn ours_on_rayon(pool: &Arc<ThreadPool>, work: Work, n: u64) -> u64 {
    foreach_parallel!(0..n, on = rayon(pool), using(work), |it| work.run(it))
        .fold(0, u64::wrapping_add)
}
