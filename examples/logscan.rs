//! What is in a tree of source files, or of logs, as a small table: one pipeline of three stages.
//!
//! ```text
//! $ cargo run --release --example logscan
//! where               files   lines  comments  marked  longest line
//! benches                43    4521       278       0  156 at ./benches/src/questions/jobs.rs:39
//! examples               11    2013       337       1  133 at ./examples/cluster_checksum.rs:13
//! fuzz                    6     359        42       0  107 at ./fuzz/src/lib.rs:1
//! macros                 66    7075       498       0  217 at ./macros/src/tests/snapshots/foreach_parallel/mistake.rs:8
//! runtime               282   60888      7385       0  269 at ./runtime/src/values.rs:74
//! tests                 357   11857       488       2  307 at ./tests/faults/crashes.rs:54
//! tests/bare             15     120         6       0  116 at ./tests/bare/features.rs:3
//! tests/edition_2021      1       1         1       0  82 at ./tests/edition_2021/empty.rs:1
//! tests/library           4     128        16       0  92 at ./tests/library/src/lib.rs:19
//! total                 785   86962      9051       3
//! ```
//!
//! Reading waits for the disk, so it has threads of its own; looking at the text keeps a core busy, so
//! it runs on rayon's pool; adding up is what `main` does with what arrives. All three work at the same
//! time, and no more files are in memory than the two windows have room for. For logs:
//! `logscan --extension log --marker ERROR --marker WARN /var/log`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use runspace::pipeline;
use walkdir::{DirEntry, WalkDir};

/// Count lines, comments and markers of the files under the given paths.
///
/// A path that is a file is read whatever its extension. Hidden folders and those named "target" are
/// left out. The exit status is 1 if something could not be read.
#[derive(Parser)]
#[command(name = "logscan")]
struct Args {
    /// Files and directories
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,

    /// Which files of a directory to read
    #[arg(short, long, default_value = "rs")]
    extension: String,

    /// Words to count
    #[arg(short, long = "marker", value_name = "WORD", default_values = ["TODO", "FIXME", "XXX", "HACK"])]
    markers: Vec<String>,
}

/// What is counted, of a file or of a group of files.
#[derive(Default)]
struct Counts {
    files: usize,
    lines: usize,
    comments: usize,
    marked: usize,
    /// How long the longest line is, and where.
    longest: (usize, String),
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        // Whoever reads the table has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "logscan: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> io::Result<ExitCode> {
    let markers = args.markers;
    let mut table = BTreeMap::<String, Counts>::new();
    let mut failures: Vec<String> = Vec::new();

    let scanned = pipeline!(
        files(args.paths, args.extension)
            | foreach_parallel(name = "read", throttle = 8, |path| {
                path.and_then(|path| match fs::read(&path) {
                    Ok(bytes) => Ok((group(&path), path, bytes)),
                    Err(error) => Err(format!("{path:?}: {error}")),
                })
            })
            | foreach_parallel(name = "parse", on = rayon, using(markers), |file| {
                file.map(|(group, path, bytes)| (group, count(&path, &bytes, &markers)))
            })
    );
    for result in scanned {
        match result {
            Ok((group, counts)) => table.entry(group).or_default().add(counts),
            Err(failure) => failures.push(failure),
        }
    }

    print(&table, &mut io::stdout().lock())?;
    failures.sort();
    for failure in &failures {
        let _ = writeln!(io::stderr(), "logscan: {failure}");
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The files to read, found while the first ones are counted already.
fn files(
    paths: Vec<PathBuf>,
    extension: String,
) -> impl Iterator<Item = Result<PathBuf, String>> + Send {
    let entries = paths.into_iter().flat_map(|path| {
        WalkDir::new(path)
            .into_iter()
            .filter_entry(is_wanted_folder)
    });
    entries.filter_map(move |entry| match entry {
        Ok(entry) => {
            let fits = || entry.path().extension() == Some(OsStr::new(&extension));
            let is_file = entry.file_type().is_file() && (entry.depth() == 0 || fits());
            is_file.then(|| Ok(entry.into_path()))
        }
        Err(error) => Some(Err(error.to_string())),
    })
}

fn is_wanted_folder(entry: &DirEntry) -> bool {
    let name = entry.file_name().as_encoded_bytes();
    entry.depth() == 0 || !entry.file_type().is_dir() || name != b"target" && name[0] != b'.'
}

/// The crate that a file belongs to, or else its extension.
fn group(path: &Path) -> String {
    let mut folders = path.ancestors().skip(1);
    let Some(folder) = folders.find(|it| it.join("Cargo.toml").is_file()) else {
        return format!("*.{}", path.extension().unwrap_or_default().display());
    };
    let inner = folder.strip_prefix(".").unwrap_or(folder);
    let name = if inner == Path::new("") {
        Path::new(".")
    } else {
        inner
    };
    name.display().to_string()
}

fn count(path: &Path, bytes: &[u8], markers: &[String]) -> Counts {
    let text = String::from_utf8_lossy(bytes);
    let mut counts = Counts {
        files: 1,
        ..Counts::default()
    };
    for (index, line) in text.lines().enumerate() {
        counts.lines += 1;
        counts.comments += usize::from(line.trim_start().starts_with("//"));
        counts.marked += usize::from(markers.iter().any(|it| line.contains(it)));
        let length = line.chars().count();
        if length > counts.longest.0 {
            counts.longest = (length, format!("{}:{}", path.display(), index + 1));
        }
    }
    counts
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.comments += other.comments;
        self.marked += other.marked;
        // Files come in any order; the table is to be the same every time.
        let rank = |it: &(usize, String)| (it.0, std::cmp::Reverse(it.1.clone()));
        if rank(&other.longest) > rank(&self.longest) {
            self.longest = other.longest;
        }
    }
}

fn print(table: &BTreeMap<String, Counts>, out: &mut impl Write) -> io::Result<()> {
    let width = table
        .keys()
        .map(|it| it.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    writeln!(
        out,
        "{:width$}  files   lines  comments  marked  longest line",
        "where"
    )?;
    for (group, it) in table {
        let (length, place) = &it.longest;
        writeln!(
            out,
            "{group:width$}  {:5}  {:6}  {:8}  {:6}  {length} at {place}",
            it.files, it.lines, it.comments, it.marked
        )?;
    }
    let sum = |of: fn(&Counts) -> usize| table.values().map(of).sum::<usize>();
    writeln!(
        out,
        "{:width$}  {:5}  {:6}  {:8}  {:6}",
        "total",
        sum(|it| it.files),
        sum(|it| it.lines),
        sum(|it| it.comments),
        sum(|it| it.marked)
    )?;
    out.flush()
}
