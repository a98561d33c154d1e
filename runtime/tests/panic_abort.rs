//! A program built with `panic = "abort"`: a panic in a process of a job or of an item is the crash of
//! that one, by the name of SIGABRT.
//!
//! How panics end is one decision for a whole program, so the program is built here, as a package of its
//! own. That takes a while the first time.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::within;

const MANIFEST: &str = r#"
[package]
name = "panic-abort"
version = "0.0.0"
edition = "2024"

[dependencies]
runspace = { path = 'RUNTIME', default-features = false, features = ["process"] }

[profile.dev]
panic = "abort"
debug = 0

[workspace]
"#;

#[test]
fn a_panic_that_aborts_costs_its_job_or_item_only() {
    within(400, || {
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest = MANIFEST.replace("RUNTIME", runtime.to_str().unwrap());
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        let program = include_str!("programs/panic_abort.rs");
        fs::write(folder.join("src/main.rs"), program).unwrap();
        // The versions that this was built with: they are here already.
        let _ = fs::copy(runtime.join("../Cargo.lock"), folder.join("Cargo.lock"));
        let output = Command::new(env!("CARGO"))
            .args(["run", "--offline", "--quiet", "--target-dir", "target"])
            .current_dir(&folder)
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
        assert_eq!(text.trim_end(), "aborts cost what they should");
    });
}
