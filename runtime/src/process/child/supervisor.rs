//! The thread that all children belong to.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::super::place::place;
use super::super::sys::channel::Channel;
use super::super::sys::memory::oom_kills;
use super::super::sys::own::Identity;
use super::capture::{Lines, NoLines, Stream};
use super::handle::{Born, Child, Shared};
use crate::error::drop_quietly;
use crate::sync::{Condvar, Mutex};

/// How long the thread stays without children.
const KEEP: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 1000 });

/// How long a child waits at most for room that others are about to leave.
const FOR_ROOM: Duration = Duration::from_secs(2);

/// How often children are looked after that the system gives no descriptor of.
const LOOK: Duration = Duration::from_millis(5);

/// Makes a child, on the thread of the supervisor, and lets go of what only the child is to hold.
pub(crate) type Starter = Box<dyn FnOnce() -> io::Result<Born> + Send>;

/// A child to start.
pub(crate) struct Spec {
    pub(crate) start: Starter,
    /// The parent's end of the channel whose other end is the child's standard input.
    pub(crate) channel: Option<Channel>,
    pub(crate) lines: Arc<dyn Lines>,
    /// It makes copies of itself, which are children of this process.
    pub(crate) copies: bool,
}

type Task = Box<dyn FnOnce() + Send>;
type Started = Box<dyn FnOnce(io::Result<Child>) + Send>;

enum Order {
    Start(Box<Spec>, Started),
    Adopt(Arc<Shared>),
    At(Instant, Task),
}

/// The orders that the thread has not seen yet.
#[derive(Default)]
struct Queue {
    orders: VecDeque<Order>,
    /// When the thread looks at the orders in any case.
    planned: Option<Instant>,
    /// The thread has ended; no order would be carried out.
    over: bool,
}

/// Children that are on their way out: they are of no use any more, and still have descriptors and a
/// number.
#[derive(Default)]
struct Leavers {
    /// How many there are.
    count: usize,
    /// How many have gone so far.
    gone: u64,
}

/// The thread that all children belong to, for those who give it orders.
pub(crate) struct Supervisor {
    identity: Identity,
    queue: Mutex<Queue>,
    leavers: Mutex<Leavers>,
    has_gone: Condvar,
    wake: OwnedFd,
    epoll: OwnedFd,
}

/// The supervisor for children of the calling thread. It is another one if this thread has given up
/// rights that the thread of the last one still has: a child must not get them back.
pub(crate) fn supervisor() -> io::Result<Arc<Supervisor>> {
    supervisor_for(&Identity::of_this_thread())
}

/// [`supervisor`] for a thread that has just been looked at.
pub(crate) fn supervisor_for(identity: &Identity) -> io::Result<Arc<Supervisor>> {
    let mut current = place().supervisor.lock();
    if let Some(supervisor) = &*current
        && supervisor.identity == *identity
        && !supervisor.is_over()
    {
        return Ok(Arc::clone(supervisor));
    }
    let supervisor = Supervisor::start(identity.clone())?;
    *current = Some(Arc::clone(&supervisor));
    Ok(supervisor)
}

impl Supervisor {
    fn start(identity: Identity) -> io::Result<Arc<Self>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, EventData::new_u64(0), EventFlags::IN)?;
        let supervisor = Arc::new(Self {
            identity,
            queue: Mutex::new(Queue::default()),
            leavers: Mutex::new(Leavers::default()),
            has_gone: Condvar::new(),
            wake,
            epoll,
        });
        let thread = Thread {
            supervisor: Arc::clone(&supervisor),
            children: HashMap::new(),
            timers: BinaryHeap::new(),
            last: 0,
            oom_kills: oom_kills().unwrap_or(0),
            idle_since: Instant::now(),
        };
        let builder = std::thread::Builder::new().name("runspace-children".to_owned());
        builder.spawn(move || thread.run())?;
        Ok(supervisor)
    }

    /// Starts a child and waits until it is there. It need not have done anything yet.
    pub(crate) fn spawn(self: &Arc<Self>, spec: Spec) -> io::Result<Child> {
        let reply = Arc::new((Mutex::new(None), Condvar::new()));
        let answer = Arc::clone(&reply);
        self.spawn_then(spec, move |child| {
            *answer.0.lock() = Some(child);
            answer.1.notify_one();
        });
        let _waits = crate::debug::wait(|| {
            "the start of a process, by the thread `runspace-children`".to_owned()
        });
        let mut child = reply.0.lock();
        loop {
            match child.take() {
                Some(child) => return child,
                None => child = reply.1.wait(child),
            }
        }
    }

    /// Starts a child and hands it to `then`, on the thread of the supervisor.
    pub(crate) fn spawn_then(
        self: &Arc<Self>,
        spec: Spec,
        then: impl FnOnce(io::Result<Child>) + Send + 'static,
    ) {
        let order = Order::Start(Box::new(spec), Box::new(then));
        if let Err(Order::Start(_, then)) = self.order(order, None) {
            then(Err(io::Error::other(
                "the thread that starts child processes has ended",
            )));
        }
    }

    /// Takes in a child that was started in another way.
    pub(crate) fn adopt(self: &Arc<Self>, born: Born, channel: Channel) -> io::Result<Child> {
        let lines = Arc::new(NoLines);
        let child = Arc::new(Shared::new(
            born,
            Some(channel),
            lines,
            false,
            Arc::clone(self),
        ));
        crate::debug::enlist(&child);
        #[cfg(feature = "ctrl_c")]
        super::roll::enlist(&child);
        match self.order(Order::Adopt(Arc::clone(&child)), None) {
            Ok(()) => Ok(Child::new(child)),
            Err(_) => Err(io::Error::other(
                "the thread that watches child processes has ended",
            )),
        }
    }

    /// Runs `task` at `time`, on the thread of the supervisor; not at all if by then there are no
    /// children left.
    pub(crate) fn at(&self, time: Instant, task: impl FnOnce() + Send + 'static) {
        let _ = self.order(Order::At(time, Box::new(task)), Some(time));
    }

    /// Whether its children have the rights that those of `other` have had.
    pub(crate) fn has_rights_of(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// One more child is on its way out.
    pub(super) fn add_leaver(&self) {
        self.leavers.lock().count += 1;
    }

    fn remove_leaver(&self) {
        let mut leavers = self.leavers.lock();
        leavers.count -= 1;
        leavers.gone += 1;
        drop(leavers);
        self.has_gone.notify_all();
    }

    /// Has `start` start a process. If there is no room for it, because of others that have done their
    /// work and are about to leave, it tries again as they do. `is_short` tells such a failure.
    pub(crate) fn patiently<T, E>(
        &self,
        start: impl Fn() -> Result<T, E>,
        is_short: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let end = Instant::now() + FOR_ROOM;
        loop {
            match start() {
                Err(error) if is_short(&error) && self.wait_for_leaver(end) => {}
                started => return started,
            }
        }
    }

    /// Waits until a child is gone that is on its way out, and what it has with it. False when there
    /// is none, or not one of them goes before `end`.
    fn wait_for_leaver(&self, end: Instant) -> bool {
        let mut leavers = self.leavers.lock();
        let before = leavers.gone;
        while leavers.gone == before {
            let left = end.saturating_duration_since(Instant::now());
            if leavers.count == 0 || left.is_zero() {
                return false;
            }
            leavers = self.has_gone.wait_timeout(leavers, left).0;
        }
        true
    }

    /// Whether its thread has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.queue.lock().over
    }

    fn order(&self, order: Order, due: Option<Instant>) -> Result<(), Order> {
        let mut queue = self.queue.lock();
        if queue.over {
            return Err(order);
        }
        queue.orders.push_back(order);
        let in_time = due.is_some_and(|due| queue.planned.is_some_and(|it| it <= due));
        drop(queue);
        if !in_time {
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
        Ok(())
    }
}

/// Whether the system has too few descriptors or processes just now.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let short = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::TOOMANYREFS];
    error
        .raw_os_error()
        .is_some_and(|it| short.contains(&Errno::from_raw_os_error(it)))
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// What a descriptor of a child tells, by the low bits of its event.
const EXIT: u64 = 0;
const OUT: u64 = 1;
const ERR: u64 = 2;

struct Ward {
    child: Arc<Shared>,
    /// `None` where the system has no descriptors of processes, or none left.
    pidfd: Option<OwnedFd>,
}

struct Timer {
    time: Instant,
    number: u64,
    task: Task,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

/// The thread itself.
struct Thread {
    supervisor: Arc<Supervisor>,
    children: HashMap<u64, Ward>,
    timers: BinaryHeap<Reverse<Timer>>,
    /// The number that was given last, to a child or a timer.
    last: u64,
    /// How often the system had ended a process for want of memory when last asked.
    oom_kills: u64,
    idle_since: Instant,
}

impl Thread {
    fn run(mut self) {
        while self.turn() {}
        // Its descriptors close with the last who knows it.
        let mut current = place().supervisor.lock();
        if current
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, &self.supervisor))
        {
            *current = None;
        }
    }

    /// Carries out what is due and waits for the next event. False when it is time to go.
    fn turn(&mut self) -> bool {
        let Some(limit) = self.carry_out() else {
            return false;
        };
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 32];
        let limit = super::super::sys::channel::timespec(limit);
        let count = epoll::wait(&self.supervisor.epoll, &mut events, Some(&limit)).unwrap_or(0);
        for event in &events[..count] {
            guarded(|| self.event(event.data.u64()));
        }
        if self.children.values().any(|it| it.pidfd.is_none()) {
            let ended = |it: &(&u64, &Ward)| it.1.pidfd.is_none() && it.1.child.has_ended();
            let ended: Vec<u64> = self.children.iter().filter(ended).map(|it| *it.0).collect();
            ended.into_iter().for_each(|number| self.bury(number));
        }
        true
    }

    /// Carries out the orders, and answers how long there is time for events. `None` to end.
    fn carry_out(&mut self) -> Option<Duration> {
        loop {
            let now = Instant::now();
            while self.timers.peek().is_some_and(|it| it.0.time <= now) {
                if let Some(Reverse(timer)) = self.timers.pop() {
                    guarded(timer.task);
                }
            }
            if !self.children.is_empty() {
                self.idle_since = now;
            }
            let limit = self.limit(now);
            let mut queue = self.supervisor.queue.lock();
            let Some(order) = queue.orders.pop_front() else {
                queue.planned = now.checked_add(limit);
                queue.over = now >= self.idle_since + KEEP;
                return (!queue.over).then_some(limit);
            };
            drop(queue);
            match order {
                Order::At(time, task) => {
                    self.last += 1;
                    let number = self.last;
                    self.timers.push(Reverse(Timer { time, number, task }));
                }
                Order::Start(spec, then) => {
                    let child = guarded(|| self.start(*spec));
                    let child = child.unwrap_or_else(|| {
                        Err(io::Error::other("what starts the child has panicked"))
                    });
                    guarded(|| then(child));
                    self.idle_since = Instant::now();
                }
                Order::Adopt(child) => self.take_in(child),
            }
        }
    }

    fn limit(&self, now: Instant) -> Duration {
        let timer = self.timers.peek().map(|it| it.0.time);
        let timer = timer.map_or(KEEP, |time| time.saturating_duration_since(now));
        let look = self.children.values().any(|it| it.pidfd.is_none());
        let idle = (self.idle_since + KEEP).saturating_duration_since(now);
        timer.min(idle).min(if look { LOOK } else { KEEP })
    }

    fn start(&mut self, spec: Spec) -> io::Result<Child> {
        let Spec {
            start,
            channel,
            lines,
            copies,
        } = spec;
        let supervisor = Arc::clone(&self.supervisor);
        let child = Shared::new(start()?, channel, lines, copies, supervisor);
        let child = Arc::new(child);
        crate::debug::enlist(&child);
        #[cfg(feature = "ctrl_c")]
        super::roll::enlist(&child);
        self.take_in(Arc::clone(&child));
        Ok(Child::new(child))
    }

    fn take_in(&mut self, child: Arc<Shared>) {
        self.last += 1;
        let number = self.last;
        let pidfd = pidfd_open(child.pid, PidfdFlags::empty()).ok();
        let pidfd = pidfd.filter(|it| self.watch(it, number, EXIT));
        for (capture, what) in [(&child.out, OUT), (&child.err, ERR)] {
            if let Some(pipe) = capture.lock().pipe() {
                self.watch(pipe, number, what);
            }
        }
        self.children.insert(number, Ward { child, pidfd });
    }

    fn watch(&self, fd: impl AsFd, number: u64, what: u64) -> bool {
        let data = EventData::new_u64(number << 2 | what);
        epoll::add(&self.supervisor.epoll, fd, data, EventFlags::IN).is_ok()
    }

    fn event(&mut self, data: u64) {
        if data == 0 {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.supervisor.wake, &mut count);
            return;
        }
        let (number, what) = (data >> 2, data & 3);
        let Some(ward) = self.children.get(&number) else {
            return;
        };
        let child = &ward.child;
        match what {
            OUT | ERR => {
                let stream = if what == OUT {
                    Stream::Out
                } else {
                    Stream::Err
                };
                if !child.drain(stream) {
                    let capture = if what == OUT { &child.out } else { &child.err };
                    if let Some(pipe) = capture.lock().pipe() {
                        let _ = epoll::delete(&self.supervisor.epoll, pipe);
                    }
                }
            }
            _ => self.bury(number),
        }
    }

    fn bury(&mut self, number: u64) {
        // This process is about to be ended: who heard of a child's end would go on with the program, to another
        // exit code.
        #[cfg(feature = "ctrl_c")]
        if super::roll::is_closed() {
            return;
        }
        let Some(ward) = self.children.get(&number) else {
            return;
        };
        let before = &mut self.oom_kills;
        ward.child.bury(|| {
            let now = oom_kills().unwrap_or(*before);
            now.saturating_sub(std::mem::replace(before, now))
        });
        if ward.child.is_buried() {
            if ward.child.copies {
                bury_copies(ward.child.pid, &self.supervisor);
            }
            let is_leaver = ward.child.is_leaver();
            // With its descriptors, before anybody is told.
            self.children.remove(&number);
            if is_leaver {
                self.supervisor.remove_leaver();
            }
        }
    }
}

/// Runs one piece of the thread's work. The thread outlives its panic, which the panic hook tells, because
/// all children of the process belong to the thread: nobody else would hear of their ends.
fn guarded<R>(work: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(drop_quietly)
        .ok()
}

/// Reaps copies of a process that has ended, and its group with it: those of which nobody here has heard.
/// While there is one of them the number of the group is no other's.
fn bury_copies(group: Pid, supervisor: &Arc<Supervisor>) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    loop {
        match retry_on_intr(|| waitid(WaitId::Pgid(Some(group)), options)) {
            Ok(Some(_)) => {}
            Ok(None) => {
                // Killed, and not dead yet.
                let again = Arc::clone(supervisor);
                let soon = Instant::now() + LOOK;
                return supervisor.at(soon, move || bury_copies(group, &again));
            }
            // There is none, or none any more.
            Err(_) => return,
        }
    }
}
