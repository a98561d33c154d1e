//! What a cluster is doing, as a table that renews itself, like `top`.
//!
//! ```text
//! $ RUNSPACE_KEY=.. cargo run --release --features cluster --example cluster_top -- nats://localhost:4222
//! nats://localhost:4222, 1 run, 2 workers with 4 slots, 4 items in hand, 3180 items/s
//!
//! RUN        WAITING   RUNNING        DONE  REDELIVERED  BUILD     CALL
//! 5f0a91c3       212         4       48210            0  9b1f2c44  Hashing
//!
//! WORKER                         PID   SLOTS    BUSY        DONE  BUILD     RUNS
//! node-1                       41021       2       2       24108  9b1f2c44  5f0a91c3
//! node-2                       40877       2       2       24102  9b1f2c44  5f0a91c3
//! ```
//!
//! Items/s are those that all workers have ended since the last look. With `--once` it looks once and leaves.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use runspace::cluster::{Cluster, ClusterError, Status, status};

/// Show the runs and the workers of a cluster.
#[derive(Parser)]
#[command(name = "cluster_top")]
struct Args {
    /// The address of the NATS server
    #[arg(value_name = "URL", default_value = "nats://localhost:4222")]
    url: String,

    /// Seconds between two looks
    #[arg(short, long, value_name = "N", default_value_t = 2)]
    every: u64,

    /// Look once and leave
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster_top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), ClusterError> {
    let cluster = Cluster::connect(args.url.as_str())?;
    let mut before: Option<(Instant, u64)> = None;
    loop {
        let now = Instant::now();
        let status = status(&cluster, Duration::from_millis(300))?;
        let done = status.workers.iter().map(|it| it.done).sum();
        let rate = before.map(|(then, count)| {
            u64::saturating_sub(done, count) as f64 / (now - then).as_secs_f64()
        });
        before = Some((now, done));
        if show(args, &status, rate).is_err() || args.once {
            return Ok(()); // whoever reads has read enough
        }
        sleep(Duration::from_secs(args.every.max(1)));
    }
}

fn show(args: &Args, status: &Status, rate: Option<f64>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if out.is_terminal() && !args.once {
        write!(out, "\x1b[H\x1b[2J")?;
    }
    let slots: usize = status.workers.iter().map(|it| it.slots).sum();
    let busy: usize = status.workers.iter().map(|it| it.busy).sum();
    write!(
        out,
        "{}, {}, {} with {slots} slots, {busy} items in hand",
        args.url,
        count(status.runs.len(), "run"),
        count(status.workers.len(), "worker"),
    )?;
    if let Some(rate) = rate {
        write!(out, ", {rate:.0} items/s")?;
    }
    writeln!(out, "\n\n{status}")?;
    out.flush()
}

fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
