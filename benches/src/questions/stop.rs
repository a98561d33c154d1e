//! How long does it take until all is quiet when a stream is dropped half-read?

use std::cell::RefCell;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use futures::stream::{self, StreamExt};
use pariter::IteratorExt;
use rayon::iter::{ParallelBridge, ParallelIterator};
use runspace::{ProcessPool, foreach_parallel, stop_token};
use tokio::runtime::Runtime;

use super::{Question, Setup};
use crate::measure::{Contender, Figure, Turn, race};
use crate::report::{Answer, Table, Unit, standings};
use crate::work::Work;

pub(crate) const QUESTION: Question = Question {
    name: "stop",
    title: "From the drop of a half-read stream until all is quiet",
    ask,
};

const THROTTLE: usize = 2;

/// What an item takes.
const ITEM: Duration = Duration::from_micros(200);

/// How many results are read before the stream is dropped.
const READ: usize = 50;

/// The capacity of the peers' channels and buffers.
const BOUND: usize = 64;

/// If nothing has begun for so long, all is quiet.
const QUIET: Duration = Duration::from_millis(5);

/// What the items of a stream leave behind.
struct Tally {
    work: Work,
    base: Instant,
    begun: AtomicU64,
    /// When the last one has ended, in nanoseconds after `base`.
    ended: AtomicU64,
}

impl Tally {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            work: Work::of(ITEM),
            base: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        })
    }

    fn run(&self, item: u64) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let sum = self.work.run(item);
        self.ended.fetch_max(self.now(), Ordering::SeqCst);
        sum
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    fn wait_for_quiet(&self) {
        let mut before = u64::MAX;
        while before != self.begun() {
            before = self.begun();
            sleep(QUIET);
        }
    }
}

type Stream<'a> = Box<dyn Iterator<Item = u64> + 'a>;

/// What came of a drop, beside the time it took.
struct After {
    ended: f64,
    begun: f64,
}

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(THROTTLE)
        .build()
        .expect("threads for rayon");
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THROTTLE)
        .build()
        .expect("threads for tokio");
    type Make<'a> = Box<dyn Fn(Arc<Tally>) -> Stream<'a> + 'a>;
    let streams: [(&str, Make<'_>); 6] = [
        ("crossbeam channels, stream", Box::new(by_channels)),
        (
            "rayon par_bridge, channel, stream",
            Box::new(|it| by_rayon(&pool, it)),
        ),
        ("pariter, ordered stream", Box::new(by_pariter)),
        (
            "tokio spawn, buffer_unordered",
            Box::new(|it| by_tokio(&tokio, it)),
        ),
        ("runspace", Box::new(ours)),
        ("runspace, ordered", Box::new(ours_ordered)),
    ];
    let after: Vec<RefCell<Vec<After>>> = streams.iter().map(|_| RefCell::default()).collect();
    let contenders = streams.iter().zip(&after).map(|((name, make), after)| {
        Contender::timing_itself(*name, move || {
            let (turn, it) = dropped_half_read(make);
            after.borrow_mut().push(it);
            turn
        })
    });
    let race = race(setup.rounds, contenders.collect());
    let head = ["", "drop returns", "last item ends", "items begun after"];
    let mut table = Table::new(head);
    for (times, after) in race.all.iter().zip(&after) {
        let after = after.borrow();
        let ended = Figure::of(after.iter().map(|it| it.ended));
        let begun = Figure::of(after.iter().map(|it| it.begun));
        table.row([
            times.name.clone(),
            Unit::Seconds.write(times.wall().median),
            Unit::Seconds.write(ended.median),
            format!("{:.0}", begun.median),
        ]);
    }
    answer.say(format!(
        "An endless input, items of {ITEM:?}, {THROTTLE} at once; {READ} results are read, then the stream is dropped. \
         `drop returns` and `last item ends` are counted from the drop, and so are the items that begin after it: at \
         best none does, and the end comes within an item's time. Buffers of the others hold {BOUND}."
    )
    .replace('µ', "u"));
    answer.say(table);
    answer.say("### Bodies that would wait for another ten seconds\n\nOn threads they look at `stop_token()`.");
    answer.say(waiting(setup));
    answer
}

fn dropped_half_read<'a>(make: &dyn Fn(Arc<Tally>) -> Stream<'a>) -> (Turn, After) {
    let tally = Tally::new();
    let mut stream = make(Arc::clone(&tally));
    for _ in 0..READ {
        assert!(stream.next().is_some(), "the input has no end");
    }
    let (before, dropped) = (tally.begun(), tally.now());
    let start = Instant::now();
    drop(stream);
    let wall = start.elapsed();
    tally.wait_for_quiet();
    let ended = tally.ended.load(Ordering::SeqCst).saturating_sub(dropped);
    let after = After {
        ended: ended as f64 * 1e-9,
        begun: (tally.begun() - before) as f64,
    };
    (Turn::of(wall, 0), after)
}

fn by_channels<'a>(tally: Arc<Tally>) -> Stream<'a> {
    let (to_workers, items) = bounded(BOUND);
    let (to_caller, results) = bounded(BOUND);
    thread::spawn(move || (0..).try_for_each(|it| to_workers.send(it)));
    for _ in 0..THROTTLE {
        let (items, to_caller, tally) = (items.clone(), to_caller.clone(), Arc::clone(&tally));
        thread::spawn(move || {
            items
                .iter()
                .try_for_each(|it| to_caller.send(tally.run(it)))
        });
    }
    Box::new(results.into_iter())
}

fn by_rayon<'a>(pool: &rayon::ThreadPool, tally: Arc<Tally>) -> Stream<'a> {
    let (to_caller, results) = bounded(BOUND);
    pool.spawn(move || {
        let all = (0..u64::MAX).par_bridge();
        let _ = all.try_for_each(|it| to_caller.send(tally.run(it)));
    });
    Box::new(results.into_iter())
}

fn by_pariter<'a>(tally: Arc<Tally>) -> Stream<'a> {
    Box::new((0..).parallel_map_custom(
        |it| it.threads(THROTTLE).buffer_size(BOUND),
        move |it| tally.run(it),
    ))
}

fn by_tokio(tokio: &Runtime, tally: Arc<Tally>) -> Stream<'_> {
    let mut stream = stream::iter(0..)
        .map(move |it| {
            let tally = Arc::clone(&tally);
            tokio.spawn(async move { tally.run(it) })
        })
        .buffer_unordered(BOUND);
    Box::new(iter::from_fn(move || {
        let next = tokio.block_on(stream.next());
        next.map(|it| it.expect("a task that does not panic"))
    }))
}

fn ours<'a>(tally: Arc<Tally>) -> Stream<'a> {
    Box::new(foreach_parallel!(
        0..,
        throttle = THROTTLE,
        using(tally),
        |it| tally.run(it)
    ))
}

fn ours_ordered<'a>(tally: Arc<Tally>) -> Stream<'a> {
    Box::new(foreach_parallel!(
        0..,
        throttle = THROTTLE,
        ordered = true,
        using(tally),
        |it| tally.run(it)
    ))
}

/// A drop while all bodies wait.
fn waiting(setup: &Setup) -> Table {
    const LONG: Duration = Duration::from_secs(10);
    let pool = ProcessPool::builder().workers(THROTTLE).build();
    let timed_drop = |mut stream: Stream<'_>| {
        // Item 0 is no wait, and whoever comes after it is at it by now.
        assert_eq!(stream.next(), Some(0));
        sleep(Duration::from_millis(2));
        let start = Instant::now();
        drop(stream);
        Turn::of(start.elapsed(), 0)
    };
    let race = race(
        setup.rounds,
        vec![
            Contender::timing_itself("runspace, on threads", || {
                timed_drop(Box::new(foreach_parallel!(
                    0..,
                    throttle = THROTTLE,
                    |it| {
                        if it > 0 {
                            stop_token().sleep(LONG);
                        }
                        it
                    }
                )))
            }),
            Contender::timing_itself("runspace, on = process", || {
                timed_drop(Box::new(foreach_parallel!(
                    0..,
                    on = process(&pool),
                    throttle = THROTTLE,
                    |it: u64| {
                        if it > 0 {
                            sleep(Duration::from_secs(10));
                        }
                        it
                    }
                )))
            }),
        ],
    );
    standings(&race, 1, "drop returns", &[])
}
