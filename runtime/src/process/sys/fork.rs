//! A copy of this process as a child of its parent.
//!
//! `unsafe` in this module: the system call, which returns twice.

#![allow(unsafe_code)]

use std::ffi::{c_long, c_void};
use std::io;
use std::ptr;

use rustix::thread::get_clear_child_tid_address;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

const SYS_CLONE3: c_long = 435;
#[cfg(target_arch = "x86_64")]
const ROBUST_LIST: [c_long; 2] = [273, 274];
#[cfg(not(target_arch = "x86_64"))]
const ROBUST_LIST: [c_long; 2] = [99, 100];

const CLONE_PARENT: u64 = 0x8000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;

/// The arguments of `clone3`, in their first form.
#[repr(C)]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// What a copy needs besides memory to be a process as the C library expects it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copier {
    /// Where the C library keeps the number of this thread.
    thread_number: u64,
    /// The list of locks that the system opens when the thread dies.
    robust_list: *const c_void,
    robust_size: usize,
}

/// Which of the two a process is after a copy was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    Original,
    Copy,
}

/// Whether this thread is the only one of its process, as far as the system tells.
pub(crate) fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

impl Copier {
    /// `None` if this process cannot be copied: it has more than this one thread, whose locks might
    /// never open in the copy, or the system does not tell what is needed.
    pub(crate) fn new() -> Option<Self> {
        if !is_alone() {
            return None;
        }
        let thread_number = get_clear_child_tid_address().ok()??;
        let (mut robust_list, mut robust_size) = (ptr::null(), 0_usize);
        // SAFETY: the call writes a pointer and a size into the two variables.
        let got = unsafe {
            syscall(
                ROBUST_LIST[1],
                0 as c_long,
                &raw mut robust_list,
                &raw mut robust_size,
            )
        };
        (got == 0).then_some(Self {
            thread_number: thread_number.as_ptr().expose_provenance() as u64,
            robust_list,
            robust_size,
        })
    }

    /// Copies this process. The copy is a child of this process's parent, which it has to tell its number.
    pub(crate) fn copy(&self) -> io::Result<Copied> {
        let arguments = Arguments {
            flags: CLONE_PARENT | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID,
            child_tid: self.thread_number,
            ..Arguments::default()
        };
        // SAFETY: without a stack or shared memory among the flags this is `fork`, with another
        // parent. There is one thread, as `new` has seen before any code of the user's could start
        // one, so no lock is held by a thread that the copy lacks. The number of the thread is
        // written where the C library keeps it, as its own `fork` has it done.
        let number = unsafe { syscall(SYS_CLONE3, &raw const arguments, size_of::<Arguments>()) };
        match number {
            0 => {
                // SAFETY: the list is this thread's, at the same place in the copy; `fork` of the C
                // library says so again, too, since the system forgets it.
                unsafe { syscall(ROBUST_LIST[0], self.robust_list, self.robust_size) };
                Ok(Copied::Copy)
            }
            1.. => Ok(Copied::Original),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
