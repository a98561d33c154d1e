//! The process that looks on while another plays.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use rustix::process::Signal;
use tempfile::TempDir;

use super::census::{marked, stacks};
use super::playing::{FOLDER, TEST, WAITS, WELL};
use super::{End, Test};
use crate::support::census::send;

/// What has become of a process that has played.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
    /// For how long something that it had started was still there, after its own end.
    pub lingered: Duration,
}

/// For how long that may be.
const TO_LINGER: Duration = Duration::from_secs(10);

/// How long the process may take to settle after its body.
const TO_SETTLE: Duration = Duration::from_secs(90);

/// Has a test played. Answers why it was not, if it cannot be on this machine.
pub(super) fn look_on(name: &str, test: &Test) -> Result<Option<String>, Failed> {
    let scene = Scene::new(name, test)?;
    let place = Place::take();
    let mut child = scene.command(test).spawn()?;
    let result = scene.watch(test, &mut child, place);
    // Nothing of it stays, however it ends.
    let all_gone = scene.clear_away();
    let status = child.wait()?;
    let mut ended = Ended {
        status,
        out: scene.read("out"),
        err: scene.read("err"),
        lingered: Duration::ZERO,
    };
    match result.and(all_gone) {
        Ok(lingered) => ended.lingered = lingered,
        Err(complaint) => return judge_complaint(test, &complaint, &ended),
    }
    if let Some(reason) = scene.told("skipped") {
        return Ok(Some(reason));
    }
    judge(test, &ended)?;
    scene.keep_notes(name);
    Ok(None)
}

fn judge_complaint(test: &Test, complaint: &str, ended: &Ended) -> Result<Option<String>, Failed> {
    match test.end {
        End::Complaint(of) if complaint.contains(of) => Ok(None),
        _ => Err(format!("{complaint}\n{}\n{}", ended.out, ended.err).into()),
    }
}

/// Whether it has ended as it should.
fn judge(test: &Test, ended: &Ended) -> Result<(), Failed> {
    let is_right = match test.end {
        End::Well => ended.status.code() == Some(WELL.into()),
        End::By(signal) => ended.status.signal() == Some(signal.as_raw()),
        End::Status(status) => ended.status.code() == Some(status),
        End::Complaint(of) => ended.status.code() == Some(1) && ended.err.contains(of),
    };
    if !is_right {
        let Ended {
            status, out, err, ..
        } = ended;
        return Err(format!("{status}, where {:?} was to be\n{out}\n{err}", test.end).into());
    }
    (test.after)(ended);
    Ok(())
}

/// A process that plays has a folder for what it says, and one for its temporary files.
struct Scene {
    mark: String,
    folder: TempDir,
}

impl Scene {
    fn new(name: &str, test: &Test) -> Result<Self, Failed> {
        // A number of its own for each run, so that what another has left is not taken for this one's.
        let folder = tempfile::Builder::new()
            .prefix("runspace-fault-")
            .tempdir()?;
        let id = folder
            .path()
            .file_name()
            .unwrap_or_default()
            .display()
            .to_string();
        fs::create_dir(folder.path().join("tmp"))?;
        if !test.is_privileged {
            for path in [folder.path().to_owned(), folder.path().join("tmp")] {
                fs::set_permissions(path, Permissions::from_mode(0o777))?;
            }
        }
        Ok(Self {
            mark: format!("{name} {id}"),
            folder,
        })
    }

    fn command(&self, test: &Test) -> Command {
        const NOBODY: u32 = 65_534;
        let mut program = std::env::current_exe().expect("a program");
        let drops = !test.is_privileged && rustix::process::geteuid().is_root();
        if drops {
            // The program may lie where only root can go.
            let copy = self.path("program");
            fs::copy(&program, &copy).expect("a copy of this program");
            program = copy;
        }
        let mut command = if test.shell.is_empty() {
            Command::new(program)
        } else {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{}; exec \"$0\"", test.shell));
            shell.arg(program);
            shell
        };
        if drops {
            command.current_dir("/").uid(NOBODY).gid(NOBODY);
        }
        let write = |name: &str| File::create(self.path(name)).expect("a file for what is said");
        command
            .env(TEST, &self.mark)
            .env(FOLDER, self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env("RUST_BACKTRACE", "0")
            .env_remove("RUNSPACE_PLAN")
            .envs(test.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(write("out"))
            .stderr(write("err"));
        command
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    fn told(&self, name: &str) -> Option<String> {
        let path = self.path(name);
        path.exists().then(|| self.read(name).trim_end().to_owned())
    }

    /// Waits until it has ended, and all that it has started with it. Answers for how long something was
    /// there after it, or says what is wrong.
    fn watch(&self, test: &Test, child: &mut Child, place: Place) -> Result<Duration, String> {
        let begun = Instant::now();
        let mut place = Some(place);
        let ended = |child: &mut Child| child.try_wait().is_ok_and(|it| it.is_some());
        while !ended(child) {
            let is_done = self.path("done").exists();
            if is_done {
                place = None;
            }
            let limit = if is_done {
                test.limit + TO_SETTLE
            } else {
                test.limit
            };
            if begun.elapsed() > limit {
                return Err(self.show(if is_done {
                    "is done and does not end"
                } else {
                    "hangs"
                }));
            }
            sleep(Duration::from_millis(5));
        }
        let end = Instant::now();
        drop(place);
        while !self.processes().is_empty() {
            if end.elapsed() > TO_LINGER {
                return Err(self.show("has left processes behind"));
            }
            sleep(Duration::from_millis(5));
        }
        let lingered = end.elapsed();
        let files = names(&self.path("tmp"));
        match &files[..] {
            [] => Ok(lingered),
            files => Err(format!("{} has left files behind: {files:?}", self.mark)),
        }
    }

    fn processes(&self) -> Vec<u32> {
        marked(&format!("{TEST}={}", self.mark))
    }

    /// What its processes are doing.
    fn show(&self, what: &str) -> String {
        let shown: Vec<String> = self.processes().into_iter().map(stacks).collect();
        let waits = self.told(WAITS).unwrap_or_default();
        format!("{} {what}\n{waits}\n{}", self.mark, shown.concat())
    }

    /// Ends all that is there of it.
    fn clear_away(&self) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return Ok(start.elapsed());
            }
            if start.elapsed() > TO_LINGER {
                return Err(format!("{} cannot be killed: {left:?}", self.mark));
            }
            for pid in left {
                send(Signal::KILL, pid);
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// What it has measured is kept for the table, if one is made.
    fn keep_notes(&self, name: &str) {
        let Some(folder) = std::env::var_os(super::table::NOTES) else {
            return;
        };
        if let Some(notes) = self.told("notes") {
            let path = Path::new(&folder).join(name.replace("::", " "));
            fs::write(path, notes).expect("a file for notes");
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    all.map(|it| it.file_name().display().to_string()).collect()
}

/// The right to run a body: there are as many as processors.
struct Place;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Place {
    fn take() -> Self {
        let most = available_parallelism().map_or(2, usize::from).max(2);
        let taken = TAKEN.lock().expect("no panic under the lock");
        let mut taken = FREED.wait_while(taken, |it| *it >= most).expect("no panic");
        *taken += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().expect("no panic under the lock") -= 1;
        FREED.notify_one();
    }
}
