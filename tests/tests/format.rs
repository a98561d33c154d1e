//! rustfmt formats calls that are written in parentheses: all of a call's grammar is Rust expressions.
//!
//! Every call in an example or in `ui/pass` has its white space spoilt, and rustfmt has to bring it
//! back to what it was.
#![cfg(not(miri))]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use similar::TextDiff;

const MACROS: [&str; 5] = [
    "foreach_parallel",
    "invoke",
    "pipeline",
    "start_job",
    "start_thread_job",
];

/// The edition of this workspace, which is that of all files here.
const EDITION: &str = "2024";

/// What rustfmt may take for all of the files, slow machines included.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn rustfmt_formats_every_call_in_parentheses() {
    if !rustfmt_is_there() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the workspace's manifest");
    assert!(manifest.contains(&format!("edition = \"{EDITION}\"")));

    let folder = tempfile::tempdir().expect("a directory");
    let (mut spoilt, mut calls) = (Vec::new(), Vec::new());
    for file in [root.join("examples"), root.join("tests/ui/pass")]
        .iter()
        .flat_map(|it| rust_files(it))
    {
        let original = fs::read_to_string(&file).expect("a source is text");
        let found = calls_in(&file, &original);
        let mangled = mangled(&original, &found);
        assert!(found.is_empty() || mangled != original, "{file:?}");
        calls.extend(found.into_iter().map(|it| it.name));
        let copy = folder.path().join(format!("{}.rs", spoilt.len()));
        fs::write(&copy, mangled).expect("a file can be written");
        spoilt.push((file, original, copy));
    }
    for name in MACROS {
        let count = calls.iter().filter(|it| *it == name).count();
        assert!(count > 2, "{count} calls of {name}! in parentheses");
    }

    let log = folder.path().join("log");
    let files = spoilt.iter().map(|(_, _, copy)| copy);
    let status = ended(
        Command::new("rustfmt")
            .args(["--edition", EDITION])
            .args(files)
            .stderr(File::create(&log).expect("a file")),
    );
    let log = fs::read_to_string(log).expect("text");
    assert!(status.success(), "rustfmt ended with {status}:\n{log}");
    let mut changes = String::new();
    for (file, original, copy) in &spoilt {
        let formatted = fs::read_to_string(copy).expect("text");
        let diff = TextDiff::from_lines(original, &formatted);
        let name = file.display().to_string();
        let mut diff = diff.unified_diff();
        changes += &diff.header(&name, "formatted from spoilt").to_string();
    }
    assert!(
        changes.is_empty(),
        "rustfmt does not bring these back to what they were:\n{changes}"
    );
}

/// A spoilt call of another kind, to know that the test above can fail.
#[test]
fn what_is_no_expression_stays_spoilt() {
    if !rustfmt_is_there() {
        return;
    }
    let call = "fn main() {\n    foreach_parallel!(items, throttle: 2, |x| f(x));\n}\n";
    let file = tempfile::NamedTempFile::with_suffix(".rs").expect("a file");
    let spoilt = mangled(call, &calls_in(file.path(), call));
    fs::write(file.path(), &spoilt).expect("a file can be written");
    let status = ended(
        Command::new("rustfmt")
            .args(["--edition", EDITION])
            .arg(file.path()),
    );
    assert!(status.success());
    let formatted = fs::read_to_string(file.path()).expect("text");
    assert_eq!(formatted, spoilt);
}

/// Without rustfmt there is nothing to test, which only a machine that checks changes may not pass over.
fn rustfmt_is_there() -> bool {
    let version = Command::new("rustfmt").arg("--version").output();
    let is_there = version.is_ok_and(|it| it.status.success());
    if !is_there {
        assert!(
            env::var_os("CI").is_none(),
            "there is no rustfmt here; `rustup component add rustfmt` installs it"
        );
        // Written straight to stderr: what is printed in a test that passes is kept back.
        let _ = writeln!(
            io::stderr(),
            "\nSKIPPED: there is no rustfmt here, so what it does to calls is not tested\n"
        );
    }
    is_there
}

fn ended(command: &mut Command) -> ExitStatus {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .expect("rustfmt starts");
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("the state of a child") {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?}: not done after {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The files below the folder, in the order of their names.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut entries: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    entries.sort();
    let files = entries.into_iter().flat_map(|path| match path.is_dir() {
        true => rust_files(&path),
        false => vec![path],
    });
    files
        .filter(|it| it.extension().is_some_and(|it| it == "rs"))
        .collect()
}

/// A call in parentheses that rustfmt is expected to format.
struct Call {
    name: String,
    /// The pieces of white space in it.
    gaps: Vec<Gap>,
}

struct Gap {
    place: Range<usize>,
    after_comma: bool,
}

fn calls_in(file: &Path, source: &str) -> Vec<Call> {
    let tokens: TokenStream = source
        .parse()
        .unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let mut calls = Vec::new();
    find(source, tokens, &mut calls);
    calls
}

fn find(source: &str, tokens: TokenStream, calls: &mut Vec<Call>) {
    let trees: Vec<_> = tokens.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at..] {
            [
                TokenTree::Ident(_),
                TokenTree::Punct(it),
                TokenTree::Ident(_),
                TokenTree::Group(_),
                ..,
            ] if it.as_char() == '!' => {
                at += 4; // the arms of `macro_rules!`
            }
            [
                TokenTree::Ident(name),
                TokenTree::Punct(it),
                TokenTree::Group(group),
                ..,
            ] if it.as_char() == '!' => {
                let name = name.to_string();
                let in_parentheses = group.delimiter() == Delimiter::Parenthesis;
                // Neither what stands in braces nor what has a `$` in it is expressions for rustfmt.
                if in_parentheses && !has_dollar(group.stream()) {
                    if MACROS.contains(&&*name) {
                        let mut gaps = Vec::new();
                        find_gaps(source, group, &mut gaps);
                        calls.push(Call { name, gaps });
                    } else {
                        find(source, group.stream(), calls);
                    }
                }
                at += 3;
            }
            [TokenTree::Group(group), ..] => {
                find(source, group.stream(), calls);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn has_dollar(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Punct(it) => it.as_char() == '$',
        TokenTree::Group(group) => has_dollar(group.stream()),
        _ => false,
    })
}

/// The white space between the tokens of a group, without what has a comment in it.
fn find_gaps(source: &str, group: &Group, gaps: &mut Vec<Gap>) {
    let mut end = group.span_open().byte_range().end;
    let (mut after_comma, mut joint) = (false, false);
    let mut gap = |place: Range<usize>, after_comma| {
        if !place.is_empty() && source[place.clone()].trim().is_empty() {
            gaps.push(Gap { place, after_comma });
        }
    };
    let mut inner = Vec::new();
    let (mut word, mut called) = (None, None);
    for tree in group.stream() {
        let span = tree.span().byte_range();
        if !joint {
            gap(end..span.start, after_comma);
        }
        end = span.end;
        (after_comma, joint) = match &tree {
            TokenTree::Punct(it) => (it.as_char() == ',', it.spacing() == Spacing::Joint),
            _ => (false, false),
        };
        // What another macro is given need not be expressions, nor what stands in braces.
        let called_before = called.take();
        match tree {
            TokenTree::Ident(name) => word = Some(name.to_string()),
            TokenTree::Punct(it) if it.as_char() == '!' => called = word.take(),
            TokenTree::Group(group) => {
                let in_braces = group.delimiter() == Delimiter::Brace;
                if called_before.is_none_or(|it: String| !in_braces && MACROS.contains(&&*it)) {
                    inner.push(group);
                }
                word = None;
            }
            _ => word = None,
        }
    }
    gap(end..group.span_close().byte_range().start, after_comma);
    for group in inner {
        find_gaps(source, &group, gaps);
    }
}

/// Lines are indented by too much or not at all, spaces doubled, and those after a comma are left out
/// or broken into lines.
fn mangled(source: &str, calls: &[Call]) -> String {
    let mut gaps: Vec<_> = calls.iter().flat_map(|it| &it.gaps).collect();
    gaps.sort_by_key(|it| it.place.start);
    let (mut text, mut end) = (String::new(), 0);
    for (number, gap) in gaps.into_iter().enumerate() {
        text += &source[end..gap.place.start];
        end = gap.place.end;
        let lines = source[gap.place.clone()].matches('\n').count();
        text += &match (lines, gap.after_comma) {
            (0, true) if number % 3 == 0 => "\n".to_owned(),
            (0, true) => String::new(),
            (0, false) => "   ".to_owned(),
            (lines, _) => "\n".repeat(lines) + &" ".repeat(number * 7 % 30),
        };
    }
    text + &source[end..]
}
