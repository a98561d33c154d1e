//! See `bin/soak.rs`.

mod calls;
mod draw;
mod judge;
mod sample;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use calls::Calls;
use sample::Sample;

/// Mixed calls on every back end, and whether what they need stays flat.
#[derive(Parser)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How often to look, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    every: u64,
    /// The samples.
    #[arg(long, default_value = "soak.csv")]
    csv: PathBuf,
    /// The samples as a picture.
    #[arg(long, default_value = "soak.svg")]
    svg: PathBuf,
}

pub(crate) fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether all is flat.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let over = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(Calls::default());
    let callers: Vec<_> = calls::CALLERS
        .iter()
        .map(|caller| {
            let (over, calls) = (Arc::clone(&over), Arc::clone(&calls));
            thread::spawn(move || calls.repeat(caller, &over))
        })
        .collect();
    let watched = watch(options, &calls);
    over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.join().map_err(|_| "a caller has panicked")?;
    }
    let samples = watched?;
    draw::draw(&samples, &options.svg)?;
    println!("{calls}");
    Ok(judge::judge(&samples))
}

/// Looks until the time is over; each look is in the file at once.
fn watch(options: &Options, calls: &Calls) -> Result<Vec<Sample>, Box<dyn Error>> {
    let mut file = BufWriter::new(File::create(&options.csv)?);
    writeln!(file, "{}", Sample::HEAD)?;
    let start = Instant::now();
    let mut samples = Vec::new();
    while start.elapsed() < Duration::from_secs(options.seconds) {
        thread::sleep(Duration::from_millis(options.every));
        let sample = Sample::take(start.elapsed(), calls.made())?;
        writeln!(file, "{sample}")?;
        file.flush()?;
        samples.push(sample);
    }
    Ok(samples)
}
