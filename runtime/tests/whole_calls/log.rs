//! What bodies say while they run: in memory where the body runs in this process, in a file that all processes
//! append to where it does not. The order of entries is the order in which they happened.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use runspace::{StopToken, Throttle};

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub what: What,
    pub index: u64,
    pub attempt: u32,
    /// Whether the body was told to stop at that moment.
    pub stopping: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The body has been entered.
    Begin,
    /// The body returns a value next.
    Return,
    /// The body has been left, by whichever way.
    Leave,
}

/// What this process sees of a case that runs.
#[derive(Default)]
pub struct Live {
    entries: Mutex<Vec<Entry>>,
    pub running: AtomicUsize,
    pub taken: AtomicI64,
    pub consumed: AtomicI64,
    pub most_open: AtomicI64,
    pub inits: AtomicUsize,
    /// Stops the call, for bodies that do.
    pub token: Mutex<Option<StopToken>>,
    /// The throttle, if it is shared.
    pub throttle: Mutex<Option<Throttle>>,
}

static CASES: Mutex<Option<HashMap<u64, Arc<Live>>>> = Mutex::new(None);

/// The case of this number, in the process that runs the call.
pub fn case(case: u64) -> Option<Arc<Live>> {
    let cases = CASES.lock().unwrap_or_else(PoisonError::into_inner);
    cases.as_ref()?.get(&case).cloned()
}

pub fn open(case: u64) -> Arc<Live> {
    let live = Arc::<Live>::default();
    let mut cases = CASES.lock().unwrap_or_else(PoisonError::into_inner);
    cases
        .get_or_insert_default()
        .insert(case, Arc::clone(&live));
    live
}

pub fn close(case: u64) {
    let mut cases = CASES.lock().unwrap_or_else(PoisonError::into_inner);
    cases.get_or_insert_default().remove(&case);
}

/// The file of a case, for bodies in other processes.
pub fn path(program: u32, case: u64) -> PathBuf {
    std::env::temp_dir().join(format!("whole_calls.{program}.{case}"))
}

/// Writes an entry from wherever a body runs.
pub fn write(program: u32, number: u64, entry: Entry) {
    if let Some(live) = case(number) {
        live.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
        return;
    }
    static OPEN: Mutex<Option<(u64, File)>> = Mutex::new(None);
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if open.as_ref().is_none_or(|it| it.0 != number) {
        // Not made here: a body that runs on after the end of its case finds no file.
        let file = OpenOptions::new().append(true).open(path(program, number));
        let Ok(file) = file else { return };
        *open = Some((number, file));
    }
    let letter = match entry.what {
        What::Begin => 'B',
        What::Return => 'R',
        What::Leave => 'L',
    };
    let Entry {
        index,
        attempt,
        stopping,
        ..
    } = entry;
    let line = format!("{letter} {index} {attempt} {}\n", u8::from(stopping));
    if let Some((_, file)) = &mut *open {
        // One write a line: with O_APPEND it is one piece.
        let _ = file.write_all(line.as_bytes());
    }
}

/// All entries so far.
pub fn read(program: u32, number: u64, live: &Live) -> Vec<Entry> {
    let text = std::fs::read_to_string(path(program, number)).unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let what = match words.next()? {
            "B" => What::Begin,
            "R" => What::Return,
            "L" => What::Leave,
            _ => return None,
        };
        Some(Entry {
            what,
            index: words.next()?.parse().ok()?,
            attempt: words.next()?.parse().ok()?,
            stopping: words.next()? == "1",
        })
    };
    let there = text.lines().filter_map(entry);
    let here = live.entries.lock().unwrap_or_else(PoisonError::into_inner);
    here.iter().copied().chain(there).collect()
}

impl Live {
    /// The input has given one more item.
    pub fn take(&self) {
        let taken = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        let open = taken - self.consumed.load(Ordering::SeqCst);
        self.most_open.fetch_max(open, Ordering::SeqCst);
    }
}
