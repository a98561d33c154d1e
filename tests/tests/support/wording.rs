//! Whose words the `.stderr` files hold.

use std::env;
use std::process::Command;

/// Other versions say the same in other words.
const WORDING: &str = "rustc 1.95.";

/// Whether this rustc speaks as the files in `folder` do.
pub(crate) fn is_known(folder: &str) -> bool {
    let version = rustc_version();
    let known = version.starts_with(WORDING);
    if !known {
        eprintln!(
            "skipped {folder}: its .stderr files are those of {WORDING}x, and this is {version}"
        );
    }
    known
}

fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc runs");
    String::from_utf8(output.stdout).expect("rustc prints text")
}
