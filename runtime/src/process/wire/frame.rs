//! Frames: a kind byte, a length of eight bytes, low first, and that many bytes.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::raw::{Blobs, Filling, Number, Raw};
use super::ser::Large;
use super::{CodecError, FrameError, de, ser};

/// The bytes of a frame before its body.
const HEAD: usize = 9;

/// How much is read at once, and how much memory a claimed length gets in advance.
const STEP: usize = 64 << 10;

/// A run that travels ahead is at least this long: shorter ones would cost the receiver more
/// memory than the sender.
const LEAST_BLOB: usize = 1 << 10;

/// A frame of values up to this length, with no runs ahead of it, is sent and received in one piece.
const SHORT: usize = 2 << 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $byte:literal,)*) => {
        /// What a frame is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($(#[$doc])* $name = $byte,)* }

        impl Kind {
            fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$name),)* _ => None }
            }

            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    /// Both: a run of numbers that the next value refers to. One byte for the kind of number.
    Blob = 1,
    /// Both: the value that the runs before were for does not come.
    Discard = 2,

    /// To the child: who its parent is. The first frame.
    Open = 16,
    /// To the child: the environment and the limits it is to run with.
    Setup = 17,
    /// To the child: a body to run; its captures follow.
    Call = 18,
    /// To the child: a body to run for items; its captures follow.
    Run = 19,
    /// To the child: items for the body of the run.
    Items = 20,
    /// To the child: the run has no more items.
    EndRun = 21,
    /// To the child: leave in good order.
    Leave = 22,
    /// To the child: the captures of the body to run.
    Captures = 23,

    /// To the parent: who the child is. The first frame.
    Hello = 64,
    /// To the parent: the child does not serve this parent, and why.
    Refused = 65,
    /// To the parent: a value that a body has emitted.
    Output = 66,
    /// To the parent: the body has ended, with its value.
    Done = 67,
    /// To the parent: the body panicked.
    Panicked = 68,
    /// To the parent: a value could not be written or read in the child.
    Codec = 69,
    /// To the parent: a message of the body.
    Record = 70,
    /// To the parent: the run is ready for items.
    Ready = 71,
    /// To the parent: the worker takes no more items; those it has not answered have not run.
    Retire = 72,
    /// To the parent: whether the child can copy itself, which was all that was asked of it.
    Template = 73,
    /// To the parent: something of an item, or its end.
    Item = 74,
}

/// Where frames come from.
pub(crate) trait Source {
    /// Reads into the front of `to` and answers that front; an empty one at the end of the stream.
    /// It may fail as [interrupted](io::ErrorKind::Interrupted), and is then asked again.
    fn read<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]>;

    /// Whether what is long comes by another way than the rest: see [`read_long`](Self::read_long).
    fn has_two_ways(&self) -> bool {
        false
    }

    /// Like [`read`](Self::read), what its [`Sink`] has sent by [`send_long`](Sink::send_long).
    fn read_long<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        self.read(to)
    }
}

/// Where frames go.
pub(crate) trait Sink {
    /// Sends some of `parts`, and answers how many bytes.
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether what is long goes by another way than the rest: bodies of [`STEP`] bytes or more, and
    /// the numbers of a run. Where it stands in the order is told by what goes the usual way.
    fn has_two_ways(&self) -> bool {
        false
    }

    /// Sends some of what is long, and answers how many bytes.
    fn send_long(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(&[IoSlice::new(bytes)])
    }
}

/// What is long, as a source of its own.
struct Long<'a, S>(&'a mut S);

impl<S: Source> Source for Long<'_, S> {
    fn read<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        self.0.read_long(to)
    }
}

/// A frame as it was received.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    body: &'a [u8],
    blobs: &'a mut Blobs,
}

impl Frame<'_> {
    /// The value that is all there is (left).
    pub(crate) fn value<T: DeserializeOwned>(self) -> Result<T, CodecError> {
        de::read(self.body, self.blobs)
    }

    /// The value at the front, which is taken off.
    pub(crate) fn part<T: DeserializeOwned>(&mut self) -> Result<T, CodecError> {
        de::read_front(&mut self.body, self.blobs)
    }

    /// Whether it came in one piece: who has read any of it has read all.
    pub(crate) fn is_short(&self) -> bool {
        self.body.len() <= SHORT && self.blobs.is_empty()
    }

    /// What is left of it, to be read at leisure.
    pub(crate) fn into_parcels(self) -> Parcels {
        Parcels {
            bytes: self.body.to_vec(),
            at: 0,
            blobs: std::mem::take(self.blobs),
        }
    }

    #[cfg(test)]
    pub(crate) fn body(&self) -> &[u8] {
        self.body
    }
}

/// Several values in one frame, each with its number and its length, so that one which cannot be read
/// harms none of the others.
#[derive(Debug)]
pub(crate) struct Parcels {
    bytes: Vec<u8>,
    at: usize,
    blobs: Blobs,
}

/// One of several values.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    bytes: &'a [u8],
    blobs: Blobs,
}

impl Parcel<'_> {
    pub(crate) fn value<T: DeserializeOwned>(mut self) -> Result<T, CodecError> {
        de::read(self.bytes, &mut self.blobs)
    }
}

/// What stands before a value in a frame of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) index: u64,
    pub(crate) attempt: u32,
}

/// The bytes of a label and of the lengths behind it.
const LABEL: usize = 24;

/// The index in the label of a value that could not be written, when runs had gone ahead for it.
const NO_VALUE: u64 = u64::MAX;

impl Parcels {
    /// The label of the next value, the value, and whether it is the last. `None` when there are no
    /// more, or no sense.
    pub(crate) fn next(&mut self) -> Option<(Label, Parcel<'_>, bool)> {
        let (mut label, mut bytes, mut blobs) = self.parcel()?;
        while label.index == NO_VALUE {
            (label, bytes, blobs) = self.parcel()?;
        }
        let is_last = self.at == self.bytes.len();
        let bytes = &self.bytes[bytes];
        Some((label, Parcel { bytes, blobs }, is_last))
    }

    fn parcel(&mut self) -> Option<(Label, Range<usize>, Blobs)> {
        let head = self.bytes[self.at..].first_chunk::<LABEL>()?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|it| head[at + it]));
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let (index, attempt, blobs, length) = (long(0), word(8), word(12), long(16));
        let start = self.at + LABEL;
        let end = usize::try_from(length)
            .ok()
            .and_then(|it| start.checked_add(it))?;
        if end > self.bytes.len() || blobs as usize > self.blobs.len() {
            return None;
        }
        let blobs = self.blobs.drain(..blobs as usize).collect();
        self.at = end;
        Some((Label { index, attempt }, start..end, blobs))
    }
}

/// Reads frames.
#[derive(Debug)]
pub(crate) struct FrameReader<S> {
    from: S,
    /// What has been read, and has room for more. It is not written over before: a page that nobody has come to
    /// costs a new process more than what it is sent.
    memory: Vec<u8>,
    /// Where in `memory` the bytes begin that are not yet answered.
    start: usize,
    /// A long body that has come by a way of its own.
    long: Vec<u8>,
    blobs: Blobs,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({})", self.len())
    }
}

impl<S: Source> FrameReader<S> {
    pub(crate) fn new(from: S) -> Self {
        Self {
            from,
            memory: Vec::new(),
            start: 0,
            long: Vec::new(),
            blobs: Blobs::new(),
        }
    }

    /// Where the frames come from.
    pub(crate) fn source(&mut self) -> &mut S {
        &mut self.from
    }

    /// Whether the next frame is here in full, so that reading it cannot block.
    pub(crate) fn has_frame(&self) -> bool {
        let here = self.here();
        match head(here) {
            Some((kind, length)) => {
                let comes_apart = self.from.has_two_ways() && length >= STEP as u64;
                let is_here = (here.len() - HEAD) as u64 >= length;
                kind != Kind::Blob as u8 && is_here && !comes_apart
            }
            None => false,
        }
    }

    /// Reads once, towards a short frame, for those who do not want to wait for all of it. False at the
    /// end of the stream.
    pub(crate) fn read_short(&mut self) -> Result<bool, FrameError> {
        let more = self.fill(self.here().len() + 1)?;
        match head(self.here()) {
            Some((kind, length)) if length > STEP as u64 || kind == Kind::Blob as u8 => {
                Err(FrameError::Length(kind, length))
            }
            _ => Ok(more),
        }
    }

    /// Whether the next frame is here in full, and is of this kind.
    pub(crate) fn has_frame_of(&self, kind: Kind) -> bool {
        self.has_frame() && self.memory[self.start] == kind as u8
    }

    /// Waits for the next frame to begin. False at the end of the stream.
    pub(crate) fn wait(&mut self) -> Result<bool, FrameError> {
        self.fill(HEAD)
    }

    /// The next frame that is not a run; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        self.blobs.clear();
        self.long = Vec::new();
        loop {
            if !self.fill(HEAD)? {
                return match self.here().len() {
                    0 => Ok(None),
                    _ => Err(FrameError::Cut),
                };
            }
            let (kind, length) = head(self.here()).ok_or(FrameError::Cut)?;
            let Some(kind) = Kind::from_byte(kind) else {
                return Err(FrameError::Kind(kind));
            };
            let Some(length) = usize::try_from(length)
                .ok()
                .filter(|it| *it < isize::MAX as usize)
            else {
                return Err(FrameError::Length(kind as u8, length));
            };
            self.start += HEAD;
            match kind {
                Kind::Blob => self.blob(length)?,
                Kind::Discard if length == 0 => self.blobs.clear(),
                Kind::Discard => return Err(FrameError::Length(kind as u8, length as u64)),
                _ if self.from.has_two_ways() && length >= STEP => {
                    let Raw::U8(body) = self.run(Number::U8, length)? else {
                        unreachable!("they are read as bytes");
                    };
                    self.long = body;
                    return Ok(Some(Frame {
                        kind,
                        body: &self.long,
                        blobs: &mut self.blobs,
                    }));
                }
                _ => {
                    if !self.fill(length)? {
                        return Err(FrameError::Cut);
                    }
                    let body = self.start..self.start + length;
                    self.start = body.end;
                    return Ok(Some(Frame {
                        kind,
                        body: &self.memory[body],
                        blobs: &mut self.blobs,
                    }));
                }
            }
        }
    }

    /// The bytes that have come and are not yet answered.
    fn here(&self) -> &[u8] {
        &self.memory[self.start..]
    }

    /// Reads until `wanted` bytes are here; false when the stream ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool, FrameError> {
        while self.here().len() < wanted {
            self.make_room(wanted)?;
            if again(read_behind(&mut self.from, &mut self.memory))? == Some(0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Room behind what is here: a step more at least, twice as much at most.
    fn make_room(&mut self, wanted: usize) -> Result<(), FrameError> {
        let room = self.memory.capacity();
        if self.here().is_empty() {
            self.start = 0;
            self.memory.clear();
            if room > 16 * STEP && wanted <= STEP {
                self.memory = Vec::new(); // a frame this long comes seldom
            }
        }
        if self.start > 0 && (self.memory.len() == room || room < wanted) {
            self.memory.drain(..self.start);
            self.start = 0;
        }
        if self.memory.len() == self.memory.capacity() {
            let here = self.here().len();
            let more = (wanted - here).clamp(STEP, STEP.max(here));
            let reserved = self.memory.try_reserve_exact(more);
            reserved.map_err(|_| FrameError::Memory(wanted as u64))?;
        }
        Ok(())
    }

    /// Reads a run straight into the memory of the vector it will be.
    fn blob(&mut self, length: usize) -> Result<(), FrameError> {
        let wrong = FrameError::Length(Kind::Blob as u8, length as u64);
        if length <= LEAST_BLOB {
            return Err(wrong);
        }
        if !self.fill(1)? {
            return Err(FrameError::Cut);
        }
        let number = Number::from_code(self.memory[self.start]);
        self.start += 1;
        let length = length - 1;
        let Some(number) = number.filter(|it| length.is_multiple_of(it.width())) else {
            return Err(wrong);
        };
        let run = self.run(number, length)?;
        self.blobs.push_back(run);
        Ok(())
    }

    /// Reads bytes straight into the memory of the vector that they will be.
    fn run(&mut self, number: Number, length: usize) -> Result<Raw, FrameError> {
        let memory = |error: io::Error| match error.kind() {
            io::ErrorKind::OutOfMemory => FrameError::Memory(length as u64),
            _ => FrameError::Io(error),
        };
        let mut filling = Filling::new(number, length);
        let comes_apart = self.from.has_two_ways();
        while !filling.is_full() {
            let here = &self.memory[self.start..];
            if comes_apart || here.is_empty() {
                if again(filling.read(&mut Long(&mut self.from))).map_err(memory)? == Some(0) {
                    return Err(FrameError::Cut);
                }
            } else {
                self.start += filling.take(here).map_err(memory)?;
            }
        }
        Ok(filling.finish())
    }
}

/// `None` for what was interrupted and is to be done again.
fn again(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

fn head(bytes: &[u8]) -> Option<(u8, u64)> {
    let (head, _) = bytes.split_first_chunk::<HEAD>()?;
    let [kind, length @ ..] = *head;
    Some((kind, u64::from_le_bytes(length)))
}

/// Reads once into `room`, and answers how many bytes at its front are initialised by that; 0 at the end of the stream.
pub(super) fn read_front(
    from: &mut impl Source,
    room: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    let (front, most) = (room.as_ptr().cast::<u8>(), room.len());
    let read = from.read(room)?;
    // What the source says it has initialised is believed only if it is the memory it was given.
    assert!(read.is_empty() || (read.as_ptr() == front && read.len() <= most));
    Ok(read.len())
}

/// Reads once, to behind what is in `memory`; answers how many bytes.
#[allow(unsafe_code)]
fn read_behind(from: &mut impl Source, memory: &mut Vec<u8>) -> io::Result<usize> {
    let read = read_front(from, memory.spare_capacity_mut())?;
    // SAFETY: so many bytes behind what is there are initialised.
    unsafe { memory.set_len(memory.len() + read) };
    Ok(read)
}

/// Why a value was not sent.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The other side is gone.
    Io(
        #[expect(
            dead_code,
            reason = "for `Debug`: whoever asks wants to know whether, not why"
        )]
        io::Error,
    ),
    /// The value cannot be written. The channel is as before.
    Codec(CodecError),
}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes frames. Short ones are gathered until [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct FrameWriter<S> {
    to: S,
    /// Whole frames.
    out: Vec<u8>,
    /// The body of the frame that is being made, and how many runs went ahead for it.
    body: Vec<u8>,
    ahead: usize,
}

impl<S: Sink> FrameWriter<S> {
    pub(crate) fn new(to: S) -> Self {
        Self {
            to,
            out: Vec::new(),
            body: Vec::new(),
            ahead: 0,
        }
    }

    /// Adds a value to the body of the next frame, and answers how many bytes it takes there. One that
    /// cannot be written leaves the body as it was, but runs may have been sent for it.
    pub(crate) fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<usize, SendError> {
        let start = self.body.len();
        let mut large = Ahead {
            to: &mut self.to,
            out: &mut self.out,
            sent: &mut self.ahead,
        };
        match ser::write(&mut self.body, Some(&mut large), value) {
            Ok(()) => Ok(self.body.len() - start),
            Err(error) => {
                self.body.truncate(start);
                match error {
                    CodecError::Io(error) => Err(SendError::Io(error)),
                    error => Err(SendError::Codec(error)),
                }
            }
        }
    }

    /// Adds a value with a label to the body of the next frame. One that cannot be written leaves the
    /// body as it was, unless the channel has failed.
    pub(crate) fn parcel<T: Serialize + ?Sized>(
        &mut self,
        label: Label,
        value: &T,
    ) -> Result<(), SendError> {
        let (start, ahead) = (self.body.len(), self.ahead);
        self.body.extend_from_slice(&[0; LABEL]);
        let written = self.part(value);
        let blobs = self.ahead - ahead;
        let (index, length) = match &written {
            Ok(length) => (label.index, *length),
            Err(_) => (NO_VALUE, 0),
        };
        if written.is_err() && blobs == 0 {
            self.body.truncate(start);
        } else {
            let head = &mut self.body[start..start + LABEL];
            head[..8].copy_from_slice(&index.to_le_bytes());
            head[8..12].copy_from_slice(&label.attempt.to_le_bytes());
            head[12..16].copy_from_slice(&(blobs as u32).to_le_bytes());
            head[16..].copy_from_slice(&(length as u64).to_le_bytes());
        }
        written.map(drop)
    }

    /// Takes back the value that was added last, at `start` of the body.
    pub(crate) fn take_back(&mut self, start: usize) {
        let Some(head) = self.body[start..].first_chunk_mut::<LABEL>() else {
            return;
        };
        if head[12..16] == [0; 4] {
            self.body.truncate(start);
        } else {
            // The runs that have gone ahead for it stand for what is passed over.
            head[..8].copy_from_slice(&NO_VALUE.to_le_bytes());
        }
    }

    /// How many bytes the next frame has so far.
    pub(crate) fn body_len(&self) -> usize {
        self.body.len()
    }

    /// [`Frame::is_short`], of the next frame so far.
    pub(crate) fn is_short(&self) -> bool {
        self.body.len() <= SHORT && self.ahead == 0
    }

    /// A frame of bytes that are a value already. A short one waits for [`flush`](Self::flush).
    pub(crate) fn raw(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        self.out.push(kind as u8);
        self.out
            .extend_from_slice(&(body.len() as u64).to_le_bytes());
        if body.len() < STEP {
            self.out.extend_from_slice(body);
            return Ok(());
        }
        send_long(&mut self.to, &mut self.out, body)
    }

    #[cfg(test)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }

    /// Makes the frame of what was added.
    pub(crate) fn end(&mut self, kind: Kind) -> io::Result<()> {
        self.ahead = 0;
        self.out.push(kind as u8);
        let length = self.body.len() as u64;
        self.out.extend_from_slice(&length.to_le_bytes());
        if self.body.len() < STEP {
            self.out.append(&mut self.body);
        } else {
            let body = std::mem::take(&mut self.body);
            send_long(&mut self.to, &mut self.out, &body)?;
        }
        if self.out.len() >= STEP {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether nothing of the frames that have been ended waits to be sent.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.out.is_empty()
    }

    /// Forgets what was added.
    pub(crate) fn abandon(&mut self) {
        self.body.clear();
        if std::mem::take(&mut self.ahead) > 0 {
            self.out.push(Kind::Discard as u8);
            self.out.extend_from_slice(&0_u64.to_le_bytes());
        }
    }

    /// A frame of one value.
    pub(crate) fn frame<T: Serialize + ?Sized>(
        &mut self,
        kind: Kind,
        value: &T,
    ) -> Result<(), SendError> {
        if let Err(error) = self.part(value) {
            self.abandon();
            return Err(error);
        }
        Ok(self.end(kind)?)
    }

    /// A frame of one value, sent now.
    pub(crate) fn send<T: Serialize + ?Sized>(
        &mut self,
        kind: Kind,
        value: &T,
    ) -> Result<(), SendError> {
        self.frame(kind, value)?;
        Ok(self.flush()?)
    }

    #[cfg(test)]
    pub(crate) fn into_sink(self) -> S {
        self.to
    }

    /// Sends what was gathered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        send_all(&mut self.to, &mut self.out, &[])
    }
}

/// Sends what is in `out`, empties it, and sends `more` behind it.
fn send_all(to: &mut impl Sink, out: &mut Vec<u8>, more: &[u8]) -> io::Result<()> {
    let mut parts = [IoSlice::new(out), IoSlice::new(more)];
    let count = if more.is_empty() { 1 } else { 2 };
    let mut parts = &mut parts[..count];
    IoSlice::advance_slices(&mut parts, 0); // drops empty ones
    while !parts.is_empty() {
        match to.send(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => IoSlice::advance_slices(&mut parts, sent),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.clear();
    if out.capacity() > 16 * STEP {
        *out = Vec::new();
    }
    Ok(())
}

/// Sends what is in `out`, empties it, and sends `long` after it, perhaps by a way of its own.
fn send_long(to: &mut impl Sink, out: &mut Vec<u8>, mut long: &[u8]) -> io::Result<()> {
    if !to.has_two_ways() {
        return send_all(to, out, long);
    }
    send_all(to, out, &[])?;
    while !long.is_empty() {
        match to.send_long(long) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => long = &long[sent..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends runs ahead of the frame that is being made, behind the whole frames before it.
struct Ahead<'a, S> {
    to: &'a mut S,
    out: &'a mut Vec<u8>,
    sent: &'a mut usize,
}

impl<S: Sink> Large for Ahead<'_, S> {
    fn send(&mut self, number: Number, bytes: &[u8]) -> io::Result<()> {
        debug_assert!(bytes.len() >= LEAST_BLOB);
        self.out.push(Kind::Blob as u8);
        let length = bytes.len() as u64 + 1;
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.push(number as u8);
        *self.sent += 1;
        send_long(self.to, self.out, bytes)
    }
}
