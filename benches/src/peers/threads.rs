//! Ways to run a function for each of `0..n` with so many threads, and to add up the results.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use crossbeam_channel::bounded;
use futures::stream::{self, StreamExt};
use orx_parallel::{IterIntoParIter, Par};
use pariter::IteratorExt;
use rayon::iter::{IntoParallelIterator, ParallelBridge, ParallelIterator};
use runspace::foreach_parallel;
use threadpool::ThreadPool;
use tokio::runtime;

use crate::measure::Contender;

/// What is done with an item.
pub(crate) trait Body: Fn(u64) -> u64 + Copy + Send + Sync + 'static {}

impl<F: Fn(u64) -> u64 + Copy + Send + Sync + 'static> Body for F {}

/// The capacity of the peers' channels and buffers.
const BOUND: usize = 1024;

/// How many futures are polled at once, if the throttle is not more.
const FUTURES: usize = 64;

/// Everyone's threads, where they can be kept from turn to turn. Made when they are first wanted.
pub(crate) struct Crowd {
    throttle: usize,
    rayon: OnceCell<Arc<rayon::ThreadPool>>,
    threadpool: OnceCell<ThreadPool>,
    tokio: OnceCell<runtime::Runtime>,
}

impl Crowd {
    pub(crate) const SERIAL: &str = "serial";
    pub(crate) const PAR_ITER: &str = "rayon par_iter, collect";
    pub(crate) const PAR_BRIDGE: &str = "rayon par_bridge, collect";
    pub(crate) const CHANNELS: &str = "crossbeam channels, stream";
    pub(crate) const PARITER: &str = "pariter, ordered stream";
    pub(crate) const OURS: &str = "runspace";
    pub(crate) const OURS_ORDERED: &str = "runspace, ordered";
    pub(crate) const OURS_ON_RAYON: &str = "runspace, on = rayon";

    pub(crate) fn new(throttle: usize) -> Self {
        Self {
            throttle,
            rayon: OnceCell::new(),
            threadpool: OnceCell::new(),
            tokio: OnceCell::new(),
        }
    }

    fn rayon(&self) -> &Arc<rayon::ThreadPool> {
        self.rayon.get_or_init(|| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(self.throttle);
            Arc::new(pool.build().expect("threads for rayon"))
        })
    }

    fn threadpool(&self) -> &ThreadPool {
        self.threadpool
            .get_or_init(|| ThreadPool::new(self.throttle))
    }

    fn tokio(&self) -> &runtime::Runtime {
        self.tokio.get_or_init(|| {
            runtime::Builder::new_multi_thread()
                .worker_threads(self.throttle)
                .max_blocking_threads(self.throttle)
                .build()
                .expect("threads for tokio")
        })
    }

    /// Everyone, and a serial loop.
    pub(crate) fn everyone(&self, n: u64, body: impl Body) -> Vec<Contender<'_>> {
        vec![
            Contender::new(Self::SERIAL, move || serial(n, body)),
            self.par_iter(n, body),
            self.par_bridge(n, body),
            Contender::new("rayon par_iter, channel, stream", move || {
                self.sent(n, body)
            }),
            Contender::new("orx-parallel, collect", move || self.orx(n, body)),
            Contender::new(Self::PARITER, move || self.pariter(n, body)),
            self.channels(n, body),
            Contender::new("blocks of 256, crossbeam channel", move || {
                self.blocks(n, body)
            }),
            Contender::new("threadpool, mpsc, stream", move || self.pooled(n, body)),
            Contender::new("tokio spawn, buffer_unordered", move || {
                self.spawned(n, body)
            }),
            Contender::new("tokio blocking, buffer_unordered", move || {
                self.blocking(n, body)
            }),
            self.ours(n, body),
            Contender::new(Self::OURS_ORDERED, move || self.ordered(n, body)),
            self.ours_on_rayon(n, body),
        ]
    }

    /// Not a stream: there is nothing to be read before the end.
    pub(crate) fn par_iter(&self, n: u64, body: impl Body) -> Contender<'_> {
        Contender::new(Self::PAR_ITER, move || {
            let results: Vec<u64> = self.rayon().install(|| {
                (0..n as usize)
                    .into_par_iter()
                    .map(|it| body(it as u64))
                    .collect()
            });
            sum(results)
        })
    }

    /// Input that is an iterator; not a stream either.
    pub(crate) fn par_bridge(&self, n: u64, body: impl Body) -> Contender<'_> {
        Contender::new(Self::PAR_BRIDGE, move || {
            let results: Vec<u64> = self
                .rayon()
                .install(|| (0..n).par_bridge().map(body).collect());
            sum(results)
        })
    }

    /// The nearest that rayon itself has to a stream: its own way to split the input, and a bounded
    /// channel to the caller.
    fn sent(&self, n: u64, body: impl Body) -> u64 {
        let (to_caller, results) = bounded(BOUND);
        self.rayon().in_place_scope(|scope| {
            scope.spawn(move |_| {
                (0..n as usize).into_par_iter().for_each(|it| {
                    to_caller
                        .send(body(it as u64))
                        .expect("a caller that reads to the end");
                });
            });
            sum(results)
        })
    }

    fn orx(&self, n: u64, body: impl Body) -> u64 {
        let results: Vec<u64> = (0..n)
            .iter_into_par()
            .num_threads(self.throttle)
            .map(body)
            .collect();
        sum(results)
    }

    fn pariter(&self, n: u64, body: impl Body) -> u64 {
        let threads = self.throttle;
        sum((0..n).parallel_map_custom(|it| it.threads(threads).buffer_size(BOUND), body))
    }

    /// What one writes by hand: a thread that feeds, some that work, and bounded channels between.
    pub(crate) fn channels(&self, n: u64, body: impl Body) -> Contender<'_> {
        Contender::new(Self::CHANNELS, move || {
            let (to_workers, items) = bounded(BOUND);
            let (to_caller, results) = bounded(BOUND);
            thread::scope(|scope| {
                scope.spawn(move || (0..n).try_for_each(|it| to_workers.send(it)));
                for _ in 0..self.throttle {
                    let (items, to_caller) = (items.clone(), to_caller.clone());
                    scope.spawn(move || items.iter().try_for_each(|it| to_caller.send(body(it))));
                }
                drop((items, to_caller));
                sum(results)
            })
        })
    }

    /// By hand again, for cheap items: nothing is to be read before 256 of them are done. What is left then
    /// is the way of the results from one processor to the other.
    fn blocks(&self, n: u64, body: impl Body) -> u64 {
        const BLOCK: u64 = 256;
        let (to_caller, results) = bounded(BOUND / BLOCK as usize);
        let next = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..self.throttle {
                let (to_caller, next) = (to_caller.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let first = next.fetch_add(BLOCK, Ordering::Relaxed);
                        if first >= n {
                            return;
                        }
                        let block: Vec<u64> = (first..n.min(first + BLOCK)).map(body).collect();
                        if to_caller.send(block).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(to_caller);
            sum(results.iter().flatten())
        })
    }

    fn pooled(&self, n: u64, body: impl Body) -> u64 {
        let (to_caller, results) = channel();
        for it in 0..n {
            let to_caller = to_caller.clone();
            self.threadpool().execute(move || {
                let _ = to_caller.send(body(it));
            });
        }
        drop(to_caller);
        sum(results)
    }

    fn spawned(&self, n: u64, body: impl Body) -> u64 {
        self.tokio().block_on(async move {
            stream::iter(0..n)
                .map(|it| tokio::spawn(async move { body(it) }))
                .buffer_unordered(FUTURES.max(self.throttle))
                .fold(0, async |sum: u64, it| {
                    sum.wrapping_add(it.expect("a task that does not panic"))
                })
                .await
        })
    }

    fn blocking(&self, n: u64, body: impl Body) -> u64 {
        self.tokio().block_on(async move {
            stream::iter(0..n)
                .map(|it| tokio::task::spawn_blocking(move || body(it)))
                .buffer_unordered(FUTURES.max(self.throttle))
                .fold(0, async |sum: u64, it| {
                    sum.wrapping_add(it.expect("a task that does not panic"))
                })
                .await
        })
    }

    pub(crate) fn ours(&self, n: u64, body: impl Body) -> Contender<'_> {
        let throttle = self.throttle;
        Contender::new(Self::OURS, move || {
            sum(foreach_parallel!(
                0..n,
                throttle = throttle,
                using(body),
                |it| body(it)
            ))
        })
    }

    fn ordered(&self, n: u64, body: impl Body) -> u64 {
        sum(foreach_parallel!(
            0..n,
            throttle = self.throttle,
            ordered = true,
            using(body),
            |it| body(it)
        ))
    }

    pub(crate) fn ours_on_rayon(&self, n: u64, body: impl Body) -> Contender<'_> {
        Contender::new(Self::OURS_ON_RAYON, move || {
            let pool = self.rayon();
            sum(foreach_parallel!(
                0..n,
                on = rayon(pool),
                using(body),
                |it| body(it)
            ))
        })
    }
}

/// One after another.
fn serial(n: u64, body: impl Body) -> u64 {
    sum((0..n).map(body))
}

/// The caller's part, the same for all.
fn sum(results: impl IntoIterator<Item = u64>) -> u64 {
    results.into_iter().fold(0, u64::wrapping_add)
}
