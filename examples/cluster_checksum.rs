//! The SHA-256 of every file in a directory tree, hashed by all machines that have a worker of this program and see the same
//! files.
//!
//! ```text
//! $ export RUNSPACE_KEY=$(openssl rand -hex 32)
//! $ cargo build --release --features cluster --example cluster_checksum
//! $ RUNSPACE_WORKER=nats://localhost:4222 target/release/examples/cluster_checksum &        # here and on other machines
//! $ target/release/examples/cluster_checksum --url nats://localhost:4222 --ordered macros/README.md missing
//! 8d521242d1ce287698b93ce548aa42fd4dfadf951a5b53f6e8a8e4678e627a76  /home/ada/runspace/macros/README.md
//! cluster_checksum: IO error for operation on /home/ada/runspace/missing: No such file or directory (os error 2)
//! ```
//!
//! The lines are those of `sha256sum`, which reads them with `--check`. Compare `checksum.rs`, which does the same on the threads of
//! one machine: the loop differs by the value of `on`. `examples/cluster/demo` runs it with a server and three workers, of which
//! it kills one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use runspace::{Cluster, foreach_parallel};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// Print the SHA-256 of every file under the given paths.
#[derive(Parser)]
#[command(name = "cluster_checksum")]
struct Args {
    /// Files and directories
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,

    /// The address of the NATS server
    #[arg(long, value_name = "URL", default_value = "nats://localhost:4222")]
    url: String,

    /// Print lines in the order of the files
    #[arg(short, long)]
    ordered: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let cluster = match Cluster::connect(args.url.as_str()) {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("cluster_checksum: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcomes = foreach_parallel!(
        files(args.paths),
        on = cluster(&cluster),
        name = "Hashing",
        ordered = args.ordered,
        retry = 2,
        init(buffer = vec![0; 64 * 1024]),
        |path: Result<PathBuf, String>| {
            let path = path?;
            match sha256(&path, &mut buffer) {
                Ok(hash) => Ok(format!("{hash}  {}", path.display())),
                Err(error) => Err(format!("{}: {error}", path.display())),
            }
        }
    )
    .outcomes();
    let mut out = io::stdout().lock();
    let mut failed = 0;
    for outcome in outcomes {
        let outcome = outcome.map_err(|error| error.to_string());
        match outcome.and_then(|line| line) {
            Ok(line) => {
                if writeln!(out, "{line}").is_err() {
                    return ExitCode::SUCCESS; // whoever reads has read enough
                }
            }
            Err(error) => {
                eprintln!("cluster_checksum: {error}");
                failed += 1;
            }
        }
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// All files below the paths, one by one, as whole paths: workers may have started elsewhere. What cannot be
/// looked at is an item as well, and fails like one that cannot be read.
fn files(paths: Vec<PathBuf>) -> impl Iterator<Item = Result<PathBuf, String>> + Send {
    paths.into_iter().flat_map(|path| {
        let path = std::path::absolute(&path).unwrap_or(path);
        WalkDir::new(path)
            .into_iter()
            .filter_map(|entry| match entry {
                Ok(entry) => entry.file_type().is_file().then(|| Ok(entry.into_path())),
                Err(error) => Some(Err(error.to_string())),
            })
    })
}

fn sha256(path: &Path, buffer: &mut [u8]) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    loop {
        match file.read(buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let hash = hash.finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
