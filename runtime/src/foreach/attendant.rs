//! A call that begins on the thread that reads it.
//!
//! To hand one item to a thread, and its result back, costs two wake-ups, and each may cost more than
//! a round trip to a process that waits. Where the thread that made a call goes on to read its
//! result, there is no need: it runs the call's task itself. Nobody knows whether it will, so the task
//! lies on the call's desk meanwhile, and an attendant takes it from there when it has not been fetched
//! within half a millisecond.
//!
//! Only for what cannot keep the reader from something else: one item, which is in memory already, with
//! one result, of a body that runs in another process.

use std::any::TypeId;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::executor::{Desk, Elastic, Target};
use crate::per_process::PerProcess;
use crate::sync::Mutex;
use crate::threads::{self, Task};

/// How often the attendant looks. What lies there at two looks has been waiting for long enough.
const LOOK: Duration = Duration::from_micros(250);
/// After so many looks at nothing it goes, until it is called again.
const IDLE_LOOKS: u32 = 40;

static DESKS: PerProcess<Mutex<Desks>> = PerProcess::new(Mutex::default);

/// Desks with a task that nobody has fetched, as far as is known.
#[derive(Default)]
struct Desks {
    /// Since the last look.
    new: Vec<Weak<Desk>>,
    /// From before it.
    seen: Vec<Weak<Desk>>,
    /// The attendant is there.
    attended: bool,
}

/// The thread that reads the results, or a kept one when it does not come for them.
#[derive(Debug)]
pub(crate) struct Reader;

impl Target for Reader {
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        Elastic.spawn(task, desk)
    }

    fn spawn_feeder(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        // Before the task is there: without an attendant it could be left lying.
        attend_to(desk)?;
        desk.put(task);
        Ok(())
    }

    fn title(&self) -> String {
        "the thread of its reader".to_owned()
    }

    fn size(&self) -> usize {
        Elastic.size()
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_here(&self) -> bool {
        true
    }
}

/// Whether `items` is one item, taken from memory: to take it cannot block.
pub(crate) fn is_one_in_memory<I: Iterator + 'static>(items: &I) -> bool
where
    I::Item: 'static,
{
    let it = TypeId::of::<I>();
    let in_memory = it == TypeId::of::<std::array::IntoIter<I::Item, 1>>()
        || it == TypeId::of::<std::vec::IntoIter<I::Item>>()
        || it == TypeId::of::<std::option::IntoIter<I::Item>>()
        || it == TypeId::of::<std::iter::Once<I::Item>>();
    in_memory && items.size_hint() == (1, Some(1))
}

fn attend_to(desk: &Arc<Desk>) -> io::Result<()> {
    let mut desks = DESKS.lock();
    if !desks.attended {
        threads::spawn(Box::new(attend))?;
        desks.attended = true;
    }
    desks.new.push(Arc::downgrade(desk));
    Ok(())
}

fn attend() {
    let mut idle = 0;
    while idle < IDLE_LOOKS {
        std::thread::sleep(LOOK);
        match look() {
            Some(due) => {
                idle = 0;
                due.iter().filter_map(Weak::upgrade).for_each(fetch);
            }
            None if idle + 1 == IDLE_LOOKS && !leave() => {}
            None => idle += 1,
        }
    }
}

/// The desks that have been waiting; `None` when there are none at all.
fn look() -> Option<Vec<Weak<Desk>>> {
    let mut desks = DESKS.lock();
    let new = std::mem::take(&mut desks.new);
    let due = std::mem::replace(&mut desks.seen, new);
    (!due.is_empty() || !desks.seen.is_empty()).then_some(due)
}

/// False when there is a new desk: then it stays.
fn leave() -> bool {
    let mut desks = DESKS.lock();
    let may_leave = desks.new.is_empty();
    if may_leave {
        desks.attended = false;
    }
    may_leave
}

/// Has a thread fetch the task, if it is still there.
fn fetch(desk: Arc<Desk>) {
    if !desk.has_some() {
        return;
    }
    let waiting = Arc::downgrade(&desk);
    // The task stays where it is until there is a thread.
    if threads::spawn(Box::new(move || desk.run_one())).is_err() {
        DESKS.lock().seen.push(waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_task_that_nobody_fetches_is_run() {
        let desk = Arc::new(Desk::default());
        // More than one life of the attendant.
        for _ in 0..3 {
            let (ran, wait) = channel();
            let task = Box::new(move || ran.send(()).expect("the test waits"));
            Reader.spawn_feeder(task, &desk).expect("a thread");
            wait.recv_timeout(Duration::from_secs(10)).expect("it runs");
            std::thread::sleep(LOOK * (IDLE_LOOKS + 10));
        }
    }

    #[test]
    fn a_task_that_is_fetched_is_run_once() {
        let desk = Arc::new(Desk::default());
        let (ran, count) = channel();
        let task = Box::new(move || ran.send(()).expect("the test waits"));
        Reader.spawn_feeder(task, &desk).expect("a thread");
        desk.run_one();
        std::thread::sleep(LOOK * 4);
        assert_eq!(count.iter().count(), 1);
    }

    #[test]
    fn only_what_is_one_item_in_memory_counts() {
        assert!(is_one_in_memory(&[1].into_iter()));
        assert!(is_one_in_memory(&vec![1].into_iter()));
        assert!(is_one_in_memory(&Some(1).into_iter()));
        assert!(is_one_in_memory(&std::iter::once(1)));
        assert!(!is_one_in_memory(&vec![1, 2].into_iter()));
        assert!(!is_one_in_memory(&None::<u8>.into_iter()));
        assert!(!is_one_in_memory(&std::iter::once(1).map(|it| it + 1)));
    }
}
