//! Numbers that are never used twice in a process.

// They order nothing but themselves, so they are std's under loom too, and can be statics.
use std::sync::atomic::{AtomicU64, Ordering};

pub(in crate::runspace) struct Numbers(AtomicU64);

impl Numbers {
    pub(in crate::runspace) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The next number, from 1.
    pub(in crate::runspace) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
