//! What `init(..)` makes: once for each worker, and there for all items of it.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::{Plan, foreach_parallel};
use support::within;

/// Counts how often it is made.
struct State {
    items: usize,
}

impl State {
    fn new(made: &AtomicUsize) -> Self {
        made.fetch_add(1, Ordering::SeqCst);
        Self { items: 0 }
    }

    fn next(&mut self) -> usize {
        self.items += 1;
        self.items
    }
}

static HERE: AtomicUsize = AtomicUsize::new(0);
static PLANNED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_sequential_call_has_one_state() {
    within(60, || {
        let results = foreach_parallel!(
            0..100,
            on = sequential,
            init(state = State::new(&HERE)),
            |_n| state.next()
        );
        // One item after the other.
        assert!(results.eq(1..=100));
        assert_eq!(HERE.load(Ordering::SeqCst), 1);
        // It borrows as before, and emits.
        let made = AtomicUsize::new(0);
        let emitted = foreach_parallel!(
            0..10,
            on = sequential,
            init(state = State::new(made)),
            using(&made),
            |_n, item| {
                item.emit(state.next());
                item.emit(state.next());
            }
        );
        assert!(emitted.eq(1..=20));
        assert_eq!(made.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn so_has_one_that_a_plan_makes_sequential() {
    within(60, || {
        let before = runspace::plan(Plan::Sequential);
        let results = foreach_parallel!(
            0..100,
            on = plan,
            init(state = State::new(&PLANNED)),
            |_n| state.next()
        );
        assert!(results.eq(1..=100));
        assert_eq!(PLANNED.load(Ordering::SeqCst), 1);
        runspace::plan(before);
    });
}

#[test]
fn without_one_items_run_on_the_thread_that_reads() {
    within(60, || {
        let mut results =
            foreach_parallel!(0..10, on = sequential, |_n| std::thread::current().id());
        assert!(results.all(|it| it == std::thread::current().id()));
    });
}
