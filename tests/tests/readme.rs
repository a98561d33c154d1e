//! The Rust in the README compiles. It shows what matters and no more, so what it takes for granted is here.

use std::fs;
use std::path::Path;

/// What stands around a block.
struct Frame {
    /// How the block begins, so that a frame is not taken for that of another block.
    begins: &'static str,
    before: &'static str,
    after: &'static str,
}

/// A block that stands in a function, after these statements.
const fn after(begins: &'static str, before: &'static str) -> Frame {
    Frame {
        begins,
        before,
        after: "}",
    }
}

const FRAMES: [Frame; 12] = [
    after(
        "use runspace::foreach_parallel;",
        "fn fetch(url: &str) -> String { url.to_owned() }
        struct Index;
        impl Index { fn add(&mut self, _: String) {} }
        fn shown(urls: Vec<String>, mut index: Index) {",
    ),
    after(
        "let pages: Vec<Result<String, String>>",
        "use std::time::Duration;
        use runspace::{Halt, Retry, Throttle};
        fn fetch(url: &str) -> Result<String, String> { Ok(url.to_owned()) }
        fn shown(urls: Vec<String>) {",
    ),
    after("let table = vec!", "fn shown() {"),
    after("let sums =", "fn shown(table: Vec<i32>) {"),
    after("let sums =", "fn shown(table: Vec<i32>) {"),
    after("let sums: Vec<i32>", "fn shown(table: Vec<i32>) {"),
    after("runspace::scope(", "fn shown(table: Vec<i32>) {"),
    Frame {
        begins: "let sums =",
        before: "#[derive(Clone)]
        struct Walk { step: i32 }
        impl Walk { fn shown(&self, table: Vec<i32>) {",
        after: "}}",
    },
    after("use runspace::{jobs,", "fn shown() {"),
    after(
        "let job = start_job!(using(path)",
        "fn parse_untrusted(path: &str) -> usize { path.len() }
        fn shown(path: String, paths: Vec<String>) {",
    ),
    Frame {
        begins: "let cluster =",
        before: "#[cfg(feature = \"cluster\")]
        fn shown(paths: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
        use runspace::Cluster;
        fn analyse(path: &str) -> String { path.to_owned() }",
        after: "Ok(()) }",
    },
    Frame {
        begins: "use runspace::policy::",
        before: "fn shown() -> Result<(), Box<dyn std::error::Error>> {",
        after: "Ok(()) }",
    },
];

#[test]
#[cfg_attr(miri, ignore = "starts rustc")]
fn rust_in_the_readme_compiles() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("the README is there");
    let blocks: Vec<&str> = readme
        .split("\n```rust\n")
        .skip(1)
        .map(|it| it.split("\n```").next().unwrap_or(it))
        .collect();
    assert_eq!(blocks.len(), FRAMES.len(), "a frame for each block");
    let mut program = String::from("#![allow(unused)]\n");
    for (number, (block, frame)) in blocks.iter().zip(&FRAMES).enumerate() {
        assert!(
            block.starts_with(frame.begins),
            "block {number} is another than thought:\n{block}"
        );
        program.push_str(&format!(
            "mod block_{number} {{\nuse runspace::{{foreach_parallel, start_job}};\n{}\n{block}\n{}\n}}\n",
            frame.before, frame.after
        ));
    }
    program.push_str("fn main() {}\n");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme.rs");
    fs::write(&file, program).expect("it can be written");
    trybuild::TestCases::new().pass(file);
}
