//! A NATS server and workers, for as long as they are wanted.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runspace::Cluster;

const KEY: &str = "the key that the benches use";

/// A server with a store of its own.
pub(super) struct Server {
    child: Child,
    port: u16,
    _store: tempfile::TempDir,
}

impl Server {
    /// `None`, and a line that says so, where there is no program of a server.
    pub(super) fn start() -> Option<Self> {
        let named = std::env::var_os("RUNSPACE_TEST_NATS").map(PathBuf::from);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        let program = named.unwrap_or_else(|| root.join("target/nats/nats-server"));
        if !program.exists() {
            println!(
                "Not asked: there is no NATS server at `{}`; `.ci/nats-server` brings it.\n",
                program.display()
            );
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let port = port.expect("a port").port();
        let store = tempfile::tempdir().expect("a folder");
        let child = Command::new(program)
            .args(["-a", "127.0.0.1", "-js", "-p", &port.to_string(), "-sd"])
            .arg(store.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self {
            child,
            port,
            _store: store,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(super) fn cluster(&self) -> Cluster {
        let builder = Cluster::builder(self.url()).key(KEY);
        builder.connect().expect("the server lets us in")
    }

    pub(super) fn worker(&self) -> Worker {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .env("RUNSPACE_WORKER", self.url())
            .env("RUNSPACE_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a worker starts");
        Worker(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker process.
pub(super) struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
