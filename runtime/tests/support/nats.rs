//! A NATS server for tests, and workers of this very program.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runspace::cluster::{Cluster, ClusterBuilder};

pub const KEY: &str = "the key that the tests share";

/// The program of the server: `.ci/nats-server` brings it. Without it tests are passed over, except where CI runs them.
pub fn program() -> Option<PathBuf> {
    let named = std::env::var_os("RUNSPACE_TEST_NATS").map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        root.join("target/nats/nats-server")
    });
    if path.exists() {
        return Some(path);
    }
    let is_ci = std::env::var_os("CI").is_some_and(|it| it == "true");
    assert!(
        !is_ci,
        "there is no NATS server at {}; run .ci/nats-server",
        path.display()
    );
    println!(
        "skipped: there is no NATS server at {}; `.ci/nats-server` brings it, or RUNSPACE_TEST_NATS names one",
        path.display()
    );
    None
}

/// Runs a program that ends when this process does, whichever way. Answers who waits for it, and its number.
fn bound(command: &Command) -> Bound {
    const SCRIPT: &str = "exec 3<&0; \"$@\" 3<&- & pid=$!; echo $pid; exec >/dev/null; \
                          (cat <&3; kill -KILL $pid) 2>/dev/null & wait $pid";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", SCRIPT, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let mut shell = shell.spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(shell.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    Bound {
        printed: gather(out),
        // Out of the child: to wait for it would close this, which ends the program.
        _tie: shell.stdin.take().unwrap(),
        pid: line.trim().parse().unwrap(),
        shell,
    }
}

type Gathered = Arc<Mutex<Vec<String>>>;

/// Takes in the lines of a stream, so that whoever writes them can.
fn gather(from: impl BufRead + Send + 'static) -> Gathered {
    let lines = Gathered::default();
    let to = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in from.lines().map_while(Result::ok) {
            to.lock().unwrap().push(line);
        }
    });
    lines
}

/// A program that ends when this process does.
struct Bound {
    shell: Child,
    pid: u32,
    printed: Gathered,
    _tie: ChildStdin,
}

impl Bound {
    /// SIGKILL, if it is still there.
    fn kill(&mut self) {
        if self.shell.try_wait().unwrap().is_none() {
            send(rustix::process::Signal::KILL, self.pid);
        }
        self.shell.wait().unwrap();
    }
}

fn send(signal: rustix::process::Signal, pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

/// A server with a store of its own. It is killed when dropped.
pub struct Server {
    program: PathBuf,
    port: u16,
    store: tempfile::TempDir,
    extra: Vec<String>,
    child: Mutex<Option<Bound>>,
}

/// A port that nobody has just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// `None` where there is no program of a server.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub fn start_with(extra: &[&str]) -> Option<Self> {
        let server = Self {
            program: program()?,
            port: free_port(),
            store: tempfile::tempdir().unwrap(),
            extra: extra.iter().map(|it| (*it).to_owned()).collect(),
            child: Mutex::new(None),
        };
        server.run();
        Some(server)
    }

    /// Starts it (again), and waits until it listens.
    pub fn run(&self) {
        let mut command = Command::new(&self.program);
        command
            .args(["-a", "127.0.0.1", "-js", "-p"])
            .arg(self.port.to_string())
            .arg("-sd")
            .arg(self.store.path())
            .args(&self.extra)
            .arg("--log")
            .arg(self.store.path().join("log"));
        *self.child.lock().unwrap() = Some(bound(&command));
        let end = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub fn kill(&self) {
        if let Some(mut server) = self.child.lock().unwrap().take() {
            server.kill();
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn builder(&self) -> ClusterBuilder {
        Cluster::builder(self.url()).key(KEY)
    }

    pub fn cluster(&self) -> Cluster {
        self.builder().connect().unwrap()
    }

    /// A worker of this very program, with `slots`.
    pub fn worker(&self, slots: usize) -> Worker {
        self.worker_with(slots, |_| {})
    }

    pub fn worker_with(&self, slots: usize, change: impl FnOnce(&mut Command)) -> Worker {
        Worker::start(
            &std::env::current_exe().unwrap(),
            &self.url(),
            slots,
            change,
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A worker process. It is killed when dropped.
pub struct Worker {
    process: Bound,
    said: Gathered,
}

impl Worker {
    pub fn start(
        program: &Path,
        url: &str,
        slots: usize,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(program);
        command
            .env("RUNSPACE_WORKER", url)
            .env("RUNSPACE_KEY", KEY)
            .env("RUNSPACE_SLOTS", slots.to_string());
        change(&mut command);
        let mut process = bound(&command);
        let said = gather(BufReader::new(process.shell.stderr.take().unwrap()));
        Self { process, said }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to leave.
    pub fn term(&self) {
        send(rustix::process::Signal::TERM, self.pid());
    }

    /// Waits for its end, and answers its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.shell.wait().unwrap().code()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.shell.try_wait().unwrap().is_none()
    }

    /// What it has written to stdout so far.
    pub fn printed(&self) -> String {
        self.process.printed.lock().unwrap().join("\n")
    }

    /// What it has written to stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}
