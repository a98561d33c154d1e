//! What a worker does with the journal: items are known by their content, and values kept.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::Ledger;
use super::error::{JournalError, JournalErrorKind};
use super::format::Line;
use super::hash::content_hash;
use crate::error::PanicPayload;

/// An item that a journal can know again.
#[diagnostic::on_unimplemented(
    message = "an item of type `{Self}` cannot be found in a journal, because it cannot be serialised",
    label = "the journal knows items by their content",
    note = "its type must be `serde::Serialize`: `#[derive(Serialize)]` on it, or use items that the value can be made from in the body"
)]
pub trait JournalItem: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> JournalItem for T {}

/// A value that a journal can keep.
#[diagnostic::on_unimplemented(
    message = "a value of type `{Self}` cannot be kept in a journal",
    label = "the journal holds values as JSON",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`: `#[derive(Serialize, Deserialize)]` on it; for an error that has neither, such as `std::io::Error` or `anyhow::Error`, answer its text: `.map_err(|error| error.to_string())`"
)]
pub trait JournalValue: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> JournalValue for T {}

/// The journal, with what is known of the types of a call.
pub(crate) struct Keeper<T, R> {
    pub(crate) ledger: Arc<Ledger>,
    hash: fn(&T) -> Result<String, String>,
    write: fn(&R) -> Result<Box<RawValue>, String>,
    read_back: fn(&R, &RawValue) -> Result<(), String>,
    read: fn(&RawValue) -> Result<R, String>,
}

/// What the journal says of an item.
pub(crate) enum Known<R> {
    /// It has to run.
    No,
    /// It has this value from an earlier run.
    Value(R),
    /// It cannot run.
    Failed(JournalError),
}

impl<T: JournalItem, R: JournalValue> Keeper<T, R> {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            hash: |item| caught(|| content_hash(item).map_err(|error| error.to_string())),
            write: |value| caught(|| to_raw_value(value).map_err(|error| error.to_string())),
            read_back,
            read,
        }
    }
}

impl<T, R> Keeper<T, R> {
    pub(crate) fn look_up(&self, index: u64, item: &T) -> Known<R> {
        let failed = |kind| Known::Failed(self.ledger.problem(kind));
        let hash = match (self.hash)(item) {
            Ok(hash) => hash,
            Err(problem) => return failed(JournalErrorKind::Item(problem)),
        };
        let Some((stored, bytes)) = self.ledger.claim(index, hash) else {
            return Known::No;
        };
        let value = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
            let line = Line::read(&bytes)?;
            let value = line.value.ok_or("it has changed since it was first read")?;
            (self.read)(value)
        });
        match value {
            Ok(value) => Known::Value(value),
            Err(problem) => failed(JournalErrorKind::Stored {
                line: stored.line,
                problem,
            }),
        }
    }

    /// Keeps the value of an item for its line. `is_good`: it will be used again.
    pub(crate) fn keep(&self, index: u64, value: &R, is_good: bool) {
        let written = (self.write)(value).and_then(|json| {
            if is_good {
                (self.read_back)(value, &json)?;
            }
            Ok(json)
        });
        match written {
            Ok(json) => self
                .ledger
                .note(index, |pending| pending.value = Some(json)),
            Err(problem) if is_good => {
                self.ledger.fail(JournalErrorKind::Value { index, problem });
            }
            // Nobody will read it.
            Err(_) => {}
        }
    }
}

fn read<R: DeserializeOwned>(value: &RawValue) -> Result<R, String> {
    caught(|| {
        serde_json::from_str(value.get())
            .map_err(|error| format!("it is no `{}`: {error}", type_name::<R>()))
    })
}

/// JSON does not know all that serde does: `Some(None)` is `None` in it, and NaN is nothing.
fn read_back<R: JournalValue>(value: &R, json: &RawValue) -> Result<(), String> {
    let again: R = read(json)?;
    let hashes = caught(|| Ok(content_hash(value).ok() == content_hash(&again).ok()));
    // Its destructor is the user's code too.
    caught(|| {
        drop(again);
        Ok(())
    })?;
    match hashes? {
        true => Ok(()),
        false => Err("written as JSON and read back, it is another value".to_owned()),
    }
}

/// Runs code of the user's whose panic would be the journal's.
fn caught<V>(run: impl FnOnce() -> Result<V, String>) -> Result<V, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let payload = PanicPayload::new(payload);
        Err(format!("it panicked: {}", payload.message()))
    })
}
