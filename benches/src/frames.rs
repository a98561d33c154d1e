//! The frames of the worker protocol, to and from memory, for their instructions to be counted. They are no
//! part of the library's interface, and compiled here from its source.

#[path = "../../fuzz/src/error.rs"]
mod error;
#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../../runtime/src/process/wire/mod.rs"]
mod wire;

use std::cell::RefCell;
use std::hint::black_box;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use wire::{FrameReader, FrameWriter, Kind, Sink, Source};

/// An item as programs have them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    index: u64,
    name: String,
    weight: Option<f64>,
    tags: Vec<String>,
    numbers: Vec<u32>,
    place: (i32, i32),
}

impl Record {
    /// The one of this number.
    #[must_use]
    pub fn new(index: u64) -> Self {
        Self {
            index,
            name: "an item of some length".to_owned(),
            weight: Some(index as f64),
            tags: vec!["one".to_owned(), "two".to_owned()],
            numbers: (0..8).collect(),
            place: (3, -4),
        }
    }
}

/// So many frames, a value in each.
///
/// # Panics
/// A value cannot be written.
pub fn write<T: Serialize>(n: u64, value: impl Fn(u64) -> T) -> Vec<u8> {
    let bytes = Rc::new(RefCell::new(Vec::new()));
    let mut writer = FrameWriter::new(Memory(Rc::clone(&bytes)));
    for it in 0..n {
        writer
            .send(Kind::Output, &value(it))
            .expect("memory takes what it is sent");
    }
    drop(writer);
    bytes.take()
}

/// The same, and reads them.
///
/// # Panics
/// What is written cannot be read.
pub fn write_and_read<T: Serialize + DeserializeOwned>(n: u64, value: impl Fn(u64) -> T) {
    let bytes = write(n, value);
    let mut reader = FrameReader::new(Bytes(&bytes));
    let mut count = 0;
    while let Some(frame) = reader.next().expect("a frame") {
        black_box(frame.value::<T>().expect("a value"));
        count += 1;
    }
    assert_eq!(count, n);
}

struct Memory(Rc<RefCell<Vec<u8>>>);

impl Sink for Memory {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = self.0.borrow_mut();
        let before = bytes.len();
        parts.iter().for_each(|it| bytes.extend_from_slice(it));
        Ok(bytes.len() - before)
    }
}

struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    #[expect(
        clippy::incompatible_msrv,
        reason = "who measures has a current compiler"
    )]
    fn read<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        // As a pipe hands them out.
        let count = self.0.len().min(to.len()).min(64 << 10);
        let (front, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(to[..count].write_copy_of_slice(front))
    }
}
