//! The constructor that turns a process into a worker, before `main`.
//!
//! The parent marks a worker by a variable, [`MARKER`], because the environment reaches a process however it is
//! started: through the dynamic loader or a `binfmt_misc` interpreter the name of the program does not. The marker
//! is sealed to the parent's pid, so a program that inherits it by accident is no worker; and it names the
//! constructor that has to serve, so that of two copies of this crate in one program each serves its own workers.
//! The channel on standard input proves the rest, see [`own::take_channel`].
//!
//! `unsafe` in this module: the call of the constructors that come after this one, the change of the environment,
//! and the name of the program in the C library.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsString, c_char, c_int};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use once_cell::race::OnceBox;

use super::super::sys::channel::Channel;
use super::super::sys::image::{self, Init, image};
use super::super::sys::own::{self, NotAWorker};
use super::super::sys::signal;
use super::io::serve;
use crate::sync::Mutex;

/// The variable by which a parent marks its worker.
pub(crate) const MARKER: &str = "RUNSPACE_CHILD";

/// The variable that tells a program how deep it is, where it is started in other ways.
pub(crate) const DEPTH_VARIABLE: &str = "RUNSPACE_DEPTH";

/// The content of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marker {
    /// The process that has started this one as its worker.
    parent: u32,
    /// How many processes of jobs the worker is inside of.
    depth: u32,
    /// The constructor that serves, as its offset in the executable.
    constructor: usize,
}

/// The channel of this worker, until it is served.
static CHANNEL: OnceLock<Mutex<Option<Channel>>> = OnceLock::new();

/// The depth in the marker that this process was started with, which is taken away; 0 without one.
static MARKED_DEPTH: AtomicU32 = AtomicU32::new(0);

/// This constructor has run, in a worker or not.
static HAS_STARTED: AtomicBool = AtomicBool::new(false);

// Miri has no other process, and calls constructors without arguments.
#[cfg_attr(not(miri), used, unsafe(link_section = ".init_array"))]
#[cfg_attr(miri, expect(dead_code))]
static START: Init = start;

/// The marker of a worker of this process, at `depth`.
pub(crate) fn marker(depth: u32) -> OsString {
    let constructor = image().offset_in_file(start as *const () as usize);
    let parent = crate::per_process::id();
    OsString::from(format!("{parent}:{depth}:{constructor}"))
}

impl Marker {
    fn of_environment() -> Option<Self> {
        std::env::var(MARKER).ok()?.parse().ok()
    }

    /// Whether the process that has written this is the one that has started this process.
    fn is_of_parent(self) -> bool {
        own::parent_id() == Some(self.parent)
    }

    /// Whether this copy of the crate has to serve. One that the marker does not name does so only where
    /// the executable has no constructor there, so that it is another build: the parent is told so.
    fn is_mine(self) -> bool {
        let image = image();
        let is_named = self.constructor == image.offset_in_file(start as *const () as usize);
        image.is_program && (is_named || !image::has_init_at(self.constructor))
    }
}

impl std::str::FromStr for Marker {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(());
        let marker = Self {
            parent: next()?.parse().map_err(drop)?,
            depth: next()?.parse().map_err(drop)?,
            constructor: next()?.parse().map_err(drop)?,
        };
        match parts.next() {
            None => Ok(marker),
            Some(_) => Err(()),
        }
    }
}

/// How many processes of jobs this one is inside of.
pub(crate) fn depth() -> u32 {
    if !HAS_STARTED.load(Ordering::Relaxed) {
        // Another constructor asks first. The answer is not kept, because the marker is still there.
        return Marker::of_environment().map_or_else(depth_of_environment, |it| it.depth);
    }
    // No thread waits for another that looks: it may not be there, in a process made by `fork`.
    static DEPTH: OnceBox<u32> = OnceBox::new();
    *DEPTH.get_or_init(|| {
        Box::new(
            MARKED_DEPTH
                .load(Ordering::Relaxed)
                .max(depth_of_environment()),
        )
    })
}

fn depth_of_environment() -> u32 {
    let text = std::env::var(DEPTH_VARIABLE).ok();
    text.and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// Whether this process is a worker whose constructor has not run yet: another constructor of the program runs,
/// which runs in each worker too. If that starts a job, its worker starts one as well, without end.
pub(crate) fn is_unborn_worker() -> bool {
    !HAS_STARTED.load(Ordering::Relaxed)
        && Marker::of_environment().is_some_and(|it| it.is_of_parent())
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
    let channel = CHANNEL.get().and_then(|channel| channel.lock().take());
    if let Some(channel) = channel {
        serve(channel);
    }
}

/// # Safety
/// As the loader calls constructors.
unsafe extern "C" fn start(count: c_int, args: *mut *mut c_char, environment: *mut *mut c_char) {
    let marker = Marker::of_environment();
    if let Some(marker) = marker {
        MARKED_DEPTH.store(marker.depth, Ordering::Relaxed);
    }
    HAS_STARTED.store(true, Ordering::Relaxed);
    let Some(marker) = marker else {
        return;
    };
    if !marker.is_of_parent() {
        // Never `main`: a worker that runs it would start workers of its own.
        if own::has_channel() {
            give_up(
                "its parent is gone, or is in another pid namespace, where it cannot be told from a \
                 stranger",
            );
        }
        // A program that a worker has started, before its marker was taken away.
        return remove_marker();
    }
    if !marker.is_mine() {
        return;
    }
    own::die_with_parent();
    signal::set_defaults();
    own::set_name(program_name());
    let channel = match own::take_channel() {
        Ok(channel) => channel,
        Err(NotAWorker::Stranger) => give_up("it was not started by the program itself"),
        Err(NotAWorker::Io(error)) => give_up(&format!("its channel cannot be set up: {error}")),
    };
    let _ = CHANNEL.set(Mutex::new(Some(channel)));
    if image::has_init(main_will_serve) {
        return remove_marker();
    }
    for init in image::inits_after(start) {
        // SAFETY: the loader would call it next, with these arguments; it never does, for
        // this process ends before this constructor returns.
        unsafe { init(count, args, environment) };
    }
    // After those: one of them may be another copy of this crate, which counts the depth.
    remove_marker();
    serve_if_worker();
    give_up("it has nobody to serve");
}

fn remove_marker() {
    // SAFETY: constructors run before there is a second thread that knows of the environment.
    unsafe { std::env::remove_var(MARKER) };
}

fn give_up(why: &str) -> ! {
    eprintln!("this process is marked as a worker of runspace ({MARKER}), but {why}");
    std::process::exit(125);
}

unsafe extern "C" {
    /// The last part of the name that this program was started by.
    static program_invocation_short_name: *const c_char;
}

fn program_name() -> &'static CStr {
    // SAFETY: the C library sets it before any constructor runs, to a text that stays.
    unsafe {
        match program_invocation_short_name.is_null() {
            true => c"runspace",
            false => CStr::from_ptr(program_invocation_short_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written_and_nothing_else_is_one() {
        let text = marker(3).into_string().unwrap();
        let read: Marker = text.parse().unwrap();
        assert_eq!((read.parent, read.depth), (std::process::id(), 3));
        assert!(read.is_mine() && !read.is_of_parent());
        for text in [
            "",
            "1",
            "1:2",
            "1:2:3:4",
            "a:2:3",
            "1:-2:3",
            "99999999999:1:1",
        ] {
            assert_eq!(text.parse::<Marker>(), Err(()), "{text:?}");
        }
    }
}
