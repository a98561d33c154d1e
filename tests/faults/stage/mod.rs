//! Where faults are played: each test in a process of its own, which is looked after from outside.
//!
//! The process that plays takes a census before and after the body: children, zombies, descriptors and
//! threads. The one that looks on counts what it has left: processes anywhere, and files in the folder for
//! temporary ones. One that does not come to its end is shown, thread by thread, and ended with all that it
//! has started. That the body has come to its end is told by a file, so that the body may close what it likes.

mod census;
mod checks;
mod looking_on;
mod playing;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Trial};
use rustix::process::Signal;

pub use looking_on::Ended;
pub use playing::{again, beside, note, part, part_is_over, skip};

/// One row of the table: a fault, what has to become of it, and the tests of it.
pub struct Row {
    /// `A3`.
    pub id: &'static str,
    /// What it is called in the names of its tests.
    pub name: &'static str,
    pub fault: &'static str,
    pub outcome: &'static str,
    pub tests: &'static [Test],
    /// Why there is no test on the other back ends.
    pub elsewhere: &'static str,
}

/// A test of one row on one back end.
#[derive(Clone, Copy)]
pub struct Test {
    /// The back end, and more where there are several tests on it.
    pub on: &'static str,
    body: fn(),
    /// How long the body may take.
    limit: Duration,
    environment: &'static [(&'static str, &'static str)],
    is_privileged: bool,
    /// What a shell does before.
    shell: &'static str,
    end: End,
    /// Looks at the end of the process.
    after: fn(&Ended),
}

/// How the process that plays has to end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// With its body.
    Well,
    By(Signal),
    /// By its body, with this status.
    Status(i32),
    /// With a complaint of the stage itself, which has this in it.
    Complaint(&'static str),
}

const fn test(on: &'static str, body: fn()) -> Test {
    Test {
        on,
        body,
        limit: Duration::from_secs(60),
        environment: &[],
        is_privileged: true,
        shell: "",
        end: End::Well,
        after: |_| {},
    }
}

/// On threads: those of `on = thread` and, where it says so, of rayon and of runspaces.
pub const fn threads(body: fn()) -> Test {
    test("threads", body)
}

/// In a process per job: `start_job!`.
pub const fn process(body: fn()) -> Test {
    test("process", body)
}

/// In a pool of worker processes: `on = process`.
pub const fn pool(body: fn()) -> Test {
    test("pool", body)
}

impl Test {
    /// One of several on this back end.
    pub const fn named(mut self, on: &'static str) -> Self {
        self.on = on;
        self
    }

    pub const fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    pub const fn with(mut self, environment: &'static [(&'static str, &'static str)]) -> Self {
        self.environment = environment;
        self
    }

    /// Without the rights of root, which is bound by fewer limits.
    pub const fn unprivileged(mut self) -> Self {
        self.is_privileged = false;
        self
    }

    /// In a shell that has done this before.
    pub const fn behind(mut self, shell: &'static str) -> Self {
        self.shell = shell;
        self
    }

    pub const fn killed_by(mut self, signal: Signal) -> Self {
        self.end = End::By(signal);
        self
    }

    pub const fn exits_with(mut self, status: i32) -> Self {
        self.end = End::Status(status);
        self
    }

    const fn complains(mut self, of: &'static str) -> Self {
        self.end = End::Complaint(of);
        self
    }

    /// Looks at what has become of the process.
    pub const fn then(mut self, after: fn(&Ended)) -> Self {
        self.after = after;
        self
    }
}

/// Plays the test that this process is for, or looks on while others do.
pub fn main(areas: &[&'static [Row]]) -> ExitCode {
    let mut rows: Vec<&'static Row> = areas.iter().flat_map(|it| it.iter()).collect();
    rows.sort_by_key(|it| (&it.id[..1], it.id[1..].parse::<u32>().unwrap_or(0)));
    let checks: Vec<&'static Row> = checks::ROWS.iter().collect();
    let all = || rows.iter().chain(&checks).flat_map(|row| tests_of(row));
    if let Some(name) = playing::wanted() {
        let found = all().find(|it| it.0 == name);
        let (_, test) = found.unwrap_or_else(|| panic!("no test is called {name}"));
        return playing::play(&test);
    }
    let mut arguments = Arguments::from_args();
    // Most of the time that a test takes is the patience of those who wait until all is gone: many
    // can do that at once. Bodies run as many at once as there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(24));
    let mut trials: Vec<Trial> = all().map(|(name, test)| trial(name, test)).collect();
    trials.extend(table::trials(&rows, &checks));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn tests_of(row: &'static Row) -> impl Iterator<Item = (String, Test)> {
    row.tests.iter().map(|test| (row.test_name(test), *test))
}

impl Row {
    fn test_name(&self, test: &Test) -> String {
        format!("{}_{}::{}", self.id.to_lowercase(), self.name, test.on)
    }
}

fn trial(name: String, test: Test) -> Trial {
    let title = name.clone();
    Trial::ignorable_test(title, move || match looking_on::look_on(&name, &test)? {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => Ok(Completion::Completed),
    })
}
