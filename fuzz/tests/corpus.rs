//! The inputs that were kept, without a fuzzer: `cargo test` on any compiler.

use std::fs;
use std::path::Path;

/// What was kept of one fuzzer.
fn try_all(folder: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        run(&bytes);
        // And each with its end missing, and with a byte changed.
        for at in (0..bytes.len().min(200)).step_by(5) {
            run(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0x81;
            run(&changed);
        }
        count += 1;
    }
    assert!(count > 10, "{count} inputs");
}

#[test]
fn frames_that_were_found_once_are_fine() {
    try_all("frames", runspace_fuzz::frames);
}

#[test]
fn journals_that_were_found_once_are_fine() {
    try_all("journal", runspace_fuzz::journal);
}
