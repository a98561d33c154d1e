//! Whether the environment has changed since it was last copied.
//!
//! The standard library gives nothing but a copy of it: 5 µs for 35 variables, a fifth of a call with
//! one item. The C library keeps a list of pointers to the variables. Setting one gives it another
//! place, and no place that was given is ever used for something else, so the pointers tell. They are
//! read by the system and not by this process, because another thread may be about to move the list:
//! memory that is gone is an error then, and no more. What they point to is left alone.
//!
//! Not seen is C code that changes a text which it has put there by `putenv`, at its place.
//!
//! `unsafe` in this module: the address of the list, and the system call.

#![allow(unsafe_code)]

use std::ffi::c_char;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where the variables of this process are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    list: usize,
    /// With the null pointer at the end.
    variables: Vec<usize>,
}

impl Places {
    /// `None` where that cannot be told, and in a list of unusual length.
    pub(crate) fn now() -> Option<Self> {
        const MOST: usize = 10_000;
        let list = list()?;
        let mut variables = Vec::new();
        // One by one: nobody says where the list ends.
        while list != 0 && variables.len() < MOST {
            let mut place = [0];
            if !read(list + variables.len() * size_of::<usize>(), &mut place) {
                return None;
            }
            variables.extend(place);
            if place == [0] {
                return Some(Self { list, variables });
            }
        }
        None
    }

    /// Whether they are there now.
    pub(crate) fn are_the_same(&self) -> bool {
        let mut now = vec![0; self.variables.len()];
        list() == Some(self.list) && read(self.list, &mut now) && now == self.variables
    }
}

/// Where the C library has the list, if it is one that leaves old texts where they are.
#[cfg(all(target_env = "gnu", not(miri)))]
fn list() -> Option<usize> {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: it is a pointer, aligned, that is there for as long as the process is. Others
    // write it in one piece.
    let list = unsafe { AtomicPtr::from_ptr(&raw mut environ) };
    Some(list.load(Ordering::Acquire).addr())
}

#[cfg(not(all(target_env = "gnu", not(miri))))]
fn list() -> Option<usize> {
    None
}

/// Reads words of this process at `place`, whatever is there. False if they cannot be read.
fn read(place: usize, words: &mut [usize]) -> bool {
    let length = size_of_val(words);
    let to = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: length,
    };
    let from = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(place),
        iov_len: length,
    };
    // SAFETY: it writes up to `length` bytes to `words`, which has so many. What it reads it looks at as
    // it would at the memory of another process.
    let read = unsafe {
        libc::process_vm_readv(
            super::own::number(),
            &raw const to,
            1,
            &raw const from,
            1,
            0,
        )
    };
    usize::try_from(read) == Ok(length)
}

#[cfg(all(test, target_env = "gnu", not(miri)))]
mod tests {
    use super::*;

    // What changes the environment is tested in a process of its own, see `tests/faults`.
    #[test]
    fn what_has_not_changed_is_the_same() {
        // Another test may be about to change it.
        let holds = |_| {
            let before = Places::now().expect("it can be told");
            let count = std::env::vars_os().count();
            before.variables.len() == count + 1 && before.are_the_same()
        };
        assert!((0..100).any(holds));
    }

    #[test]
    fn another_place_is_seen() {
        let before = Places::now().expect("it can be told");
        for index in 0..before.variables.len() {
            let mut other = before.clone();
            other.variables[index] ^= 8;
            assert!(!other.are_the_same());
        }
        let moved = Places {
            list: before.list + 64,
            ..before
        };
        assert!(!moved.are_the_same());
    }

    #[test]
    fn what_is_not_there_is_no_crash() {
        assert!(!read(8, &mut [0]));
        assert!(!read(8, &mut [0; 64]));
    }
}
