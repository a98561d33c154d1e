//! What is sent: announcements, items, results, and what both sides tell each other besides.
//!
//! Values are written as for a worker process, see [`process::wire`](crate::process::wire): without names and type tags,
//! for a reader of the same build. Only the front of an announcement can be read by any build.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{ClusterError, ClusterErrorKind};
use super::key::{Key, Sealed, TAG};
use super::worker::SlotIo;
use crate::judge::Judgement;
use crate::key::CallKey;
use crate::process::entry::{Body, CodecReport, Note, Panicked};
use crate::process::wire::{CodecError, from_bytes, front, to_bytes};

/// Counts the changes of what is in this file. Both sides say theirs; different ones do not talk.
pub(crate) const VERSION: u32 = 2;

/// In a run whose outputs are read in the order of the items, so many of each item come by the way of the other results. The rest
/// lie on the server until it is the item's turn: the client would have to keep them.
pub(crate) const NEAR: u64 = 64;

/// Who gives work or does it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) version: u32,
    /// The hash of the executable.
    pub(crate) hash: Vec<u8>,
}

impl Build {
    pub(crate) fn own() -> Self {
        Self {
            version: VERSION,
            hash: crate::process::build_hash().to_vec(),
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        match self.version {
            VERSION => Ok(()),
            other => write!(f, " (format {other})"),
        }
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A run, for those who want to work for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) run: String,
    pub(crate) key: CallKey,
    pub(crate) body: Body<SlotIo>,
    /// What is captured, if anything is.
    pub(crate) captures: Option<Stored>,
    pub(crate) ack_wait: Duration,
    /// Each item runs in a process of its worker's.
    pub(crate) isolate: bool,
    /// Items emit, and their outputs are read in the order of the items; see [`NEAR`].
    pub(crate) in_order: bool,
    /// It is a job: it has a process of its own if its worker may start one, so that what it prints is known to be its.
    pub(crate) is_job: bool,
    /// What errors call the run.
    pub(crate) title: String,
    /// Who has announced it.
    pub(crate) client: String,
}

/// What any build that has the key can say of a run.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) build: Build,
    pub(crate) run: String,
    /// That of the other messages of the run.
    pub(crate) key: Key,
    rest: Bytes,
}

impl Announcement {
    /// As it is published: MAC, version, build, run, and the rest.
    pub(crate) fn write(&self, build: &Build, key: &Key) -> Result<Vec<u8>, ClusterError> {
        let mut message = vec![0; TAG];
        message.extend_from_slice(&build.version.to_le_bytes());
        for text in [build.hash.as_slice(), self.run.as_bytes()] {
            message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            message.extend_from_slice(&text[..text.len().min(usize::from(u8::MAX))]);
        }
        message.extend(to_bytes(self).map_err(unwritten)?);
        key.seal(Sealed::Announcement, &mut message);
        Ok(message)
    }
}

impl Heard {
    /// Reads the front of an announcement. `None` if it is none, or was not made with the key.
    pub(crate) fn read(message: &Bytes, key: &Key) -> Option<Self> {
        let content = key.open(Sealed::Announcement, message)?;
        let (version, mut rest) = content.split_first_chunk::<4>()?;
        let mut text = || {
            let (length, after) = rest.split_first()?;
            let (text, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(text.to_vec())
        };
        let (hash, run) = (text()?, text()?);
        let version = u32::from_le_bytes(*version);
        Some(Self {
            build: Build { version, hash },
            run: String::from_utf8(run).ok()?,
            key: key.of_run(message),
            rest: message.slice_ref(rest),
        })
    }

    /// The whole of it; for a reader of the same build.
    pub(crate) fn announcement(&self) -> Result<Announcement, CodecError> {
        let announcement: Announcement = from_bytes(&self.rest)?;
        match announcement.run == self.run {
            true => Ok(announcement),
            false => Err(CodecError::value("it names two runs")),
        }
    }
}

fn unwritten(error: CodecError) -> ClusterError {
    ClusterError::new(ClusterErrorKind::Value, error.to_string())
}

/// A value that lies in the bucket of its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) object: String,
    pub(crate) sha256: [u8; 32],
}

/// An item on its way to a worker. Its value follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ItemHead {
    pub(crate) index: u64,
    /// Which try this is, from 1.
    pub(crate) attempt: u32,
    pub(crate) limit: Option<Duration>,
    pub(crate) stored: Option<Stored>,
}

/// Something of an item, on its way back. A value follows if `said` says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResultHead {
    pub(crate) index: u64,
    pub(crate) attempt: u32,
    /// Of an output, which it is, from 0. Of an end, how many there are; those that are not there yet are waited for.
    pub(crate) number: u64,
    pub(crate) said: Said,
    /// How long it took, at an end.
    pub(crate) took: Duration,
    pub(crate) stored: Option<Stored>,
}

/// What is said of an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// A value follows, and the item has ended.
    Value(Meaning),
    /// A value follows.
    Output,
    /// The item has ended without (another) value.
    Ended,
    Panicked(Panicked),
    /// What a worker makes for itself before its first item has panicked: no item can run.
    NoState(Panicked),
    Codec(CodecReport),
    TimedOut(Duration),
    /// Its process has failed.
    Crashed(String),
    /// It was stopped while it ran: its body was left, or has returned after it was told to stop without a word that it
    /// was done.
    Stopped,
    /// It has not begun, and will not.
    NotRun,
    /// A message of the body.
    Note(Note),
}

impl Said {
    pub(crate) fn ends(&self) -> bool {
        !matches!(self, Self::Output | Self::Note(_))
    }
}

/// [`Judgement`], as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Meaning {
    Good,
    Bad,
    Again,
}

impl From<Judgement> for Meaning {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Good => Self::Good,
            Judgement::Bad => Self::Bad,
            Judgement::Again => Self::Again,
        }
    }
}

impl From<Meaning> for Judgement {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Good => Self::Good,
            Meaning::Bad => Self::Bad,
            Meaning::Again => Self::Again,
        }
    }
}

/// What the workers of a run are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Control {
    /// Nothing starts any more. Answered with [`InHand`].
    Close,
    /// The same, and what runs is to stop.
    Stop,
    /// The run is over.
    End,
}

/// The items that a worker runs or has run, of which a result will come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InHand {
    pub(crate) worker: u64,
    pub(crate) items: Vec<u64>,
}

/// What a worker tells the client of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerNote {
    pub(crate) worker: u64,
    /// `host (pid 4711)`
    pub(crate) place: String,
    pub(crate) event: WorkerEvent,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum WorkerEvent {
    /// It serves the run, or goes on to, with so many slots.
    Serves(usize),
    /// It does not any more.
    Leaves,
    /// It is of another build.
    Refuses(Build),
    /// The run cannot be served there.
    Cannot(String),
}

/// What a worker answers when it is asked what it does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerReport {
    pub(crate) id: u64,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) build: Build,
    pub(crate) slots: usize,
    pub(crate) busy: usize,
    pub(crate) runs: Vec<String>,
    pub(crate) done: u64,
    pub(crate) leaving: bool,
}

/// A sealed message of a head and bytes behind it.
pub(crate) fn write<H: Serialize>(
    key: &Key,
    what: Sealed,
    head: &H,
    value: &[u8],
) -> Result<Bytes, ClusterError> {
    let head = to_bytes(head).map_err(unwritten)?;
    let mut message = Vec::with_capacity(TAG + head.len() + value.len());
    message.resize(TAG, 0);
    message.extend_from_slice(&head);
    message.extend_from_slice(value);
    key.seal(what, &mut message);
    Ok(message.into())
}

/// Reads it. `None` if it is none, or was not made with the key.
pub(crate) fn read<H: DeserializeOwned>(
    key: &Key,
    what: Sealed,
    message: &Bytes,
) -> Option<(H, Bytes)> {
    let mut content = key.open(what, message)?;
    let head = front(&mut content).ok()?;
    Some((head, message.slice_ref(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let key = Key::of_secret("0123456789abcdef").unwrap();
        let head = ItemHead {
            index: 7,
            attempt: 2,
            limit: Some(Duration::from_millis(5)),
            stored: None,
        };
        let message = write(&key, Sealed::Item, &head, b"value").unwrap();
        let (back, value) = read::<ItemHead>(&key, Sealed::Item, &message).unwrap();
        assert_eq!((back, &value[..]), (head, &b"value"[..]));
        assert!(read::<ItemHead>(&key, Sealed::Note, &message).is_none());
        let cut = message.slice(..TAG + 1);
        assert!(read::<ItemHead>(&key, Sealed::Item, &cut).is_none());
    }
}
