//! Values that each process has for itself.
//!
//! A process that another has made by `fork` finds the other's values in its memory: threads that are
//! not there, locks that nobody will open any more, counts of what does not run here. It gets values of
//! its own.
//!
//! No thread waits here for another: one that makes the first value while the process is copied would
//! be waited for in the copy for ever.
//!
//! `unsafe` in this module: a page of memory that a forked process finds empty.

#![cfg_attr(all(target_os = "linux", not(miri)), allow(unsafe_code))]

use std::ops::Deref;

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
        let pid = id();
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
        Self(id())
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

/// The number of this process.
pub(crate) fn id() -> u32 {
    imp::id()
}

/// What the system answers is kept where a copy of the process does not find it: a call with one item asks
/// half a dozen times, at 160 ns each.
#[cfg(all(target_os = "linux", not(miri)))]
mod imp {
    use std::ptr::{NonNull, null_mut};
    use std::sync::atomic::{AtomicU32, Ordering};

    use once_cell::race::OnceBox;

    /// `None` where the system has no such memory.
    static PAGE: OnceBox<Option<Page>> = OnceBox::new();

    pub(super) fn id() -> u32 {
        let Some(page) = PAGE.get_or_init(|| Box::new(Page::new())) else {
            return std::process::id();
        };
        match page.word().load(Ordering::Relaxed) {
            0 => {
                let id = std::process::id();
                page.word().store(id, Ordering::Relaxed);
                id
            }
            id => id,
        }
    }

    /// Memory that reads as zero in a process forked from the one that wrote to it.
    #[derive(Debug)]
    struct Page(NonNull<AtomicU32>);

    // SAFETY: the memory is this value's, and there until it is dropped.
    unsafe impl Send for Page {}
    // SAFETY: what is in it is atomic.
    unsafe impl Sync for Page {}

    /// The system takes whole pages, and there are none that are larger.
    const SIZE: usize = 64 << 10;

    impl Page {
        fn new() -> Option<Self> {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping, at a place that the system chooses.
            let place = unsafe { libc::mmap(null_mut(), SIZE, access, kind, -1, 0) };
            if place == libc::MAP_FAILED {
                return None;
            }
            let page = Self(NonNull::new(place.cast())?);
            // SAFETY: all of the mapping, and nothing else.
            let done = unsafe { libc::madvise(place, SIZE, libc::MADV_WIPEONFORK) };
            (done == 0).then_some(page)
        }

        fn word(&self) -> &AtomicU32 {
            // SAFETY: it points to the beginning of the mapping, which is zero at first, and stays until
            // this is dropped.
            unsafe { self.0.as_ref() }
        }
    }

    impl Drop for Page {
        fn drop(&mut self) {
            // SAFETY: the mapping is this value's, to which nobody has a reference any more.
            unsafe { libc::munmap(self.0.as_ptr().cast(), SIZE) };
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod imp {
    pub(super) fn id() -> u32 {
        std::process::id()
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
