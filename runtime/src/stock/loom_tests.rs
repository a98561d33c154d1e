//! Every order in which takers and makers of a stock can meet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::thread::{JoinHandle, spawn};

use super::*;

/// Makes numbers, so many of them.
type Maker = std::ops::Range<u32>;
type Numbers = Stock<u32, Maker>;

fn explore(bound: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(bound));
    model.check(body);
}

fn stock(count: u32) -> Arc<Numbers> {
    Arc::new(Stock::new(0..count))
}

/// Never, in a model: time does not run out there.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn take(stock: &Numbers) -> Option<u32> {
    stock.take(later(), |maker| !maker.is_empty(), Iterator::next)
}

fn refill(stock: &Arc<Numbers>) -> JoinHandle<()> {
    let stock = Arc::clone(stock);
    spawn(move || {
        if let Some(making) = stock.start_making(1) {
            making.until(1, Iterator::next);
        }
    })
}

/// What is left in it, ready or not made.
fn left(stock: &Numbers) -> usize {
    let (ready, maker) = stock.clear(0..0).expect("nobody makes any more");
    ready.len() + maker.len()
}

#[test]
fn two_takers_beside_a_maker_get_one_each() {
    explore(3, || {
        let stock = stock(4);
        let refilled = refill(&stock);
        let other = Arc::clone(&stock);
        let other = spawn(move || take(&other));
        let ours = take(&stock).expect("one can be made");
        let theirs = other.join().unwrap().expect("one can be made");
        refilled.join().unwrap();
        assert_ne!(ours, theirs);
        assert_eq!(left(&stock), 2);
    });
}

#[test]
fn what_cannot_be_made_is_not_waited_for() {
    explore(4, || {
        let stock = stock(1);
        let refilled = refill(&stock);
        let other = Arc::clone(&stock);
        let other = spawn(move || take(&other));
        let taken = [take(&stock), other.join().unwrap()];
        refilled.join().unwrap();
        assert_eq!(taken.iter().flatten().count() + left(&stock), 1);
    });
}

#[test]
fn a_making_that_is_given_up_leaves_nobody_waiting() {
    explore(4, || {
        let stock = stock(1);
        let other = Arc::clone(&stock);
        // As when the system has no thread for it.
        let refused = spawn(move || drop(other.start_making(1)));
        assert_eq!(take(&stock), Some(0));
        refused.join().unwrap();
        assert_eq!(left(&stock), 0);
    });
}

#[test]
fn what_is_cleared_away_is_handed_to_nobody() {
    explore(4, || {
        let stock = stock(2);
        let refilled = refill(&stock);
        let other = Arc::clone(&stock);
        let taker = spawn(move || take(&other));
        let (cleared, gone, all) = match stock.clear(2..3) {
            Some((ready, maker)) => (ready.clone(), ready.len() + maker.len(), 3),
            None => (Vec::new(), 0, 2),
        };
        let taken = taker.join().unwrap().expect("one can be made");
        refilled.join().unwrap();
        assert!(!cleared.contains(&taken));
        assert_eq!(gone + 1 + left(&stock), all);
    });
}
