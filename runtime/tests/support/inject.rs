//! System calls that fail on demand: the n-th of those that make a thread, a process or a descriptor.
//!
//! A filter (seccomp) on the calling thread, and on all threads and processes that it makes from then on, hands each
//! such call to a thread that has no filter, which lets it go on or has it fail. So it does not matter who makes
//! the call: this crate, the standard library, rayon, or a child. A library that is loaded first would not see those that
//! go to the system without the C library.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use libc::{c_int, c_long, c_ulong};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Nothing,
    /// The call of this number, from 1.
    Once(u64),
    /// It, and all after it.
    From(u64),
}

impl Fails {
    fn includes(self, number: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Once(it) => number == it,
            Self::From(it) => number >= it,
        }
    }
}

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Those that make a thread or a process.
    Starts,
    /// Those that make a thread or a process, a pipe, a pair of sockets or a file in memory.
    All,
}

/// How many of the calls there have been.
#[derive(Clone, Debug)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(target_arch = "x86_64")]
const STARTS: &[c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_fork,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const STARTS: &[c_long] = &[libc::SYS_clone, libc::SYS_clone3];

#[cfg(target_arch = "x86_64")]
const DESCRIPTORS: &[c_long] = &[
    libc::SYS_pipe,
    libc::SYS_pipe2,
    libc::SYS_socketpair,
    libc::SYS_memfd_create,
];
#[cfg(not(target_arch = "x86_64"))]
const DESCRIPTORS: &[c_long] = &[
    libc::SYS_pipe2,
    libc::SYS_socketpair,
    libc::SYS_memfd_create,
];

/// From here on such calls of this thread, and of all that it starts, are counted, and some fail. Until the
/// process ends.
///
/// # Errors
/// The system has no such filters, or allows none.
pub fn inject(calls: Calls, fails: Fails) -> io::Result<Count> {
    let count = Arc::new(AtomicU64::new(0));
    let (send, receive) = channel::<OwnedFd>();
    let counter = Arc::clone(&count);
    // Before the filter is there: it must not wait for itself.
    std::thread::Builder::new()
        .name("injector".to_owned())
        .spawn(move || {
            if let Ok(listener) = receive.recv() {
                answer(&listener, fails, &counter);
            }
        })?;
    let numbers = match calls {
        Calls::Starts => STARTS.to_vec(),
        Calls::All => [STARTS, DESCRIPTORS].concat(),
    };
    let listener = filter(&numbers, libc::SECCOMP_RET_USER_NOTIF, true)?;
    let listener = listener.ok_or(io::ErrorKind::Unsupported)?;
    send.send(listener).map_err(io::Error::other)?;
    Ok(Count(count))
}

/// From here on this call of this thread, and of all that it starts, is forbidden.
pub fn forbid(call: c_long) -> io::Result<()> {
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    filter(&[call], refuse, false).map(drop)
}

/// Puts a filter on this thread: what becomes of these calls.
fn filter(numbers: &[c_long], action: u32, listens: bool) -> io::Result<Option<OwnedFd>> {
    let instruction = |code: u32, to: u8, otherwise: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a short code"),
        jt: to,
        jf: otherwise,
        k,
    };
    // The number of the call is the first word of what a filter sees.
    let mut program = vec![instruction(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        0,
        0,
        0,
    )];
    for (index, number) in numbers.iter().enumerate() {
        let left = u8::try_from(numbers.len() - index).expect("a few calls");
        let number = u32::try_from(*number).expect("a number of a call");
        program.push(instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            left,
            0,
            number,
        ));
    }
    let give = libc::BPF_RET | libc::BPF_K;
    program.push(instruction(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(instruction(give, 0, 0, action));
    let length = u16::try_from(program.len()).expect("a short program");
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_mut_ptr(),
    };
    // Who is not root must have given up gaining rights first.
    if !rustix::process::geteuid().is_root() {
        rustix::thread::set_no_new_privs(true)?;
    }
    let flags: c_ulong = match listens {
        true => libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        false => 0,
    };
    // SAFETY: the program and its instructions live through the call, which copies them.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            c_long::from(libc::SECCOMP_SET_MODE_FILTER),
            flags,
            &raw const program,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: with that flag the answer is a new descriptor, which nobody else has.
    Ok(listens
        .then(|| unsafe { OwnedFd::from_raw_fd(c_int::try_from(answer).expect("a descriptor")) }))
}

/// Numbers of the calls to the listener, as the system composes them: of the direction, the size and an order.
const RECEIVE: c_ulong = 0xc000_2100 | (size_of::<libc::seccomp_notif>() as c_ulong) << 16;
const SEND: c_ulong = 0xc000_2101 | (size_of::<libc::seccomp_notif_resp>() as c_ulong) << 16;

/// Answers each call that the filter hands over, until nobody is left who could make one. It allocates nothing: who
/// waits for the answer may hold a lock.
fn answer(listener: &OwnedFd, fails: Fails, count: &AtomicU64) {
    loop {
        // SAFETY: all zero is a value of it, and what the system wants to find there.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the system writes one of these.
        if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut call) } < 0 {
            match io::Error::last_os_error().raw_os_error() {
                // A caller that was killed meanwhile, or a signal.
                Some(libc::ENOENT | libc::EINTR) => continue,
                _ => return,
            }
        }
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let is_start = STARTS.contains(&c_long::from(call.data.nr));
        let error = if is_start { libc::EAGAIN } else { libc::EMFILE };
        let mut reply = libc::seccomp_notif_resp {
            id: call.id,
            val: 0,
            error: 0,
            flags: 0,
        };
        match fails.includes(number) {
            true => reply.error = -error,
            false => {
                reply.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1)
            }
        }
        // SAFETY: the system reads one of these.
        unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut reply) };
    }
}
