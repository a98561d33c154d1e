//! The process that plays.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::Test;
use super::census::{Left, marked};

/// Which test a process is for.
pub(super) const TEST: &str = "FAULTS_TEST";
/// The folder where it tells how far it has come.
pub(super) const FOLDER: &str = "FAULTS_FOLDER";

/// Another part of a test.
const PART: &str = "FAULTS_PART";

/// The file for what waits for what.
pub(super) const WAITS: &str = "waits";

/// The status of a process that has come to its end.
pub(super) const WELL: u8 = 42;

/// What is kept longest are threads without work, for ten seconds.
const TO_SETTLE: Duration = Duration::from_secs(60);
/// Another time to settle, in seconds.
pub(super) const SETTLE: &str = "FAULTS_SETTLE";

/// Which test this process is for.
pub(super) fn wanted() -> Option<String> {
    let mark = env::var(TEST).ok()?;
    Some(mark.split(' ').next().unwrap_or_default().to_owned())
}

/// Plays it, and takes the census.
pub(super) fn play(test: &Test) -> ExitCode {
    // Its threads never go.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build_global();
    rayon::broadcast(|_| ());
    runspace::debug::track();
    tell_waits_before(test.limit);
    let before = Left::take();
    (test.body)();
    tell("done", "");
    let settle = env::var(SETTLE).ok().and_then(|it| it.parse().ok());
    let left = before.since(settle.map_or(TO_SETTLE, Duration::from_secs));
    if !left.is_empty() {
        eprintln!("left behind: {left:#?}");
        return ExitCode::FAILURE;
    }
    ExitCode::from(WELL)
}

/// When the time of the test is nearly over, its process says what waits for what: the one that looks on does not see
/// more than its stacks.
fn tell_waits_before(limit: Duration) {
    let limit = limit.saturating_sub(Duration::from_millis(500));
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        tell(WAITS, &runspace::debug::dump_waits());
    });
}

/// A file that goes with the test, and that nobody asks why it is there.
pub fn beside(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(FOLDER).expect("a test that is played")).join(name)
}

fn tell(name: &str, line: &str) {
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(beside(name));
    let line = format!("{line}\n");
    file.and_then(|mut it| it.write_all(line.as_bytes()))
        .unwrap();
}

/// Says what was measured: it stands in the table.
pub fn note(text: impl AsRef<str>) {
    tell("notes", text.as_ref());
}

/// Ends the test, which cannot be played on this machine. It is counted as ignored, with the reason.
pub fn skip(reason: impl AsRef<str>) -> ! {
    tell("skipped", reason.as_ref());
    std::process::exit(WELL.into());
}

/// Which part of its test this process has, if it was started by [`again`].
pub fn part() -> Option<String> {
    env::var(PART).ok()
}

/// This program once more, within the test that this process plays, for another part of it.
pub fn again(part: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(PART, part);
    command
}

/// Whether no process is left that was started for this part of this test.
pub fn part_is_over(part: &str) -> bool {
    let of_part = marked(&format!("{PART}={part}"));
    let of_test = marked(&format!("{TEST}={}", env::var(TEST).unwrap()));
    !of_part.iter().any(|it| of_test.contains(it))
}
