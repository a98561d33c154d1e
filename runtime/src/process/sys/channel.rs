//! The two ends of the channel between a process and its child.
//!
//! A pair of stream sockets, which carries what the child is sent, and tells either side when the other is
//! gone; and a pipe, which carries what the child answers, unless it is long. A worker answers each item by itself,
//! so that no crash can take an answer along, and a few bytes cost two to three times as much in a socket as in
//! a pipe: the system makes a buffer for each time that something is sent. Of many bytes a pipe
//! takes a page at a time, at twice the cost of a socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, UCred, recv, recvmsg,
    sendmsg, shutdown, socketpair, sockopt,
};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::process::wire::{Sink, Source, copy};
use crate::sync::Mutex;
use crate::vigil::Vigil;

/// How much may be under way in one direction; the system may allow less. With less, the sides wait for
/// each other too often; with more, it is no longer in the processor's cache when it is read.
const BUFFER: usize = 512 << 10;

/// The same for the pipe, when what the system has given it was too little: all pipes of a user together have
/// a limit.
const PIPE: usize = 256 << 10;

/// How much is read before it is asked for, so that what is to be sent can go on. A child that has more to say
/// before it reads has to wait.
const MOST_EARLY: usize = 16 << 20;

/// One end of the channel. Clones are the same end.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    end: Arc<OwnedFd>,
    answers: Answers,
    /// When this clone has waited long enough for bytes.
    deadline: Option<Instant>,
    /// How this clone waits for bytes.
    vigil: Vigil,
}

/// What the child's end of a channel is made of.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) socket: OwnedFd,
    /// What it answers through.
    pub(crate) pipe: OwnedFd,
}

/// This side's end of the pipe.
#[derive(Clone, Debug)]
enum Answers {
    /// In the parent.
    Come(Arc<Incoming>),
    /// In the child.
    Go(Arc<OwnedFd>),
}

/// Where answers come from.
#[derive(Debug)]
struct Incoming {
    pipe: OwnedFd,
    /// What was read while there was something to be sent: a child that cannot get rid of what it has to say
    /// does not come to read that.
    early: Mutex<Early>,
}

#[derive(Debug, Default)]
struct Early {
    short: VecDeque<u8>,
    long: VecDeque<u8>,
}

impl Early {
    fn is_full(&self) -> bool {
        self.short.len() + self.long.len() >= MOST_EARLY
    }
}

/// Moves what fits from the front of `early` to `to`.
fn take<'a>(early: &mut VecDeque<u8>, to: &'a mut [MaybeUninit<u8>]) -> &'a [u8] {
    let taken = copy(early.as_slices().0, to);
    early.drain(..taken.len());
    taken
}

/// What happens on the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Open,
    /// It has closed its direction: it will not send any more, but receives.
    Closing,
    /// It is gone.
    Gone,
}

impl Channel {
    /// A new channel: the parent's end, and what a child's is made of.
    pub(crate) fn pair() -> io::Result<(Self, Theirs)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for end in [&ours, &theirs] {
            // Only speed depends on it.
            let _ = sockopt::set_socket_send_buffer_size(end, BUFFER);
        }
        let (come, go) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let incoming = Incoming {
            pipe: come,
            early: Mutex::default(),
        };
        let ours = Self::new(ours, Answers::Come(Arc::new(incoming)));
        let theirs = Theirs {
            socket: theirs,
            pipe: go,
        };
        Ok((ours, theirs))
    }

    /// Sends the pipe ahead, for a child that is given nothing but the socket. It lies there until it is taken.
    pub(crate) fn send_pipe(&self, pipe: &OwnedFd) -> io::Result<()> {
        send_descriptors(&self.end, &[pipe.as_fd()])
    }

    /// In the child: its end, out of the way.
    pub(crate) fn of_child(socket: BorrowedFd<'_>, pipe: BorrowedFd<'_>) -> io::Result<Self> {
        let [socket, pipe] = [out_of_the_way(socket)?, out_of_the_way(pipe)?];
        Ok(Self::new(socket, Answers::Go(Arc::new(pipe))))
    }

    /// In a child that was given nothing but the socket: its end.
    pub(crate) fn of_socket(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let [pipe] = receive_descriptors(socket)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Self::of_child(socket, pipe.as_fd())
    }

    fn new(end: OwnedFd, answers: Answers) -> Self {
        Self {
            end: Arc::new(end),
            answers,
            deadline: None,
            vigil: Vigil::default(),
        }
    }

    /// Waits until there is something to read, the end of the stream included. False when it took
    /// longer than `limit`.
    pub(crate) fn wait_readable(&self, limit: Duration) -> io::Result<bool> {
        self.wait_for_bytes_within(Some(limit))
    }

    /// Waits until the other end is no longer open, or no longer only closing. `process`, if given, is
    /// the process at the other end: its end counts even if a descriptor of it lives on elsewhere.
    pub(crate) fn wait_peer(&self, known: Peer, process: Option<&OwnedFd>) -> io::Result<Peer> {
        let events = match known {
            Peer::Open => PollFlags::RDHUP,
            // Told in any case, and nothing else shall be.
            Peer::Closing | Peer::Gone => PollFlags::empty(),
        };
        let channel = PollFd::from_borrowed_fd(self.end.as_fd(), events);
        let process = process.map(|it| PollFd::from_borrowed_fd(it.as_fd(), PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = [channel].into_iter().chain(process).collect();
        while let Err(error) = poll(&mut fds, None) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        let ended = fds.get(1).is_some_and(|it| !it.revents().is_empty());
        Ok(if ended || fds[0].revents().intersects(gone) {
            Peer::Gone
        } else {
            Peer::Closing
        })
    }

    /// Whether the other end is there, now.
    pub(crate) fn peer(&self) -> Peer {
        match wait(self.end.as_fd(), PollFlags::RDHUP, Some(Duration::ZERO)) {
            Ok(ready) if ready.is_empty() => Peer::Open,
            Ok(ready) if ready == PollFlags::RDHUP => Peer::Closing,
            _ => Peer::Gone,
        }
    }

    /// Sends a few bytes, which fit into the channel. If the other end is gone, that shows elsewhere.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        let _ = retry_on_intr(|| rustix::net::send(&self.end, bytes, SendFlags::NOSIGNAL));
    }

    /// Receives what [`send_bytes`](Self::send_bytes) has sent. `None` when it does not come in time.
    pub(crate) fn receive_bytes<const N: usize>(&self, limit: Duration) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let ready = wait(self.end.as_fd(), PollFlags::IN, Some(limit)).ok()?;
        if ready.is_empty() {
            return None;
        }
        let (_, count) = retry_on_intr(|| recv(&self.end, &mut bytes, RecvFlags::empty())).ok()?;
        (count == N).then_some(bytes)
    }

    /// Sends one byte, with descriptors.
    pub(crate) fn send_descriptors(&self, descriptors: &[BorrowedFd<'_>; 4]) -> io::Result<()> {
        send_descriptors(&self.end, descriptors)
    }

    /// What [`send_descriptors`](Self::send_descriptors) has sent; `None` at the end of the stream.
    pub(crate) fn receive_descriptors(&self) -> io::Result<Option<[OwnedFd; 4]>> {
        receive_descriptors(self.end.as_fd())
    }

    /// Ends this side's direction.
    pub(crate) fn half_close(&self) {
        let _ = shutdown(&self.end, Shutdown::Write);
    }

    /// Ends both directions: whoever waits on this end wakes, and what has come can still be read.
    /// Other descriptors of the other end, in a process that outlives the child, do not matter.
    pub(crate) fn close(&self) {
        let _ = shutdown(&self.end, Shutdown::Both);
    }

    /// Until when frames are waited for. After it, reading answers [`TimedOut`](io::ErrorKind::TimedOut),
    /// in the middle of a frame too.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// How long frames are waited for from now on.
    fn left(&self) -> Option<Duration> {
        let end = self.deadline?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// False when the deadline came first.
    fn wait_for_bytes(&mut self) -> io::Result<bool> {
        let mut vigil = std::mem::take(&mut self.vigil);
        let look = || match self.wait_for_bytes_within(Some(Duration::ZERO)) {
            Ok(false) => None,
            found => Some(found),
        };
        let found = vigil.keep(look, |_| self.wait_for_bytes_within(self.left()));
        self.vigil = vigil;
        found
    }

    /// Waits for something to read, the end of the stream included. False when the time is over.
    ///
    /// Reading that blocks would be woken for nothing when the other side reads what this one has sent
    /// before. This is not.
    fn wait_for_bytes_within(&self, limit: Option<Duration>) -> io::Result<bool> {
        let end = self.end.as_fd();
        match &self.answers {
            Answers::Come(incoming) => {
                let mut fds = [
                    PollFd::new(&incoming.pipe, PollFlags::IN),
                    PollFd::from_borrowed_fd(end, PollFlags::RDHUP),
                ];
                Ok(!incoming.early.lock().short.is_empty() || poll_within(&mut fds, limit)?)
            }
            Answers::Go(_) => Ok(!wait(end, PollFlags::IN, limit)?.is_empty()),
        }
    }

    /// Nothing more will come: whether the child had read all that it was sent is the socket's to say.
    fn learn_end(&self) -> io::Result<()> {
        /// A process that ends closes one after the other, in no order that is known.
        const AFTER_THE_PIPE: Duration = Duration::from_millis(100);
        wait(self.end.as_fd(), PollFlags::RDHUP, Some(AFTER_THE_PIPE))?;
        match recv(&self.end, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => Ok(()),
            got => got.map(drop).map_err(Into::into),
        }
    }

    /// Waits until there is room to send something, and takes in what the child says meanwhile.
    fn wait_to_send(&self, incoming: &Incoming) -> io::Result<()> {
        let mut early = incoming.early.lock();
        let takes = match early.is_full() {
            true => PollFlags::empty(),
            false => PollFlags::IN,
        };
        let mut fds = [
            PollFd::from_borrowed_fd(self.end.as_fd(), PollFlags::OUT | takes),
            PollFd::new(&incoming.pipe, takes),
        ];
        poll_within(&mut fds, None)?;
        let [socket, pipe] = [fds[0].revents(), fds[1].revents()];
        let mut bytes = [0; 16 << 10];
        if socket.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR) {
            // There is room, or an error that sending will tell.
        } else if socket.contains(PollFlags::IN) {
            let (read, _) = recv(&self.end, &mut bytes, RecvFlags::DONTWAIT)?;
            if read == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            early.long.extend(&bytes[..read]);
        } else if pipe.contains(PollFlags::IN) {
            let read = rustix::io::read(&incoming.pipe, &mut bytes)?;
            early.short.extend(&bytes[..read]);
        } else {
            // The child has closed its end of the pipe.
            wait(self.end.as_fd(), PollFlags::OUT, None)?;
        }
        Ok(())
    }

    /// Sends some of an answer: waits until there is room for any of it.
    fn answer(&self, pipe: &OwnedFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(first) = parts.first() else {
            return Ok(0);
        };
        loop {
            let sent = retry_on_intr(|| rustix::io::write(pipe, first));
            if sent != Err(Errno::AGAIN) {
                return Ok(sent?);
            }
            // Only speed depends on it.
            let _ = fcntl_setpipe_size(pipe, PIPE);
            let mut fds = [
                PollFd::new(pipe, PollFlags::OUT),
                // Told in any case, and nothing else shall be.
                PollFd::from_borrowed_fd(self.end.as_fd(), PollFlags::empty()),
            ];
            poll_within(&mut fds, None)?;
            if !fds[1].revents().is_empty() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// The process that made the channel, and with whose rights.
    pub(crate) fn maker(end: BorrowedFd<'_>) -> io::Result<UCred> {
        Ok(sockopt::socket_peercred(end)?)
    }
}

impl Source for Channel {
    fn read<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        if !self.wait_for_bytes()? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let Answers::Come(incoming) = &self.answers else {
            let ((read, _), _) = recv(&self.end, to, RecvFlags::empty())?;
            return Ok(read);
        };
        let mut early = incoming.early.lock();
        if !early.short.is_empty() {
            return Ok(take(&mut early.short, to));
        }
        drop(early);
        match rustix::io::read(&incoming.pipe, &mut *to) {
            Ok(([], _)) | Err(Errno::AGAIN) => {
                self.learn_end()?;
                Ok(&[])
            }
            read => Ok(read?.0),
        }
    }

    fn has_two_ways(&self) -> bool {
        matches!(self.answers, Answers::Come(_))
    }

    fn read_long<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        if let Answers::Come(incoming) = &self.answers {
            let mut early = incoming.early.lock();
            if !early.long.is_empty() {
                return Ok(take(&mut early.long, to));
            }
        }
        if wait(self.end.as_fd(), PollFlags::IN, self.left())?.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let ((read, _), _) = recv(&self.end, to, RecvFlags::empty())?;
        Ok(read)
    }
}

impl Sink for Channel {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let incoming = match &self.answers {
            Answers::Go(pipe) => return self.answer(pipe, parts),
            Answers::Come(incoming) => incoming,
        };
        // Without a signal: a parent may have SIGPIPE as the system sets it, deadly.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            let sent = match parts {
                [part] => retry_on_intr(|| rustix::net::send(&self.end, part, flags)),
                parts => {
                    let mut nothing = SendAncillaryBuffer::default();
                    retry_on_intr(|| sendmsg(&self.end, parts, &mut nothing, flags))
                }
            };
            if sent != Err(Errno::AGAIN) {
                return Ok(sent?);
            }
            self.wait_to_send(incoming)?;
        }
    }

    fn has_two_ways(&self) -> bool {
        matches!(self.answers, Answers::Go(_))
    }

    fn send_long(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = retry_on_intr(|| rustix::net::send(&self.end, bytes, SendFlags::NOSIGNAL))?;
        Ok(sent)
    }
}

/// Sends one byte, with descriptors.
fn send_descriptors<const N: usize>(
    end: &OwnedFd,
    descriptors: &[BorrowedFd<'_>; N],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); MOST_SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(descriptors));
    let byte = [IoSlice::new(&[1])];
    retry_on_intr(|| sendmsg(end, &byte, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// What [`send_descriptors`] has sent; `None` at the end of the stream.
fn receive_descriptors<const N: usize>(end: BorrowedFd<'_>) -> io::Result<Option<[OwnedFd; N]>> {
    let mut space = [MaybeUninit::uninit(); MOST_SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut byte = [IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = retry_on_intr(|| recvmsg(end, &mut byte, &mut control, flags))?;
    if got.bytes == 0 {
        return Ok(None);
    }
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|it| match it {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let descriptors = <[OwnedFd; N]>::try_from(descriptors);
    descriptors
        .map(Some)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Room for the most descriptors that are sent at a time.
const MOST_SPACE: usize = rustix::cmsg_space!(ScmRights(4));

/// The same descriptor, out of the way of programs that expect the lowest numbers, and of those that close
/// them.
pub(super) fn out_of_the_way(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let place = [200, 20, 3].into_iter();
    let mut taken = place.map(|least| fcntl_dupfd_cloexec(fd, least));
    Ok(taken.find(Result::is_ok).unwrap_or(Err(Errno::MFILE))?)
}

fn wait(end: BorrowedFd<'_>, events: PollFlags, limit: Option<Duration>) -> io::Result<PollFlags> {
    let mut fds = [PollFd::from_borrowed_fd(end, events)];
    poll_within(&mut fds, limit)?;
    Ok(fds[0].revents())
}

/// Waits until something has come of one of `fds`. False when the time is over.
fn poll_within(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<bool> {
    // Who does not wait needs no clock.
    let limit = limit.map(|limit| (limit, (!limit.is_zero()).then(Instant::now)));
    loop {
        let left = limit
            .map(|(limit, start)| limit.saturating_sub(start.map_or(limit, |it| it.elapsed())))
            .map(timespec);
        match poll(fds, left.as_ref()) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;
    use crate::process::testing::within;
    use crate::process::wire::{FrameError, FrameReader, FrameWriter, Kind};

    fn pair() -> (Channel, Channel) {
        let (parent, theirs) = Channel::pair().expect("a channel");
        let child = Channel::of_child(theirs.socket.as_fd(), theirs.pipe.as_fd());
        (parent, child.expect("its other end"))
    }

    fn send_all(channel: &mut Channel, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = channel.send(&[IoSlice::new(&bytes[..1]), IoSlice::new(&bytes[1..])])?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    fn read_all(channel: &mut Channel) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            match channel.read(&mut [MaybeUninit::uninit(); 1000])? {
                [] => return Ok(all),
                read => all.extend_from_slice(read),
            }
        }
    }

    #[test]
    fn an_answer_that_is_longer_than_the_pipe_arrives() {
        within(10, || {
            let (mut parent, mut child) = pair();
            let bytes: Vec<u8> = (0..3_000_000).map(|it| (it % 251) as u8).collect();
            let sent = bytes.clone();
            let sender = std::thread::spawn(move || send_all(&mut child, &sent));
            assert!(read_all(&mut parent).expect("its end") == bytes);
            sender.join().unwrap().expect("there was room in the end");
        });
    }

    #[test]
    fn neither_side_waits_for_the_other_to_read() {
        within(60, || {
            let (mut parent, mut child) = pair();
            let sent: Vec<u8> = (0..4_000_000).map(|it| (it % 251) as u8).collect();
            let wanted = sent.clone();
            let there = std::thread::spawn(move || {
                send_all(&mut child, &[7; 1_000_000]).unwrap();
                let mut read = Vec::new();
                while read.len() < wanted.len() {
                    read.extend_from_slice(child.read(&mut [MaybeUninit::uninit(); 9000]).unwrap());
                }
                assert!(read == wanted);
                send_all(&mut child, &[8; 5]).unwrap();
            });
            send_all(&mut parent, &sent).unwrap();
            let said = read_all(&mut parent).unwrap();
            assert!(said[..1_000_000] == [7; 1_000_000]);
            assert_eq!(said[1_000_000..], [8; 5]);
            there.join().unwrap();
        });
    }

    #[test]
    fn what_is_long_comes_in_its_place() {
        within(60, || {
            let (mut parent, child) = pair();
            let texts: Vec<String> = (0..12_000).map(|it| format!("text {it}")).collect();
            let bytes = vec![7_u8; 600_000];
            let (texts_too, bytes_too) = (texts.clone(), bytes.clone());
            let there = std::thread::spawn(move || {
                let mut incoming = child.clone();
                let mut writer = FrameWriter::new(child);
                for turn in 0..3_u32 {
                    writer.frame(Kind::Done, &turn).unwrap();
                    writer.frame(Kind::Output, &(turn, &bytes_too)).unwrap();
                    writer.frame(Kind::Record, &texts_too).unwrap();
                    writer.frame(Kind::Output, &(turn, "short")).unwrap();
                }
                writer.flush().unwrap();
                let mut left = 1_500_000;
                while left > 0 {
                    left -= incoming
                        .read(&mut [MaybeUninit::uninit(); 9000])
                        .unwrap()
                        .len();
                }
                // And one that does not come to its end.
                let head = [Kind::Record as u8, 0, 0, 0, 1, 0, 0, 0, 0];
                send_all(&mut writer.into_sink(), &head).unwrap();
            });
            // Some of both is taken in early.
            send_all(&mut parent, &vec![1; 1_500_000]).unwrap();
            let mut reader = FrameReader::new(parent);
            for turn in 0..3 {
                let frame = reader.next().unwrap().unwrap();
                assert_eq!(frame.kind, Kind::Done);
                assert_eq!(frame.value::<u32>().unwrap(), turn);
                let frame = reader.next().unwrap().unwrap();
                assert!(frame.value::<(u32, Vec<u8>)>().unwrap() == (turn, bytes.clone()));
                let frame = reader.next().unwrap().unwrap();
                assert!(frame.value::<Vec<String>>().unwrap() == texts);
                let frame = reader.next().unwrap().unwrap();
                assert_eq!(frame.value::<(u32, String)>().unwrap().1, "short");
            }
            assert!(matches!(reader.next(), Err(FrameError::Cut)));
            there.join().unwrap();
        });
    }

    #[test]
    fn a_child_that_closes_its_answers_is_still_sent_to() {
        within(10, || {
            let (mut parent, child) = pair();
            let socket = Arc::clone(&child.end);
            drop(child);
            let there = std::thread::spawn(move || {
                let mut left = 4_000_000;
                while left > 0 {
                    let mut bytes = [0; 9000];
                    left -= recv(&socket, &mut bytes, RecvFlags::empty()).unwrap().0;
                    std::thread::yield_now();
                }
            });
            send_all(&mut parent, &[1; 4_000_000]).unwrap();
            there.join().unwrap();
        });
    }

    #[test]
    fn the_end_comes_after_what_was_answered() {
        within(10, || {
            let (mut parent, mut child) = pair();
            assert!(!parent.wait_readable(Duration::from_millis(10)).unwrap());
            send_all(&mut child, b"last").unwrap();
            child.close();
            drop(child);
            assert!(parent.wait_readable(Duration::from_secs(5)).unwrap());
            assert_eq!(read_all(&mut parent).unwrap(), b"last");
        });
    }

    #[test]
    fn a_child_that_goes_without_reading_is_told_from_one_that_has_read() {
        within(10, || {
            // The pipe may be closed some time before the socket.
            for later in [Duration::ZERO, Duration::from_millis(10)] {
                let (mut parent, child) = pair();
                send_all(&mut parent, b"for nobody").unwrap();
                let socket = Arc::clone(&child.end);
                drop(child);
                let closing = std::thread::spawn(move || {
                    std::thread::sleep(later);
                    drop(socket);
                });
                let error = read_all(&mut parent).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                closing.join().unwrap();
            }

            let (mut parent, mut child) = pair();
            send_all(&mut parent, b"read").unwrap();
            assert_eq!(
                child.read(&mut [MaybeUninit::uninit(); 9]).unwrap(),
                b"read"
            );
            drop(child);
            assert_eq!(read_all(&mut parent).unwrap(), b"");
        });
    }

    #[test]
    fn who_waits_for_room_is_freed_when_the_channel_closes() {
        within(10, || {
            let (parent, mut child) = pair();
            let sender = std::thread::spawn(move || send_all(&mut child, &vec![1; 3_000_000]));
            // Full, or nearly: it cannot be done before it is read.
            std::thread::sleep(Duration::from_millis(20));
            assert!(!sender.is_finished());
            parent.close();
            let error = sender.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn a_deadline_ends_a_wait_for_an_answer() {
        within(10, || {
            let (mut parent, _child) = pair();
            parent.set_deadline(Some(Instant::now() + Duration::from_millis(10)));
            let error = read_all(&mut parent).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
