//! The lines of a journal, one JSON object each.
//!
//! Nothing in here knows of calls or files.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The version of the format that this writes, and the latest that it reads.
pub(crate) const FORMAT: u32 = 1;

/// The first line of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Header<'a> {
    pub(crate) event: Event,
    pub(crate) format: u32,
    pub(crate) run: &'a str,
    #[serde(rename = "crate")]
    pub(crate) crate_version: &'a str,
    /// The `name` of the call.
    pub(crate) name: Option<&'a str>,
    /// Its place in the source.
    pub(crate) call: &'a str,
    /// What the user says that values depend on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<&'a str>,
    /// The types of items and values.
    pub(crate) items: &'a str,
    pub(crate) values: &'a str,
    /// How many items there are, if the input says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    pub(crate) pid: u32,
    pub(crate) start: f64,
    /// Whether finished items of the runs before are passed over.
    pub(crate) resume: bool,
}

/// One try of one item, at its end.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) event: Event,
    pub(crate) run: &'a str,
    /// The hash of the item.
    pub(crate) item: &'a str,
    pub(crate) index: u64,
    pub(crate) attempt: u32,
    /// Seconds since 1970.
    pub(crate) start: f64,
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f64>,
    /// Bytes: the most that the worker process has had so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory: Option<u64>,
    pub(crate) worker: &'a str,
    pub(crate) outcome: &'a str,
    /// Another try follows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) again: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<&'a RawValue>,
}

/// The last line of a run that came to its end.
#[derive(Debug, Serialize)]
pub(crate) struct Footer<'a> {
    pub(crate) event: Event,
    pub(crate) run: &'a str,
    pub(crate) end: f64,
    /// Items that have run and succeeded.
    pub(crate) done: u64,
    /// Items that have run and not succeeded.
    pub(crate) failed: u64,
    /// Items whose value was taken from an earlier run.
    pub(crate) resumed: u64,
    /// Finished items of earlier runs that this one was not given.
    pub(crate) missing: u64,
}

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    Run,
    Item,
    End,
}

/// The outcome of an item whose value can be used again.
pub(crate) const DONE: &str = "done";

/// A line as it is read: what is of interest later, and nothing of the rest.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) event: Event,
    pub(crate) item: Option<String>,
    pub(crate) outcome: Option<String>,
    /// `null` is a value.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) value: Option<&'a RawValue>,
}

/// What the first line of a run says of its call, as it is read. Older ones said less.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Origin {
    pub(crate) format: Option<u32>,
    pub(crate) run: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) call: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) items: Option<String>,
    pub(crate) values: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read<'a, L: Deserialize<'a>>(bytes: &'a [u8]) -> Result<L, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

impl<'a> Line<'a> {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        read(bytes)
    }
}
