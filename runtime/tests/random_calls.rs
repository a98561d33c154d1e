//! The promises over random calls: costs, panics, drops, stops, windows.

mod support;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use runspace::{Cause, foreach_parallel};
use support::within;

/// What an item does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Return,
    Spin(u16),
    Sleep(u8),
    Panic,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => Just(Act::Return),
        3 => (0..2000_u16).prop_map(Act::Spin),
        1 => (0..3_u8).prop_map(Act::Sleep),
        1 => Just(Act::Panic),
    ]
}

/// How the consumer behaves.
#[derive(Clone, Copy, Debug)]
enum End {
    Read,
    Outcomes,
    DropAfter(usize),
    StopAfter(usize),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Read),
        Just(End::Outcomes),
        (0..100_usize).prop_map(End::DropAfter),
        (0..100_usize).prop_map(End::StopAfter),
    ]
}

#[derive(Clone, Debug)]
struct Plan {
    acts: Vec<Act>,
    throttle: usize,
    buffer: Option<usize>,
    ordered: bool,
    end: End,
}

fn plan() -> impl Strategy<Value = Plan> {
    let acts = proptest::collection::vec(act(), 0..300);
    let buffer = proptest::option::of(0..20_usize);
    (acts, 1..9_usize, buffer, any::<bool>(), end()).prop_map(
        |(acts, throttle, buffer, ordered, end)| Plan {
            acts,
            throttle,
            buffer,
            ordered,
            end,
        },
    )
}

/// What is seen from inside.
#[derive(Default)]
struct Seen {
    running: AtomicUsize,
    most_running: AtomicUsize,
    taken: AtomicI64,
    consumed: AtomicI64,
    most_open: AtomicI64,
    runs: Mutex<HashMap<usize, usize>>,
}

fn run_item(index: usize, act: Act, seen: &Seen) -> usize {
    struct Leave<'a>(&'a AtomicUsize);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let now = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
    let _leave = Leave(&seen.running);
    seen.most_running.fetch_max(now, Ordering::SeqCst);
    *seen.runs.lock().unwrap().entry(index).or_default() += 1;
    match act {
        Act::Return => {}
        Act::Spin(turns) => (0..turns).for_each(|it| drop(std::hint::black_box(it.to_string()))),
        Act::Sleep(ms) => std::thread::sleep(Duration::from_millis(ms.into())),
        Act::Panic => std::panic::resume_unwind(Box::new(index)),
    }
    index
}

fn start(plan: &Plan, seen: &Arc<Seen>) -> runspace::Results<usize> {
    let counter = Arc::clone(seen);
    let input = plan.acts.clone().into_iter().enumerate().inspect(move |_| {
        let open = counter.taken.fetch_add(1, Ordering::SeqCst) + 1
            - counter.consumed.load(Ordering::SeqCst);
        counter.most_open.fetch_max(open, Ordering::SeqCst);
    });
    let (throttle, ordered) = (plan.throttle, plan.ordered);
    match plan.buffer {
        Some(buffer) => foreach_parallel!(
            input,
            throttle = throttle,
            ordered = ordered,
            buffer = buffer,
            using(seen.clone()),
            |(index, act)| run_item(index, act, &seen)
        ),
        None => foreach_parallel!(
            input,
            throttle = throttle,
            ordered = ordered,
            using(seen.clone()),
            |(index, act)| run_item(index, act, &seen)
        ),
    }
}

/// Reads up to `most` outcomes; answers each item's index and whether it has a value.
fn read(
    results: impl Iterator<Item = Result<usize, runspace::ItemError>>,
    most: usize,
    seen: &Seen,
) -> Vec<(usize, bool)> {
    results
        .take(most)
        .map(|outcome| {
            seen.consumed.fetch_add(1, Ordering::SeqCst);
            match outcome {
                Ok(index) => (index, true),
                Err(error) => {
                    let index = usize::try_from(error.index().unwrap()).unwrap();
                    if let Cause::Panicked(payload) = error.into_cause() {
                        assert_eq!(payload.into_value().downcast_ref(), Some(&index));
                    }
                    (index, false)
                }
            }
        })
        .collect()
}

fn check(plan: &Plan) {
    let seen = Arc::new(Seen::default());
    let mut results = start(plan, &seen);
    let total = plan.acts.len();
    let got = match plan.end {
        End::Outcomes => Some(read(results.outcomes(), total + 1, &seen)),
        End::DropAfter(most) => {
            let mut outcomes = results.outcomes();
            let got = read(outcomes.by_ref(), most.max(1), &seen);
            drop(outcomes);
            (got.len() == total).then_some(got)
        }
        End::StopAfter(most) => {
            let token = results.stop_token();
            let mut outcomes = results.outcomes();
            let mut got = read(outcomes.by_ref(), most, &seen);
            token.stop();
            got.extend(read(outcomes, total + 1, &seen));
            assert_eq!(
                got.len(),
                usize::try_from(seen.taken.load(Ordering::SeqCst))
                    .unwrap()
                    .min(got.len())
            );
            check_each_once(&got, plan);
            None
        }
        End::Read => {
            let mut got = Vec::new();
            loop {
                match catch_unwind(AssertUnwindSafe(|| results.next())) {
                    Ok(Some(index)) => got.push((index, true)),
                    Ok(None) => break,
                    Err(payload) => got.push((*payload.downcast_ref::<usize>().unwrap(), false)),
                }
                seen.consumed.fetch_add(1, Ordering::SeqCst);
            }
            Some(got)
        }
    };
    if let Some(got) = got {
        assert_eq!(got.len(), total);
        check_each_once(&got, plan);
    }
    assert_eq!(
        seen.running.load(Ordering::SeqCst),
        0,
        "nothing runs any more"
    );
    assert!(seen.most_running.load(Ordering::SeqCst) <= plan.throttle);
    assert!(seen.runs.lock().unwrap().values().all(|runs| *runs == 1));
    if let Some(buffer) = plan.buffer {
        // The consumer counts an item after the call does: one more may be taken in between.
        let window = i64::try_from(plan.throttle + buffer).unwrap() + 1;
        let open = seen.most_open.load(Ordering::SeqCst);
        assert!(open <= window, "{open} open, {window} allowed");
    }
    assert_eq!(Arc::strong_count(&seen), 1, "what was captured is dropped");
}

fn check_each_once(got: &[(usize, bool)], plan: &Plan) {
    let mut indices: Vec<usize> = got.iter().map(|it| it.0).collect();
    if plan.ordered {
        assert!(indices.is_sorted(), "{indices:?}");
    }
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), got.len(), "an item ended twice");
    for (index, good) in got {
        let panics = matches!(plan.acts[*index], Act::Panic);
        assert!(!(panics && *good), "a panic became a value");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn every_item_has_one_outcome_and_the_bounds_hold(plan in plan()) {
        within(60, move || check(&plan));
    }
}

/// 150, or `PROPTEST_CASES`.
fn cases() -> u32 {
    let set = std::env::var("PROPTEST_CASES").ok();
    set.and_then(|it| it.parse().ok()).unwrap_or(150)
}
