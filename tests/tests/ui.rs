//! What compiles and what does not, and how it is said.
//!
//! A file in `ui/pass` compiles and runs. A file in `ui/fail` has one mistake, which its name tells,
//! and beside it lies what rustc prints for it; `TRYBUILD=overwrite` writes that anew.

#[path = "support/wording.rs"]
mod wording;

use std::collections::BTreeSet;
use std::fs;

#[test]
#[cfg_attr(miri, ignore = "starts rustc")]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    if wording::is_known("ui/fail") {
        cases.compile_fail("ui/fail/*/*.rs");
    }
}

/// The package for the other edition has each file of `ui/pass` as a target.
#[test]
fn what_compiles_is_compiled_with_both_editions() {
    let manifest = fs::read_to_string("edition_2021/Cargo.toml").expect("the manifest is there");
    let listed: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"../ui/pass/")?
                .strip_suffix(".rs\"")
        })
        .collect();
    let files: Vec<String> = fs::read_dir("ui/pass")
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(listed, files);
}
