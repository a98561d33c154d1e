//! What rust-analyzer makes of a call: completion in a body, also in one that is being typed, the way from
//! a use to its definition, and renaming.
//!
//! It takes a minute, and needs rust-analyzer and the sources of std, so it is run by name:
//!
//! ```text
//! rustup component add rust-analyzer rust-src
//! cargo test -p runspace-tests --test editor -- --ignored
//! ```
#![cfg(not(miri))]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What all of it may take: it compiles the macros first, and slow machines are included.
const LIMIT: Duration = Duration::from_secs(400);

#[test]
#[ignore = "takes a minute, and needs rust-analyzer and rust-src"]
fn editor_sees_through_a_call() {
    let Some(mut editor) = Editor::open() else {
        // Written straight to stderr: what is printed in a test that passes is kept back.
        let _ = writeln!(
            io::stderr(),
            "\nSKIPPED: rust-analyzer or rust-src is not here; `rustup component add rust-analyzer rust-src`\n"
        );
        return;
    };
    completes_what_is_being_typed(&mut editor);
    finds_definitions(&mut editor);
    renames(&mut editor);
}

/// `~` is where the cursor is. The names that have to be offered there are behind the body.
fn completes_what_is_being_typed(editor: &mut Editor) {
    for (body, names) in [
        (
            "foreach_parallel!(0..3, using(prefix), |n| { prefix.~ });",
            &["shout", "text"][..],
        ),
        (
            "foreach_parallel!(0..3, throttle = 2, using(prefix), |n| {\n let a = prefix.~\n a\n });",
            &["shout"],
        ),
        (
            "foreach_parallel!([prefix], |item| { item.~ });",
            &["shout"],
        ),
        (
            "foreach_parallel!(0..3, init(db = prefix.clone()), |n| { db.~ });",
            &["shout"],
        ),
        (
            "foreach_parallel!(0..3_u32, |n, job| { job.~ });",
            &["emit", "stopping"],
        ),
        (
            "foreach_parallel!(0..3, |n| { $using:prefix.~ });",
            &["shout"],
        ),
        (
            "foreach_parallel!(0..3, on = process, using(text), |n: u32| { text.~ });",
            &["push_str"],
        ),
        ("foreach_parallel!(0..3, |n| n).~", &["outcomes", "filter"]),
        (
            "start_thread_job!(using(prefix), { prefix.~ });",
            &["shout"],
        ),
        ("start_thread_job! { prefix.~ };", &["shout"]),
        ("start_thread_job!(|job| { job.~ });", &["emit"]),
        ("start_thread_job!({ 1 }).~", &["join", "receive"]),
        ("start_job!(using(text), { text.~ });", &["push_str"]),
        (
            "invoke!(&Runspace::open().unwrap(), using(prefix), { prefix.~ });",
            &["shout"],
        ),
        (
            "pipeline!(0..3 | foreach_parallel(using(prefix), |n| { prefix.~ }) | count());",
            &["shout"],
        ),
    ] {
        let cursor = editor.type_in(body);
        let offered = editor.completions(&cursor);
        for name in names {
            assert!(offered.contains(*name), "no {name} in {body}: {offered:?}");
        }
    }
}

const CALLS: &str = "\
    let lines = foreach_parallel!(0..3, throttle = 2, using(prefix), |n| prefix.shout(n));\n\
    let job = start_thread_job!(using(prefix = lines), { prefix.count() });\n";

fn finds_definitions(editor: &mut Editor) {
    editor.type_in(CALLS);
    // From a use in the body to the clause, and from the clause to the variable.
    for (from, to) in [
        ("prefix.shout(n)", "prefix), |n|"),
        ("prefix), |n|", "prefix = Prefix"),
        ("shout(n));", "shout(&self"),
        ("n));\n", "n| prefix"),
        ("prefix.count()", "prefix = lines"),
        ("lines), {", "lines = foreach"),
    ] {
        let found = editor.definitions(from);
        let to = editor.place(to);
        assert!(found.contains(&to), "{from}: {found:?}, and not {to:?}");
    }
}

fn renames(editor: &mut Editor) {
    editor.type_in(CALLS);
    let prefix = ["prefix = Prefix", "prefix), |n|", "prefix.shout(n)"];
    // At the clause, where both meet, all of them; elsewhere the clause and what is on that side.
    for (at, renamed) in [
        (prefix[1], &prefix[..]),
        (prefix[0], &prefix[..2]),
        (prefix[2], &prefix[1..]),
        ("n| prefix", &["n| prefix", "n));\n"]),
        ("shout(&self", &["shout(&self", "shout(n));"]),
    ] {
        let expected: BTreeSet<_> = renamed.iter().map(|it| editor.place(it)).collect();
        assert_eq!(editor.renamed(at), expected, "{at}");
    }
}

/// A line and a column, both from 0.
type Position = (u64, u64);

/// A program that uses runspace, as an editor has it open.
struct Editor {
    server: Server,
    uri: String,
    text: String,
    version: u32,
    _folder: tempfile::TempDir,
}

/// What every text begins with.
const HEAD: &str = "\
use runspace::{Runspace, foreach_parallel, invoke, pipeline, start_job, start_thread_job};

#[derive(Clone)]
struct Prefix { text: String }

impl Prefix {
    fn shout(&self, n: u32) -> String { format!(\"{}{n}\", self.text) }
}

fn main() {
    let prefix = Prefix { text: String::new() };
    let text = String::new();
";

impl Editor {
    /// `None` if there is no rust-analyzer.
    fn open() -> Option<Self> {
        let sources = sources_of_std()?;
        let version = Command::new("rust-analyzer").arg("--version").output();
        if !version.is_ok_and(|it| it.status.success()) {
            return None;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir().expect("a directory");
        let manifest = format!(
            "[package]\nname = \"edited\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nrunspace = {{ path = {:?} }}\n\n[workspace]\n",
            root.join("runtime")
        );
        let source = folder.path().join("src/main.rs");
        fs::create_dir(folder.path().join("src")).expect("a directory");
        fs::write(folder.path().join("Cargo.toml"), manifest).expect("a file");
        fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("a file");
        fs::write(&source, "fn main() {}\n").expect("a file");

        let mut server = Server::start(folder.path(), &sources);
        let settings = json!({
            "cachePriming": { "enable": false },
            "checkOnSave": false,
            "cargo": { "extraEnv": { "CARGO_NET_OFFLINE": "true" } },
        });
        let capabilities = json!({ "experimental": { "serverStatusNotification": true } });
        server.ask(
            "initialize",
            json!({
                "processId": null,
                "rootUri": format!("file://{}", folder.path().display()),
                "initializationOptions": settings,
                "capabilities": capabilities,
            }),
        );
        server.tell("initialized", json!({}));
        server.wait_until_ready();
        let mut editor = Self {
            server,
            uri: format!("file://{}", source.display()),
            text: String::new(),
            version: 0,
            _folder: folder,
        };
        let document = json!({ "uri": editor.uri, "languageId": "rust", "version": 0, "text": "" });
        let opened = json!({ "textDocument": document });
        editor.server.tell("textDocument/didOpen", opened);
        editor.type_in("");
        Some(editor)
    }

    /// Makes this the end of `main`, without the `~`; answers what stands in front of that.
    fn type_in(&mut self, body: &str) -> Position {
        let text = format!("{HEAD}    {body}\n}}\n");
        let before = text.split('~').next().unwrap_or_default();
        let cursor = position(before);
        self.text = text.replace('~', "");
        self.version += 1;
        let document = json!({ "uri": self.uri, "version": self.version });
        let changes = json!([{ "text": self.text }]);
        let changed = json!({ "textDocument": document, "contentChanges": changes });
        self.server.tell("textDocument/didChange", changed);
        cursor
    }

    /// Where this stands in the text.
    fn place(&self, part: &str) -> Position {
        let at = self.text.find(part).unwrap_or_else(|| panic!("no {part}"));
        position(&self.text[..at])
    }

    fn completions(&mut self, cursor: &Position) -> BTreeSet<String> {
        let answer = self.ask_at("textDocument/completion", *cursor, json!({}));
        let items = answer["items"].as_array().or(answer.as_array());
        // A label goes on with the trait that a method is of.
        let label = |item: &Value| {
            let label = item["label"].as_str()?;
            label.split('(').next().map(str::to_owned)
        };
        items.into_iter().flatten().filter_map(label).collect()
    }

    /// Those in this file.
    fn definitions(&mut self, from: &str) -> BTreeSet<Position> {
        let at = self.place(from);
        let answer = self.ask_at("textDocument/definition", at, json!({}));
        let found = answer.as_array().into_iter().flatten();
        let here = found.filter(|it| it["uri"] == self.uri);
        here.map(|it| start(&it["range"])).collect()
    }

    fn renamed(&mut self, at: &str) -> BTreeSet<Position> {
        let at = self.place(at);
        let name = json!({ "newName": "renamed" });
        let answer = self.ask_at("textDocument/rename", at, name);
        let [changes] = &answer["documentChanges"]
            .as_array()
            .map_or(&[][..], |it| it)
        else {
            panic!("not this file alone is changed for {at:?}: {answer}");
        };
        assert_eq!(changes["textDocument"]["uri"], self.uri, "{changes}");
        let edits = changes["edits"].as_array().into_iter().flatten();
        edits.map(|it| start(&it["range"])).collect()
    }

    fn ask_at(&mut self, method: &str, (line, column): Position, mut with: Value) -> Value {
        with["textDocument"] = json!({ "uri": self.uri });
        with["position"] = json!({ "line": line, "character": column });
        self.server.ask(method, with)
    }
}

fn position(before: &str) -> Position {
    let line = before.matches('\n').count();
    let column = before.len() - before.rfind('\n').map_or(0, |it| it + 1);
    (line as u64, column as u64)
}

fn start(range: &Value) -> Position {
    let number = |name: &str| range["start"][name].as_u64().expect("a position");
    (number("line"), number("character"))
}

/// Where the sources of std are: where the variable says, or where rustup puts them.
fn sources_of_std() -> Option<PathBuf> {
    let named = std::env::var_os("RUST_SRC_PATH").map(PathBuf::from);
    let installed = || {
        let rustc = Command::new("rustc").args(["--print", "sysroot"]).output();
        let sysroot = String::from_utf8(rustc.ok()?.stdout).ok()?;
        Some(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library"))
    };
    named
        .or_else(installed)
        .filter(|it| it.join("core/src/lib.rs").exists())
}

/// rust-analyzer, and the messages to it and from it.
struct Server {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    last: u64,
    end: Instant,
}

impl Server {
    fn start(folder: &Path, sources: &Path) -> Self {
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("editor");
        let mut process = Command::new("rust-analyzer")
            .current_dir(folder)
            .env("RUST_SRC_PATH", sources)
            .env("CARGO_TARGET_DIR", built)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("rust-analyzer starts");
        let to = process.stdin.take().expect("a pipe");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, from) = channel();
        thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            to,
            from,
            last: 0,
            end: Instant::now() + LIMIT,
        }
    }

    /// Until it has read the whole program and compiled its macros.
    fn wait_until_ready(&mut self) {
        loop {
            let message = self.next();
            if message["method"] == "experimental/serverStatus" {
                let status = &message["params"];
                assert_ne!(status["health"], "error", "{status}");
                if status["quiescent"] == true {
                    return;
                }
            }
        }
    }

    fn ask(&mut self, method: &str, with: Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": with }));
        loop {
            let mut answer = self.next();
            if answer["id"] == id && answer["method"].is_null() {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
        }
    }

    fn tell(&mut self, method: &str, with: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": with }));
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let sent = write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len());
        sent.and_then(|()| self.to.flush())
            .expect("rust-analyzer listens");
    }

    /// The next message. What it asks in its turn is answered with nothing.
    fn next(&mut self) -> Value {
        let left = self.end.saturating_duration_since(Instant::now());
        let message = self.from.recv_timeout(left);
        let message = message.unwrap_or_else(|error| panic!("nothing from rust-analyzer: {error}"));
        if !message["id"].is_null() && !message["method"].is_null() {
            self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
        }
        message
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A message: a line with its length, an empty line, and so many bytes of JSON.
fn read(from: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(number) = line.strip_prefix("Content-Length: ") {
            length = number.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
