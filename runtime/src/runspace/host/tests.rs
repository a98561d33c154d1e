use std::sync::{Arc, Weak};

use super::limits::Limits;
use super::line::{Line, Next, Step};
use super::seat::Seat;
use super::slot::Slot;
use super::work::{Kind, Work};
use crate::runspace::pool::Ticket;
use crate::waits::Work as _;

fn work() -> Work {
    Work {
        seat: Seat::new(None, Weak::new(), None),
        kind: Kind::Worker(Arc::new(Ticket::new(&Arc::default()))),
    }
}

fn line(min: usize, max: usize) -> Line {
    Line::new(Limits { min, max }, true)
}

/// Lets a piece of work arrive; answers its seat and what has to be done.
fn arrive(line: &mut Line) -> (Arc<Seat>, Option<Step>) {
    let work = work();
    let seat = Arc::clone(&work.seat);
    let step = line.arrive(work).unwrap_or_else(|_| panic!("it is open"));
    (seat, step)
}

fn wait_for(seat: &Seat, target: &Seat) {
    seat.begins_to_wait();
    target.set_needed(true);
}

fn wait_no_more_for(seat: &Seat, target: &Seat) {
    seat.waits_no_more();
    target.set_needed(false);
}

fn open(line: &mut Line) -> Arc<Seat> {
    let (seat, step) = arrive(line);
    assert!(matches!(step, Some(Step::Open(_))));
    seat
}

fn queue(line: &mut Line) -> Arc<Seat> {
    let (seat, step) = arrive(line);
    assert!(step.is_none());
    seat
}

fn runs_next(line: &mut Line, seat: &Arc<Seat>, next: &Arc<Seat>) {
    match line.done(seat, &Arc::default()) {
        Next::Run(work) => assert!(Arc::ptr_eq(&work.seat, next)),
        _ => panic!("it should run the next"),
    }
}

#[test]
fn the_first_to_arrive_is_the_next_to_run() {
    let mut line = line(1, 2);
    let (a, b) = (open(&mut line), open(&mut line));
    let (c, d) = (queue(&mut line), queue(&mut line));
    runs_next(&mut line, &b, &c);
    runs_next(&mut line, &a, &d);
    assert_eq!((line.alive(), line.queued()), (2, 0));
}

#[test]
fn an_idle_runspace_is_used_before_one_is_opened_and_the_last_used_first() {
    let mut line = line(0, 3);
    let (a, b) = (open(&mut line), open(&mut line));
    let (first, last) = (Arc::<Slot>::default(), Arc::<Slot>::default());
    assert!(matches!(line.done(&a, &first), Next::Idle));
    assert!(matches!(line.done(&b, &last), Next::Idle));
    match arrive(&mut line).1 {
        Some(Step::Give(slot, _)) => assert!(Arc::ptr_eq(&slot, &last)),
        _ => panic!("there are idle ones"),
    }
    assert!(line.is_dismissed(&first));
    assert!(!line.is_dismissed(&last), "it has been given something");
}

#[test]
fn the_minimum_stays() {
    let mut line = line(1, 2);
    let seats = [open(&mut line), open(&mut line)];
    let slots: [Arc<Slot>; 2] = Default::default();
    for (seat, slot) in seats.iter().zip(&slots) {
        assert!(matches!(line.done(seat, slot), Next::Idle));
    }
    assert!(line.is_dismissed(&slots[0]));
    assert!(!line.is_dismissed(&slots[1]));
    assert_eq!(line.alive(), 1);
}

#[test]
fn a_lower_maximum_lets_those_that_are_done_go() {
    let mut line = line(1, 3);
    let (a, b, c) = (open(&mut line), open(&mut line), open(&mut line));
    let d = queue(&mut line);
    assert!(line.set_limits(Limits { min: 1, max: 1 }).is_empty());
    assert!(matches!(line.done(&a, &Arc::default()), Next::Leave));
    assert!(matches!(line.done(&b, &Arc::default()), Next::Leave));
    runs_next(&mut line, &c, &d);
}

#[test]
fn what_is_needed_is_let_in_beside_those_that_wait_and_no_other() {
    let mut line = line(1, 1);
    let a = open(&mut line);
    let (_, needed) = (queue(&mut line), queue(&mut line));
    assert!(line.lend().is_none(), "nobody waits");
    wait_for(&a, &needed);
    match line.lend() {
        Some(Step::Beside(work)) => assert!(Arc::ptr_eq(&work.seat, &needed)),
        _ => panic!("it is needed"),
    }
    assert!(line.lend().is_none(), "the other is not needed");
    line.beside_done(&needed);
    wait_no_more_for(&a, &needed);
    assert_eq!((line.alive(), line.queued()), (1, 1));
}

#[test]
fn nothing_is_let_in_beside_those_that_run() {
    let mut line = line(1, 2);
    let (a, _) = (open(&mut line), open(&mut line));
    let (c, d) = (queue(&mut line), queue(&mut line));
    wait_for(&a, &c);
    wait_for(&a, &d);
    assert!(matches!(line.lend(), Some(Step::Beside(_))));
    assert!(
        line.lend().is_none(),
        "two run now, beside the one that waits"
    );
}

#[test]
fn work_without_a_thread_is_left_to_the_others_or_comes_back() {
    let mut line = line(1, 2);
    let a = open(&mut line);
    let (b, step) = arrive(&mut line);
    let c = queue(&mut line);
    let Some(Step::Open(work)) = step else {
        panic!("there was room")
    };
    assert!(line.open_failed(work).is_ok());
    runs_next(&mut line, &a, &b); // ahead of c, which came later
    runs_next(&mut line, &b, &c);

    let mut line = self::line(1, 2);
    let Some(Step::Open(work)) = arrive(&mut line).1 else {
        panic!("there was room")
    };
    assert!(line.open_failed(work).is_err());
    assert!(line.is_quiet());
}

#[test]
fn a_closed_line_works_off_what_it_has() {
    let mut line = line(1, 1);
    let a = open(&mut line);
    let b = queue(&mut line);
    assert!(line.close().is_empty());
    assert!(line.arrive(work()).is_err());
    runs_next(&mut line, &a, &b);
    assert!(matches!(line.done(&b, &Arc::default()), Next::Leave));
    assert!(!line.is_quiet(), "its state is there still");
    let seat = Seat::new(None, Weak::new(), None);
    line.drops_state(&seat);
    assert!(line.left().iter().any(|it| Arc::ptr_eq(it, &seat)));
    line.has_left(&seat);
    assert!(line.is_quiet());
}
