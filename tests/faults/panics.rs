//! Code of the user's that panics where the crate calls it, on whichever of its threads.

use std::time::Duration;

use runspace::{
    Cause, JobErrorKind, JobState, foreach_parallel, invoke, start_job, start_thread_job,
};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};

use crate::common::{MS, assert_has, fresh, pair, promptly};
use crate::stage::{Row, pool, process, threads};

pub const ROWS: &[Row] = &[
    Row {
        id: "C9",
        name: "user_code_panics_where_it_is_called",
        fault: "`Serialize` (at once, half-way), `Deserialize`, `Drop`, `Clone` of an item, a result, a captured value or a panic's payload panics, here or there",
        outcome: "The item or the job concerned fails with that panic, and the text says whose code it was; `retry` applies as for a panic of the body. All others have their outcomes, the workers live on.",
        tests: &[
            threads(c9_threads),
            process(c9_process),
            pool(c9_pool),
            pool(c9_fresh).named("pool_fresh"),
        ],
        elsewhere: "",
    },
    Row {
        id: "C10",
        name: "a_thread_of_the_runtime_panics",
        fault: "User code panics on a thread that runs no body: that of the input, the one that watches over time, the one that takes in what a process says",
        outcome: "The call or the job that it concerns ends, with the panic in words; later ones find the thread as it was.",
        tests: &[threads(c10_threads), process(c10_process), pool(c10_pool)],
        elsewhere: "",
    },
];

/// What of a [`Bomb`] panics: in the process that made it, or in any other.
const SERIALIZE: u8 = 1;
const HALF: u8 = 2;
const DESERIALIZE: u8 = 3;
const DROP: u8 = 4;
const CLONE: u8 = 5;

#[derive(Debug)]
struct Bomb {
    at: u8,
    is_for_home: bool,
    home: u32,
}

impl Bomb {
    fn here(at: u8) -> Self {
        Self::of(at, true, std::process::id())
    }

    fn there(at: u8) -> Self {
        Self::of(at, false, std::process::id())
    }

    fn of(at: u8, is_for_home: bool, home: u32) -> Self {
        Self {
            at,
            is_for_home,
            home,
        }
    }

    fn burst(&self, at: u8) {
        let is_home = std::process::id() == self.home;
        let is_due = self.at == at && self.is_for_home == is_home;
        assert!(!is_due || std::thread::panicking(), "a bomb");
    }
}

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.burst(SERIALIZE);
        let mut parts = to.serialize_tuple(4)?;
        // Long enough to go ahead of the rest.
        parts.serialize_element(&vec![0_u8; 50_000])?;
        parts.serialize_element(&self.at)?;
        self.burst(HALF);
        parts.serialize_element(&self.is_for_home)?;
        parts.serialize_element(&self.home)?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (_, at, is_for_home, home) = <(Vec<u8>, u8, bool, u32)>::deserialize(from)?;
        let bomb = Self::of(at, is_for_home, home);
        bomb.burst(DESERIALIZE);
        Ok(bomb)
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        self.burst(CLONE);
        Self::of(self.at, self.is_for_home, self.home)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.burst(DROP);
    }
}

const ALL: u64 = 30;
const BAD: u64 = 11;

fn items(bomb: fn() -> Bomb) -> impl Iterator<Item = Bomb> + Send {
    (0..ALL).map(move |n| if n == BAD { bomb() } else { Bomb::here(0) })
}

macro_rules! assert_one {
    ($results:expr) => {{
        let outcomes: Vec<_> = promptly(|| $results.outcomes().collect());
        assert_eq!(outcomes.len() as u64, ALL);
        let errors: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].index(), Some(BAD));
        assert_has(&errors[0].to_string(), &["a bomb"]);
        let is_panic = matches!(
            errors[0].cause(),
            Cause::Panicked(_) | Cause::DropPanicked(_)
        );
        assert!(is_panic, "{}", errors[0]);
    }};
}

macro_rules! in_place {
    ($($on:tt)*) => {{
        assert_one!(foreach_parallel!(items(|| Bomb::here(DROP)), on = $($on)*, |bomb| drop(bomb)));
        assert_one!(foreach_parallel!(items(|| Bomb::here(CLONE)), on = $($on)*, retry = 1, |_bomb| ()));
        assert_one!(foreach_parallel!(items(|| Bomb::here(DROP)), on = $($on)*, retry = 1, |bomb| {
            std::mem::forget(bomb); // its copy is left
        }));
        let results = foreach_parallel!(0..ALL, on = $($on)*, |n| {
            if n == BAD {
                std::panic::panic_any(Bomb::here(DROP));
            }
        });
        let failed: Vec<_> = results.outcomes().filter_map(Result::err).collect();
        assert_eq!(failed.len(), 1);
        drop(failed); // with the payload, whose destructor panics
    }};
}

fn c9_threads() {
    in_place!(thread);
    in_place!(rayon);
    in_place!(sequential);
    let job = start_thread_job!({ drop(Bomb::here(DROP)) });
    assert_eq!(job.wait(), JobState::Failed);
    let runspace = runspace::Runspace::open().unwrap();
    let error = invoke!(&runspace, { drop(Bomb::here(DROP)) })
        .end()
        .unwrap_err();
    assert_has(&error.to_string(), &["a bomb"]);
    assert_eq!(invoke!(&runspace, { 1 }).end().unwrap(), 1);
}

fn c9_process() {
    for at in [SERIALIZE, HALF, DROP] {
        let home = std::process::id();
        let job = start_job!(using(at, home), { Bomb::of(at, false, home) });
        assert_failed(job, "");
    }
    let home = std::process::id();
    assert_failed(
        start_job!(using(home), { Bomb::of(DESERIALIZE, true, home) }),
        "`Deserialize` of the output",
    );
    for (bomb, words) in [
        (Bomb::here(SERIALIZE), "`Serialize` of the captured values"),
        (Bomb::here(HALF), "`Serialize` of the captured values"),
        (Bomb::here(DROP), ""),
        (
            Bomb::there(DESERIALIZE),
            "`Deserialize` of the captured values",
        ),
        (Bomb::there(DROP), ""),
    ] {
        assert_failed(start_job!(using(bomb), { drop(bomb) }), words);
    }
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

#[track_caller]
fn assert_failed<T>(job: runspace::Job<T>, words: &str) {
    assert_eq!(promptly(|| job.wait()), JobState::Failed);
    drop(job.receive());
    let error = job.join().map(drop).unwrap_err();
    assert!(matches!(error.kind(), JobErrorKind::Panicked(_)), "{error}");
    assert_has(&error.to_string(), &["a bomb", words]);
}

macro_rules! there_and_back {
    ($pool:expr) => {{
        let pool = $pool;
        for bomb in [
            || Bomb::here(SERIALIZE),
            || Bomb::here(HALF),
            || Bomb::here(DROP),
            || Bomb::there(DESERIALIZE),
            || Bomb::there(DROP),
        ] {
            let results =
                foreach_parallel!(items(bomb), on = process(&pool), |bomb: Bomb| drop(bomb));
            assert_one!(results);
        }
        let home = std::process::id();
        for (at, is_for_home) in [
            (SERIALIZE, false),
            (HALF, false),
            (DROP, false),
            (DESERIALIZE, true),
        ] {
            let results = foreach_parallel!(
                0..ALL,
                on = process(&pool),
                using(home, at, is_for_home),
                |n| Bomb::of(if n == BAD { at } else { 0 }, is_for_home, home)
            );
            assert_one!(results);
        }
        // As a panic of the body, it may pass.
        let results =
            foreach_parallel!(0..ALL, on = process(&pool), retry = 1, using(home), |_n| {
                let at = if runspace::attempt() == 1 { HALF } else { 0 };
                Bomb::of(at, false, home)
            });
        assert_eq!(results.count() as u64, ALL);
    }};
}

fn c9_pool() {
    there_and_back!(pair());
}

fn c9_fresh() {
    there_and_back!(fresh());
}

/// An input that panics when it is dropped.
struct Input(std::ops::Range<u64>);

impl Iterator for Input {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a bomb");
    }
}

macro_rules! off_the_bodies {
    ($($on:tt)*) => {{
        // On the thread of the input.
        let results = foreach_parallel!(Input(0..ALL), on = $($on)*, throttle = 2, |n| n);
        let (good, bad): (Vec<_>, Vec<_>) = promptly(|| results.outcomes().partition(Result::is_ok));
        assert_eq!((good.len() as u64, bad.len()), (ALL, 1));
        assert_has(&bad[0].as_ref().unwrap_err().to_string(), &["a bomb"]);
        // On the thread that watches over time, which drops the copies of what it gives up.
        let results = foreach_parallel!(
            (0..4).map(|_| Bomb::here(DROP)),
            on = $($on)*,
            throttle = 4,
            retry = 3,
            deadline = 200 * MS,
            |bomb: Bomb| {
                std::mem::forget(bomb);
                while !runspace::stopping() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        );
        let outcomes: Vec<_> = promptly(|| results.outcomes().collect());
        let mut ends: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()?.index()).collect();
        ends.sort_unstable();
        assert_eq!(ends, [0, 1, 2, 3]);
        assert_eq!(foreach_parallel!(0..10_u64, on = $($on)*, |n| n).sum::<u64>(), 45);
    }};
}

fn c10_threads() {
    off_the_bodies!(thread);
    off_the_bodies!(rayon);
}

fn c10_process() {
    // On the thread that takes in what the process says.
    let home = std::process::id();
    for _ in 0..3 {
        let job = start_job!(using(home), { Bomb::of(DESERIALIZE, true, home) });
        assert_failed(job, "`Deserialize` of the output");
    }
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

fn c10_pool() {
    off_the_bodies!(process(&pair()));
}
