//! Contenders that take turns, and what their times come to.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What one turn took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) wall: Duration,
    /// Processor time of this process, all of its threads together.
    pub(crate) cpu: Duration,
    /// What came out, the same for all contenders of a race.
    pub(crate) sum: u64,
}

impl Turn {
    /// A turn that was timed by somebody else.
    pub(crate) fn of(wall: Duration, sum: u64) -> Self {
        Self {
            wall,
            cpu: Duration::ZERO,
            sum,
        }
    }
}

/// Times `run`.
pub(crate) fn timed(run: impl FnOnce() -> u64) -> Turn {
    let cpu = cpu_time();
    let start = Instant::now();
    let sum = run();
    let wall = start.elapsed();
    Turn {
        wall,
        cpu: cpu_time().saturating_sub(cpu),
        sum,
    }
}

/// The processor time of this process so far, user and system, children not counted.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// One of those that are compared: a name, and something to be timed.
pub(crate) struct Contender<'a> {
    name: String,
    turn: Box<dyn FnMut() -> Turn + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` answers a checksum, the same for all contenders of a race.
    pub(crate) fn new(name: impl Into<String>, mut run: impl FnMut() -> u64 + 'a) -> Self {
        Self::timing_itself(name, move || timed(&mut run))
    }

    /// The same, so many times a turn.
    pub(crate) fn repeated(mut self, times: u64) -> Self {
        let mut turn = self.turn;
        self.turn = Box::new(move || {
            let mut all = turn();
            for _ in 1..times {
                let more = turn();
                all.wall += more.wall;
                all.cpu += more.cpu;
            }
            all
        });
        self
    }

    /// Its turn is so much shorter than that of the others, and is multiplied.
    pub(crate) fn standing_for(mut self, times: u32) -> Self {
        let mut turn = self.turn;
        self.turn = Box::new(move || {
            let mut all = turn();
            all.wall *= times;
            all.cpu *= times;
            all
        });
        self
    }

    /// What `run` needs is made before each turn, and not counted.
    pub(crate) fn prepared<S>(
        name: impl Into<String>,
        mut prepare: impl FnMut() -> S + 'a,
        mut run: impl FnMut(S) -> u64 + 'a,
    ) -> Self {
        Self::timing_itself(name, move || {
            let it = prepare();
            timed(|| run(it))
        })
    }

    /// For what knows its own time.
    pub(crate) fn timing_itself(name: impl Into<String>, turn: impl FnMut() -> Turn + 'a) -> Self {
        Self {
            name: name.into(),
            turn: Box::new(turn),
        }
    }
}

/// A figure that was taken many times: its median, and where the middle half of the takes lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Figure {
    pub(crate) fn of(takes: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = takes.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |quarters: usize| sorted[(sorted.len() - 1) * quarters / 4];
        Self {
            low: quantile(1),
            median: quantile(2),
            high: quantile(3),
        }
    }

    /// Something that was looked at once.
    pub(crate) fn once(value: f64) -> Self {
        Self::of([value])
    }

    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            low: change(self.low),
            median: change(self.median),
            high: change(self.high),
        }
    }
}

/// What a contender's turns took, in their order.
pub(crate) struct Times {
    pub(crate) name: String,
    turns: Vec<Turn>,
}

impl Times {
    /// Of turns that were taken elsewhere.
    pub(crate) fn of(name: impl Into<String>, turns: impl Iterator<Item = Turn>) -> Self {
        Self {
            name: name.into(),
            turns: turns.collect(),
        }
    }

    pub(crate) fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.turns.iter()
    }

    /// Seconds on the clock.
    pub(crate) fn wall(&self) -> Figure {
        Figure::of(self.turns.iter().map(|it| it.wall.as_secs_f64()))
    }

    /// Seconds of processor time.
    pub(crate) fn cpu(&self) -> Figure {
        Figure::of(self.turns.iter().map(|it| it.cpu.as_secs_f64()))
    }

    /// This one's time as a share of the other's, round by round: what slows the machine down for a
    /// round slows both of them down.
    pub(crate) fn over(&self, other: &Self) -> Figure {
        let pairs = self.turns.iter().zip(&other.turns);
        Figure::of(pairs.map(|(own, other)| own.wall.as_secs_f64() / other.wall.as_secs_f64()))
    }

    fn cpu_over(&self, other: &Self) -> Figure {
        let pairs = self.turns.iter().zip(&other.turns);
        Figure::of(pairs.map(|(own, other)| own.cpu.as_secs_f64() / other.cpu.as_secs_f64()))
    }
}

/// What came of a race.
pub(crate) struct Race {
    pub(crate) all: Vec<Times>,
}

impl Race {
    /// Those of a contender that takes part.
    pub(crate) fn of(&self, name: &str) -> &Times {
        let found = self.all.iter().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("{name:?} takes part in the race"))
    }

    /// The time of one as a share of another's.
    pub(crate) fn ratio(&self, one: &str, other: &str) -> Figure {
        self.of(one).over(self.of(other))
    }

    /// The same of processor time: what a busy machine changes less.
    pub(crate) fn cpu_ratio(&self, one: &str, other: &str) -> Figure {
        self.of(one).cpu_over(self.of(other))
    }
}

/// Times every contender `rounds` times, in turn, after one turn that is not counted.
pub(crate) fn race(rounds: usize, contenders: Vec<Contender<'_>>) -> Race {
    let mut contenders = contenders;
    let mut all: Vec<Times> = contenders
        .iter()
        .map(|it| Times {
            name: it.name.clone(),
            turns: Vec::new(),
        })
        .collect();
    let mut expected = None;
    for round in 0..=rounds {
        // Everyone goes first, and after everyone else, about as often.
        for turn in 0..contenders.len() {
            let at = (turn + round) % contenders.len();
            let Contender { name, turn } = &mut contenders[at];
            let turn = turn();
            let expected = *expected.get_or_insert(turn.sum);
            assert_eq!(turn.sum, expected, "{name} did not do the same work");
            if round > 0 {
                all[at].turns.push(turn);
            }
        }
    }
    Race { all }
}
