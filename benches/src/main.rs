//! `runspace` beside its peers, measured in one process.
//!
//! ```text
//! $ cargo run --release -p runspace-benches -- --list          # what can be asked
//! $ cargo run --release -p runspace-benches -- per-item stop   # some of it, as Markdown
//! $ cargo run --release -p runspace-benches -- all             # all of it, into docs/ and the README
//! $ cargo run --release -p runspace-benches -- instructions    # counted, against docs/instructions.md
//! ```
//!
//! Contenders take turns, so that a machine that slows down slows all of them down. A new question is
//! a new module in `questions` and a line in its list.

mod alone;
mod hot;
mod measure;
mod peers;
mod questions;
mod report;
mod work;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use questions::{LONG, QUESTIONS, Question, Setup};
use report::{Document, Machine};

/// The name that means every question but the long ones.
const ALL: &str = "all";

/// Measure runspace and its peers side by side.
#[derive(Parser)]
#[command(name = "runspace-benches", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// What to ask: names, first words of names, or `all`, which also writes docs/benchmarks.md,
    /// docs/benchmarks.svg and the README's part
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Say what can be asked
    #[arg(long)]
    list: bool,

    /// How many times each contender has its turn [default: 9; quick: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,

    /// A tenth of everything, in about a minute; writes nothing unless `--docs` says where to
    #[arg(long)]
    quick: bool,

    /// Where `all` writes to instead, leaving the README alone
    #[arg(long, value_name = "FOLDER")]
    docs: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Count the instructions of the hot paths with valgrind and compare them with
    /// docs/instructions.md; fails if one has become more by more than its tolerance
    Instructions {
        /// Which paths [default: all]
        #[arg(value_name = "NAME")]
        names: Vec<String>,

        /// Write the table instead
        #[arg(long, conflicts_with = "names")]
        write: bool,
    },
    /// Go a hot path so many times: what `instructions` counts
    Hot {
        /// Which path
        name: String,
        /// How many times
        times: u64,
    },
    #[command(name = alone::WORD, hide = true)]
    Alone { what: Vec<String> },
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // What a peer needs. In its workers this does not return.
    procspawn::init();
    questions::serve_if_bare_worker();
    let args = Args::parse();
    match args.command {
        Some(Command::Alone { what }) => alone::serve(&what)?,
        Some(Command::Hot { name, times }) => hot::go(&name, times)?,
        Some(Command::Instructions { names, write }) => {
            let is_good = hot::count(&names, write)?;
            return Ok(if is_good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        None if args.list || args.names.is_empty() => list(),
        None => ask(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() {
    for question in QUESTIONS {
        println!("{:20} {}", question.name, question.title);
    }
    println!("\nNot among `{ALL}`, for they take minutes each:");
    for question in LONG {
        println!("{:20} {}", question.name, question.title);
    }
}

fn ask(args: &Args) -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures mean nothing. Use --release.");
    }
    let all = args.names.iter().any(|it| it == ALL);
    let questions = chosen(&args.names)?;
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 9 });
    let setup = Setup {
        rounds: rounds.into(),
        quick: args.quick,
    };
    let machine = Machine::here();
    println!("Machine: {}.\n", machine.describe());
    let mut command = format!("cargo run --release -p runspace-benches -- {ALL}");
    if let Some(rounds) = args.rounds {
        command += &format!(" --rounds {rounds}");
    }
    if args.quick {
        command += " --quick";
    }
    let mut document = Document::new(machine, command, setup.rounds);
    for question in questions {
        let start = Instant::now();
        let answer = (question.ask)(&setup);
        println!("## {}\n\n{}", question.title, answer.markdown);
        eprintln!("{}: {:.1} s", question.name, start.elapsed().as_secs_f64());
        document.add(question.title, answer);
    }
    let (met, of) = document.score();
    if of > 0 {
        println!(
            "## Bars\n\n{met} of {of} met.\n\n{}",
            document.table_of_bars()
        );
    }
    if !all {
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match &args.docs {
        Some(folder) => document.write(folder, None),
        None if args.quick => Ok(()),
        None => document.write(&root.join("docs"), Some(&root.join("README.md"))),
    }
}

/// The questions that are meant, in the order in which they are asked.
fn chosen(names: &[String]) -> Result<Vec<&'static Question>, String> {
    let known = || QUESTIONS.iter().chain(LONG);
    for name in names {
        if name != ALL && !known().any(|it| it.is_meant_by(name)) {
            let names: Vec<&str> = known().map(|it| it.name).collect();
            let names = names.join(", ");
            return Err(format!("there is no question `{name}`; there are {names}"));
        }
    }
    let is_meant = |question: &Question| names.iter().any(|it| question.is_meant_by(it));
    let all = names.iter().any(|it| it == ALL);
    let usual = QUESTIONS.iter().filter(|it| all || is_meant(it));
    Ok(usual.chain(LONG.iter().filter(|it| is_meant(it))).collect())
}
