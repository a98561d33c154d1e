//! A worker process and the channel to it, as the parent has them.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Failure;
use super::child::{
    Born, Child, Handle, Lines, NoLines, Patience, Spec, Supervisor, supervisor, supervisor_for,
};
use super::entry::{
    CodecReport, Greeting, MARKER, Opening, Order, Refusal, Setup, What, depth, is_unborn_worker,
    marker, serve_if_worker,
};
use super::surroundings::Surroundings;
use super::sys::channel::Channel;
use super::sys::command_line::command_line;
use super::wire::{CodecError, Frame, FrameError, FrameReader, FrameWriter, Kind, SendError};

/// How deep jobs may start jobs.
pub(crate) const MOST_DEPTH: u32 = 10;

/// The variable that says how many seconds a worker may take from its start to its first word.
pub(crate) const START_TIMEOUT: &str = "RUNSPACE_START_TIMEOUT";

/// How many it may take where the variable says nothing: enough for a large program that comes over a
/// network to a machine under load.
const TO_GREET: Duration = Duration::from_secs(20);

/// How long a worker may take from its start to its first word.
fn to_greet() -> io::Result<Duration> {
    let Some(text) = std::env::var_os(START_TIMEOUT).filter(|it| !it.is_empty()) else {
        return Ok(TO_GREET);
    };
    let seconds = text.to_str().and_then(|it| it.trim().parse::<f64>().ok());
    let limit = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
    limit.filter(|it| !it.is_zero()).ok_or_else(|| {
        let text = format!("{START_TIMEOUT} is {text:?}, which is no number of seconds above 0");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// Until when a child has to say who it is.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    limit: Duration,
    start: Instant,
}

/// A worker process and the channel to it. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Link {
    child: Child,
    reader: FrameReader<Channel>,
    writer: FrameWriter<Channel>,
    /// Until when the child has to say who it is; `None` once it has.
    greeting: Option<Deadline>,
    /// It has served a run to its end.
    proven: bool,
}

/// Who wants a child, and from where: taken on the thread that asks, since rights, limits, variables
/// and the directory are what they are there and then.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Good while there is a child of it; ask [`supervisor`](Self::supervisor) to start one.
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) surroundings: Arc<Surroundings>,
}

impl Start {
    pub(crate) fn here() -> Result<Self, Failure> {
        // In a worker whose `main` was to serve and has not: before it starts what its parent has.
        serve_if_worker();
        if is_unborn_worker() {
            return Err(Failure::InConstructor);
        }
        let depth = depth();
        if depth >= MOST_DEPTH {
            return Err(Failure::TooDeep(depth));
        }
        let surroundings = Surroundings::now();
        let supervisor = supervisor_for(surroundings.identity()).map_err(Failure::NoProcess)?;
        Ok(Self {
            supervisor,
            surroundings: Arc::new(surroundings),
        })
    }

    /// The thread that starts children for it. The one that was there may have ended since.
    pub(crate) fn supervisor(&self) -> io::Result<Arc<Supervisor>> {
        if !self.supervisor.is_over() {
            return Ok(Arc::clone(&self.supervisor));
        }
        let supervisor = supervisor()?;
        if supervisor.has_rights_of(&self.supervisor) {
            return Ok(supervisor);
        }
        Err(io::Error::other(
            "the thread that asked for it had other rights than this one has",
        ))
    }
}

/// A worker that is ready to be started in these surroundings.
fn worker(surroundings: Arc<Surroundings>) -> Result<Spec, Failure> {
    let marker = marker(depth() + 1);
    let (channel, theirs) = Channel::pair().map_err(Failure::NoProcess)?;
    channel
        .send_pipe(&theirs.pipe)
        .map_err(Failure::NoProcess)?;
    let mut command = Command::new("/proc/self/exe");
    let mut args = command_line().map_err(Failure::NoProcess)?.into_iter();
    command
        .arg0(args.next().unwrap_or_else(|| OsString::from("runspace")))
        .args(args)
        .process_group(0)
        .stdin(Stdio::from(theirs.socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(Spec {
        // The command holds the child's end of the channel, and goes with the closure.
        start: Box::new(move || {
            surroundings.keep(&mut command);
            command.env(MARKER, &marker);
            Ok(Born::new(command.spawn()?))
        }),
        channel: Some(channel),
        lines: Arc::new(NoLines),
        copies: false,
    })
}

impl Link {
    /// Starts a worker. What is wrong with it shows later.
    pub(crate) fn start(start: &Start, lines: Arc<dyn Lines>) -> Result<Self, Failure> {
        Self::start_as(start, lines, false)
    }

    /// Starts a worker that does nothing but copy itself.
    pub(crate) fn start_template(start: &Start) -> Result<Self, Failure> {
        Self::start_as(start, Arc::new(NoLines), true)
    }

    fn start_as(start: &Start, lines: Arc<dyn Lines>, template: bool) -> Result<Self, Failure> {
        let limit = to_greet().map_err(Failure::NoProcess)?;
        let mut spec = worker(Arc::clone(&start.surroundings))?;
        spec.lines = lines;
        spec.copies = template;
        let supervisor = start.supervisor().map_err(Failure::NoProcess)?;
        let child = supervisor.spawn(spec).map_err(Failure::NoProcess)?;
        let deadline = Deadline {
            limit,
            start: Instant::now(),
        };
        let mut link = Self::to(child, Some(deadline));
        // This fits into the channel's buffer. If the child is gone, that shows in the answer.
        let opening = Opening {
            policy: start.surroundings.policy().to_vec(),
            template,
        };
        let _ = link.writer.part(&Greeting::own());
        let _ = link.writer.part(&opening);
        let _ = link
            .writer
            .end(Kind::Open)
            .and_then(|()| link.writer.flush());
        Ok(link)
    }

    /// The link to a worker that is a copy of one that has said who it is.
    pub(crate) fn to_copy(child: Child) -> Self {
        Self::to(child, None)
    }

    fn to(child: Child, greeting: Option<Deadline>) -> Self {
        let channel = child.channel();
        Self {
            reader: FrameReader::new(channel.clone()),
            writer: FrameWriter::new(channel.clone()),
            child,
            greeting,
            proven: false,
        }
    }

    /// Notes that the child has served a run to its end.
    pub(crate) fn set_proven(&mut self) {
        self.proven = true;
    }

    /// Whether the child has served a run to its end: that it can is then no question any more.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.child.handle()
    }

    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Whether the child still holds its end, as far as can be seen from here.
    pub(crate) fn is_open(&self) -> bool {
        use super::sys::channel::Peer;
        !self.handle().has_ended() && self.child.channel().peer() == Peer::Open
    }

    /// Waits for the child to say who it is.
    pub(crate) fn greet(&mut self) -> Result<(), Failure> {
        let Some(Deadline { limit, start }) = self.greeting else {
            return Ok(());
        };
        // A greeting may come in pieces, or not to its end.
        while !self.reader.has_frame() {
            let left = limit.saturating_sub(start.elapsed());
            let channel = self.child.channel();
            if channel.wait_readable(left).map_err(Failure::NoProcess)? {
                match self.reader.read_short() {
                    Ok(true) => continue,
                    Ok(false) | Err(FrameError::Io(_)) => break,
                    Err(error) => return Err(Failure::Nonsense(error)),
                }
            }
            self.handle().kill();
            return Err(Failure::Silent(self.child.crash(), limit));
        }
        let frame = match self.reader.next() {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(FrameError::Cut | FrameError::Io(_)) => {
                return Err(match self.handle().was_stopped() {
                    true => Failure::Stopped,
                    false => Failure::NoHello(self.child.crash()),
                });
            }
            Err(error) => return Err(Failure::Nonsense(error)),
        };
        let strange = |kind: Kind| Failure::Nonsense(FrameError::Kind(kind as u8));
        let refusal = match frame.kind {
            Kind::Hello => match frame.value() {
                Ok(child) => Refusal::check(&Greeting::own(), &child),
                Err(_) => return Err(strange(Kind::Hello)),
            },
            Kind::Refused => frame.value().ok(),
            kind => return Err(strange(kind)),
        };
        match refusal {
            None => {
                self.greeting = None;
                Ok(())
            }
            Some(refusal) => Err(Failure::Refused(refusal)),
        }
    }

    /// The next frame; the crash of the child, if none comes any more.
    pub(crate) fn next(&mut self) -> Result<Frame<'_>, Failure> {
        self.greet()?;
        // Asked of the parts, so that a frame can be answered and the rest used when there is none.
        let Self { reader, child, .. } = self;
        reader.source().set_deadline(None);
        match reader.next() {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) | Err(FrameError::Cut | FrameError::Io(_)) => Err(lost(child)),
            Err(error) => Err(Failure::Nonsense(error)),
        }
    }

    /// The next frame, or `None` if it is not here in full by `end`.
    pub(crate) fn next_until(
        &mut self,
        end: Option<Instant>,
    ) -> Result<Option<Frame<'_>>, Failure> {
        self.greet()?;
        let Self { reader, child, .. } = self;
        reader.source().set_deadline(end);
        match reader.next() {
            Ok(Some(frame)) => Ok(Some(frame)),
            Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Ok(None) | Err(FrameError::Cut | FrameError::Io(_)) => Err(lost(child)),
            Err(error) => Err(Failure::Nonsense(error)),
        }
    }

    /// Waits for an answer to what was sent in one piece to a child that was waiting for it.
    ///
    /// # Errors
    /// The child has ended and has not read it.
    pub(crate) fn wait_for_answer(&mut self) -> Result<(), Failure> {
        self.reader.source().set_deadline(None);
        match self.reader.wait() {
            // This is how the system tells the end of one that had something left to read from that of
            // one that had not.
            Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                Err(lost(&self.child))
            }
            // Whatever else it is, `next` says it again.
            _ => Ok(()),
        }
    }

    /// Whether a frame is here already.
    pub(crate) fn has_next(&self) -> bool {
        self.reader.has_frame()
    }

    pub(crate) fn writer(&mut self) -> &mut FrameWriter<Channel> {
        &mut self.writer
    }

    /// Sends a body and its captures.
    pub(crate) fn send_body<C: Serialize>(
        &mut self,
        kind: Kind,
        order: Order,
        captures: &C,
    ) -> Result<(), Failure> {
        self.greet()?;
        let sent = self.writer.frame(kind, &order);
        sent.map_err(|error| self.not_sent::<Order>(What::Message, error))?;
        let sent = self.writer.send(Kind::Captures, captures);
        sent.map_err(|error| self.not_sent::<C>(What::Captures, error))
    }

    /// Waits until the child says that it is ready, or something else instead, which is left for `next`.
    ///
    /// # Errors
    /// The child has ended, and nothing has come.
    pub(crate) fn wait_until_ready(&mut self) -> Result<(), Failure> {
        self.reader.source().set_deadline(None);
        match self.reader.wait() {
            Ok(false) | Err(FrameError::Io(_)) => return Err(lost(&self.child)),
            // Whatever else it is, `next` says it again.
            Ok(true) | Err(_) => {}
        }
        if self.reader.has_frame_of(Kind::Ready) {
            self.next()?;
        }
        Ok(())
    }

    /// Writes a body for items, and its captures, which have been made bytes already; they go with what
    /// is sent next.
    pub(crate) fn write_run(&mut self, order: Order, captures: &[u8]) -> Result<(), Failure> {
        self.greet()?;
        let sent = self.writer.frame(Kind::Run, &order);
        sent.map_err(|error| self.not_sent::<Order>(What::Message, error))?;
        let sent = self.writer.raw(Kind::Captures, captures);
        sent.map_err(|error| self.not_sent::<Order>(What::Captures, error.into()))
    }

    /// Sends what the child is to run with.
    pub(crate) fn send_setup(&mut self, setup: &Setup) -> Result<(), Failure> {
        self.greet()?;
        let sent = self.writer.frame(Kind::Setup, setup);
        sent.map_err(|error| self.not_sent::<Setup>(What::Message, error))
    }

    /// What a failed sending means.
    pub(crate) fn not_sent<T: ?Sized>(&self, what: What, error: SendError) -> Failure {
        match error {
            SendError::Codec(error) => Failure::write(CodecReport::new::<T>(what, &error)),
            SendError::Io(_) => self.lost(),
        }
    }

    /// What the end of the channel means.
    pub(crate) fn lost(&self) -> Failure {
        lost(&self.child)
    }

    /// Asks the child to leave, and leaves it alone.
    pub(crate) fn leave(mut self) {
        // One that cannot even be told is ended with the link.
        let told = self.writer.send(Kind::Leave, &());
        if told.is_ok() {
            self.child.let_leave();
        }
    }

    /// The child leaves by itself.
    pub(crate) fn left(self) {
        self.child.let_leave();
    }

    pub(crate) fn stop(&self, patience: Patience) {
        self.handle().stop(patience);
    }
}

/// The channel has ended.
fn lost(child: &Child) -> Failure {
    if child.handle().was_stopped() {
        Failure::Stopped
    } else {
        Failure::Crashed(child.crash())
    }
}

/// A value from the child that cannot be read.
pub(crate) fn unread<T: ?Sized>(what: What, error: &CodecError) -> Failure {
    Failure::read(CodecReport::new::<T>(what, error))
}
