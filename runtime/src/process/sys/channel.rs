//! The two ends of the channel between a process and its child: a pair of stream sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, UCred, recv, recvmsg,
    sendmsg, shutdown, socketpair, sockopt,
};

use crate::process::wire::{Sink, Source};
use crate::vigil::Vigil;

/// How much may be under way in one direction; the system may allow less. With less, the sides wait for
/// each other too often; with more, it is no longer in the processor's cache when it is read.
const BUFFER: usize = 512 << 10;

/// One end of the channel. Clones are the same end.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    end: Arc<OwnedFd>,
    /// When this clone has waited long enough for bytes.
    deadline: Option<Instant>,
    /// How this clone waits for bytes.
    vigil: Vigil,
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
    /// A new channel: the parent's end, and the one to give to a child.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
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
        Ok((Self::new(ours), theirs))
    }

    pub(crate) fn new(end: OwnedFd) -> Self {
        Self {
            end: Arc::new(end),
            deadline: None,
            vigil: Vigil::default(),
        }
    }

    /// Waits until there is something to read, the end of the stream included. False when it took
    /// longer than `limit`.
    pub(crate) fn wait_readable(&self, limit: Duration) -> io::Result<bool> {
        let ready = wait(self.end.as_fd(), PollFlags::IN, Some(limit))?;
        Ok(!ready.is_empty())
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
        if !self.wait_readable(limit).ok()? {
            return None;
        }
        let (_, count) = retry_on_intr(|| recv(&self.end, &mut bytes, RecvFlags::empty())).ok()?;
        (count == N).then_some(bytes)
    }

    /// Sends one byte, with descriptors.
    pub(crate) fn send_descriptors(&self, descriptors: &[BorrowedFd<'_>; 3]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(descriptors));
        let byte = [IoSlice::new(&[1])];
        retry_on_intr(|| sendmsg(&self.end, &byte, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// What [`send_descriptors`](Self::send_descriptors) has sent; `None` at the end of the stream.
    pub(crate) fn receive_descriptors(&self) -> io::Result<Option<[OwnedFd; 3]>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut byte = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = retry_on_intr(|| recvmsg(&self.end, &mut byte, &mut control, flags))?;
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
        let descriptors = <[OwnedFd; 3]>::try_from(descriptors);
        descriptors
            .map(Some)
            .map_err(|_| io::ErrorKind::InvalidData.into())
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

    /// False when the deadline came first.
    fn wait_for_bytes(&mut self) -> io::Result<bool> {
        let Self {
            end,
            deadline,
            vigil,
        } = self;
        // A `recv` that blocks is woken for nothing when the other side reads what this one has sent
        // before. This is not.
        let bytes = |limit| wait(end.as_fd(), PollFlags::IN, limit).map(|it| !it.is_empty());
        let look = || match bytes(Some(Duration::ZERO)) {
            Ok(false) => None,
            found => Some(found),
        };
        vigil.keep(look, |_| {
            let left = |end: Instant| end.saturating_duration_since(Instant::now());
            bytes(deadline.map(left))
        })
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
        let ((read, _), _) = recv(&self.end, to, RecvFlags::empty())?;
        Ok(read)
    }
}

impl Sink for Channel {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [part] = parts {
            let sent = retry_on_intr(|| rustix::net::send(&self.end, part, SendFlags::NOSIGNAL))?;
            return Ok(sent);
        }
        let mut nothing = SendAncillaryBuffer::default();
        // Without a signal: a parent may have SIGPIPE as the system sets it, deadly.
        let sent = retry_on_intr(|| sendmsg(&self.end, parts, &mut nothing, SendFlags::NOSIGNAL))?;
        Ok(sent)
    }
}

fn wait(end: BorrowedFd<'_>, events: PollFlags, limit: Option<Duration>) -> io::Result<PollFlags> {
    let start = limit.map(|_| Instant::now());
    loop {
        let left = limit
            .zip(start)
            .map(|(limit, start)| timespec(limit.saturating_sub(start.elapsed())));
        let mut fds = [PollFd::from_borrowed_fd(end, events)];
        match poll(&mut fds, left.as_ref()) {
            Ok(_) => return Ok(fds[0].revents()),
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
