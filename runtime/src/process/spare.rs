//! Workers that are there before anyone asks for them.
//!
//! Starting this program again takes about a millisecond, more if it is large. After the first job
//! one worker is kept as a template, which does nothing but copy itself; two copies are kept ready, so
//! that the next job has its process in microseconds, and the next copy is made beside the job.
//! Where a process cannot be copied, because a constructor of the program has started a thread,
//! spares are started from the file. When nobody asks for a few seconds, all of them go.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, setpgid};

use super::child::{Born, Lines, NoLines, Supervisor};
use super::link::{Link, Start};
use super::sys::channel::{Channel, Theirs};
use super::wire::Kind;
use crate::stock::Stock;
use crate::sync::Mutex;
use crate::threads;

/// How many spares are ready. With one, of jobs that come one after another each gets a process that has
/// just been made, and waits for it to come up; with three, none is faster than with two.
const READY: usize = 2;

/// How long spares are kept when nobody asks for any.
const KEEP: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 3000 });

/// How old a template gets, at most. What cannot be seen to have changed, such as the mask for new
/// files, is no older in its copies.
const TOO_OLD: Duration = Duration::from_secs(60);

/// How long a job waits for a spare that is being made, rather than start a process of its own.
const TO_WAIT: Duration = Duration::from_millis(100);

/// How long a template may take to make a copy.
const TO_COPY: Duration = Duration::from_secs(10);

/// The spares of a process.
#[derive(Debug)]
pub(super) struct Shelf {
    spares: Stock<Spare, Maker>,
    watch: Mutex<Watch>,
}

/// Whether spares are still wanted.
#[derive(Debug)]
struct Watch {
    /// When one was wanted last.
    used: Option<Instant>,
    /// The thread that looks.
    by: Weak<Supervisor>,
}

/// A worker that has run nothing yet, and where it was started.
#[derive(Debug)]
struct Spare {
    start: Start,
    link: Link,
}

/// What spares are made by.
#[derive(Default)]
enum Maker {
    /// Nothing yet.
    #[default]
    None,
    Template(Box<Template>),
    /// Copies cannot be made.
    File,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Template(_) => "Template",
            Self::File => "File",
        })
    }
}

/// A worker that does nothing but copy itself.
struct Template {
    start: Start,
    link: Link,
    born: Instant,
}

impl Shelf {
    pub(super) const fn new() -> Self {
        Self {
            spares: Stock::new(Maker::None),
            watch: Mutex::new(Watch {
                used: None,
                by: Weak::new(),
            }),
        }
    }

    /// A spare that is as a process started by `start` would be.
    pub(super) fn take(&self, start: &Start, lines: &Arc<dyn Lines>) -> Option<Link> {
        let end = Instant::now() + TO_WAIT;
        loop {
            let Spare {
                start: was,
                mut link,
            } = self.next(start, end)?;
            // One that has ended, or that is not as it should be and cannot be made so, is dropped,
            // and ended with that.
            let Some(setup) = was.surroundings.changes_to(&start.surroundings) else {
                continue;
            };
            if !link.is_open() || link.greet().is_err() {
                continue;
            }
            if let Some(setup) = setup
                && link.send_setup(&setup).is_err()
            {
                continue;
            }
            link.child().set_lines(Arc::clone(lines));
            return Some(link);
        }
    }

    /// The spare that has waited longest; if there is none, one that is being made or can be made
    /// quickly.
    fn next(&self, start: &Start, end: Instant) -> Option<Spare> {
        let suits = |maker: &Maker| matches!(maker, Maker::Template(it) if it.suits(start));
        self.spares.take(end, suits, |maker| maker.make(start))
    }

    /// Sees to it that a spare is there soon.
    pub(super) fn refill(&'static self, start: &Start) {
        self.watch.lock().used = Some(Instant::now());
        let Some(making) = self.spares.start_making(READY) else {
            return;
        };
        self.watch(start);
        let start = start.clone();
        // Without a thread for it, the making is over.
        let _ = threads::spawn(Box::new(move || {
            making.until(READY, |maker| maker.make(&start));
        }));
    }

    /// Has the spares taken away when they are not wanted any more.
    fn watch(&'static self, start: &Start) {
        let Ok(supervisor) = &start.supervisor() else {
            return;
        };
        let mut watch = self.watch.lock();
        let watcher = watch.by.upgrade().filter(|it| !it.is_over());
        if watcher.is_some_and(|it| Arc::ptr_eq(&it, supervisor)) {
            return;
        }
        watch.by = Arc::downgrade(supervisor);
        drop(watch);
        self.look_later(Arc::clone(supervisor), Instant::now() + KEEP);
    }

    fn look_later(&'static self, supervisor: Arc<Supervisor>, time: Instant) {
        let again = Arc::clone(&supervisor);
        supervisor.at(time, move || {
            let mut watch = self.watch.lock();
            let until = watch.used.map(|used| used + KEEP);
            let wanted = until.is_some_and(|it| it > Instant::now());
            let gone = (!wanted).then(|| self.spares.clear(Maker::None)).flatten();
            match (until, gone) {
                (Some(until), None) => {
                    drop(watch);
                    let soon = Instant::now() + KEEP / 4;
                    self.look_later(again, until.max(soon));
                }
                (_, gone) => {
                    watch.by = Weak::new();
                    drop(watch);
                    drop(gone);
                }
            }
        });
    }

    /// How many are ready.
    #[cfg(test)]
    pub(super) fn ready(&self) -> usize {
        self.spares.ready()
    }
}

impl Maker {
    fn make(&mut self, start: &Start) -> Option<Spare> {
        // A template that has gone is replaced, once.
        self.try_make(start).or_else(|| self.try_make(start))
    }

    fn try_make(&mut self, start: &Start) -> Option<Spare> {
        if let Self::Template(template) = self
            && !template.suits(start)
        {
            *self = Self::None;
        }
        if matches!(self, Self::None) {
            *self = Template::start(start)?;
        }
        let (start, link) = match self {
            Self::Template(template) => match template.copy() {
                Some(link) => (template.start.clone(), link),
                None => {
                    *self = Self::None;
                    return None;
                }
            },
            _ => (start.clone(), Link::start(start, Arc::new(NoLines)).ok()?),
        };
        Some(Spare { start, link })
    }
}

impl Template {
    /// A template, or the knowledge that there can be none. `None` if it does not come up.
    fn start(start: &Start) -> Option<Maker> {
        let mut link = Link::start_template(start).ok()?;
        let frame = link.next().ok().filter(|it| it.kind == Kind::Template)?;
        let willing: bool = frame.value().ok()?;
        if !willing {
            return Some(Maker::File);
        }
        Some(Maker::Template(Box::new(Self {
            start: start.clone(),
            link,
            born: Instant::now(),
        })))
    }

    /// Whether its copies can be made what a process started by `start` would be.
    fn suits(&self, start: &Start) -> bool {
        let changes = self.start.surroundings.changes_to(&start.surroundings);
        changes.is_some() && self.born.elapsed() < TOO_OLD && self.link.is_open()
    }

    fn copy(&self) -> Option<Link> {
        let (channel, theirs) = Channel::pair().ok()?;
        let (out, to_out) = pipe_with(PipeFlags::CLOEXEC).ok()?;
        let (err, to_err) = pipe_with(PipeFlags::CLOEXEC).ok()?;
        let template = self.link.child().channel();
        let Theirs { socket, pipe } = &theirs;
        let sent = [socket, pipe, &to_out, &to_err].map(AsFd::as_fd);
        template.send_descriptors(&sent).ok()?;
        drop((theirs, to_out, to_err));
        let number = channel.receive_bytes(TO_COPY)?;
        let pid = Pid::from_raw(i32::from_ne_bytes(number))?;
        // The copy does so as well, but perhaps not yet, and what ends the template ends its group.
        let _ = setpgid(Some(pid), Some(pid));
        let born = Born {
            pid,
            out: Some(out),
            err: Some(err),
        };
        let child = self.start.supervisor().ok()?.adopt(born, channel).ok()?;
        let link = Link::to_copy(child);
        // While the template is there nobody has ended its group, and now the copy is out of it.
        self.link.is_open().then_some(link)
    }
}
