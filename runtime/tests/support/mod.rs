//! Shared by the integration tests: every test has a time limit of its own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

#[cfg(all(target_os = "linux", feature = "process"))]
pub mod bodies;
#[cfg(all(target_os = "linux", feature = "process"))]
pub mod census;
#[cfg(all(target_os = "linux", feature = "process"))]
pub mod fork;
#[cfg(all(target_os = "linux", feature = "process"))]
pub mod inject;
#[cfg(all(target_os = "linux", feature = "cluster"))]
pub mod nats;

use std::io::Write;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use runspace::ItemError;

/// Runs `body` on a thread of its own and answers what it answers; its panic is raised again.
///
/// A body that is late hangs: the test's name is printed and the process aborted, since a hung
/// thread cannot be ended and would hide which test it was.
pub fn within<R: Send + 'static>(secs: u64, body: impl FnOnce() -> R + Send + 'static) -> R {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    // Miri goes through a program some hundred times slower.
    let secs = if cfg!(miri) { 100 * secs } else { secs };
    // Where it hangs, it can say at what.
    runspace::debug::track();
    let (done, waiting) = channel::<()>();
    let runner = thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let _done = done; // closes the channel, however the body ends
            body()
        })
        .expect("a thread for the test");
    if let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_secs(secs)) {
        // Written straight to stderr: what is printed in a test is kept back, and lost on abort.
        let waits = runspace::debug::dump_waits();
        let line = format!("\n{name}: not done after {secs} s; aborting\n{waits}");
        let _ = std::io::stderr().write_all(line.as_bytes());
        std::process::abort();
    }
    match runner.join() {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}

/// Waits until `condition` holds; for states that another thread reaches in its own time. The
/// time limit of the test is what ends a wait in vain.
pub fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether `condition` holds throughout `span`.
pub fn throughout(span: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if !condition() {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Fails unless each of `count` items, which answer their own numbers, has one outcome.
#[track_caller]
pub fn assert_one_outcome_each(outcomes: &[Result<u64, ItemError>], count: u64) {
    let index = |it: &Result<u64, ItemError>| match it {
        Ok(n) => *n,
        Err(error) => error
            .index()
            .unwrap_or_else(|| panic!("the call failed: {error}")),
    };
    let mut seen: Vec<u64> = outcomes.iter().map(index).collect();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..count), "{seen:?}");
}

/// Runs `body` in a process of its own, in which `variable` has this value, or none. For a test that
/// does nothing else.
pub fn alone(variable: &str, value: Option<&str>, body: fn()) {
    const MARK: &str = "TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return within(60, body);
    }
    let name = thread::current()
        .name()
        .expect("the name of a test")
        .to_owned();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &name, "--nocapture"])
        .env(MARK, "1");
    command.env_remove(variable);
    command.envs(value.map(|value| (variable, value)));
    run(command);
}

/// Runs some tests of this program once more. What they say is shown if one fails, or there is none.
pub fn run(mut command: std::process::Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !said.contains("running 0 tests"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs `body` within `secs` in a process of its own that has address space for a few thread stacks only,
/// so that the system soon refuses it a thread. For a test that does nothing else; `name` is its name.
#[cfg(target_os = "linux")]
pub fn with_few_threads(name: &str, secs: u64, body: impl FnOnce() + Send + 'static) {
    const MARK: &str = "FEW_THREADS";
    if std::env::var_os(MARK).is_some() {
        return within(secs, body);
    }
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 3000000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MARK, "1")
        .env("RUST_MIN_STACK", (256_usize << 20).to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// What became of a test that ran in a process of its own.
#[derive(Debug)]
pub struct Ended {
    pub status: std::process::ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Fails unless the process has come to the end of its test.
    #[track_caller]
    pub fn well(self) -> Self {
        assert!(
            self.status.success(),
            "{}\n{}\n{}",
            self.status,
            self.out,
            self.err
        );
        self
    }
}

/// Runs `body` in a process of its own, made by running this test, whose name is `name`, once more.
/// Answers what became of it; there, it does not return.
pub fn in_own_process(name: &str, body: impl FnOnce()) -> Ended {
    in_changed_process(name, |_| {}, body)
}

/// The same, for a process that `change` has a say in.
pub fn in_changed_process(
    name: &str,
    change: impl FnOnce(&mut std::process::Command),
    body: impl FnOnce(),
) -> Ended {
    const MARK: &str = "A_PROCESS_OF_ITS_OWN";
    if std::env::var_os(MARK).is_some_and(|it| it == name) {
        body();
        // Not by way of the test's own end: the body may have closed what that is told on.
        std::process::exit(0);
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    // Quietly: with one processor it would say the name of the test at the head of its first line.
    command
        .args(["--exact", name, "--nocapture", "--quiet"])
        .env(MARK, name);
    change(&mut command);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ended = Ended {
        status: output.status,
        out: text(output.stdout),
        err: text(output.stderr),
    };
    assert!(
        ended.out.contains("running 1 test"),
        "no test is called {name}: {ended:?}"
    );
    ended
}

/// The same, for a process without the rights of root, which is bound by limits that root is not. `body` has
/// to make do with what everyone may read.
#[cfg(all(target_os = "linux", feature = "process"))]
pub fn in_unprivileged_process(name: &str, body: impl FnOnce()) -> Ended {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return in_own_process(name, body);
    }
    // The program may lie where only root can go.
    let folder = tempfile::tempdir().unwrap();
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).unwrap();
    let copy = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let change = |command: &mut std::process::Command| {
        let mut other = std::process::Command::new(&copy);
        other.args(command.get_args());
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap_or_default());
        }
        other.current_dir("/").uid(NOBODY).gid(NOBODY);
        *command = other;
    };
    in_changed_process(name, change, body)
}
