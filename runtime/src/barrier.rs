//! A fence that costs next to nothing where it is passed all the time, because the other side, which meets
//! it now and then, pays for both.
//!
//! Two threads that each write a word and then read the other's need a full fence between the two, or
//! both may read what was there before. It costs a processor tens of nanoseconds, and what is worse, it
//! begins nothing before it has finished everything. Linux can have all threads of a process pass a
//! fence at once (`membarrier`), so that only the side that asks for this pays. Where that is not
//! to be had both sides use a fence of their own.
//!
//! `unsafe` in this module: the system calls, which touch no memory of the program.

#![cfg_attr(all(target_os = "linux", not(loom), not(miri)), allow(unsafe_code))]

// Loom has none, and no need of one: see `imp`.
use std::sync::atomic::compiler_fence;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Writes `value` to `place` before this thread reads anything else. The other side [`meet`]s it.
#[inline(always)]
pub(crate) fn publish(place: &AtomicUsize, value: usize) {
    if imp::is_set_up() {
        place.store(value, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
    } else {
        place.swap(value, Ordering::SeqCst);
    }
}

/// For who has written something, with [`Ordering::SeqCst`], that those who [`publish`] read: what is
/// read after this, in the same way, is what they have published, or they read what was written. False if that
/// cannot be had.
pub(crate) fn meet() -> bool {
    imp::meet()
}

/// Says that a cheap [`publish`] would pay. True once, when that was said often enough: somebody should then
/// call [`set_up`].
pub(crate) fn would_pay() -> bool {
    imp::would_pay()
}

/// Makes [`publish`] cheap, if the system can. May take some tens of milliseconds.
pub(crate) fn set_up() {
    imp::set_up();
}

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod imp {
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// From `linux/membarrier.h`.
    const PRIVATE_EXPEDITED: c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

    /// How often it is said that it would pay before it is believed.
    const OFTEN: u32 = 32;

    /// Set once the kernel knows that this process will ask. A process forked from this one inherits both.
    static IS_SET_UP: AtomicBool = AtomicBool::new(false);
    static SAID: AtomicU32 = AtomicU32::new(0);

    #[inline(always)]
    pub(super) fn is_set_up() -> bool {
        IS_SET_UP.load(Ordering::Relaxed)
    }

    fn membarrier(command: c_int) -> bool {
        // SAFETY: the call takes numbers and touches no memory of the program.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn meet() -> bool {
        // Always tried: who publishes may have seen that all is set up before this thread has.
        membarrier(PRIVATE_EXPEDITED) || !IS_SET_UP.load(Ordering::SeqCst)
    }

    pub(super) fn would_pay() -> bool {
        !is_set_up()
            && SAID.load(Ordering::Relaxed) < OFTEN
            && SAID.fetch_add(1, Ordering::Relaxed) + 1 == OFTEN
    }

    pub(super) fn set_up() {
        if membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED) {
            IS_SET_UP.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
mod imp {
    #[inline(always)]
    pub(super) fn is_set_up() -> bool {
        false
    }

    pub(super) fn meet() -> bool {
        true
    }

    pub(super) fn would_pay() -> bool {
        false
    }

    pub(super) fn set_up() {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Barrier;

    use super::*;

    /// The two of them cannot both have missed the other, set up or not.
    #[test]
    fn one_of_two_sees_the_other() {
        const ROUNDS: usize = if cfg!(miri) { 50 } else { 20_000 };
        for is_set_up in [false, true] {
            if is_set_up {
                set_up();
            }
            let (mine, theirs) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let turn = Barrier::new(2);
            std::thread::scope(|scope| {
                let cheap = scope.spawn(|| {
                    let mut seen = Vec::new();
                    for round in 1..=ROUNDS {
                        turn.wait();
                        publish(&mine, round);
                        seen.push(theirs.load(Ordering::SeqCst) == round);
                    }
                    seen
                });
                let mut seen = Vec::new();
                for round in 1..=ROUNDS {
                    turn.wait();
                    theirs.swap(round, Ordering::SeqCst);
                    assert!(meet());
                    seen.push(mine.load(Ordering::SeqCst) >= round);
                }
                let both = seen.into_iter().zip(cheap.join().unwrap());
                assert!(both.into_iter().all(|(a, b)| a || b));
            });
        }
    }
}
