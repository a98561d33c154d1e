//! What the fuzzers run: the decoder of the worker protocol and the reader of journals, compiled here from
//! the source that the library has.
//!
//! ```text
//! $ cargo +nightly fuzz run frames -- -rss_limit_mb=512 -max_len=65536
//! $ cargo +nightly fuzz run there_and_back
//! $ cargo +nightly fuzz run journal
//! $ cargo test    # the inputs that were kept, on any compiler
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::rc::Rc;

use arbitrary::Arbitrary;
use serde::{Deserialize, Serialize};

#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../../runtime/src/process/wire/mod.rs"]
mod wire;

mod error;
mod journal;

use journal::format::{DONE, Event, Line};
use journal::reader::{History, Stored};
use wire::{FrameReader, FrameWriter, Kind, Sink, Source};

/// One of each shape that serde knows.
#[derive(Arbitrary, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Unit,
    Flag(bool),
    Small(u8, i8),
    Wide(u64, i64, u128, i128),
    /// As bits, so that what is not a number is equal to itself.
    Floats(u32, u64),
    Letter(char),
    Text(String),
    Bytes(Vec<u8>),
    Numbers(Vec<u64>),
    Shorts {
        numbers: Vec<i16>,
        name: Option<String>,
    },
    /// A long run, which travels ahead: how long, and of what.
    Long(Long),
    Maybe(Option<Box<Value>>),
    List(Vec<Value>),
    Map(BTreeMap<u16, Vec<u8>>),
    Outcome(Result<u8, String>),
    Nothing(Vec<()>),
    Array([u8; 5]),
}

/// Many numbers, of few bytes of input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Long(Vec<u32>, String);

impl<'a> Arbitrary<'a> for Long {
    fn arbitrary(from: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let (length, first) = (u16::arbitrary(from)?, u32::arbitrary(from)?);
        let numbers = (0..u32::from(length))
            .map(|it| it.wrapping_mul(first))
            .collect();
        Ok(Self(
            numbers,
            "é".repeat(usize::from(u16::arbitrary(from)?)),
        ))
    }
}

/// Bytes that have been sent, and are read at most `most` at once.
#[derive(Debug)]
struct Sent<'a> {
    left: &'a [u8],
    most: usize,
}

impl Source for Sent<'_> {
    fn read<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        let read = self.left.len().min(to.len()).min(self.most);
        let (front, left) = self.left.split_at(read);
        self.left = left;
        Ok(to[..read].write_copy_of_slice(front))
    }
}

/// Takes at most `most` bytes at once.
#[derive(Debug)]
struct Taken {
    bytes: Rc<RefCell<Vec<u8>>>,
    most: usize,
}

impl Sink for Taken {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut left = self.most;
        for part in parts {
            let taken = part.len().min(left);
            self.bytes.borrow_mut().extend_from_slice(&part[..taken]);
            left -= taken;
        }
        Ok(self.most - left)
    }
}

/// Reads `bytes` as frames, and each frame as what a frame can be read as. The first byte says how;
/// the rest comes in pieces whose size it says, too. Nothing panics, and nothing takes more memory
/// than what has come warrants.
pub fn frames(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else {
        return;
    };
    let most = [1, 7, 100, 1 << 20][usize::from(how >> 6)];
    let before = start_counting();
    let mut reader = FrameReader::new(Sent { left: bytes, most });
    while let Ok(Some(frame)) = reader.next() {
        match how & 7 {
            0 => drop(frame.value::<Value>()),
            1 => drop(frame.value::<Vec<Value>>()),
            2 => drop(frame.value::<Vec<f64>>()),
            3 => drop(frame.value::<HashMap<String, Option<Vec<i32>>>>()),
            4 => drop(frame.value::<(String, Long)>()),
            5 => {
                let mut frame = frame;
                while frame.part::<(u64, Value)>().is_ok() {}
                drop(frame.value::<Vec<u8>>());
            }
            6 => {
                let mut parcels = frame.into_parcels();
                while let Some((_, parcel, _)) = parcels.next() {
                    drop(parcel.value::<Value>());
                }
            }
            _ => drop(frame.value::<Vec<Vec<Vec<String>>>>()),
        }
    }
    let most = peak().saturating_sub(before);
    let warranted = BASE + FOR_EACH_BYTE * bytes.len();
    assert!(
        most <= warranted,
        "{most} bytes of memory for {} that came",
        bytes.len()
    );
}

/// What is taken on a mere claim: address space for a run, a step of the reader, and what serde
/// reserves for a collection.
const BASE: usize = (32 << 20) + (8 << 20);

/// An element of one byte on the wire can be this large in memory, several times while a vector grows.
const FOR_EACH_BYTE: usize = 4 * (size_of::<Value>() + size_of::<String>());

/// Writes `values`, a frame each and then in one, and reads them back in pieces of about `most` bytes.
pub fn there_and_back(values: &[Value], most: u16) {
    let most = usize::from(most) + 100; // less is slow, and what `frames` tries
    let bytes = Rc::new(RefCell::new(Vec::new()));
    let mut writer = FrameWriter::new(Taken {
        bytes: Rc::clone(&bytes),
        most,
    });
    let mut sent = Vec::new();
    for value in values {
        // What nests too deeply is refused, and leaves no trace.
        if writer.frame(Kind::Output, value).is_ok() {
            sent.push(value);
        }
    }
    let all = writer.send(Kind::Done, values).is_ok();
    writer.flush().expect("memory takes what it is sent");
    let bytes = bytes.take();
    let mut reader = FrameReader::new(Sent { left: &bytes, most });
    for value in sent {
        let frame = reader.next().expect("a frame").expect("a frame");
        assert_eq!(frame.kind, Kind::Output);
        assert_eq!(frame.value::<Value>().expect("a value"), *value);
    }
    if all {
        let frame = reader.next().expect("a frame").expect("a frame");
        assert_eq!(frame.value::<Vec<Value>>().expect("the values"), values);
    }
    assert!(reader.next().expect("the end").is_none());
}

/// Reads `bytes` as a journal. Nothing panics, nothing takes more memory than the bytes warrant, each
/// value is where it is said to be, and a journal that is mended, or torn once more, has the same in it.
pub fn journal(bytes: &[u8]) {
    let before = start_counting();
    let read = History::read(bytes);
    let most = peak().saturating_sub(before);
    assert!(
        most <= (1 << 20) + FOR_EACH_BYTE * bytes.len(),
        "{most} bytes of memory for {}",
        bytes.len()
    );
    let Ok(history) = read else {
        return;
    };
    let whole = usize::try_from(history.whole).expect("what is in memory");
    for stored in history.done.values().flatten() {
        let line: Line<'_> = Line::read(of(bytes, stored)).expect("it has been read before");
        assert_eq!(line.event, Event::Item);
        assert_eq!(line.outcome.as_deref(), Some(DONE));
        assert!(line.value.is_some());
    }
    let mut mended = bytes[..whole].to_vec();
    if history.is_open {
        mended.push(b'\n');
    }
    let again = History::read(&mended[..]).expect("it is whole");
    assert_eq!((again.whole, again.is_open), (mended.len() as u64, false));
    assert_eq!(places(&again), places(&history));
    assert_eq!(again.origin, history.origin);
    // Torn anywhere behind the line that says whose it is.
    let Some(first) = bytes.iter().position(|it| *it == b'\n') else {
        return;
    };
    let knows = |bytes: &[u8]| History::read(bytes).is_ok_and(|it| it.origin.is_some());
    let sum = bytes.iter().fold(0_usize, |sum, it| {
        sum.wrapping_mul(31).wrapping_add((*it).into())
    });
    let cut = first + 1 + sum % (bytes.len() - first);
    if knows(&bytes[..=first]) {
        let torn = History::read(&bytes[..cut]).expect("a journal that was torn");
        let is_before =
            |it: &&Stored| usize::try_from(it.offset).is_ok_and(|at| at + it.length <= cut);
        let kept = history.done.values().flatten().filter(is_before).count();
        assert!(torn.done.values().flatten().count() >= kept);
    }
}

/// Which line has a value of which item.
fn places(history: &History) -> BTreeMap<u64, (&str, u64)> {
    let done = history.done.iter();
    done.flat_map(|(item, all)| {
        all.iter()
            .map(move |it| (it.line, (item.as_str(), it.offset)))
    })
    .collect()
}

/// The line of a value.
fn of<'a>(bytes: &'a [u8], stored: &Stored) -> &'a [u8] {
    let from = usize::try_from(stored.offset).expect("what is in memory");
    &bytes[from..from + stored.length]
}

thread_local! {
    /// What this thread has taken and not given back, and the most of it.
    static MEMORY: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn start_counting() -> usize {
    let (now, _) = MEMORY.get();
    MEMORY.set((now, now));
    now
}

fn peak() -> usize {
    MEMORY.get().1
}

/// The system's allocator, and how much this thread has of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn count(more: usize, less: usize) {
        // A thread that ends has no count any more.
        let _ = MEMORY.try_with(|memory| {
            let (now, most) = memory.get();
            let now = now.wrapping_add(more).saturating_sub(less);
            memory.set((now, most.max(now)));
        });
    }
}

// SAFETY: all of it is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size(), 0);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Self::count(0, layout.size());
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size, layout.size());
        // SAFETY: as the caller says.
        unsafe { System.realloc(memory, layout, size) }
    }
}
