//! Images from strangers, decoded where they can do no harm: in worker processes with limits.
//!
//! ```text
//! $ cargo run --release --example isolate 2> /dev/null
//! red.png       64 x 64  #d02020, 2 fields, depth 3
//! green.png     64 x 64  #20a040, 2 fields, depth 3
//! blue.png      64 x 64  #2040d0, 2 fields, depth 3
//! black.png     64 x 64  #000000, 0 fields, depth 0
//! grey.png      64 x 64  #808080, 4 fields, depth 1
//! white.png     64 x 64  #ffffff, 2 fields, depth 0
//!
//! 3 of 9 failed:
//! bomb.png     its process (pid 30325) was killed by SIGABRT; its last lines on stderr:
//!     memory allocation of 7500000000 bytes failed
//!     note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
//! endless.png  its process (pid 30324) was killed by SIGXCPU
//! nested.png   its process (pid 30328) was killed by SIGSEGV
//! ```
//!
//! The decoder is the `png` crate. Around it stands the code that every program adds, here with three
//! of the usual mistakes, and among the samples is an image for each. On threads the first of them
//! would be the end of the program. As it is, each costs its own image, because of one option:
//! `on = process(&pool)`. The image that never ends uses up the processor time of its worker.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use png::{BitDepth, ColorType, Decoder, Encoder, Transformations, chunk};
use runspace::{Cause, ProcessPool, foreach_parallel};
use serde::{Deserialize, Serialize};

/// What goes wrong, in the order of the names.
const BAD: [&str; 3] = ["bomb.png", "endless.png", "nested.png"];

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = samples(folder.path()).expect("sample images");

    let pool = ProcessPool::builder()
        .workers(2)
        .memory(512 << 20)
        .cpu_time(Duration::from_secs(1))
        .env_remove("RUST_BACKTRACE")
        .build();
    let pictures = foreach_parallel!(paths.clone(), on = process(&pool), |path| (
        name(&path),
        decode(&path)
    ));

    let mut failures = Vec::new();
    for outcome in pictures.outcomes() {
        match outcome {
            Ok((name, Ok(picture))) => println!("{name:<12} {picture}"),
            Ok((name, Err(text))) => failures.push((name, text)),
            Err(error) => {
                let item = error.index().map(|it| name(&paths[it as usize]));
                let cause = match error.cause() {
                    Cause::Process(process) => process.to_string(),
                    _ => error.to_string(),
                };
                failures.push((item.unwrap_or_default(), cause));
            }
        }
    }

    failures.sort();
    println!("\n{} of {} failed:", failures.len(), paths.len());
    for (name, cause) in &failures {
        println!("{name:<12} {cause}");
    }
    if failures.iter().map(|(name, _)| name).eq(BAD) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is told of an image. It comes back from another process, so it is serde's to send.
#[derive(Serialize, Deserialize)]
struct Picture {
    width: u32,
    height: u32,
    mean: [u8; 3],
    fields: usize,
    depth: usize,
}

impl std::fmt::Display for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            width,
            height,
            mean: [r, g, b],
            fields,
            depth,
        } = self;
        write!(
            f,
            "{width:>3} x {height:<3} #{r:02x}{g:02x}{b:02x}, {fields} fields, depth {depth}"
        )
    }
}

/// Reads one image. Errors that it notices are values; those that it does not are the subject here.
fn decode(path: &Path) -> Result<Picture, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut image = decoder.read_info().map_err(|error| error.to_string())?;

    let (mut count, mut depth) = (0, 0);
    for text in &image.info().uncompressed_latin1_text {
        match text.keyword.as_str() {
            "Fields" => count = fields(text.text.as_bytes()),
            "Outline" => depth = outline(text.text.as_bytes()).map_or(0, |it| it.depth()),
            _ => {}
        }
    }

    // Mistake 1: the size is what the file says it is.
    let size = image.output_buffer_size().ok_or("too large to count")?;
    let mut pixels = vec![0; size];
    let frame = image
        .next_frame(&mut pixels)
        .map_err(|error| error.to_string())?;
    let samples = frame.color_type.samples();
    let mut sums = [0_u64; 3];
    for pixel in pixels.chunks_exact(samples) {
        for (channel, sum) in sums.iter_mut().enumerate() {
            *sum += u64::from(pixel[if samples < 3 { 0 } else { channel }]);
        }
    }
    let total = u64::from(frame.width) * u64::from(frame.height);
    Ok(Picture {
        width: frame.width,
        height: frame.height,
        mean: sums.map(|sum| (sum / total) as u8),
        fields: count,
        depth,
    })
}

/// How many fields there are, each a digit, its length, and what the length counts.
///
/// Mistake 2: a length of 0 leads nowhere.
fn fields(text: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0_usize);
    while at < text.len() {
        at += usize::from(text[at].saturating_sub(b'0'));
        count = count.wrapping_add(1);
    }
    count
}

/// Brackets in brackets.
struct Outline(Option<Box<Outline>>);

/// Mistake 3: as many calls as there are brackets.
fn outline(text: &[u8]) -> Option<Box<Outline>> {
    let (first, rest) = text.split_first()?;
    (*first == b'(').then(|| Box::new(Outline(outline(rest))))
}

impl Outline {
    fn depth(&self) -> usize {
        std::iter::successors(Some(self), |it| it.0.as_deref()).count()
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Six good images and three bad ones, mixed.
fn samples(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let nested = "(".repeat(1_000_000);
    let brackets = "((()))";
    [
        ("red.png", Some([0xd0, 0x20, 0x20]), "2a3bc", brackets),
        ("bomb.png", None, "2a3bc", brackets),
        ("green.png", Some([0x20, 0xa0, 0x40]), "2a3bc", brackets),
        ("endless.png", Some([0xff; 3]), "2a0bc", brackets),
        ("blue.png", Some([0x20, 0x40, 0xd0]), "2a3bc", brackets),
        ("nested.png", Some([0xff; 3]), "2a3bc", &nested),
        ("black.png", Some([0; 3]), "", ""),
        ("grey.png", Some([0x80; 3]), "1111", "("),
        ("white.png", Some([0xff; 3]), "9_________", ""),
    ]
    .into_iter()
    .map(|(name, colour, fields, outline)| {
        let path = folder.join(name);
        encode(&path, colour, fields, outline)?;
        Ok(path)
    })
    .collect()
}

/// Writes an image of one colour; without one, an image of next to nothing that claims to be huge.
fn encode(path: &Path, colour: Option<[u8; 3]>, fields: &str, outline: &str) -> io::Result<()> {
    let side = if colour.is_some() { 64 } else { 50_000 };
    let mut encoder = Encoder::new(BufWriter::new(File::create(path)?), side, side);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.add_text_chunk("Fields".into(), fields.into())?;
    encoder.add_text_chunk("Outline".into(), outline.into())?;
    let mut writer = encoder.write_header()?;
    match colour {
        Some(colour) => writer.write_image_data(&colour.repeat((side * side) as usize))?,
        None => writer.write_chunk(chunk::IDAT, &[])?,
    }
    Ok(())
}
