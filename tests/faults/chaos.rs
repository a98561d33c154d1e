//! Faults of all kinds at once, by chance: what is recorded is what was injected.
//!
//! `RUNSPACE_CHAOS_SEED` makes the same choices once more, `RUNSPACE_CHAOS_SECONDS` says how long, over all back
//! ends: 30, or 600 for a run on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use runspace::{
    Cause, ItemContext, ItemError, Job, JobErrorKind, JobState, Outcomes, ProcessPool,
    RunspacePool, foreach_parallel, start_job, start_thread_job,
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::common::{MS, workers};
use crate::stage::{Row, note, pool, process, threads};
use crate::support::census::{die, send};
use crate::support::until;

pub const ROWS: &[Row] = &[Row {
    id: "A45",
    name: "chaos",
    fault: "Panics, aborts, exits, kills from within and without, time limits, further tries, stops and drops, by chance and all at once",
    outcome: "What is recorded as failed is what was injected, each in its own way; every item has one outcome; nothing is left. \
              (`RUNSPACE_CHAOS_SEED` repeats a run, `RUNSPACE_CHAOS_SECONDS=600` makes a long one.)",
    tests: &[
        threads(a45_threads).within(1200),
        process(a45_process).within(1200),
        pool(a45_pool).within(1200),
    ],
    elsewhere: "",
}];

/// What an item or a job does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Act {
    Return,
    Sleep(u64),
    Panic,
    Abort,
    Exit(i32),
    Kill,
    /// Says where it is, and is killed from outside.
    Victim,
    /// Does not end before its time is over.
    Slow,
}

/// What comes out of a body.
#[derive(Debug, Serialize, Deserialize)]
enum Output {
    Done(u64),
    /// A victim, and its process.
    Here(u64, u32),
}

/// One item: it fails in this many tries.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Part {
    act: Act,
    tries: u32,
}

impl Part {
    fn play(self, index: u64, victim: impl FnOnce()) {
        if let Act::Sleep(micros) = self.act {
            sleep(Duration::from_micros(micros));
        }
        if runspace::attempt() > self.tries {
            return;
        }
        match self.act {
            Act::Return | Act::Sleep(_) => {}
            // Without a word on stderr.
            Act::Panic => std::panic::resume_unwind(Box::new(format!("chaos in {index}"))),
            Act::Abort => std::process::abort(),
            Act::Exit(code) => std::process::exit(code),
            Act::Kill => die(Signal::KILL),
            Act::Victim => {
                victim();
                sleep(Duration::from_secs(1000));
            }
            Act::Slow => {
                while !runspace::stopping() {
                    sleep(MS);
                }
            }
        }
    }

    /// Whether it fails although it is tried so often.
    fn fails(self, retry: u32) -> bool {
        !matches!(self.act, Act::Return | Act::Sleep(_)) && self.tries > retry
    }
}

fn body(index: u64, part: Part, item: &ItemContext<'_, Output>) {
    part.play(index, || item.emit(Output::Here(index, std::process::id())));
    item.emit(Output::Done(index));
    // A stop may come just now, and that was all.
    runspace::finished(());
}

/// A row of choices that a seed repeats.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next(many) == 0
    }

    /// What an item does where `crashes` cost it alone, or do not.
    fn act(&mut self, crashes: bool) -> Act {
        match self.next(if crashes { 40 } else { 32 }) {
            0..24 => Act::Return,
            24..30 => Act::Sleep(self.next(3000)),
            30..32 => Act::Panic,
            32..34 => Act::Abort,
            34..36 => Act::Exit(i32::try_from(self.next(4)).expect("few")),
            36..38 => Act::Kill,
            _ => Act::Victim,
        }
    }
}

/// How the results of a call are read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reading {
    All,
    /// So many, and then the rest is dropped.
    Drop(u64),
    /// So many, and then the call is stopped, and read to its end.
    Stop(u64),
    /// The call is stopped by another thread, after so many microseconds.
    StopElsewhere(u64),
}

/// One call.
#[derive(Debug)]
struct Scene {
    parts: Vec<Part>,
    throttle: usize,
    retry: u32,
    ordered: bool,
    timeout: Option<Duration>,
    reading: Reading,
}

const TIMEOUT: Duration = Duration::from_secs(4);

impl Scene {
    fn by(chance: &mut Chance, crashes: bool) -> Self {
        let count = if crashes {
            chance.next(60)
        } else {
            chance.next(600)
        };
        let retry = u32::try_from(chance.next(3)).expect("few");
        let mut parts: Vec<Part> = (0..count)
            .map(|_| {
                let mut act = chance.act(crashes);
                // What a victim has said stays said when it is tried again.
                if retry > 0 && act == Act::Victim {
                    act = Act::Kill;
                }
                let tries = u32::try_from(chance.next(4)).expect("few") + 1;
                Part { act, tries }
            })
            .collect();
        let timeout = chance.one_in(15).then_some(TIMEOUT);
        if timeout.is_some()
            && let Some(part) = parts.last_mut()
        {
            *part = Part {
                act: Act::Slow,
                tries: u32::MAX,
            };
        }
        let most = count + 1;
        let reading = match chance.next(8) {
            0 => Reading::Drop(chance.next(most)),
            1 => Reading::Stop(chance.next(most)),
            2 => Reading::StopElsewhere(chance.next(20_000)),
            _ => Reading::All,
        };
        Self {
            parts,
            throttle: usize::try_from(chance.next(5)).expect("few") + 1,
            retry: if timeout.is_some() { 0 } else { retry },
            ordered: chance.one_in(3),
            timeout,
            reading,
        }
    }

    fn items(&self) -> impl Iterator<Item = (u64, Part)> + Send + use<> {
        (0..).zip(self.parts.clone())
    }

    /// Reads the call and holds what came out to what was injected.
    fn check(&self, outcomes: Outcomes<Output>, counts: &mut Counts) {
        let mut seen: BTreeMap<u64, Result<(), ItemError>> = BTreeMap::new();
        let token = outcomes.stop_token();
        let stopper = match self.reading {
            Reading::StopElsewhere(micros) => {
                let token = token.clone();
                Some(thread::spawn(move || {
                    sleep(Duration::from_micros(micros));
                    token.stop();
                }))
            }
            _ => None,
        };
        for (read, outcome) in (0..).zip(outcomes) {
            match self.reading {
                Reading::Drop(after) if read == after => break,
                Reading::Stop(after) if read == after => token.stop(),
                _ => {}
            }
            let (index, outcome) = match outcome {
                Ok(Output::Done(index)) => (index, Ok(())),
                Ok(Output::Here(index, pid)) => {
                    assert_eq!(self.part(index).act, Act::Victim);
                    send(Signal::KILL, pid);
                    continue;
                }
                Err(error) => {
                    let index = error
                        .index()
                        .unwrap_or_else(|| panic!("the call failed: {error}"));
                    (index, Err(error))
                }
            };
            assert!(
                seen.insert(index, outcome).is_none(),
                "item {index} has two outcomes"
            );
        }
        stopper.into_iter().for_each(|it| it.join().unwrap());
        self.judge(&seen, counts);
    }

    fn part(&self, index: u64) -> Part {
        self.parts[usize::try_from(index).unwrap()]
    }

    fn judge(&self, seen: &BTreeMap<u64, Result<(), ItemError>>, counts: &mut Counts) {
        let all = self.parts.len() as u64;
        let is_whole = self.reading == Reading::All;
        if is_whole {
            assert!(
                seen.keys().copied().eq(0..all),
                "an item without an outcome"
            );
        } else if !matches!(self.reading, Reading::Drop(_)) {
            // Those that were taken, in one piece.
            let end = seen.keys().next_back().map_or(0, |it| it + 1);
            let missing: Vec<_> = (0..end)
                .filter(|it| !seen.contains_key(it))
                .map(|it| (it, self.part(it)))
                .collect();
            assert!(
                missing.is_empty(),
                "no outcome: {missing:?} of {self:?}; {seen:?}"
            );
        }
        for (index, outcome) in seen {
            let part = self.part(*index);
            match outcome {
                Ok(()) => assert!(!part.fails(self.retry), "item {index} should have failed"),
                Err(error) if error.is_stopped() => {
                    assert!(!is_whole, "nobody has stopped item {index}");
                    counts.stopped += 1;
                }
                Err(error) => {
                    // A try that a stop has kept from the next one fails as it is.
                    let fails = part.fails(if is_whole { self.retry } else { 0 });
                    assert!(fails, "nothing was injected in item {index}: {error}");
                    assert!(is_of(part.act, error), "{part:?} became {error}");
                    counts.recorded += 1;
                }
            }
        }
        let injected = self.parts.iter().filter(|it| it.fails(self.retry)).count() as u64;
        if is_whole {
            counts.injected += injected;
        } else {
            counts.injected += seen.iter().filter(|it| self.is_failure(it.1)).count() as u64;
        }
        counts.items += seen.len() as u64;
        counts.calls += 1;
    }

    fn is_failure(&self, outcome: &Result<(), ItemError>) -> bool {
        outcome.as_ref().is_err_and(|it| !it.is_stopped())
    }
}

/// Whether this is how that fails.
fn is_of(act: Act, error: &ItemError) -> bool {
    match error.cause() {
        Cause::Panicked(_) => act == Act::Panic,
        Cause::TimedOut(_) => act == Act::Slow,
        Cause::Process(error) => error.crash().is_some_and(|it| is_exit_of(act, it.exit())),
        _ => false,
    }
}

fn is_exit_of(act: Act, exit: runspace::Exit) -> bool {
    match act {
        Act::Abort => exit.signal_name() == Some("SIGABRT"),
        Act::Kill | Act::Victim => exit.signal_name() == Some("SIGKILL"),
        Act::Exit(code) => exit == runspace::Exit::Code(code),
        _ => false,
    }
}

/// What was done.
#[derive(Default)]
struct Counts {
    calls: u64,
    items: u64,
    injected: u64,
    recorded: u64,
    stopped: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, {} items or jobs, {} failures injected and {} recorded, {} stopped",
            self.calls, self.items, self.injected, self.recorded, self.stopped
        )
    }
}

/// Goes on until the time is over, and says with which seed.
fn rounds(salt: u64, mut round: impl FnMut(&mut Chance, &mut Counts)) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|it| it.parse::<u64>().ok())
    };
    let seconds = number("RUNSPACE_CHAOS_SECONDS").unwrap_or(30);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("RUNSPACE_CHAOS_SEED")
        .unwrap_or_else(|| now.unwrap().as_nanos() as u64 % 1_000_000_007);
    // On stderr it is seen if this fails, and stands behind all that has happened.
    eprintln!("RUNSPACE_CHAOS_SEED={seed}");
    // The back ends share the time, for on most machines they run one after the other.
    let end = Instant::now() + Duration::from_secs(seconds) / 3;
    let mut counts = Counts::default();
    for number in 0.. {
        if Instant::now() > end {
            break;
        }
        // Each round has choices of its own, so that they do not depend on how many were made before.
        round(&mut Chance(seed ^ salt ^ (number << 32)), &mut counts);
        assert_eq!(
            counts.injected, counts.recorded,
            "RUNSPACE_CHAOS_SEED={seed}, round {number}"
        );
    }
    note(format!("{counts}"));
    println!("seed {seed}: {counts}");
}

macro_rules! call {
    ($scene:expr, $counts:expr, $($on:tt)*) => {{
        let scene = $scene;
        let items = scene.items();
        let (throttle, retry, ordered) = (scene.throttle, scene.retry, scene.ordered);
        let outcomes = match scene.timeout {
            None => foreach_parallel!(
                items, on = $($on)*, throttle = throttle, retry = retry, ordered = ordered,
                |(index, part), item| body(index, part, item)
            )
            .outcomes(),
            Some(timeout) => foreach_parallel!(
                items, on = $($on)*, throttle = throttle, ordered = ordered, timeout = timeout,
                |(index, part), item| body(index, part, item)
            )
            .outcomes(),
        };
        scene.check(outcomes, $counts);
    }};
}

fn a45_threads() {
    let pool = RunspacePool::builder().max(3).open().unwrap();
    rounds(1, |chance, counts| {
        let scene = Scene::by(chance, false);
        match chance.next(4) {
            0 => call!(scene, counts, thread),
            1 => call!(scene, counts, rayon),
            2 => call!(scene, counts, pool(&pool)),
            _ => thread_jobs(&scene.parts, chance, counts),
        }
    });
}

fn a45_pool() {
    let common = workers(3).build();
    rounds(2, |chance, counts| {
        let scene = Scene::by(chance, true);
        let own: ProcessPool;
        let pool = match chance.next(3) {
            0 => &common,
            1 => {
                own = workers(2).max_items(chance.next(5) + 1).build();
                &own
            }
            _ => {
                own = workers(1)
                    .idle_timeout(Duration::from_millis(chance.next(20)))
                    .build();
                &own
            }
        };
        call!(scene, counts, process(pool));
    });
}

fn a45_process() {
    rounds(3, |chance, counts| {
        let parts: Vec<Part> = (0..chance.next(8) + 1)
            .map(|_| Part {
                act: chance.act(true),
                tries: u32::MAX,
            })
            .collect();
        let jobs: Vec<Job<u64>> = (0..)
            .zip(&parts)
            .map(|(index, part)| {
                let part = *part;
                start_job!(grace = 100 * MS, using(index, part), {
                    part.play(index, || ());
                    index
                })
            })
            .collect();
        let mut stopped = BTreeSet::new();
        for ((index, job), part) in (0..).zip(&jobs).zip(&parts) {
            match part.act {
                Act::Victim => {
                    until(|| job.location().process().is_some());
                    sleep(Duration::from_micros(chance.next(2000)));
                    assert!(send(Signal::KILL, job.location().process().unwrap()));
                }
                _ if chance.one_in(6) => {
                    job.stop();
                    stopped.insert(index);
                }
                // It may have ended by then, and some are let go on late.
                _ if chance.one_in(6) && job.suspend().is_ok() => {
                    sleep(Duration::from_micros(chance.next(3000)));
                    let _ = job.resume();
                }
                _ => {}
            }
        }
        end_of_jobs(jobs, &parts, &stopped, counts);
    });
}

fn thread_jobs(parts: &[Part], chance: &mut Chance, counts: &mut Counts) {
    let parts: Vec<Part> = parts
        .iter()
        .take(100)
        .filter(|it| it.act != Act::Slow)
        .map(|it| Part {
            act: it.act,
            tries: u32::MAX,
        })
        .collect();
    let jobs: Vec<Job<u64>> = (0..)
        .zip(&parts)
        .map(|(index, part)| {
            let part = *part;
            start_thread_job!(using(index, part), {
                part.play(index, || ());
                index
            })
        })
        .collect();
    let mut stopped = BTreeSet::new();
    for (index, job) in (0..).zip(&jobs) {
        if chance.one_in(10) {
            job.stop();
            stopped.insert(index);
        }
    }
    end_of_jobs(jobs, &parts, &stopped, counts);
}

fn end_of_jobs(jobs: Vec<Job<u64>>, parts: &[Part], stopped: &BTreeSet<u64>, counts: &mut Counts) {
    for ((index, job), part) in (0..).zip(jobs).zip(parts) {
        let state = job.wait();
        let end = job.join();
        counts.items += 1;
        match &end {
            Ok(value) => {
                assert!(!part.fails(0) && *value == index, "{part:?} became {value}");
                assert_eq!(state, JobState::Completed);
            }
            Err(error) if error.is_stopped() => {
                assert!(stopped.contains(&index), "nobody has stopped {index}");
                counts.stopped += 1;
            }
            Err(error) => {
                let is_of_act = match error.kind() {
                    JobErrorKind::Panicked(_) => part.act == Act::Panic,
                    JobErrorKind::Process(it) => {
                        it.crash().is_some_and(|it| is_exit_of(part.act, it.exit()))
                    }
                    _ => false,
                };
                assert!(is_of_act, "{part:?} became {error}");
                assert_eq!(state, JobState::Failed);
                counts.recorded += 1;
            }
        }
        // One that was stopped may have failed before.
        let is_stopped = matches!(&end, Err(error) if error.is_stopped());
        counts.injected += u64::from(part.fails(0) && !is_stopped);
    }
    counts.calls += 1;
}
