//! The graph by itself, with work that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::sync::Mutex;

/// Work that is whatever a test wants it to be.
struct Task {
    number: u64,
    name: &'static str,
    is_call: bool,
    gives_up: bool,
    is_over: AtomicBool,
    has_output: AtomicBool,
    is_waiting: AtomicBool,
    owner: Mutex<Option<Owner>>,
    behind: Mutex<Vec<Arc<dyn Work>>>,
}

fn make(name: &'static str, is_call: bool, gives_up: bool) -> Arc<Task> {
    Arc::new(Task {
        number: number(),
        name,
        is_call,
        gives_up,
        is_over: AtomicBool::new(false),
        has_output: AtomicBool::new(false),
        is_waiting: AtomicBool::new(false),
        owner: Mutex::default(),
        behind: Mutex::default(),
    })
}

fn job(name: &'static str) -> Arc<Task> {
    make(name, false, false)
}

fn call(name: &'static str) -> Arc<Task> {
    make(name, true, false)
}

impl Work for Task {
    fn number(&self) -> u64 {
        self.number
    }

    fn title(&self) -> String {
        self.name.to_owned()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn has_output(&self) -> bool {
        self.has_output.load(Ordering::SeqCst)
    }

    fn is_call(&self) -> bool {
        self.is_call
    }

    fn gives_up(&self) -> bool {
        self.gives_up
    }

    fn owner(&self) -> Option<Owner> {
        self.owner.lock().clone()
    }

    fn behind(&self) -> Vec<Arc<dyn Work>> {
        self.behind.lock().clone()
    }

    fn place(&self) -> String {
        " there".to_owned()
    }

    fn begins_to_wait(&self) {
        assert!(!self.is_waiting.swap(true, Ordering::SeqCst));
    }

    fn waits_no_more(&self) {
        assert!(self.is_waiting.swap(false, Ordering::SeqCst));
    }
}

/// The frame of a thread that works for the innermost of these, which is part of the next, and so on.
fn frame(chain: &[&Arc<Task>]) -> Arc<Frame> {
    let outermost = chain.iter().rev().fold(None, |outer, task| {
        Some(Frame::within(Arc::clone(task) as _, outer, None))
    });
    outermost.expect("it is not empty")
}

fn of(task: &Arc<Task>) -> Vec<Vec<Arc<dyn Work>>> {
    vec![vec![Arc::clone(task) as _]]
}

/// Begins a wait on a thread with this frame.
fn wait(chain: &[&Arc<Task>], target: &Arc<Task>, until: Until) -> Result<Waiting, String> {
    wait_for(frame(chain), of(target), until)
}

fn wait_for(
    frame: Arc<Frame>,
    targets: Vec<Vec<Arc<dyn Work>>>,
    until: Until,
) -> Result<Waiting, String> {
    let _entered = context::enter(context::Context {
        frame: Some(frame),
        ..context::Context::default()
    });
    match begin(targets, until, false) {
        Ok(waiting) => Ok(waiting.expect("the thread works for something")),
        Err(deadlock) => Err(deadlock.to_string()),
    }
}

#[test]
fn a_wait_for_oneself_is_refused_and_leaves_nothing() {
    let a = job("a");
    let text = wait(&[&a], &a, Until::End).err();
    let told = "a waits for itself: this wait would never end";
    assert_eq!(text.as_deref(), Some(told));
    assert!(!a.is_waiting.load(Ordering::SeqCst));
}

#[test]
fn a_ring_is_told_step_by_step() {
    let (a, b, c) = (job("a"), job("b"), job("c"));
    let _first = wait(&[&a], &b, Until::End).unwrap();
    let _second = wait(&[&b], &c, Until::End).unwrap();
    let text = wait(&[&c], &a, Until::End).err().unwrap();
    assert_eq!(
        text,
        "c waits for a, which waits for b, which waits for c: this wait would never end"
    );
}

#[test]
fn what_stands_behind_waits_for_what_is_before_it() {
    let (a, b, c) = (job("a"), job("b"), job("c"));
    b.behind.lock().push(Arc::clone(&a) as _);
    let _first = wait(&[&a], &c, Until::End).unwrap();
    let text = wait(&[&c], &b, Until::End).err().unwrap();
    assert_eq!(
        text,
        "c waits for b, which is queued behind a there, which waits for c: this wait would never end"
    );
    // It comes first one day.
    b.behind.lock().clear();
    assert!(wait(&[&c], &b, Until::End).is_ok());
}

#[test]
fn an_item_keeps_its_calls_and_the_body_around_them_from_their_ends() {
    let (a, b, outer, inner) = (job("a"), job("b"), call("outer"), call("inner"));
    let waiting = wait(&[&inner, &outer, &a], &b, Until::End).unwrap();
    for task in [&a, &outer, &inner] {
        assert!(task.is_waiting.load(Ordering::SeqCst));
    }
    assert!(wait(&[&b], &a, Until::End).is_err());
    assert!(wait(&[&b], &outer, Until::Results).is_err());
    drop(waiting);
    assert!(wait(&[&b], &a, Until::End).is_ok());
}

#[test]
fn a_job_does_not_wait_for_the_jobs_that_it_has_started() {
    let (a, b) = (job("a"), job("b"));
    let _first = wait(&[&b, &a], &a, Until::End).err().unwrap();
    // As a job of its own.
    assert!(wait(&[&b], &a, Until::End).is_ok());
}

#[test]
fn a_call_that_is_handed_on_keeps_its_new_owner_waiting() {
    let (a, b, c, items) = (job("a"), job("b"), job("c"), call("items"));
    let _first = wait(&[&items, &a], &c, Until::End).unwrap();
    hand_on(&*items, || {
        *items.owner.lock() = Some(Owner(Some(frame(&[&b]))))
    });
    assert!(!a.is_waiting.load(Ordering::SeqCst));
    assert!(b.is_waiting.load(Ordering::SeqCst));
    assert!(wait(&[&c], &b, Until::End).is_err());
    drop(wait(&[&c], &a, Until::End).unwrap());
    // To a thread of which nothing is known.
    hand_on(&*items, || *items.owner.lock() = Some(Owner(None)));
    assert!(!b.is_waiting.load(Ordering::SeqCst));
    assert!(wait(&[&c], &b, Until::End).is_ok());
    assert!(wait(&[&c], &items, Until::Results).is_err());
}

#[test]
fn what_is_given_up_in_time_keeps_nothing_from_its_end() {
    let (a, b, items) = (job("a"), job("b"), make("items", true, true));
    let _first = wait(&[&items, &a], &b, Until::End).unwrap();
    // It lends its place all the same.
    assert!(a.is_waiting.load(Ordering::SeqCst));
    assert!(wait(&[&b], &a, Until::End).is_ok());
}

#[test]
fn a_wait_for_one_of_several_needs_all_of_them_to_be_stuck() {
    let (a, b, c) = (job("a"), job("b"), job("c"));
    let _first = wait(&[&b], &a, Until::End).unwrap();
    let either = vec![vec![Arc::clone(&b) as Arc<dyn Work>, Arc::clone(&c) as _]];
    let waiting = wait_for(frame(&[&a]), either.clone(), Until::End).unwrap();
    drop(waiting);
    let _second = wait(&[&c], &a, Until::End).unwrap();
    assert!(wait_for(frame(&[&a]), either, Until::End).is_err());
}

#[test]
fn an_output_may_come_while_only_an_item_waits() {
    let (a, b, items) = (job("a"), job("b"), call("items"));
    let _first = wait(&[&items, &b], &a, Until::End).unwrap();
    drop(wait(&[&a], &b, Until::Output).unwrap());
    // Now the body waits, too.
    let _second = wait(&[&b], &a, Until::End).unwrap();
    assert!(wait(&[&a], &b, Until::Output).is_err());
    b.has_output.store(true, Ordering::SeqCst);
    assert!(wait(&[&a], &b, Until::Output).is_ok());
}

#[test]
fn what_has_ended_is_waited_for_by_nobody() {
    let (a, b) = (job("a"), job("b"));
    let _first = wait(&[&b], &a, Until::End).unwrap();
    b.is_over.store(true, Ordering::SeqCst);
    assert!(wait(&[&a], &b, Until::End).is_ok());
}

#[test]
fn what_a_thread_is_in_already_waits_with_what_it_lends_itself_to() {
    let (a, b, items) = (job("a"), job("b"), call("items"));
    let beneath = Some(frame(&[&a]));
    let helping = Frame::within(Arc::clone(&items) as _, None, beneath);
    let _first = wait_for(helping, of(&b), Until::End).unwrap();
    assert!(wait(&[&b], &a, Until::End).is_err());
    assert!(wait(&[&b], &a, Until::Output).is_err(), "the body itself");
    assert!(wait(&[&b], &items, Until::Results).is_err());
}

#[test]
fn a_wait_that_yields_is_given_up_for_one_that_does_not() {
    let (a, b) = (job("a"), job("b"));
    let woken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&woken);
    let yields = Yield::new(move || seen.store(true, Ordering::SeqCst));
    let entered = context::enter(context::Context {
        frame: Some(frame(&[&a])),
        ..context::Context::default()
    });
    let _first = begin_yielding(vec![Arc::clone(&b) as _], &yields).unwrap();
    drop(entered);
    assert!(wait(&[&b], &a, Until::End).is_ok());
    assert!(yields.is_given_up() && woken.load(Ordering::SeqCst));
}
