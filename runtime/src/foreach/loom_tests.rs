//! Every order in which the threads of a small call can meet. Run with
//! `RUSTFLAGS="--cfg loom" cargo test --release -p runspace --lib loom`.

use std::sync::Arc;

use super::backlog::Backlog;
use super::call::Call;
use super::hand::Own;
use super::lane::{Event, Intake, Lane, Outlet};
use super::signal::Signal;
use super::{Options, Worker, foreach};
use crate::Cause;
use crate::sync::SharedCell;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::values::made;

pub(super) fn model(bound: usize, check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` looks further, for as long as one likes.
    model.preemption_bound = model.preemption_bound.or(Some(bound));
    // A whole call comes to more than loom's thousand when threads meet in turn.
    model.max_branches = 4_000;
    model.check(check);
}

/// How the items of a call are come by.
#[derive(Clone, Copy)]
enum Input {
    /// The workers take them.
    AtHand,
    /// A feeder does.
    Fed,
}

/// A call of `items` items that each count themselves.
fn call(
    input: Input,
    items: usize,
    options: Options,
    ran: &Arc<AtomicUsize>,
) -> super::Results<usize> {
    let maker = |ran: Arc<AtomicUsize>| {
        move |worker: &mut Worker<'_, usize, usize>| {
            worker.run(|item| {
                ran.fetch_add(1, Ordering::SeqCst);
                item
            });
        }
    };
    let ran = Arc::clone(ran);
    match input {
        Input::AtHand => foreach(0..items, options, ran, maker, made()),
        Input::Fed => foreach((0..items).map(|it| it), options, ran, maker, made()),
    }
}

#[test]
fn loom_an_item_is_the_owners_or_another_workers() {
    for items in 1..=3 {
        model(3, move || {
            let mut own = Own::new();
            own.fill(|cards| {
                cards.begin(0, items);
                (0..items).for_each(|it| cards.push(it));
            });
            let hand = Arc::clone(own.hand());
            let thread = loom::thread::spawn(move || {
                let mut other = Own::new();
                hand.give_half(&mut other);
                std::iter::from_fn(|| other.next()).collect::<Vec<_>>()
            });
            let mut all: Vec<_> = std::iter::from_fn(|| own.next()).collect();
            all.extend(thread.join().unwrap());
            // While the other only tries there may seem to be none.
            all.extend(std::iter::from_fn(|| own.next()));
            all.sort_unstable();
            assert!(all.into_iter().eq((0..items).map(|it| (it as u64, it))));
        });
    }
}

#[test]
fn loom_what_is_taken_twice_is_taken_once() {
    model(2, || {
        let mut own = Own::new();
        own.fill(|cards| {
            cards.begin(0, 2);
            (0..2).for_each(|it| cards.push(it));
        });
        let take = |hand: Arc<super::hand::Hand<usize>>| {
            let mut other = Own::new();
            hand.give_half(&mut other);
            std::iter::from_fn(|| other.next()).count()
        };
        let (one, two) = (Arc::clone(own.hand()), Arc::clone(own.hand()));
        let thread = loom::thread::spawn(move || take(one));
        let other = loom::thread::spawn(move || take(two));
        let mut count = std::iter::from_fn(|| own.next()).count();
        count += thread.join().unwrap() + other.join().unwrap();
        count += std::iter::from_fn(|| own.next()).count();
        assert_eq!(count, 2);
    });
}

#[test]
fn loom_a_notified_sleeper_wakes() {
    model(4, || {
        let shared = Arc::new((Signal::default(), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            other.1.store(true, Ordering::Release);
            other.0.notify();
        });
        shared
            .0
            .wait(|| shared.1.load(Ordering::Acquire).then_some(()));
        thread.join().unwrap();
    });
}

#[test]
fn loom_two_sleepers_and_two_calls() {
    model(3, || {
        let shared = Arc::new((Signal::default(), AtomicUsize::new(0)));
        let take = |shared: &(Signal, AtomicUsize)| {
            shared.0.wait(|| {
                let down = |it: usize| it.checked_sub(1);
                let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
                shared.1.fetch_update(set, get, down).ok()
            })
        };
        let other = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || take(&other));
        let maker = Arc::clone(&shared);
        let makes = loom::thread::spawn(move || {
            for _ in 0..2 {
                maker.1.fetch_add(1, Ordering::Release);
                maker.0.notify();
            }
        });
        take(&shared);
        thread.join().unwrap();
        makes.join().unwrap();
    });
}

/// Two sleepers that wait for changes of their own, and a thread that makes both and tells all each time. The one whose change
/// has not come lies down again: it must not take the other's call.
#[test]
fn loom_a_sleeper_that_lies_down_takes_no_other_call() {
    model(3, || {
        let shared = Arc::new((Signal::default(), AtomicUsize::new(0)));
        let wait_for = |shared: &(Signal, AtomicUsize), least: usize| {
            let look = || (shared.1.load(Ordering::Acquire) >= least).then_some(());
            shared.0.wait(look);
        };
        let other = Arc::clone(&shared);
        let patient = loom::thread::spawn(move || wait_for(&other, 2));
        let maker = Arc::clone(&shared);
        let makes = loom::thread::spawn(move || {
            for _ in 0..2 {
                maker.1.fetch_add(1, Ordering::Release);
                maker.0.notify_all();
            }
        });
        wait_for(&shared, 1);
        patient.join().unwrap();
        makes.join().unwrap();
    });
}

/// A call whose lanes are played on by hand: with limits, so that an item can be taken from its worker.
fn lanes(ordered: bool, buffer: usize) -> (Arc<Call>, Arc<Outlet<usize>>) {
    let options = Options::new()
        .throttle(2)
        .buffer(buffer)
        .ordered(ordered)
        .retry(1);
    let site = crate::error::CallSite {
        name: None,
        location: std::panic::Location::caller(),
    };
    let stop = crate::stop::StopToken::new();
    let shape = super::call::Shape::of::<usize, usize>((0, None));
    let call = Call::new(site, &options, stop, false, shape);
    (call, Outlet::new(2))
}

/// What of the one item comes out, until its end: its outputs.
fn read_to_the_end(intake: &mut Intake<usize>, ordered: bool) -> Vec<usize> {
    let mut outputs = Vec::new();
    loop {
        let event = match ordered {
            true => intake.poll_for(0, true),
            false => intake.poll_all(),
        };
        match event {
            Some(Event::Output(0, value)) => {
                intake.ahead().hand_out();
                outputs.push(value);
            }
            Some(Event::Ended(0)) => return outputs,
            Some(_) => unreachable!("there is nothing else"),
            None => loom::thread::yield_now(),
        }
    }
}

/// An item that is given up while its worker emits. Its end is in another lane than its outputs.
#[test]
fn loom_no_output_comes_after_the_end_of_its_item() {
    for ordered in [false, true] {
        model(2, move || {
            let (call, outlet) = lanes(ordered, 8);
            let mut intake = Intake::new(Arc::clone(&outlet));
            let worker = Lane::new(Arc::clone(&call), Arc::clone(&outlet));
            let lease = Arc::clone(worker.lease());
            let emits = loom::thread::spawn(move || {
                let emitted = (0..2).filter(|n| worker.emit(0, *n)).count();
                worker.retire();
                emitted
            });
            let supervises = loom::thread::spawn(move || {
                let exit = Lane::new(call, outlet);
                if let Some(mark) = lease.revoke() {
                    exit.join(0, mark);
                }
                exit.put(Event::Ended(0));
                exit.retire();
            });
            let outputs = read_to_the_end(&mut intake, ordered);
            let emitted = emits.join().unwrap();
            supervises.join().unwrap();
            assert!(outputs.into_iter().eq(0..emitted));
            assert!(intake.poll_all().is_none());
        });
    }
}

/// An item that is handed on twice, from lane to lane.
#[test]
fn loom_the_outputs_of_one_try_come_after_those_of_the_one_before() {
    for ordered in [false, true] {
        model(3, move || {
            let (call, outlet) = lanes(ordered, 8);
            let mut intake = Intake::new(Arc::clone(&outlet));
            let runs = loom::thread::spawn(move || {
                let lane = || Lane::new(Arc::clone(&call), Arc::clone(&outlet));
                let (first, second, third) = (lane(), lane(), lane());
                assert!(first.emit(0, 1));
                second.join(0, first.mark().unwrap());
                third.join(0, second.mark().unwrap());
                assert!(third.emit(0, 2));
                third.put(Event::Ended(0));
            });
            assert_eq!(read_to_the_end(&mut intake, ordered), [1, 2]);
            runs.join().unwrap();
        });
    }
}

/// An emitter that may be one output ahead, and a reader that hands out one after the other.
#[test]
fn loom_an_emitter_hears_that_there_is_room() {
    model(3, || {
        let ahead = Arc::new(Backlog::default());
        let other = Arc::clone(&ahead);
        let emits = loom::thread::spawn(move || {
            for _ in 0..2 {
                if other.len() > 0 {
                    other.wait(|| other.watch(0).then_some(()));
                    other.unwatch();
                }
                other.push();
            }
        });
        let mut read = 0;
        while read < 2 {
            match ahead.len() {
                0 => loom::thread::yield_now(),
                _ => {
                    ahead.hand_out();
                    read += 1;
                }
            }
        }
        emits.join().unwrap();
    });
}

/// An item that may not go on before its turn, because its worker's lane is full of what a later one has emitted.
#[test]
fn loom_an_emitter_hears_that_its_turn_has_come() {
    model(3, || {
        // One output ahead.
        let (call, outlet) = lanes(true, 2);
        let mut intake = Intake::new(Arc::clone(&outlet));
        let other = Arc::clone(&call);
        let emits = loom::thread::spawn(move || {
            let lane = Lane::new(other, outlet);
            assert!(lane.emit(2, 20) && lane.emit(1, 10));
        });
        call.set_consumed(1);
        emits.join().unwrap();
        let outputs = std::iter::from_fn(|| intake.poll_all()).map(|event| event.index());
        assert!(outputs.eq([2, 1]));
    });
}

#[test]
fn loom_every_item_arrives_once() {
    every_item_arrives_once(Input::AtHand);
}

#[test]
fn loom_every_item_arrives_once_fed() {
    every_item_arrives_once(Input::Fed);
}

fn every_item_arrives_once(input: Input) {
    model(2, move || {
        let ran = Arc::new(AtomicUsize::new(0));
        let sum: usize = call(input, 2, Options::new().throttle(1), &ran)
            .map(|it| it + 1)
            .sum();
        assert_eq!(sum, 3);
        assert_eq!(ran.load(Ordering::SeqCst), 2);
        // The end of the stream is the end of what the call captured.
        assert_eq!(Arc::strong_count(&ran), 1);
    });
}

#[test]
fn loom_a_window_of_one_goes_on() {
    a_window_of_one_goes_on(Input::AtHand);
}

#[test]
fn loom_a_window_of_one_goes_on_fed() {
    a_window_of_one_goes_on(Input::Fed);
}

fn a_window_of_one_goes_on(input: Input) {
    model(2, move || {
        let ran = Arc::new(AtomicUsize::new(0));
        let options = Options::new().throttle(1).buffer(0).ordered(true);
        let all: Vec<usize> = call(input, 2, options, &ran).collect();
        assert_eq!(all, [0, 1]);
    });
}

#[test]
fn loom_two_workers_share_two_items() {
    two_workers_share_two_items(Input::AtHand);
}

#[test]
fn loom_two_workers_share_two_items_fed() {
    two_workers_share_two_items(Input::Fed);
}

fn two_workers_share_two_items(input: Input) {
    model(2, move || {
        let ran = Arc::new(AtomicUsize::new(0));
        let sum: usize = call(input, 2, Options::new().throttle(2), &ran).sum();
        assert_eq!(sum, 1);
        assert_eq!(ran.load(Ordering::SeqCst), 2);
    });
}

/// A call of two items that look how many run at once.
fn counted(throttle: usize, running: &Arc<AtomicUsize>) -> super::Results<usize> {
    let maker = |running: Arc<AtomicUsize>| {
        move |worker: &mut Worker<usize, usize>| {
            worker.run(|_| {
                let others = running.fetch_add(1, Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
                others
            });
        }
    };
    let options = Options::new().throttle(throttle);
    foreach(0..2, options, Arc::clone(running), maker, made())
}

#[test]
fn loom_no_more_run_than_the_throttle() {
    model(2, || {
        let running = Arc::new(AtomicUsize::new(0));
        assert!(counted(1, &running).all(|others| others == 0));
    });
}

#[test]
fn loom_a_throttle_that_is_raised_at_the_end_keeps_nothing() {
    model(2, || {
        let ran = Arc::new(AtomicUsize::new(0));
        // Not fed: loom does not see how an `Arc` orders what the last to have it drops, a feeder's queue here.
        let results = call(Input::AtHand, 1, Options::new().throttle(1), &ran);
        let throttle = results.throttle();
        let thread = loom::thread::spawn(move || throttle.set(2));
        assert_eq!(results.count(), 1);
        // Who has looked whether there is work for one more has let go of the captures.
        assert_eq!(Arc::strong_count(&ran), 1);
        thread.join().unwrap();
    });
}

/// What a call borrows: loom fails if it is read when it has been changed.
#[derive(Debug)]
struct Lent(SharedCell<usize>);

// SAFETY: loom lets one thread at a time run, and reports what would be a race.
#[allow(unsafe_code)]
unsafe impl Sync for Lent {}

#[test]
fn loom_a_scope_ends_after_what_it_has_lent() {
    model(2, || {
        let lent = Lent(SharedCell::new(0));
        let results = crate::scope(|s| {
            let options = Options::new().throttle(1);
            let lent = &lent;
            let maker =
                |()| move |worker: &mut Worker<usize, ()>| worker.run(|_| lent.0.with(|_| ()));
            super::foreach_within(s, 0..1, options, (), maker, made())
        });
        // What is lent may be changed from here on, whatever becomes of the results.
        lent.0.with_mut(|_| ());
        // A worker that looks too late is told so by loom, as a panic of its item.
        let outcomes: Vec<_> = results.outcomes().collect();
        for error in outcomes.iter().filter_map(|it| it.as_ref().err()) {
            assert!(matches!(error.cause(), Cause::Stopped), "{error}");
        }
        assert!(outcomes.len() <= 1);
    });
}

#[test]
fn loom_a_scope_stops_what_nobody_reads() {
    model(2, || {
        let results = crate::scope(|s| {
            let options = Options::new().throttle(1).buffer(0);
            let maker = |()| |worker: &mut Worker<usize, usize>| worker.run(|item| item);
            super::foreach_within(s, 0..3, options, (), maker, made())
        });
        // More than the window holds: without the stop the last ones would wait for a reader.
        assert!(results.outcomes().count() <= 3);
    });
}

#[test]
fn loom_a_drop_part_way_leaves_nothing() {
    a_drop_part_way_leaves_nothing(Input::AtHand);
}

#[test]
fn loom_a_drop_part_way_leaves_nothing_fed() {
    a_drop_part_way_leaves_nothing(Input::Fed);
}

fn a_drop_part_way_leaves_nothing(input: Input) {
    model(2, move || {
        let ran = Arc::new(AtomicUsize::new(0));
        let mut results = call(input, 2, Options::new().throttle(1), &ran);
        assert!(results.next().is_some());
        drop(results);
        let seen = ran.load(Ordering::SeqCst);
        assert!((1..=2).contains(&seen));
        assert_eq!(Arc::strong_count(&ran), 1);
    });
}

#[test]
fn loom_a_stop_from_another_thread_ends_the_stream() {
    a_stop_from_another_thread_ends_the_stream(Input::AtHand);
}

#[test]
fn loom_a_stop_from_another_thread_ends_the_stream_fed() {
    a_stop_from_another_thread_ends_the_stream(Input::Fed);
}

fn a_stop_from_another_thread_ends_the_stream(input: Input) {
    model(2, move || {
        let ran = Arc::new(AtomicUsize::new(0));
        let results = call(input, 1, Options::new().throttle(1), &ran);
        let token = results.stop_token();
        let thread = loom::thread::spawn(move || token.stop());
        let outcomes: Vec<_> = results.outcomes().collect();
        assert!(outcomes.len() <= 1);
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&ran), 1);
    });
}
