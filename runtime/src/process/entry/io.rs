//! The child's side of the channel.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::pool::{Recycle, Wear};
use super::super::sys::channel::{Channel, Peer};
use super::super::sys::own;
use super::super::sys::signal::kill_own_group;
use super::super::wire::{CodecError, Frame, FrameReader, FrameWriter, Kind, SendError};
use super::body::{Body, Order};
use super::greeting::{Greeting, Opening, Refusal};
use super::panics::Panicked;
use super::template;
use crate::context::CurrentJob;
use crate::key::CallKey;
use crate::stop::StopToken;
use crate::sync::Mutex;
use crate::trace::{self, Said};

/// Which value could not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Captures,
    Item,
    Output,
    Message,
}

/// A value that the child could not write or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodecReport {
    pub(crate) what: What,
    /// Its type.
    pub(crate) of: String,
    pub(crate) text: String,
    /// The code of its type has panicked, rather than refused.
    pub(crate) panicked: Option<Box<Panicked>>,
}

impl CodecReport {
    pub(crate) fn new<T: ?Sized>(what: What, error: &CodecError) -> Self {
        let of = std::any::type_name::<T>().to_owned();
        let panicked = match error {
            CodecError::Panicked(direction, payload) => {
                let within = format!("the `{direction:?}` of {what} (of type `{of}`)");
                Some(Box::new(Panicked::within(payload.message(), within)))
            }
            CodecError::Io(_) | CodecError::Value(_) => None,
        };
        Self {
            what,
            of,
            text: error.to_string(),
            panicked,
        }
    }
}

/// As a text calls it.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Captures => "the captured values",
            Self::Item => "the item",
            Self::Output => "the output",
            Self::Message => "a message",
        })
    }
}

/// A message of a body, beside its outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// How much it matters; the job layer knows what the numbers mean.
    pub(crate) level: u8,
    pub(crate) time: SystemTime,
    pub(crate) text: String,
    /// What it was before it was a text, if it was an event.
    pub(crate) event: Option<Said>,
}

impl Note {
    pub(crate) fn now(level: u8, text: String) -> Self {
        Self {
            level,
            time: SystemTime::now(),
            text,
            event: None,
        }
    }

    /// Notes that it has come from the process `pid`.
    pub(crate) fn said_in(mut self, pid: u32) -> Self {
        if let Some(event) = &mut self.event {
            event.pid.get_or_insert(pid);
        }
        self
    }

    /// An event as a message of a body.
    fn of_event(said: Said) -> Self {
        /// The job layer has a level between information and debug, for what a job is doing.
        const LEVELS: [u8; 6] = [0, 0, 1, 2, 4, 4];
        let level = LEVELS.get(usize::from(said.level)).copied();
        Self {
            event: Some(said.clone()),
            ..Self::now(level.unwrap_or(4), said.line())
        }
    }
}

thread_local! {
    /// This thread has the writer.
    static WRITES: Cell<bool> = const { Cell::new(false) };
    /// What it has said meanwhile: a value that is being written may speak.
    static LATER: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

/// What a child is told about its surroundings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Setup {
    /// All variables, where they differ from those the child was started with.
    pub(crate) environment: Option<Vec<(std::ffi::OsString, std::ffi::OsString)>>,
    pub(crate) directory: Option<std::path::PathBuf>,
    pub(crate) limits: super::super::sys::limits::Limits,
    pub(crate) recycle: Recycle,
}

/// The sending half, for as many threads as a body has.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<Mutex<FrameWriter<Channel>>>);

impl Sender {
    /// Sends one frame now. Without a parent to send it to, this process has no reason to go on.
    pub(crate) fn send<T: Serialize + ?Sized>(
        &self,
        kind: Kind,
        value: &T,
    ) -> Result<(), CodecError> {
        match self.write(|writer| writer.send(kind, value)) {
            Ok(()) => Ok(()),
            Err(SendError::Codec(error)) => Err(error),
            Err(SendError::Io(_)) => kill_own_group(),
        }
    }

    /// Sends a value of a body's, or the reason why it cannot be sent. False in the second case.
    pub(crate) fn value<T: Serialize + ?Sized>(&self, kind: Kind, value: &T) -> bool {
        let sent = self.send(kind, value);
        if let Err(error) = &sent {
            self.report(&CodecReport::new::<T>(What::Output, error));
        }
        sent.is_ok()
    }

    /// Sends what is made of plain texts and numbers, which can always be written.
    pub(crate) fn plain<T: Serialize + ?Sized>(&self, kind: Kind, value: &T) {
        if self.send(kind, value).is_err() {
            kill_own_group();
        }
    }

    pub(crate) fn report(&self, report: &CodecReport) {
        self.plain(Kind::Codec, report);
    }

    pub(crate) fn note(&self, level: u8, text: String) {
        self.say(Note::now(level, text));
    }

    fn say(&self, note: Note) {
        if WRITES.get() {
            let _ = LATER.try_with(|it| it.borrow_mut().push(note));
        } else {
            self.plain(Kind::Record, &note);
        }
    }

    /// Has `write` write, then sends what the value has said while it was written.
    fn write<R>(&self, write: impl FnOnce(&mut FrameWriter<Channel>) -> R) -> R {
        struct Writes;
        impl Drop for Writes {
            fn drop(&mut self) {
                WRITES.set(false);
            }
        }
        WRITES.set(true);
        let writes = Writes;
        let written = write(&mut self.0.lock());
        drop(writes);
        let later = LATER.try_with(RefCell::take).unwrap_or_default();
        later.into_iter().for_each(|it| self.say(it));
        written
    }

    /// Several frames in one go, made by `write`.
    pub(crate) fn with<R>(
        &self,
        write: impl FnOnce(&mut FrameWriter<Channel>) -> Result<R, SendError>,
    ) -> Result<R, CodecError> {
        match self.write(write) {
            Ok(it) => Ok(it),
            Err(SendError::Codec(error)) => Err(error),
            Err(SendError::Io(_)) => kill_own_group(),
        }
    }
}

/// What the code in a worker process belongs to: the job or the call in the parent.
impl CurrentJob for Sender {
    fn note(&self, level: u8, text: String) {
        Self::note(self, level, text);
    }
}

/// The child's side of the channel, as the function that serves a body has it.
#[derive(Debug)]
pub(crate) struct ChildIo {
    channel: Channel,
    reader: FrameReader<Channel>,
    pub(crate) sender: Sender,
    pub(crate) wear: Wear,
    pub(crate) recycle: Recycle,
    /// Nothing of the user's runs in this run but the body, on its items.
    pub(crate) bare: bool,
    /// The key of the call in the parent, once there is one.
    pub(crate) key: Option<CallKey>,
    /// Made when it is first asked for: it takes random numbers, which copies must not share.
    stop: OnceCell<StopToken>,
}

impl ChildIo {
    fn new(channel: Channel) -> Self {
        Self {
            reader: FrameReader::new(channel.clone()),
            sender: Sender(Arc::new(Mutex::new(FrameWriter::new(channel.clone())))),
            stop: OnceCell::new(),
            wear: Wear::default(),
            recycle: Recycle::default(),
            bare: false,
            key: None,
            channel,
        }
    }

    pub(super) fn into_channel(self) -> Channel {
        self.channel
    }

    /// Stopped when the parent asks for it.
    pub(crate) fn stop(&self) -> &StopToken {
        self.stop.get_or_init(StopToken::new)
    }

    /// The next frame. Without one there is no parent any more, or none that makes sense.
    pub(crate) fn next(&mut self) -> Frame<'_> {
        match self.reader.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => match self.channel.peer() {
                // Asked to stop, and done.
                Peer::Closing => leave(0),
                // The watch does the same, unless it is late.
                Peer::Open | Peer::Gone => kill_own_group(),
            },
            Err(error) => {
                eprintln!("runspace: {error}");
                kill_own_group()
            }
        }
    }

    /// Whether the next frame is here, and is of this kind.
    pub(crate) fn has_next(&self, kind: Kind) -> bool {
        self.reader.has_frame_of(kind)
    }

    /// The captures of the body; what is wrong with them has been reported when there are none.
    pub(crate) fn captures<C: DeserializeOwned>(&mut self) -> Option<C> {
        self.captures_after(|_| ())
    }

    /// The same of a job. The parent is told that it is here, before anything of the user's runs: from then on
    /// no other process is to run it.
    pub(crate) fn captures_of_job<C: DeserializeOwned>(&mut self) -> Option<C> {
        self.captures_after(|sender| sender.plain(Kind::Ready, &()))
    }

    fn captures_after<C: DeserializeOwned>(&mut self, read: impl FnOnce(&Sender)) -> Option<C> {
        let sender = self.sender.clone();
        let frame = self.next();
        read(&sender);
        let captures = match frame.kind {
            Kind::Captures => frame.value::<C>(),
            kind => Err(CodecError::value(format!("{kind:?} came in their place"))),
        };
        captures
            .map_err(|error| {
                self.sender
                    .report(&CodecReport::new::<C>(What::Captures, &error))
            })
            .ok()
    }

    fn greet(&mut self) -> Option<Opening> {
        let own = Greeting::own();
        let mut frame = self.next();
        let parent = match frame.kind {
            Kind::Open => frame.part::<Greeting>().ok()?,
            _ => return None,
        };
        match Refusal::check(&parent, &own) {
            None => {
                let opening = frame.value().ok()?;
                self.sender.plain(Kind::Hello, &own);
                Some(opening)
            }
            Some(refusal) => {
                self.sender.plain(Kind::Refused, &refusal);
                None
            }
        }
    }

    fn run(&mut self, order: Result<Order, CodecError>) {
        let found = match order {
            Ok(order) => {
                let sender = self.sender.clone();
                trace::send_home(order.events, move |it| sender.say(Note::of_event(it)));
                order.body.run(self)
            }
            Err(_) => false,
        };
        if !found {
            let error = CodecError::value("no such code is in this program");
            self.sender
                .report(&CodecReport::new::<Body>(What::Message, &error));
        }
    }
}

/// What a body has printed goes out before anyone hears that it has ended.
pub(crate) fn flush_output() {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
}

/// Serves the parent until it has no more work, and ends the process.
pub(super) fn serve(channel: Channel) -> ! {
    let mut io = ChildIo::new(channel);
    let Some(opening) = io.greet() else {
        leave(120);
    };
    super::super::policy_of_parent(&opening.policy);
    if opening.template {
        io = ChildIo::new(template::copies(io));
    }
    watch(io.channel.clone(), io.stop().clone());
    loop {
        let frame = io.next();
        match frame.kind {
            Kind::Setup => {
                let setup: Result<Setup, String> = frame.value().map_err(|it| it.to_string());
                if let Ok(setup) = &setup {
                    io.recycle = setup.recycle;
                }
                if let Err(text) = setup.and_then(set_up) {
                    let error = CodecError::value(text);
                    io.sender
                        .report(&CodecReport::new::<Setup>(What::Message, &error));
                    leave(121);
                }
            }
            Kind::Call => {
                let order = frame.value();
                io.run(order);
                leave(0);
            }
            Kind::Run => {
                let order: Result<Order, CodecError> = frame.value();
                io.bare = order.as_ref().is_ok_and(|it| it.bare);
                io.key = order.as_ref().ok().map(|it| it.key);
                io.run(order);
            }
            Kind::Leave => leave(0),
            // What is left of a run that ended early.
            Kind::Items | Kind::EndRun | Kind::Captures => {}
            kind => {
                eprintln!("runspace: an unexpected message: {kind:?}");
                kill_own_group();
            }
        }
    }
}

pub(crate) fn leave(code: i32) -> ! {
    flush_output();
    std::process::exit(code)
}

fn set_up(setup: Setup) -> Result<(), String> {
    if let Some(variables) = setup.environment {
        super::set_environment(variables);
    }
    if let Some(directory) = setup.directory {
        std::env::set_current_dir(&directory)
            .map_err(|error| format!("cannot enter {}: {error}", directory.display()))?;
    }
    let limits = setup.limits.apply();
    limits.map_err(|error| format!("cannot set the limits {:?}: {error}", setup.limits))
}

/// Watches the parent while the body runs: asked to stop, it tells the body; gone, it ends this
/// process and all that it has started in its group.
fn watch(channel: Channel, stop: StopToken) {
    let parent = own::parent();
    let watch = move || {
        let mut known = Peer::Open;
        loop {
            match channel.wait_peer(known, parent.as_ref()) {
                Ok(Peer::Gone) | Err(_) => kill_own_group(),
                Ok(peer) => known = peer,
            }
            stop.stop();
        }
    };
    // Without it a stop is a signal only, and the death of the parent ends this process but not
    // what it has started.
    if watch_thread().spawn(watch).is_ok() {
        own::watched();
    }
}

/// The thread that every worker has beside the one that its bodies run on.
pub(super) fn watch_thread() -> std::thread::Builder {
    let thread = std::thread::Builder::new().name("runspace-watch".to_owned());
    thread.stack_size(256 << 10)
}

impl Panicked {
    /// Reports it as the end of the body.
    pub(crate) fn report(&self, sender: &Sender) {
        sender.plain(Kind::Panicked, self);
    }
}
