//! The executable as it lies in memory: which code is its own, which build it is, and what runs
//! before `main`.
//!
//! `unsafe` in this module: symbols that the linker defines, and the ELF header, program headers
//! and notes behind them, which the loader has checked before any of this code runs.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_ulong};
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{ptr, slice};

use once_cell::race::OnceBox;

/// What an entry of `.init_array` is on Linux with glibc.
pub type Init = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char);

unsafe extern "C" {
    /// The ELF header of the file that this code was linked into.
    static __ehdr_start: Header;
    static __init_array_start: [Option<Init>; 0];
    static __init_array_end: [Option<Init>; 0];
    safe fn getauxval(kind: c_ulong) -> c_ulong;
}

/// The file header of ELF for 64 bits, as far as it is needed.
#[repr(C)]
struct Header {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    segments_at: u64,
    sections_at: u64,
    flags: u32,
    size: u16,
    segment_size: u16,
    segment_count: u16,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

const LOAD: u32 = 1;
const NOTE: u32 = 4;
const EXECUTABLE: u32 = 1;
const AT_PHDR: c_ulong = 3;

/// The place that code is counted from. A static with inner mutability has one address, unlike a
/// function, of which every unit of code generation may have its own copy.
static ANCHOR: AtomicU8 = AtomicU8::new(0);

/// What is known of the file that this code was linked into.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where its header is.
    start: usize,
    text: Vec<Range<usize>>,
    /// The same for two processes only if they run the same build.
    pub(crate) build: Vec<u8>,
    /// The linker has made `build`, of all that is in the file.
    #[cfg_attr(
        not(feature = "cluster"),
        allow(dead_code, reason = "processes run the same file")
    )]
    is_exact: bool,
    /// Whether that file is the program, rather than a library the program has loaded.
    pub(crate) is_program: bool,
}

pub(crate) fn image() -> &'static Image {
    // No thread waits for another that reads: it may not be there, in a process made by `fork`.
    static IMAGE: OnceBox<Image> = OnceBox::new();
    IMAGE.get_or_init(|| Box::new(Image::read()))
}

impl Image {
    fn read() -> Self {
        let header = &raw const __ehdr_start;
        // SAFETY: the linker puts the symbol on the header of the file it makes, which the loader
        // maps with the first segment and which is never written.
        let (at, count) = unsafe { ((*header).segments_at, (*header).segment_count) };
        let start = header.expose_provenance();
        let segments = start + at as usize;
        let is_program = segments as c_ulong == getauxval(AT_PHDR);
        let segments = ptr::with_exposed_provenance::<Segment>(segments);
        // SAFETY: the program headers follow the file header in the same segment; the loader has
        // used them to map this very code.
        let segments = unsafe { slice::from_raw_parts(segments, count.into()) };
        let first = segments.iter().find(|it| it.kind == LOAD && it.offset == 0);
        let slide = start.wrapping_sub(first.map_or(0, |it| it.address as usize));
        let place = |it: &Segment| {
            let start = slide.wrapping_add(it.address as usize);
            start..start + it.memory_size as usize
        };
        let runs = |it: &&Segment| it.kind == LOAD && it.flags & EXECUTABLE != 0;
        let text: Vec<_> = segments.iter().filter(runs).map(place).collect();
        let notes = segments.iter().filter(|it| it.kind == NOTE).map(place);
        let build = notes.filter_map(build_id).next();
        let is_exact = build.is_some();
        let build = build.unwrap_or_else(|| fingerprint(segments, &text));
        Self {
            start,
            text,
            build,
            is_exact,
            is_program,
        }
    }

    /// The address of the head of this file.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Where a function lies, counted from the head of this file.
    pub(crate) fn offset_in_file(&self, function: usize) -> usize {
        function.wrapping_sub(self.start)
    }

    fn has_code(&self, address: usize) -> bool {
        self.text.iter().any(|it| it.contains(&address))
    }

    /// Where a function of this file lies, counted from the anchor. `None` for another's.
    pub(crate) fn offset(&self, function: usize) -> Option<i64> {
        let offset = function.wrapping_sub(anchor()) as i64;
        self.has_code(function).then_some(offset)
    }

    /// The address of the function at `offset`. `None` if no code is there.
    pub(crate) fn address(&self, offset: i64) -> Option<usize> {
        let address = anchor().wrapping_add(offset as usize);
        self.has_code(address).then_some(address)
    }
}

/// What no other build of this program has, on whichever machine it runs: what the linker has made of all that is
/// in the file, or a hash of the file.
#[cfg(feature = "cluster")]
pub(crate) fn build_hash() -> &'static [u8] {
    use sha2::{Digest, Sha256};
    static HASH: OnceBox<Vec<u8>> = OnceBox::new();
    let make = || {
        let image = image();
        if image.is_exact {
            return image.build.clone();
        }
        match std::fs::read("/proc/self/exe") {
            Ok(file) => Sha256::digest(&file).to_vec(),
            Err(_) => image.build.clone(),
        }
    };
    HASH.get_or_init(|| Box::new(make()))
}

fn anchor() -> usize {
    ANCHOR.load(Ordering::Relaxed); // keeps it from being a constant
    (&raw const ANCHOR).addr()
}

/// The bytes of this image at `place`.
///
/// # Safety
/// `place` is within a segment that the loader has mapped readable.
unsafe fn bytes(place: Range<usize>) -> &'static [u8] {
    let start = ptr::with_exposed_provenance(place.start);
    // SAFETY: the caller says so; such segments stay mapped, and those asked for are not written.
    unsafe { slice::from_raw_parts(start, place.len()) }
}

/// The build id that the linker has left in the notes at `place`.
fn build_id(place: Range<usize>) -> Option<Vec<u8>> {
    // SAFETY: a segment of notes is part of a readable one.
    let mut rest = unsafe { bytes(place) };
    loop {
        let (head, after) = rest.split_first_chunk::<12>()?;
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|it| head[at + it])) as usize;
        let (name, content, kind) = (word(0), word(4), word(8));
        let content_at = name.next_multiple_of(4);
        let id = after.get(content_at..content_at.checked_add(content)?)?;
        if kind == 3 && after.starts_with(b"GNU\0") {
            return Some(id.to_vec());
        }
        rest = after.get((content_at + content).next_multiple_of(4)..)?;
    }
}

/// Stands in for a build id: a hash of the segments' table and of samples of the code. Two builds
/// of one program with all of that the same do not occur.
fn fingerprint(segments: &[Segment], text: &[Range<usize>]) -> Vec<u8> {
    const SAMPLES: usize = 64;
    const SAMPLE: usize = 64;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |word: u64| {
        for byte in word.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    for it in segments {
        for word in [
            it.kind.into(),
            it.offset,
            it.address,
            it.file_size,
            it.memory_size,
        ] {
            mix(word);
        }
    }
    for range in text {
        let step = (range.len() / SAMPLES).max(SAMPLE);
        for start in range.clone().step_by(step) {
            let end = range.end.min(start + SAMPLE);
            // SAFETY: code segments are readable here: the compiler keeps constants in them.
            let sample = unsafe { bytes(start..end) };
            for chunk in sample.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                mix(u64::from_le_bytes(word));
            }
        }
    }
    hash.to_le_bytes().to_vec()
}

fn inits() -> &'static [Option<Init>] {
    let start = (&raw const __init_array_start).cast::<Option<Init>>();
    let end = (&raw const __init_array_end).addr();
    let count = (end - start.addr()) / size_of::<Option<Init>>();
    // SAFETY: the two symbols are the bounds of the array of this file's constructors. The loader
    // has filled in their addresses before it calls the first, which is when this runs.
    unsafe { slice::from_raw_parts(start, count) }
}

/// Whether `init` is among the constructors of this file.
pub(crate) fn has_init(init: Init) -> bool {
    inits()
        .iter()
        .flatten()
        .any(|it| ptr::fn_addr_eq(*it, init))
}

/// Whether a constructor of this file lies at `offset`, counted from the head of the file.
pub(crate) fn has_init_at(offset: usize) -> bool {
    let image = image();
    inits()
        .iter()
        .flatten()
        .any(|it| image.offset_in_file(*it as *const () as usize) == offset)
}

/// The constructors that come after `init`, for it to call before it ends the process.
pub(crate) fn inits_after(init: Init) -> impl Iterator<Item = Init> {
    let is_it = move |it: &Option<Init>| it.is_some_and(|it| ptr::fn_addr_eq(it, init));
    let place = inits().iter().position(is_it);
    let rest = place.map_or(&[][..], |place| &inits()[place + 1..]);
    // The array may hold null or -1 as padding.
    let is_code = |it: &Init| (*it as usize) != usize::MAX;
    rest.iter().filter_map(|it| *it).filter(is_code)
}
