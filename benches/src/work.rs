//! Work of a known length that a compiler cannot shorten.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A number of rounds of arithmetic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    rounds: u64,
}

impl Work {
    /// Work that takes about `time`.
    pub(crate) fn of(time: Duration) -> Self {
        Self {
            rounds: (time.as_secs_f64() / round()).round() as u64,
        }
    }

    /// Does the work; the answer depends on `seed` and on every round. No rounds are still an item that a
    /// compiler must go through.
    #[inline]
    pub(crate) fn run(self, seed: u64) -> u64 {
        let seed = black_box(seed);
        match self.rounds {
            0 => seed,
            rounds => go(seed, rounds),
        }
    }
}

thread_local! {
    /// What the last work of this thread has come to.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The same code for all contenders. A copy in each of them would be as fast as its place in memory lets it
/// be: that alone made a fifth of an item of 100 ns.
///
/// One begins when the last has ended. Items have nothing to do with each other, so a processor would begin the
/// next beside it: two of 100 ns took 114 together, where a loop has nothing else in between.
#[inline(never)]
fn go(seed: u64, rounds: u64) -> u64 {
    let last = LAST.get();
    let nothing = black_box(last) ^ black_box(last);
    let mut x = seed ^ nothing;
    for _ in 0..rounds {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(seed | 1);
    }
    LAST.set(x);
    x
}

/// How long a round takes on this machine, in seconds: the best of many tries, for what disturbs a try
/// can only make it longer.
fn round() -> f64 {
    const ROUNDS: u64 = 1_000_000;
    static ROUND: OnceLock<f64> = OnceLock::new();
    *ROUND.get_or_init(|| {
        let tries = (0..30).map(|seed| {
            let start = Instant::now();
            black_box(Work { rounds: ROUNDS }.run(black_box(seed)));
            start.elapsed()
        });
        let best = tries.min().unwrap_or_default();
        best.as_secs_f64() / ROUNDS as f64
    })
}
