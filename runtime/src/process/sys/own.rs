//! What a process does to itself when it becomes a worker.

use std::ffi::{CStr, c_ulong};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::net::UCred;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::stdio::{dup2_stdin, stdin};
use rustix::thread::capabilities;

use super::channel::{Channel, out_of_the_way};

/// Why a process that was started as a worker is none.
#[derive(Debug)]
pub(crate) enum NotAWorker {
    /// Standard input is not the channel of the process that started this one.
    Stranger,
    Io(io::Error),
}

impl From<rustix::io::Errno> for NotAWorker {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<io::Error> for NotAWorker {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[allow(unsafe_code)]
unsafe extern "C" {
    safe fn getauxval(kind: c_ulong) -> c_ulong;
}

/// Takes the channel off standard input, after a look at who made it: a stranger who can start
/// this program with arguments of his choice must not have its functions called. Nor must one who
/// gets more rights by starting it than he has.
pub(crate) fn take_channel() -> Result<Channel, NotAWorker> {
    let maker = Channel::maker(stdin()).map_err(|_| NotAWorker::Stranger)?;
    let is_parent = getppid() == Some(maker.pid);
    if !is_parent || !has_rights_of(&maker) {
        return Err(NotAWorker::Stranger);
    }
    let channel = Channel::of_socket(stdin())?;
    dup2_stdin(nothing_to_read()?)?;
    Ok(channel)
}

/// Whether standard input is a socket that a process has made as a channel.
pub(crate) fn has_channel() -> bool {
    Channel::maker(stdin()).is_ok()
}

/// Whether the system has given this process rights that stand in its file: the program is set-user-ID or
/// set-group-ID, or has capabilities.
pub(crate) fn has_rights_of_file() -> bool {
    const SECURE: c_ulong = 23;
    getauxval(SECURE) != 0
}

/// Whether this process has no rights that `maker` has not.
fn has_rights_of(maker: &UCred) -> bool {
    use rustix::process::{getegid, geteuid};
    if (maker.uid, maker.gid) != (geteuid(), getegid()) {
        return false;
    }
    // The system says so where it has given a process rights that stand in its file.
    if !has_rights_of_file() {
        return true;
    }
    let permitted = |pid| capabilities(pid).map(|it| it.permitted);
    match (permitted(None), permitted(Some(maker.pid))) {
        (Ok(own), Ok(theirs)) => theirs.contains(own),
        _ => false,
    }
}

/// The number of the process that this one was started by, or was left to.
pub(crate) fn parent_id() -> Option<u32> {
    getppid().map(|it| it.as_raw_nonzero().get().cast_unsigned())
}

/// The number of this process.
pub(crate) fn number() -> i32 {
    crate::per_process::id().cast_signed()
}

/// Makes this process, which is a copy of another worker just made, a worker of its own.
pub(crate) fn be_a_copy(out: &OwnedFd, err: &OwnedFd) -> io::Result<()> {
    die_with_parent();
    rustix::process::setpgid(None, None)?;
    rustix::stdio::dup2_stdout(out)?;
    rustix::stdio::dup2_stderr(err)?;
    Ok(())
}

/// What reads as empty.
fn nothing_to_read() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(c"/dev/null", flags, Mode::empty())
        // Without a file system, a pipe that nobody writes to does as well.
        .or_else(|_| rustix::pipe::pipe().map(|(read, _)| read))
}

/// Asks the system to end this process when the thread that started it ends: until
/// [`watched`] says that something better is there.
pub(crate) fn die_with_parent() {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// A thread watches the parent, and ends more than this one process when it is gone. All it needs
/// from the system is to be let go on, in case the process is held.
pub(crate) fn watched() {
    let _ = set_parent_process_death_signal(Some(Signal::CONT));
}

/// The parent, to be watched; `None` where the system has no descriptors of processes.
pub(crate) fn parent() -> Option<OwnedFd> {
    let parent = rustix::process::pidfd_open(getppid()?, rustix::process::PidfdFlags::empty());
    out_of_the_way(parent.ok()?.as_fd()).ok()
}

/// What the process is listed as. The system took it from the path it was started by.
pub(crate) fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Whose rights a thread has, and which process it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    users: [u32; 2],
    groups: [u32; 2],
    /// Gaining rights is ruled out: what comes before every sandbox that an ordinary user can set up.
    bound: bool,
    /// Which kind of filter there is on system calls.
    filter: Option<i32>,
}

impl Identity {
    pub(crate) fn of_this_thread() -> Self {
        use rustix::process::{getegid, geteuid, getgid, getuid};
        Self {
            pid: crate::per_process::id(),
            users: [getuid().as_raw(), geteuid().as_raw()],
            groups: [getgid().as_raw(), getegid().as_raw()],
            bound: rustix::thread::no_new_privs().unwrap_or(false),
            filter: rustix::thread::secure_computing_mode()
                .ok()
                .map(|it| it as i32),
        }
    }
}
