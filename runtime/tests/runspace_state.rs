//! A runspace keeps its thread and its state from one body to the next, and drops the state on that
//! thread when it closes.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, ThreadId};

use runspace::{Invocation, Runspace, RunspaceContext, invoke};
use support::within;

fn with<R: Send + 'static>(
    runspace: &Runspace,
    body: impl FnOnce(&mut RunspaceContext) -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(runspace, using(body), |rs| body(rs))
}

#[test]
fn state_survives_and_each_type_has_its_own() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        for n in 1..=100u32 {
            let count = with(&runspace, |rs| {
                *rs.state::<u64>() += 10;
                let count: &mut u32 = rs.state();
                *count += 1;
                *count
            });
            assert_eq!(count.end().unwrap(), n);
        }
        assert_eq!(
            with(&runspace, |rs| *rs.state::<u64>()).end().unwrap(),
            1000
        );
    });
}

#[test]
fn state_need_not_be_send() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let push = |n: u32| {
            with(&runspace, move |rs| {
                let list = rs.state_or(|| Rc::new(RefCell::new(Vec::new()))).clone();
                list.borrow_mut().push(n);
                let sum: u32 = list.borrow().iter().sum();
                sum
            })
        };
        let sums: Vec<_> = (1..=4).map(push).map(|it| it.end().unwrap()).collect();
        assert_eq!(sums, [1, 3, 6, 10]);
    });
}

#[test]
fn state_can_be_set_looked_at_and_taken() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let body = with(&runspace, |rs| {
            assert_eq!(rs.try_state::<String>(), None);
            assert_eq!(rs.set_state(String::from("a")), None);
            assert_eq!(rs.set_state(String::from("b")).as_deref(), Some("a"));
            rs.try_state::<String>().unwrap().push('c');
            assert_eq!(rs.state_or(|| String::from("z")), "bc");
            assert_eq!(rs.take_state::<String>().as_deref(), Some("bc"));
            assert_eq!(rs.take_state::<String>(), None);
            assert_eq!(rs.state::<String>(), "");
        });
        body.end().unwrap();
    });
}

#[test]
fn a_body_that_panics_leaves_its_state() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let bad = with(&runspace, |rs| {
            *rs.state::<u32>() = 7;
            panic!("after it has set the state");
        });
        bad.end().unwrap_err();
        let bad = with(&runspace, |rs| {
            rs.state_or::<String>(|| panic!("while it makes the state"));
        });
        bad.end().unwrap_err();
        let after = with(&runspace, |rs| {
            (*rs.state::<u32>(), rs.try_state::<String>().is_none())
        });
        assert_eq!(after.end().unwrap(), (7, true));
    });
}

struct Noisy(Sender<ThreadId>, bool);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.send(thread::current().id()).unwrap();
        assert!(!self.1, "a destructor that panics");
    }
}

struct Other(#[allow(dead_code)] Noisy);

#[test]
fn closing_drops_all_state_on_the_thread_of_the_runspace() {
    within(60, || {
        let (send, receive) = channel();
        let runspace = Runspace::open().unwrap();
        let body = with(&runspace, move |rs| {
            rs.set_state(Noisy(send.clone(), true));
            rs.set_state(Other(Noisy(send, true)));
            thread::current().id()
        });
        let thread = body.end().unwrap();
        assert!(receive.try_recv().is_err());
        runspace.close();
        assert_eq!(receive.try_iter().collect::<Vec<_>>(), [thread, thread]);
    });
}

#[test]
fn a_new_runspace_begins_with_nothing() {
    thread_local! {
        static MARK: Cell<bool> = const { Cell::new(false) };
    }
    within(60, || {
        for _ in 0..20 {
            let runspace = Runspace::open().unwrap();
            let marks = |_: u32| with(&runspace, |rs| (MARK.replace(true), rs.set_state(1u8)));
            let marks: Vec<_> = (0..2).map(marks).map(|it| it.end().unwrap()).collect();
            assert_eq!(marks, [(false, None), (true, Some(1))]);
        }
    });
}

#[test]
fn bodies_and_thread_carry_the_name() {
    within(60, || {
        let runspace = Runspace::builder().name("ledger").open().unwrap();
        let (id, name) = (runspace.id(), runspace.name().to_owned());
        let seen = with(&runspace, |rs| {
            let thread = thread::current().name().map(str::to_owned);
            (rs.id(), rs.name().to_owned(), thread)
        });
        assert_eq!(seen.end().unwrap(), (id, name, Some("ledger".to_owned())));
        let odd = Runspace::builder().name("a\0b").open().unwrap();
        assert_eq!(odd.name(), "a\0b");
        let plain = Runspace::open().unwrap();
        assert_eq!(plain.name(), format!("Runspace{}", plain.id()));
    });
}
