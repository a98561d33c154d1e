//! `runspace` beside its peers, measured in one process, as Markdown.
//!
//! ```text
//! $ cargo run --release -p runspace-benches -- core
//! $ cargo run --release -p runspace-benches -- process
//! $ cargo run --release -p runspace-benches -- compile
//! ```
//!
//! Contenders take turns, so that a machine that slows down slows all of them down. A new question is
//! a new module in `questions` and a line in its list.

mod measure;
mod questions;
mod table;
mod work;

use std::fs::read_to_string;
use std::thread::available_parallelism;

use clap::{Parser, ValueEnum};

use questions::{QUESTIONS, Setup};

/// Measure runspace and its peers side by side; prints Markdown.
#[derive(Parser)]
#[command(name = "runspace-benches")]
struct Args {
    /// Which questions to ask
    #[arg(value_enum, default_value = "core")]
    group: Group,

    /// Stream 10^8 items, not 10^6, where memory is watched
    #[arg(long)]
    long: bool,

    /// How many times each contender has its turn
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// Questions that are asked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// `foreach_parallel!` on threads
    Core,
    /// Worker processes
    Process,
    /// What the compiler takes: builds programs with cargo, for some minutes
    Compile,
    /// Every question
    All,
}

fn main() {
    // What a peer needs. In its workers this does not return.
    procspawn::init();
    let args = Args::parse();
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures mean nothing. Use --release.");
    }
    println!("{}\n", machine());
    let setup = Setup {
        rounds: args.rounds.into(),
        long: args.long,
    };
    for question in QUESTIONS {
        if args.group == Group::All || args.group == question.group {
            println!("## {}\n", question.title);
            (question.ask)(&setup);
        }
    }
}

/// What the figures depend on besides the code: a busy machine shows here, and in the spreads.
fn machine() -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    match load.split_whitespace().next() {
        Some(load) => format!("{cores} cores, load {load} before the start."),
        None => format!("{cores} cores."),
    }
}
