//! Values that each process has for itself.
//!
//! A process that another has made by `fork` finds the other's values in its memory: threads that are
//! not there, locks that nobody will open any more, counts of what does not run here. It gets values of
//! its own.

use std::ops::Deref;
use std::process;
use std::sync::OnceLock;

/// A value for a static, made on first use in each process.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    first: OnceLock<Box<Own<T>>>,
    make: fn() -> T,
}

#[derive(Debug)]
struct Own<T> {
    pid: u32,
    value: T,
    /// That of a process forked from this one, or from one forked from it.
    next: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Self {
            first: OnceLock::new(),
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
                    next: OnceLock::new(),
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
    pub(crate) fn check(self, what: &str) -> std::io::Result<()> {
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
