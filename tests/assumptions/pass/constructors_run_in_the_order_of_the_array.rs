//! What stands in `.init_array` runs before `main`, in order, with the arguments of the program, and
//! the array lies between two symbols: a constructor can run those that follow it.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::ffi::{c_char, c_int};
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Init = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char);

    unsafe extern "C" {
        static __init_array_start: [Option<Init>; 0];
        static __init_array_end: [Option<Init>; 0];
    }

    static RUN: AtomicUsize = AtomicUsize::new(0);
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    static SECOND: AtomicUsize = AtomicUsize::new(0);
    static ARGUMENTS: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn first(count: c_int, _: *mut *mut c_char, _: *mut *mut c_char) {
        ARGUMENTS.store(usize::try_from(count).unwrap(), Ordering::Relaxed);
        FIRST.store(RUN.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    unsafe extern "C" fn second(_: c_int, _: *mut *mut c_char, _: *mut *mut c_char) {
        SECOND.store(RUN.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[used]
    #[unsafe(link_section = ".init_array")]
    static A: Init = first;

    #[used]
    #[unsafe(link_section = ".init_array")]
    static B: Init = second;

    pub fn check() {
        let start = (&raw const __init_array_start).cast::<Option<Init>>();
        let end = (&raw const __init_array_end).addr();
        let count = (end - start.addr()) / size_of::<Option<Init>>();
        let all: Vec<usize> = (0..count)
            .map(|at| unsafe { *start.add(at) }.map_or(0, |init| init as usize))
            .collect();
        let at = |init: Init| all.iter().position(|it| *it == init as usize).unwrap();
        let order = FIRST.load(Ordering::Relaxed) < SECOND.load(Ordering::Relaxed);
        assert_eq!(RUN.load(Ordering::Relaxed), 2);
        assert_eq!(order, at(first) < at(second));
        assert_eq!(ARGUMENTS.load(Ordering::Relaxed), std::env::args().count());
    }
}

fn main() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    linux::check();
}
