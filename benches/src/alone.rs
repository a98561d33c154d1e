//! What is measured in a process of its own, for it comes but once in a process: this program, started
//! again with something to do, prints figures.

use std::env;
use std::process::{Command, Stdio};

use crate::questions::{cold, queued, round_trips};

/// The word before what is to be done, on the command line.
pub(crate) const WORD: &str = "alone";

/// Does what the command line says, and prints what it answers.
pub(crate) fn serve(what: &[String]) -> Result<(), String> {
    let figures = match what {
        [group, name] if group == "cold" => vec![cold(name)?],
        [group, name, count] if group == "queued" => {
            let count = count.parse().map_err(|_| "no number".to_owned())?;
            queued(name, count)?
        }
        [group, rounds] if group == "round-trips" => {
            round_trips(rounds.parse().map_err(|_| "no number".to_owned())?)?
        }
        _ => return Err(format!("{what:?} is nothing that is done alone")),
    };
    let figures: Vec<String> = figures.iter().map(u64::to_string).collect();
    println!("{}", figures.join(" "));
    Ok(())
}

/// Has it done, and answers the figures.
pub(crate) fn ask(what: &[&str]) -> Vec<u64> {
    let program = env::current_exe().expect("the path of this program");
    let output = Command::new(program)
        .arg(WORD)
        .args(what)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program, once more");
    assert!(output.status.success(), "{what:?}: {}", output.status);
    let said = String::from_utf8_lossy(&output.stdout);
    said.split_whitespace()
        .map(|it| it.parse().expect("figures"))
        .collect()
}
