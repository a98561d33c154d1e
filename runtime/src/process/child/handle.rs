//! One child.

#![deny(clippy::arithmetic_side_effects)]

use std::fmt;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::super::sys::channel::Channel;
use super::super::sys::signal::send_to_group;
use super::capture::{Capture, Lines, Stream};
use super::exit::{Crash, Exit};
use super::supervisor::Supervisor;
use crate::debug;
use crate::sync::{Condvar, Mutex};
use crate::time;

/// How long a child that is to stop is given, at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For a body that looks at `stopping()`, before SIGTERM.
    pub(crate) asked: Duration,
    /// After SIGTERM, before SIGKILL.
    pub(crate) terminated: Duration,
}

impl Patience {
    /// What a stop gives when nobody says otherwise.
    pub(crate) const DEFAULT: Self = Self {
        asked: Duration::from_millis(100),
        terminated: Duration::from_secs(2),
    };
    pub(crate) const NONE: Self = Self {
        asked: Duration::ZERO,
        terminated: Duration::ZERO,
    };
}

/// A process that has just been started, and the pipes it prints into.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) pid: Pid,
    pub(crate) out: Option<OwnedFd>,
    pub(crate) err: Option<OwnedFd>,
}

impl Born {
    /// Started by the standard library.
    pub(crate) fn new(mut process: process::Child) -> Self {
        Self {
            pid: Pid::from_child(&process),
            out: process.stdout.take().map(Into::into),
            err: process.stderr.take().map(Into::into),
        }
    }
}

/// A child, as all who deal with it share it.
pub(super) struct Shared {
    pub(super) pid: Pid,
    pub(super) channel: Option<Channel>,
    /// There may be copies of it that nobody here knows.
    pub(super) copies: bool,
    pub(super) out: Mutex<Capture>,
    pub(super) err: Mutex<Capture>,
    lines: Mutex<Arc<dyn Lines>>,
    life: Mutex<Life>,
    changed: Condvar,
    /// Set once nothing more comes of it, to be read without the lock.
    ended: AtomicBool,
    since: Instant,
    supervisor: Arc<Supervisor>,
}

struct Life {
    /// It has been reaped: its number may be another's.
    reaped: bool,
    exit: Option<Exit>,
    oom_kills: u64,
    asked: bool,
    /// Nobody wants anything of it any more.
    leaves: bool,
}

impl Shared {
    pub(super) fn new(
        born: Born,
        channel: Option<Channel>,
        lines: Arc<dyn Lines>,
        copies: bool,
        supervisor: Arc<Supervisor>,
    ) -> Self {
        let Born { pid, out, err } = born;
        let life = Life {
            reaped: false,
            exit: None,
            oom_kills: 0,
            asked: false,
            leaves: false,
        };
        Self {
            pid,
            channel,
            copies,
            out: Mutex::new(Capture::new(Stream::Out, out)),
            err: Mutex::new(Capture::new(Stream::Err, err)),
            lines: Mutex::new(lines),
            life: Mutex::new(life),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
            since: Instant::now(),
            supervisor,
        }
    }

    fn signal(&self, signal: Signal) -> bool {
        let life = self.life.lock();
        let is_there = !life.reaped;
        if is_there {
            // Under the lock: once reaped, its number may be another's.
            send_to_group(self.pid, signal);
        }
        is_there
    }

    pub(super) fn drain(&self, stream: Stream) -> bool {
        let lines = Arc::clone(&self.lines.lock());
        self.capture(stream).lock().drain(&lines)
    }

    fn flush(&self, stream: Stream) {
        let lines = Arc::clone(&self.lines.lock());
        self.capture(stream).lock().flush(&lines);
    }

    fn capture(&self, stream: Stream) -> &Mutex<Capture> {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    /// Called by the supervisor when the process has ended: whatever it left in its group goes too,
    /// then it is reaped, then those who wait are told.
    pub(super) fn bury(&self, oom_kills: impl FnOnce() -> u64) {
        let mut life = self.life.lock();
        if life.reaped {
            return;
        }
        send_to_group(self.pid, Signal::KILL);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let exit = match retry_on_intr(|| waitid(WaitId::Pid(self.pid), options)) {
            Ok(Some(status)) => Exit::new(&status),
            Ok(None) => return,
            // Someone else has reaped it.
            Err(_) => Exit::Unknown,
        };
        life.reaped = true;
        drop(life);
        if let Some(channel) = &self.channel {
            channel.close();
        }
        let lines = Arc::clone(&self.lines.lock());
        for stream in [Stream::Out, Stream::Err] {
            drop(self.capture(stream).lock().finish(&lines));
        }
        let oom_kills = if exit == Exit::Signal(9) {
            oom_kills()
        } else {
            0
        };
        let mut life = self.life.lock();
        life.exit = Some(exit);
        life.oom_kills = oom_kills;
        self.ended.store(true, Ordering::Release);
        drop(life);
        self.changed.notify_all();
    }

    pub(super) fn is_buried(&self) -> bool {
        self.life.lock().reaped
    }

    /// Notes that nobody wants anything of it any more.
    fn leave(&self) {
        let mut life = self.life.lock();
        if !life.reaped && !std::mem::replace(&mut life.leaves, true) {
            self.supervisor.add_leaver();
        }
    }

    pub(super) fn is_leaver(&self) -> bool {
        self.life.lock().leaves
    }

    /// Whether the system says that it has ended, for systems without descriptors of processes.
    pub(super) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }
}

impl debug::Tell for Shared {
    fn heading(&self) -> &'static str {
        "processes"
    }

    fn tell(&self, out: &mut String) {
        let pid = self.pid.as_raw_nonzero();
        let Some(life) = self.life.try_lock() else {
            return debug::line(out, 1, format_args!("process {pid}: busy"));
        };
        let state = match (life.exit, life.reaped) {
            (Some(_), _) => return,
            (None, true) => "has ended, and what it printed is being read",
            (None, false) if life.leaves => "has done its work, and leaves",
            (None, false) if life.asked => "was told to stop",
            (None, false) => "is there",
        };
        drop(life);
        let kind = match self.channel {
            Some(_) => "a worker, or one that is kept ready",
            None => "a program",
        };
        let age = debug::Seconds(self.since.elapsed());
        debug::line(
            out,
            1,
            format_args!("process {pid}, {kind}, started {age} ago, {state}"),
        );
    }
}

/// Controls a child from anywhere. It outlives the child without harm.
#[derive(Clone)]
pub(crate) struct Handle(pub(super) Arc<Shared>);

impl Handle {
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Asks it to stop, then tells it to, then ends it. Returns at once; asking twice is harmless.
    pub(crate) fn stop(&self, patience: Patience) {
        if patience == Patience::NONE {
            self.kill();
            return;
        }
        let mut life = self.0.life.lock();
        if life.reaped || std::mem::replace(&mut life.asked, true) {
            return;
        }
        drop(life);
        if let Some(channel) = &self.0.channel {
            channel.half_close();
        }
        let terminate = Arc::downgrade(&self.0);
        let kill = Arc::downgrade(&self.0);
        let asked = match self.0.channel {
            Some(_) => patience.asked,
            None => Duration::ZERO,
        };
        let Some(first) = time::after(asked) else {
            return; // it is asked, and for ever
        };
        self.0.supervisor.at(first, move || {
            if let Some(child) = terminate.upgrade() {
                child.signal(Signal::TERM);
                // A process that is held does not hear it otherwise.
                child.signal(Signal::CONT);
            }
        });
        // With a grace beyond the clock the child is never killed.
        if let Some(last) = time::later(first, patience.terminated) {
            self.0.supervisor.at(last, move || {
                if let Some(child) = kill.upgrade() {
                    child.signal(Signal::KILL);
                }
            });
        }
    }

    /// Ends it and all of its group, now.
    pub(crate) fn kill(&self) {
        self.0.life.lock().asked = true;
        self.0.signal(Signal::KILL);
    }

    /// Holds it, and all of its group, where it is. False if it has ended.
    pub(crate) fn suspend(&self) -> bool {
        self.0.signal(Signal::STOP)
    }

    /// Lets it go on. False if it has ended.
    pub(crate) fn resume(&self) -> bool {
        self.0.signal(Signal::CONT)
    }

    /// Whether this parent has asked it to stop or ended it.
    pub(crate) fn was_stopped(&self) -> bool {
        self.0.life.lock().asked
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// Waits for its end. `None` when that takes longer than `limit`.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Option<Exit> {
        let end = limit.and_then(time::after);
        let _waits = debug::wait(|| format!("the end of process {}", self.pid()));
        let mut life = self.0.life.lock();
        loop {
            if let Some(exit) = life.exit {
                return Some(exit);
            }
            life = match end {
                None => self.0.changed.wait(life),
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.0.changed.wait_timeout(life, left).0
                }
            };
        }
    }

    /// Reads what it has printed so far.
    pub(crate) fn drain(&self) {
        self.0.drain(Stream::Out);
        self.0.drain(Stream::Err);
    }

    /// Reads what it has printed so far, and takes a line that has begun for one.
    pub(crate) fn flush(&self) {
        self.0.flush(Stream::Out);
        self.0.flush(Stream::Err);
    }

    /// Its last lines on stderr.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.0.err.lock().tail()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

/// A child and the duty to end it: dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    handle: Handle,
    left_alone: bool,
}

/// How long a child that has delivered its result may take to leave.
const TO_LEAVE: Duration = Duration::from_secs(5);

impl Child {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            handle: Handle(shared),
            left_alone: false,
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Its channel.
    ///
    /// # Panics
    /// It was started without one: it is not a worker.
    pub(crate) fn channel(&self) -> &Channel {
        self.handle
            .0
            .channel
            .as_ref()
            .expect("a worker has a channel")
    }

    /// What it prints from now on goes to `lines`; what it has printed went where it belongs.
    pub(crate) fn set_lines(&self, lines: Arc<dyn Lines>) {
        self.handle.drain();
        self.replace_lines(lines);
    }

    /// [`set_lines`](Self::set_lines) for a child that has printed nothing since its output was read.
    pub(crate) fn replace_lines(&self, lines: Arc<dyn Lines>) {
        let shared = &self.handle.0;
        let before = std::mem::replace(&mut *shared.lines.lock(), lines);
        drop(before);
        shared.out.lock().forget();
        shared.err.lock().forget();
    }

    /// How it ended, for one that should not have. Waits for the end, and brings it about when it
    /// does not come: a process that has closed its channel is of no more use.
    pub(crate) fn crash(&self) -> Crash {
        const UNTIL_KILLED: Duration = Duration::from_millis(500);
        let handle = &self.handle;
        let exit = handle.wait(Some(UNTIL_KILLED)).unwrap_or_else(|| {
            handle.0.signal(Signal::KILL);
            handle.wait(Some(TO_LEAVE)).unwrap_or(Exit::Unknown)
        });
        Crash {
            pid: handle.pid(),
            exit,
            stderr: handle.tail(),
            oom_kills: handle.0.life.lock().oom_kills,
        }
    }

    /// Lets it leave by itself, within a few seconds.
    pub(crate) fn let_leave(mut self) {
        self.left_alone = true;
        self.handle.0.leave();
        let child = Arc::downgrade(&self.handle.0);
        if let Some(end) = time::after(TO_LEAVE) {
            self.handle.0.supervisor.at(end, move || {
                if let Some(child) = child.upgrade() {
                    child.signal(Signal::KILL);
                }
            });
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.left_alone {
            self.handle.0.leave();
            self.handle.kill();
        }
    }
}
