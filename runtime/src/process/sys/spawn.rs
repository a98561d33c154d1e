//! Starting another program, one that is to die with this process.
//!
//! The child asks for its death signal between its start and the program, as only the process that
//! gets the signal can. `pre_exec` would let it, by way of `fork`, which copies the tables of all
//! memory that this process has and runs the handlers that libraries have hung into it. Here the child
//! borrows the memory instead, while its parent waits, as in `posix_spawn`: the time that takes does
//! not grow with the parent.
//!
//! `unsafe` in this module: the system call that makes the child, and what the child does until it is
//! the program, in memory that is not its own.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_long, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, Signal, WaitOptions, chdir, getpid, getppid, setpgid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::own::die_with_parent;

/// A program, and what it is started with.
#[derive(Debug)]
pub(crate) struct Program {
    path: CString,
    args: Vec<CString>,
    /// `NAME=value`, all there are.
    environment: Vec<CString>,
    directory: Option<CString>,
}

/// Standard input, output and error.
pub(crate) type Streams = [OwnedFd; 3];

impl Program {
    /// The program at `path`. Its first argument is what it is called.
    ///
    /// # Errors
    /// A zero byte in any of the texts, which the system would take for its end.
    pub(crate) fn new(
        path: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        directory: Option<&Path>,
    ) -> io::Result<Self> {
        let variable = |(name, value): (OsString, OsString)| {
            let mut text = name;
            text.push("=");
            text.push(value);
            c_string(&text)
        };
        Ok(Self {
            path: c_string(path.as_os_str())?,
            args: args
                .into_iter()
                .map(|it| c_string(it.as_ref()))
                .collect::<io::Result<_>>()?,
            environment: environment
                .into_iter()
                .map(variable)
                .collect::<io::Result<_>>()?,
            directory: directory.map(|it| c_string(it.as_os_str())).transpose()?,
        })
    }

    /// Starts it in a process group of its own, and waits until it runs. It is killed when the calling
    /// thread ends.
    ///
    /// # Errors
    /// The system gives no process, or does not run the program. Then there is no child.
    pub(crate) fn spawn(&self, streams: Streams) -> io::Result<Pid> {
        let streams = [
            out_of_the_way(&streams[0])?,
            out_of_the_way(&streams[1])?,
            out_of_the_way(&streams[2])?,
        ];
        let args = pointers(&self.args);
        let environment = pointers(&self.environment);
        let mut job = Job {
            path: &self.path,
            args: &args,
            environment: &environment,
            directory: self.directory.as_deref(),
            streams: streams.each_ref().map(AsFd::as_fd),
            parent: getpid(),
            error: 0,
        };
        let pid = vfork(&mut job)?;
        if job.error == 0 {
            return Ok(pid);
        }
        let _ = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
        Err(io::Error::from_raw_os_error(job.error))
    }
}

/// What a program that is to read nothing has for its input.
pub(crate) fn nothing() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        let text = format!("{} has a zero byte in it", text.display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// With a null pointer behind them, as the system wants them.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let texts = texts.iter().map(|it| it.as_ptr());
    texts.chain([ptr::null()]).collect()
}

/// The same with a number above those of the standard streams, which the child fills one by one. A
/// process that has closed its own may get them for anything.
fn out_of_the_way(stream: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(stream, 3)?)
}

/// What the child needs to know, and where it leaves word.
struct Job<'a> {
    path: &'a CStr,
    args: &'a [*const c_char],
    environment: &'a [*const c_char],
    directory: Option<&'a CStr>,
    streams: [BorrowedFd<'a>; 3],
    parent: Pid,
    /// Why there is no program, as the system numbers it.
    error: c_int,
}

unsafe extern "C" {
    fn clone(
        run: extern "C" fn(*mut c_void) -> c_int,
        stack: *mut c_void,
        flags: c_int,
        argument: *mut c_void,
        ...
    ) -> c_int;
    fn execve(
        path: *const c_char,
        args: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int;
    fn _exit(code: c_int) -> !;
    fn syscall(number: c_long, ...) -> c_long;
}

const CLONE_VM: c_int = 0x100;
const CLONE_VFORK: c_int = 0x4000;

/// `rt_sigaction` and `rt_sigprocmask`. The C library's functions of like names leave signals out that
/// it uses itself.
#[cfg(target_arch = "x86_64")]
const SIGNALS: [c_long; 2] = [13, 14];
#[cfg(not(target_arch = "x86_64"))]
const SIGNALS: [c_long; 2] = [134, 135];

/// A set of signals as the system has it.
type Set = u64;
const SET_SIZE: usize = size_of::<Set>();

fn set_mask(mask: Set) -> Set {
    const SETMASK: c_long = 2;
    let mut before: Set = 0;
    // SAFETY: both sets are of the size that is given, and live through the call.
    unsafe {
        syscall(
            SIGNALS[1],
            SETMASK,
            &raw const mask,
            &raw mut before,
            SET_SIZE,
        )
    };
    before
}

/// Makes the child and waits until it is another program, or is gone.
fn vfork(job: &mut Job<'_>) -> io::Result<Pid> {
    // For a handful of frames without arrays.
    const STACK: usize = 64 << 10;
    let mut stack: Vec<MaybeUninit<u128>> = Vec::with_capacity(STACK / size_of::<u128>());
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    // A handler must not run in the child: it would take its memory for its own process's.
    let before = set_mask(Set::MAX);
    // SAFETY: the child runs `in_child` on a stack of its own, whose end is aligned as every
    // processor here wants it. It shares all other memory, but this thread does not go on until the
    // child has let go of it, so `job` and `stack` outlive its use of them.
    let number = unsafe {
        clone(
            in_child,
            top.cast(),
            CLONE_VM | CLONE_VFORK | Signal::CHILD.as_raw(),
            ptr::from_mut(job).cast(),
        )
    };
    let error = io::Error::last_os_error();
    set_mask(before);
    Pid::from_raw(number.max(0)).ok_or(error)
}

/// The life of the child before the program. It must not panic, allocate, or take a lock: other
/// threads of the parent are running, and hold what they hold.
extern "C" fn in_child(job: *mut c_void) -> c_int {
    // SAFETY: `vfork` has lent it, and looks at it again only when this process has let go of it.
    let job = unsafe { &mut *job.cast::<Job<'_>>() };
    let error = job.become_program();
    job.error = error.raw_os_error().unwrap_or(-1);
    // SAFETY: it ends this process, without running anything of the parent's.
    unsafe { _exit(127) }
}

impl Job<'_> {
    /// Returns only if that fails.
    fn become_program(&self) -> io::Error {
        if let Err(error) = self.prepare() {
            return error;
        }
        // SAFETY: the lists end with null pointers, and all pointers before those are of texts that
        // the parent keeps.
        unsafe {
            execve(
                self.path.as_ptr(),
                self.args.as_ptr(),
                self.environment.as_ptr(),
            )
        };
        io::Error::last_os_error()
    }

    fn prepare(&self) -> io::Result<()> {
        reset_handlers();
        setpgid(None, None)?;
        die_with_parent();
        if getppid() != Some(self.parent) {
            // It died before the death signal was asked for.
            return Err(io::ErrorKind::Interrupted.into());
        }
        let [input, output, error] = self.streams;
        dup2_stdin(input)?;
        dup2_stdout(output)?;
        dup2_stderr(error)?;
        if let Some(directory) = self.directory {
            chdir(directory)?;
        }
        set_mask(0);
        Ok(())
    }
}

/// Gives all signals that something handles, and SIGPIPE, which Rust programs ignore, their usual
/// effect. The program would have them so in any case, but there is a time before it with signals let
/// through. Signals that are ignored stay so, as `nohup` has it.
fn reset_handlers() {
    /// At least as long as any system's; the first field is the handler.
    type Action = [usize; 8];
    const LAST: c_int = 64;
    const IGNORE: usize = 1;
    let nothing: *const Action = ptr::null();
    for number in 1..=LAST {
        let mut action: Action = [0; 8];
        // SAFETY: the system writes one of its own actions, which is not longer; the set at its end is
        // of the size that is given.
        unsafe {
            syscall(
                SIGNALS[0],
                c_long::from(number),
                nothing,
                &raw mut action,
                SET_SIZE,
            )
        };
        if action[0] > IGNORE || number == Signal::PIPE.as_raw() {
            let default: Action = [0; 8];
            // SAFETY: all zero is the usual effect, with no flag and an empty set.
            unsafe {
                syscall(
                    SIGNALS[0],
                    c_long::from(number),
                    &raw const default,
                    ptr::null_mut::<Action>(),
                    SET_SIZE,
                )
            };
        }
    }
}
