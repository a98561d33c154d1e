//! `examples/checksum.rs` as its users run it, compared with `sha256sum`.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a program under test may take, slow machines included.
const LIMIT: Duration = Duration::from_secs(60);

/// The hash of a file whose only byte is `x`.
const X: &str = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

#[test]
fn a_tree_has_the_sums_that_sha256sum_prints() {
    let tree = tree();
    let ours = lines(&run(checksum().current_dir(&tree)));
    assert_eq!(
        ours,
        lines(&run(sha256sums(&[".".as_ref()]).current_dir(&tree)))
    );
    assert!(ours.len() > 300);
}

#[test]
fn this_workspace_has_the_sums_that_sha256sum_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let paths = [
        "macros",
        "runtime",
        "examples",
        "benches",
        "tests/src",
        "tests/tests",
        "Cargo.toml",
    ];
    let ours = lines(&run(checksum().args(paths).current_dir(&root)));
    let theirs = run(sha256sums(&paths.map(Path::new)).current_dir(&root));
    assert_eq!(ours, lines(&theirs));
}

#[test]
fn sha256sum_can_check_what_it_prints() {
    let tree = tree();
    let sums = run(checksum().current_dir(&tree)).stdout;
    let mut check = command("sha256sum");
    check
        .args(["--check", "--strict", "--quiet"])
        .current_dir(&tree)
        .stdin(Stdio::piped());
    let mut check = start(&mut check);
    let mut stdin = check.child.stdin.take().unwrap();
    stdin.write_all(&sums).unwrap();
    drop(stdin);
    let checked = check.finish();
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

#[test]
fn any_number_of_jobs_gives_the_same_lines() {
    let tree = tree();
    let one = lines(&run(checksum().args(["--jobs", "1"]).current_dir(&tree)));
    for jobs in ["2", "7", "100"] {
        let many = lines(&run(checksum().args(["--jobs", jobs]).current_dir(&tree)));
        assert_eq!(one, many, "--jobs {jobs}");
    }
}

#[test]
fn ordered_lines_are_sorted_by_path() {
    let tree = tree();
    let mut sorted: Vec<PathBuf> = Vec::new();
    let found = run(command("find")
        .args([".", "-type", "f", "-print0"])
        .current_dir(&tree));
    for name in found
        .stdout
        .split(|&it| it == 0)
        .filter(|it| !it.is_empty())
    {
        sorted.push(OsStr::from_bytes(name).into());
    }
    sorted.sort();
    for jobs in ["1", "8"] {
        let ours = run(checksum()
            .args(["--ordered", "--jobs", jobs])
            .current_dir(&tree));
        let names: Vec<PathBuf> = ours
            .stdout
            .split(|&it| it == b'\n')
            .filter(|it| !it.is_empty())
            .map(name)
            .collect();
        assert_eq!(names, sorted, "--jobs {jobs}");
    }
}

#[test]
fn names_are_escaped_as_sha256sum_does_it() {
    let folder = folder();
    let names: [(&[u8], String); 5] = [
        (b"two words", format!("{X}  two words\n")),
        (br"back\slash", format!(r"\{X}  back\\slash") + "\n"),
        (b"line\nbreak", format!(r"\{X}  line\nbreak") + "\n"),
        (
            b"carriage\rreturn",
            format!(r"\{X}  carriage\rreturn") + "\n",
        ),
        (b"  ", format!("{X}    \n")),
    ];
    for (name, line) in names {
        fs::write(folder.path().join(OsStr::from_bytes(name)), "x").unwrap();
        let ours = run(checksum().arg(OsStr::from_bytes(name)).current_dir(&folder));
        assert_eq!(text(&ours.stdout), line);
    }
}

#[test]
#[cfg(target_os = "linux")] // elsewhere the file system may refuse such a name
fn names_that_are_not_utf8_come_out_as_they_are() {
    let folder = folder();
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::write(folder.path().join(name), "x").unwrap();
    for arguments in [&[name][..], &[]] {
        let ours = run(checksum().args(arguments).current_dir(&folder));
        assert!(
            ours.stdout.ends_with(b"caf\xe9\n"),
            "{}",
            text(&ours.stdout)
        );
    }
}

#[test]
fn links_are_followed_only_when_they_are_arguments() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("file"), "x").unwrap();
    symlink("file", inner.join("link")).unwrap();
    symlink("inner", folder.path().join("also inner")).unwrap();
    symlink("nowhere", inner.join("dangling")).unwrap();

    let walked = run(checksum().current_dir(&folder));
    assert_eq!(text(&walked.stdout), format!("{X}  ./inner/file\n"));
    let named = run(checksum()
        .args(["--ordered", "also inner", "inner/link"])
        .current_dir(&folder));
    assert_eq!(
        text(&named.stdout),
        format!("{X}  also inner/file\n{X}  inner/link\n")
    );

    let dangling = output(checksum().arg("inner/dangling").current_dir(&folder));
    assert_eq!(dangling.status.code(), Some(1));
    assert!(
        text(&dangling.stderr).contains("inner/dangling"),
        "{}",
        text(&dangling.stderr)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_fails_to_read_costs_no_other() {
    let folder = folder();
    fs::write(folder.path().join("good"), "x").unwrap();
    // Opens, for root too, and fails at the first read: nothing is mapped at address 0.
    let arguments = ["--ordered", "/proc/self/mem", "good", "missing", "good"];
    let ours = output(checksum().args(arguments).current_dir(&folder));
    assert_eq!(ours.status.code(), Some(1));
    assert_eq!(text(&ours.stdout), format!("{X}  good\n{X}  good\n"));
    let (mem, missing) = (
        "Input/output error (os error 5)",
        "No such file or directory (os error 2)",
    );
    let stderr = format!(
        "checksum: \"/proc/self/mem\": {mem}\nchecksum: \"missing\": {missing}\n2 of 4 files could not be read:\n  \
         1 x {mem} (\"/proc/self/mem\")\n  1 x {missing} (\"missing\")\n"
    );
    assert_eq!(text(&ours.stderr), stderr);
}

#[test]
fn a_journal_is_gone_on_from_and_sees_what_has_changed() {
    let folder = folder();
    let notes = tempfile::tempdir().unwrap();
    let journal = notes.path().join("run.jsonl");
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let with_journal = |more: &[&str]| {
        let mut checksum = checksum();
        checksum.args(["--ordered", "--journal"]).arg(&journal);
        checksum.args(more).current_dir(&folder);
        output(&mut checksum)
    };
    let first = with_journal(&[]);
    assert_eq!(
        text(&first.stdout),
        format!("{X}  ./a\n{X}  ./b\n{X}  ./c\n")
    );
    let done = fs::read_to_string(&journal).unwrap();

    let refused = with_journal(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("resume"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(text(&refused.stdout), "");

    fs::write(folder.path().join("b"), "more than before").unwrap();
    let again = with_journal(&["--resume", "--summary"]);
    assert!(
        text(&again.stderr).contains("2 known from the journal, 1 in it gone or changed since"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(text(&again.stdout), lines_of(&folder, &["a", "b", "c"]));
    assert_ne!(again.stdout, first.stdout);
    let more = fs::read_to_string(&journal).unwrap();
    // One file was read: what the journal had is untouched, and only that one is new in it.
    let new = more.strip_prefix(done.as_str()).expect(&more);
    assert_eq!(new.matches("\"outcome\"").count(), 1, "{new}");
}

/// What sha256sum says of these files of a folder.
fn lines_of(folder: &TempDir, names: &[&str]) -> String {
    let mut sums = command("sha256sum");
    let paths = names.iter().map(|name| format!("./{name}"));
    text(&run(sums.args(paths).current_dir(folder)).stdout).to_owned()
}

#[test]
fn progress_and_a_summary_stand_beside_the_sums() {
    let folder = folder();
    for name in ["a", "b"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let arguments = ["--progress", "--summary", "--ordered", "a", "b", "missing"];
    let ours = output(
        checksum()
            .args(arguments)
            .env("RUNSPACE_PROGRESS", "plain")
            .current_dir(&folder),
    );
    assert_eq!(ours.status.code(), Some(1));
    assert_eq!(text(&ours.stdout), format!("{X}  a\n{X}  b\n"));
    let stderr = text(&ours.stderr);
    assert!(stderr.contains("Hashing: 3 done, 1 failed"), "{stderr}");
    assert!(
        stderr.contains("2 done in ") && stderr.contains(", 1 failed"),
        "{stderr}"
    );
    assert!(
        stderr.contains("1 x No such file or directory (os error 2) (\"missing\")"),
        "{stderr}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_vanishes_costs_no_other() {
    // The directory lists the descriptor that is open to list it, and that is closed when the
    // files are read. One job, so that no other file takes its number meanwhile.
    let ours = output(checksum().args(["--jobs", "1", "--ordered", "/proc/self/fdinfo"]));
    assert_eq!(ours.status.code(), Some(1));
    let stderr = text(&ours.stderr);
    assert!(stderr.contains("No such file or directory"), "{stderr}");
    assert!(stderr.contains("\n1 of "), "{stderr}");
    assert!(
        lines(&ours).len() >= 3,
        "stdin, stdout and stderr are listed: {ours:?}"
    );
}

#[test]
fn what_may_not_be_read_is_reported_and_the_rest_is_hashed() {
    let folder = folder();
    let program = folder.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_checksum"), &program).unwrap();
    for name in ["tree", "tree/closed", "tree/open"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for name in ["tree/closed/file", "tree/open/file", "tree/secret"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    set_mode(folder.path(), 0o755);
    set_mode(&folder.path().join("tree/secret"), 0o000);
    set_mode(&folder.path().join("tree/closed"), 0o000);

    let mut command = command(program.to_str().unwrap());
    command.arg("tree").current_dir(&folder);
    if is_root() {
        as_nobody(&mut command);
    }
    let ours = output(&mut command);
    set_mode(&folder.path().join("tree/closed"), 0o755);
    assert_eq!(ours.status.code(), Some(1), "{ours:?}");
    assert_eq!(text(&ours.stdout), format!("{X}  tree/open/file\n"));
    let stderr = text(&ours.stderr);
    assert!(
        stderr.contains("\n2 of 3 files could not be read:\n"),
        "{stderr}"
    );
    for path in ["tree/closed", "tree/secret"] {
        let line = format!("{path:?}: Permission denied (os error 13)");
        assert_eq!(stderr.matches(&line).count(), 1, "{stderr}");
    }
    let paths = [
        "(\"tree/closed\", \"tree/secret\")",
        "(\"tree/secret\", \"tree/closed\")",
    ];
    let group = |paths| format!("\n  2 x Permission denied (os error 13) {paths}\n");
    assert!(
        paths.iter().any(|it| stderr.contains(&group(it))),
        "{stderr}"
    );
}

#[test]
fn lines_come_while_other_files_are_read() {
    let folder = folder();
    fs::write(folder.path().join("file"), "x").unwrap();
    let pipe = folder.path().join("pipe");
    run(command("mkfifo").arg(&pipe));
    let program = start(
        checksum()
            .args(["--jobs", "2", "pipe", "file"])
            .current_dir(&folder),
    );
    assert_eq!(
        program.next_line(),
        format!("{X}  file\n"),
        "the pipe has no writer yet"
    );
    fs::write(&pipe, "x").unwrap();
    assert_eq!(program.next_line(), format!("{X}  pipe\n"));
    assert!(program.finish().status.success());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let tree = tree();
    // More than a pipe holds, and a file that would take an hour: it must be given up too.
    let long = fs::File::create(tree.path().join("long")).unwrap();
    long.set_len(1 << 42).unwrap();
    let names: Vec<String> = (0..4000)
        .map(|it| format!("many/0/file {}", it % 30 * 10))
        .collect();
    let mut command = checksum();
    command
        .args(["--jobs", "2", "long"])
        .args(&names)
        .current_dir(&tree);
    let mut program = start(&mut command);
    let first = program.next_line();
    assert!(first.contains("  many/0/file "), "{first}");
    program.stop_reading();
    let ended = program.finish();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(text(&ended.stderr), "");
}

#[test]
fn nobody_listening_to_the_complaints_is_no_failure_of_its_own() {
    let folder = folder();
    fs::write(folder.path().join("file"), "x").unwrap();
    let (reader, closed) = io::pipe().unwrap();
    drop(reader);
    let ended = output(
        checksum()
            .args(["missing", "missing", "file"])
            .current_dir(&folder)
            .stderr(closed),
    );
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(text(&ended.stdout), format!("{X}  file\n"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ours = output(checksum().arg("Cargo.toml").stdout(full));
    assert_eq!(ours.status.code(), Some(1));
    assert!(
        text(&ours.stderr).contains("cannot write"),
        "{}",
        text(&ours.stderr)
    );
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &["--jobs", "0"][..],
        &["--jobs", "many"],
        &["--jobs"],
        &["--joobs", "1"],
    ] {
        let ours = output(checksum().args(arguments));
        assert_eq!(ours.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&ours.stderr).contains("--jo"),
            "{}",
            text(&ours.stderr)
        );
        assert!(ours.stdout.is_empty());
    }
    let zero = output(checksum().args(["--jobs", "0"]));
    assert!(
        text(&zero.stderr).contains("0 is not in 1.."),
        "{}",
        text(&zero.stderr)
    );
}

#[test]
fn an_empty_directory_is_no_failure() {
    let folder = folder();
    let ours = run(checksum().current_dir(&folder));
    assert!(ours.stdout.is_empty());
}

// What the tests run on.

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Many small files and one of everything that is easy to get wrong.
fn tree() -> TempDir {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for number in 0..300 {
        let parent = at(&format!("many/{}", number % 10));
        fs::create_dir_all(&parent).unwrap();
        fs::write(parent.join(format!("file {number}")), number.to_string()).unwrap();
    }
    fs::create_dir_all(at("deep/er/and/deeper")).unwrap();
    fs::write(at("deep/er/and/deeper/file"), "deep").unwrap();
    fs::create_dir(at(".hidden")).unwrap();
    fs::write(at(".hidden/.file"), "hidden").unwrap();
    // Sorts between a directory of the same beginning and what is in it.
    fs::write(at("many.txt"), "many").unwrap();
    fs::write(at("empty"), "").unwrap();
    let large: Vec<u8> = (0..3u32 << 20)
        .map(|it| (it.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(at("large"), large).unwrap();
    fs::write(at("two words"), "space").unwrap();
    fs::write(at(r"back\slash"), "backslash").unwrap();
    fs::write(at("line\nbreak"), "newline").unwrap();
    if cfg!(target_os = "linux") {
        fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
    }
    symlink("large", at("good link")).unwrap();
    symlink("nowhere", at("dangling link")).unwrap();
    symlink("many", at("link to a directory")).unwrap();
    folder
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    text(&run(command("id").arg("-u")).stdout).trim() == "0"
}

/// Permissions do not hold for root, so the program runs as someone else.
fn as_nobody(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    command.uid(NOBODY).gid(NOBODY);
}

// How programs are run: never longer than `LIMIT`.

fn checksum() -> Command {
    command(env!("CARGO_BIN_EXE_checksum"))
}

/// What a user of sha256sum would type for the same files.
fn sha256sums(paths: &[&Path]) -> Command {
    let mut command = command("find");
    command
        .args(paths)
        .args(["-type", "f", "-exec", "sha256sum", "{}", "+"]);
    command
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command that must succeed and say nothing on stderr.
fn run(command: &mut Command) -> Output {
    let output = output(command);
    let stderr = text(&output.stderr);
    assert!(
        output.status.success() && stderr.is_empty(),
        "{command:?}: {}\n{stderr}",
        output.status
    );
    output
}

fn output(command: &mut Command) -> Output {
    start(command).finish()
}

fn start(command: &mut Command) -> Running {
    let end = Instant::now() + LIMIT;
    let what = format!("{command:?}");
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    // Of stdout no more is read than a test asks for, of stderr all there is.
    let stdout = child.stdout.take().map(|it| read(it, sync_channel(0)));
    let stderr = child
        .stderr
        .take()
        .map(|it| read(it, sync_channel(usize::from(u16::MAX))));
    Running {
        child,
        stdout,
        stderr,
        what,
        end,
    }
}

/// Reads lines on a thread, which ends and closes what it reads once nobody receives them.
fn read(
    from: impl Read + Send + 'static,
    to: (SyncSender<Vec<u8>>, Receiver<Vec<u8>>),
) -> Receiver<Vec<u8>> {
    let (sender, receiver) = to;
    let mut from = BufReader::new(from);
    thread::spawn(move || {
        loop {
            let mut line = Vec::new();
            let count = from
                .read_until(b'\n', &mut line)
                .expect("the output of a child");
            if count == 0 || sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A program that runs; killed when it is late, and when the test is over.
struct Running {
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
    what: String,
    end: Instant,
}

impl Running {
    /// The next line of stdout; nothing at its end.
    fn next_line(&self) -> String {
        let line = self.stdout.as_ref().and_then(|it| self.receive(it));
        text(&line.unwrap_or_default())
    }

    /// As `head` does after its last line.
    fn stop_reading(&mut self) {
        self.stdout = None;
    }

    /// Reads what is left and waits for the end.
    fn finish(mut self) -> Output {
        let stdout = self.rest(self.stdout.as_ref());
        let stderr = self.rest(self.stderr.as_ref());
        Output {
            status: self.ended(),
            stdout,
            stderr,
        }
    }

    fn rest(&self, lines: Option<&Receiver<Vec<u8>>>) -> Vec<u8> {
        let lines = lines.into_iter();
        lines
            .flat_map(|it| std::iter::from_fn(|| self.receive(it)))
            .flatten()
            .collect()
    }

    fn receive(&self, lines: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
        match lines.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.late(),
        }
    }

    fn ended(&mut self) -> ExitStatus {
        while Instant::now() < self.end {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.late()
    }

    fn late(&self) -> ! {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        panic!("{test}: not done after {LIMIT:?}: {}", self.what);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// What they print.

fn lines(output: &Output) -> BTreeSet<Vec<u8>> {
    let lines = output.stdout.split_inclusive(|&it| it == b'\n');
    let set: BTreeSet<_> = lines.clone().map(<[u8]>::to_vec).collect();
    assert_eq!(set.len(), lines.count(), "a line came twice");
    set
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The name in a line, without its escapes.
fn name(line: &[u8]) -> PathBuf {
    let escaped = line[0] == b'\\';
    let mut bytes = line[usize::from(escaped) + X.len() + 2..].iter();
    let mut name = Vec::new();
    while let Some(&byte) = bytes.next() {
        name.push(match byte {
            b'\\' if escaped => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => b'\\',
            },
            _ => byte,
        });
    }
    OsStr::from_bytes(&name).into()
}
