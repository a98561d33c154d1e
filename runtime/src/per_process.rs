//! Values that each process has for itself.
//!
//! A process that another has made by `fork` finds the other's values in its memory: threads that are
//! not there, locks that nobody will open any more, counts of what does not run here. It gets values of
//! its own.
//!
//! No thread waits here for another: one that makes the first value while the process is copied would
//! be waited for in the copy for ever.

use std::ops::Deref;
use std::process;

use once_cell::race::OnceBox;

/// A value for a static, made on first use in each process. Of threads that use it first at the same
/// time each makes one, and all get that of the first to be done: making one does nothing else.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    first: OnceBox<Own<T>>,
    make: fn() -> T,
}

#[derive(Debug)]
struct Own<T> {
    pid: u32,
    value: T,
    /// That of a process forked from this one, or from one forked from it.
    next: OnceBox<Self>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Self {
            first: OnceBox::new(),
            make,
        }
    }
}

impl<T> Deref for PerProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let pid = process::id();
        let mut link = &self.first;
        loop {
            let copy = link.get_or_init(|| {
                Box::new(Own {
                    pid,
                    value: (self.make)(),
                    next: OnceBox::new(),
                })
            });
            if copy.pid == pid {
                return &copy.value;
            }
            link = &copy.next;
        }
    }
}

/// A thing that belongs to the process that made it, such as threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    pub(crate) fn this() -> Self {
        Self(process::id())
    }

    pub(crate) fn is_this(self) -> bool {
        self == Self::this()
    }

    /// Unless it belongs to this process, says so of `what`.
    pub(crate) fn check(self, what: impl std::fmt::Display) -> std::io::Result<()> {
        if self.is_this() {
            return Ok(());
        }
        Err(std::io::Error::other(format!(
            "the threads of {what} are those of process {}, from which this process was forked; make it \
             here",
            self.0
        )))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    use super::*;

    /// Blocks the first that makes a value, as if its thread had been left behind by a `fork`.
    static GATE: Mutex<Option<Receiver<()>>> = Mutex::new(None);

    #[test]
    fn nobody_waits_for_a_thread_that_makes_the_value() {
        static VALUE: PerProcess<&str> = PerProcess::new(|| {
            let gate = GATE.lock().unwrap_or_else(PoisonError::into_inner).take();
            match gate {
                Some(gate) => {
                    gate.recv().expect("the test lets it go on");
                    "the late one"
                }
                None => "the first to be done",
            }
        });
        let (go_on, gate) = sync_channel(0);
        *GATE.lock().unwrap() = Some(gate);
        let late = thread::spawn(|| *VALUE);
        while GATE.lock().unwrap().is_some() {
            thread::yield_now();
        }
        assert_eq!(*VALUE, "the first to be done");
        go_on.send(()).expect("it waits");
        // There is one value, whoever else has made one.
        assert_eq!(late.join().expect("it ends"), "the first to be done");
    }
}
