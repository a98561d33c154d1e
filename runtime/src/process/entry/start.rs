//! The constructor.
//!
//! `unsafe` in this module: the arguments that the loader hands to constructors, and the call of
//! the constructors that come after this one.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsString, c_char, c_int};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::race::OnceBox;

use super::super::sys::channel::Channel;
use super::super::sys::image::{self, Init};
use super::super::sys::own::{self, NotAWorker};
use super::super::sys::signal;
use super::io::serve;
use crate::sync::Mutex;

/// What a worker is called by its parent, with its depth behind it.
const MARKER: &str = "runspace-worker:";

/// The variable that tells a program how deep it is, where it is started in other ways.
pub(crate) const DEPTH_VARIABLE: &str = "RUNSPACE_DEPTH";

/// What this process was started as.
struct Worker {
    depth: u32,
    channel: Mutex<Option<Channel>>,
}

static WORKER: OnceLock<Worker> = OnceLock::new();

// Miri has no other process, and calls constructors without arguments.
#[cfg_attr(not(miri), used, unsafe(link_section = ".init_array"))]
#[cfg_attr(miri, expect(dead_code))]
static START: Init = start;

/// The name to start a worker under, at `depth`.
pub(crate) fn marker(depth: u32) -> OsString {
    OsString::from(format!("{MARKER}{depth}"))
}

/// How many processes of jobs this one is inside of.
pub(crate) fn depth() -> u32 {
    // No thread waits for another that looks: it may not be there, in a process made by `fork`.
    static DEPTH: OnceBox<u32> = OnceBox::new();
    *DEPTH.get_or_init(|| {
        Box::new(match WORKER.get() {
            Some(worker) => worker.depth,
            None => {
                let text = std::env::var(DEPTH_VARIABLE).ok();
                text.and_then(|it| it.parse().ok()).unwrap_or(0)
            }
        })
    })
}

/// Stands in the constructors of a program whose `main` serves when it is a worker. Does nothing
/// when called: the constructor of this crate looks for it in the table.
///
/// # Safety
/// None is needed; it has the type of a constructor.
#[doc(hidden)]
unsafe extern "C" fn main_will_serve(_: c_int, _: *mut *mut c_char, _: *mut *mut c_char) {
    // Something of its own, so that no linker folds it into another function that does nothing.
    static CALLED: AtomicBool = AtomicBool::new(false);
    CALLED.store(true, Ordering::Relaxed);
}

/// What stands in the constructors for a `main` in the module of this path: [`main_will_serve`] if it is
/// the program's. Elsewhere, as where tests of documentation are put together into one program, nobody
/// would call it: then the constructor of this crate serves.
#[doc(hidden)]
#[must_use]
pub const fn constructor_of_main(module_path: &str) -> Init {
    let path = module_path.as_bytes();
    let mut at = 0;
    while at < path.len() {
        if path[at] == b':' {
            return nothing;
        }
        at += 1;
    }
    main_will_serve
}

unsafe extern "C" fn nothing(_: c_int, _: *mut *mut c_char, _: *mut *mut c_char) {}

/// Whether the `main` of this program serves when it is a worker.
#[cfg(feature = "cluster")]
pub(crate) fn main_serves() -> bool {
    image::has_init(main_will_serve)
}

/// In a worker of a program with [`main_will_serve`]: serves and exits. Otherwise does nothing.
#[doc(hidden)]
#[cfg_attr(
    feature = "cluster",
    allow(unreachable_pub, reason = "part of one that serves any kind")
)]
pub fn serve_if_worker() {
    let channel = WORKER.get().and_then(|worker| worker.channel.lock().take());
    if let Some(channel) = channel {
        serve(channel);
    }
}

/// # Safety
/// As the loader calls constructors: on glibc with the arguments of `main`.
unsafe extern "C" fn start(count: c_int, args: *mut *mut c_char, environment: *mut *mut c_char) {
    // SAFETY: as the caller says.
    let Some((depth, name)) = (unsafe { take_marker(count, args) }) else {
        return;
    };
    own::die_with_parent();
    signal::set_defaults();
    own::set_name(name);
    let channel = match own::take_channel() {
        Ok(channel) => channel,
        Err(NotAWorker::Stranger) => give_up("it was not started by the program itself"),
        Err(NotAWorker::Io(error)) => give_up(&format!("its channel cannot be set up: {error}")),
    };
    let worker = Worker {
        depth,
        channel: Mutex::new(Some(channel)),
    };
    let _ = WORKER.set(worker);
    if image::has_init(main_will_serve) {
        return;
    }
    for init in image::inits_after(start) {
        // SAFETY: the loader would call it next, with these arguments; it never does, for
        // this process ends before this constructor returns.
        unsafe { init(count - 1, args, environment) };
    }
    serve_if_worker();
    give_up("it has nobody to serve");
}

fn give_up(why: &str) -> ! {
    eprintln!("this process is called a worker of runspace, but {why}");
    std::process::exit(125);
}

/// The depth in the marker, if this process is called by one, and what it would be called without.
/// The marker is taken out of the arguments: a body sees those of the parent.
///
/// # Safety
/// `args` are `count` pointers to texts and a null one, all of which stay as they are for good, but
/// for what this function does.
#[cfg(target_env = "gnu")]
unsafe fn take_marker<'a>(count: c_int, args: *mut *mut c_char) -> Option<(u32, &'a CStr)> {
    let count = usize::try_from(count).ok()?;
    if count < 2 || args.is_null() {
        return None;
    }
    // SAFETY: as the caller says; nothing else reads or writes the list while this runs: a
    // constructor runs before there is a second thread that knows of it.
    let args = unsafe { std::slice::from_raw_parts_mut(args, count + 1) };
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(args[0]) };
    let depth = name.to_bytes().strip_prefix(MARKER.as_bytes())?;
    let depth = std::str::from_utf8(depth).ok()?.parse().ok()?;
    args.rotate_left(1);
    // The standard library knows the count from before, and stops at a null pointer.
    args[count - 1] = std::ptr::null_mut();
    // SAFETY: as the caller says.
    let own = unsafe { CStr::from_ptr(args[0]) };
    Some((depth, base(own)))
}

/// Other C libraries give constructors no arguments.
#[cfg(not(target_env = "gnu"))]
unsafe fn take_marker<'a>(_: c_int, _: *mut *mut c_char) -> Option<(u32, &'a CStr)> {
    let line = std::fs::read("/proc/self/cmdline").ok()?;
    let mut args = line.split(|byte| *byte == 0);
    let depth = args.next()?.strip_prefix(MARKER.as_bytes())?;
    let depth = std::str::from_utf8(depth).ok()?.parse().ok()?;
    let own = std::ffi::CString::new(args.next()?).ok()?;
    Some((depth, base(Box::leak(own.into_boxed_c_str()))))
}

/// The last part of a path.
fn base(path: &CStr) -> &CStr {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/');
    let base = &bytes[slash.map_or(0, |at| at + 1)..];
    CStr::from_bytes_with_nul(base).unwrap_or(path)
}
