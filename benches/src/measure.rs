//! Contenders that take turns, and what their times come to.

use std::time::{Duration, Instant};

/// One of those that are compared: a name, and something to be timed.
pub(crate) struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> u64 + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` answers a checksum, the same for all contenders of a race.
    pub(crate) fn new(name: &'static str, run: impl FnMut() -> u64 + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// What a contender's turns took.
pub(crate) struct Times {
    pub(crate) name: &'static str,
    sorted: Vec<Duration>,
}

impl Times {
    pub(crate) fn median(&self) -> Duration {
        self.quantile(2)
    }

    /// The middle half of the turns, as a share of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quantile(3) - self.quantile(1)).as_secs_f64() / self.median().as_secs_f64()
    }

    fn quantile(&self, quarters: usize) -> Duration {
        self.sorted[(self.sorted.len() - 1) * quarters / 4]
    }
}

/// Times every contender `rounds` times, in turn, after one turn that is not counted.
pub(crate) fn race(rounds: usize, contenders: Vec<Contender<'_>>) -> Vec<Times> {
    let mut contenders = contenders;
    let mut times: Vec<Times> = contenders
        .iter()
        .map(|it| Times {
            name: it.name,
            sorted: Vec::new(),
        })
        .collect();
    let mut expected = None;
    for round in 0..=rounds {
        // Everyone goes first, and after everyone else, about as often.
        for turn in 0..contenders.len() {
            let at = (turn + round) % contenders.len();
            let Contender { name, run } = &mut contenders[at];
            let start = Instant::now();
            let sum = run();
            let time = start.elapsed();
            let expected = *expected.get_or_insert(sum);
            assert_eq!(sum, expected, "{name} did not do the same work");
            if round > 0 {
                times[at].sorted.push(time);
            }
        }
    }
    for it in &mut times {
        it.sorted.sort();
    }
    times
}
