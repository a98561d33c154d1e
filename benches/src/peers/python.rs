//! Python's pool of processes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::find;

/// Does what it is told on stdin: `trips n`, `map n chunk`, `bytes size n`. Functions are built-in ones,
/// so that every way of starting the workers finds them.
const PROGRAM: &str = "
import sys
from concurrent.futures import ProcessPoolExecutor
if __name__ == '__main__':
    with ProcessPoolExecutor(max_workers=int(sys.argv[1])) as pool:
        payload = b''
        for line in sys.stdin:
            what, *numbers = line.split()
            numbers = [int(it) for it in numbers]
            if what == 'trips':
                answer = sum(pool.submit(abs, it).result() for it in range(numbers[0]))
            elif what == 'map':
                answer = sum(pool.map(abs, range(numbers[0]), chunksize=numbers[1]))
            else:
                if len(payload) != numbers[0]:
                    payload = bytes(numbers[0])
                answer = sum(pool.submit(len, payload).result() for _ in range(numbers[1]))
            print(answer, flush=True)
";

/// A `concurrent.futures.ProcessPoolExecutor`.
pub(crate) struct Python {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Python {
    /// `None` where there is no Python.
    pub(crate) fn start(workers: usize) -> Option<Self> {
        let mut child = Command::new(find("python3")?)
            .args(["-c", PROGRAM, &workers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (to, from) = (child.stdin.take()?, child.stdout.take()?);
        Some(Self {
            child,
            to: Some(to),
            from: BufReader::new(from),
        })
    }

    /// Gives it something to do, and waits for the answer.
    pub(crate) fn ask(&mut self, what: &str) -> u64 {
        let to = self.to.as_mut().expect("stdin");
        writeln!(to, "{what}").expect("Python reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("Python writes");
        line.trim().parse().expect("Python answers with a number")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // The end of its input is its end.
        self.to = None;
        let _ = self.child.wait();
    }
}
