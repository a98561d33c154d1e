//! The SHA-256 of every file in a directory tree, several files at a time.
//!
//! ```text
//! $ cargo run --release --example checksum -- /dev/null missing
//! e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /dev/null
//! checksum: "missing": No such file or directory (os error 2)
//! 1 of 2 files could not be read:
//!   1 x No such file or directory (os error 2) ("missing")
//! ```
//!
//! With `--progress` it says how far it is, with `--summary` what it came to. With `--journal FILE` each
//! file that is done is written down, and after a crash `--resume` goes on from there: a file is done
//! if its path, its size and its time are those of then.
//!
//! Without a path it takes the current directory. The lines are those of
//! `find . -type f -exec sha256sum {} +`, so `sha256sum --check` reads them. The work is one
//! `foreach_parallel!`, in `run`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::SystemTime;

use clap::{Parser, value_parser};
use runspace::{Journal, foreach_parallel, stopping};
use serde::Serialize;
use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

/// Print the SHA-256 of every file under the given paths, as sha256sum does.
///
/// Hidden files are included, symbolic links inside a directory are not followed. The exit status
/// is 1 if something could not be read, 2 if the command line is wrong.
#[derive(Parser)]
#[command(name = "checksum")]
struct Args {
    /// Files and directories
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,

    /// How many files to hash at once
    #[arg(short, long, value_name = "N", default_value_t = cores(), value_parser = value_parser!(u16).range(1..))]
    jobs: u16,

    /// Print lines sorted by path instead of as they are finished
    #[arg(short, long)]
    ordered: bool,

    /// Show how far it is, on stderr
    #[arg(short, long)]
    progress: bool,

    /// Say at the end how many there were, what failed and what took longest, on stderr
    #[arg(short, long)]
    summary: bool,

    /// Write down what is done in this file, which must be new
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Go on from the journal: files in it that have not changed are not read again
    #[arg(long, requires = "journal")]
    resume: bool,
}

fn cores() -> u16 {
    available_parallelism().map_or(1, |cores| cores.get().try_into().unwrap_or(u16::MAX))
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        // Whoever reads the lines has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("checksum: cannot write: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> io::Result<ExitCode> {
    let mut lines = foreach_parallel!(
        files(args.paths),
        name = "Hashing",
        throttle = usize::from(args.jobs),
        ordered = args.ordered,
        progress = args.progress,
        // Files may come, go and change: what is there now is what is wanted.
        journal = args.journal.map(|path| Journal::new(path).may_change(true)),
        resume = args.resume,
        init(buffer = vec![0; 64 * 1024]),
        |file| line(Path::new(&file?.path), &mut buffer)
    );
    let report = lines.report();
    let journal = lines.journal();

    let above_bar = args.progress && io::stdout().is_terminal();
    let mut out = io::stdout();
    for outcome in lines.outcomes() {
        // A body that panics costs its own file and no other.
        match outcome {
            Ok(Ok(line)) if above_bar => {
                runspace::progress::println(String::from_utf8_lossy(&line).trim_end());
            }
            Ok(Ok(line)) => out.write_all(&line)?,
            Ok(Err((path, error))) => {
                complain(&format!("checksum: {path}: {error}"));
                report.add_for(&path, &error);
            }
            Err(panic) => complain(&format!("checksum: {panic}")),
        }
    }
    out.flush()?;

    if args.summary {
        complain(&report.to_string());
        if args.resume {
            let (known, gone) = (journal.resumed(), journal.missing().len());
            complain(&format!(
                "{known} known from the journal, {gone} in it gone or changed since"
            ));
        }
    }
    if report.failed() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.summary {
        let count = report.succeeded() + report.failed();
        complain(&format!(
            "{} of {count} files could not be read:",
            report.failed()
        ));
        for failure in report.failures() {
            complain(&format!("  {failure}"));
        }
    }
    Ok(ExitCode::FAILURE)
}

/// A file as it was found. What the journal tells it by: one that has changed is another.
#[derive(Serialize)]
struct Found {
    path: OsString,
    size: u64,
    modified: Option<SystemTime>,
}

impl Found {
    fn new(entry: DirEntry) -> Self {
        let metadata = entry.metadata().ok();
        Self {
            size: metadata.as_ref().map_or(0, |it| it.len()),
            modified: metadata.and_then(|it| it.modified().ok()),
            path: entry.into_path().into(),
        }
    }
}

/// Every file to hash, found while the first ones are hashed already.
fn files(paths: Vec<PathBuf>) -> impl Iterator<Item = Result<Found, Failure>> + Send {
    let entries = paths
        .into_iter()
        .flat_map(|path| WalkDir::new(path).sort_by_file_name());
    entries.filter_map(|entry| match entry {
        Ok(entry) => is_wanted(&entry).then(|| Ok(Found::new(entry))),
        Err(error) => {
            let path = error.path().unwrap_or(Path::new("")).to_owned();
            let error = error
                .into_io_error()
                .unwrap_or_else(|| io::Error::other("a loop of links"));
            Some(Err(failure(&path, &error)))
        }
    })
}

/// In a directory only files are; a path from the command line is read whatever it is.
fn is_wanted(entry: &DirEntry) -> bool {
    entry.file_type().is_file() || entry.depth() == 0 && !entry.path().is_dir()
}

/// What sha256sum prints for one file: a name with a backslash or a line break in it is escaped,
/// and a backslash at the start of the line says so.
fn line(path: &Path, buffer: &mut [u8]) -> Result<Vec<u8>, Failure> {
    let hash = hash(path, buffer).map_err(|error| failure(path, &error))?;
    let name = path.as_os_str().as_encoded_bytes();
    let mut escaped = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'\\' => escaped.extend(br"\\"),
            b'\n' => escaped.extend(br"\n"),
            b'\r' => escaped.extend(br"\r"),
            _ => escaped.push(byte),
        }
    }
    let mark: &[u8] = if escaped.len() > name.len() {
        br"\"
    } else {
        b""
    };
    Ok([mark, hash.as_bytes(), b"  ", &escaped, b"\n"].concat())
}

/// The file's hash, in hexadecimal. Gives up early when the lines are not wanted any more.
fn hash(path: &Path, buffer: &mut [u8]) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    while !stopping() {
        match file.read(buffer) {
            Ok(0) => {
                return Ok(hasher
                    .finalize()
                    .iter()
                    .map(|it| format!("{it:02x}"))
                    .collect());
            }
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("stopped"))
}

/// A path, quoted, and what is wrong with it: text, for the journal to keep.
type Failure = (String, String);

fn failure(path: &Path, error: &io::Error) -> Failure {
    (format!("{path:?}"), error.to_string())
}

/// To stderr, above the bar if there is one. Nobody reading it is no reason to panic.
fn complain(text: &str) {
    runspace::progress::eprintln(text);
}
