//! What compiles and what does not, and how it is said.
//!
//! A file in `ui/pass` compiles and runs. A file in `ui/fail` has one mistake, which its name tells,
//! and beside it lies what rustc prints for it; `TRYBUILD=overwrite` writes that anew.

use std::env;
use std::process::Command;

/// The rustc whose words the `.stderr` files hold. Others say the same in other words.
const WORDING: &str = "rustc 1.95.";

#[test]
#[cfg_attr(miri, ignore = "starts rustc")]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    let version = rustc_version();
    if version.starts_with(WORDING) {
        cases.compile_fail("ui/fail/*/*.rs");
    } else {
        eprintln!(
            "skipped ui/fail: its .stderr files are those of {WORDING}x, and this is {version}"
        );
    }
}

fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc runs");
    String::from_utf8(output.stdout).expect("rustc prints text")
}
