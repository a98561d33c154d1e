//! The inputs that were kept, without a fuzzer: `cargo test` on any compiler.

use std::fs;
use std::path::Path;

#[test]
fn what_was_found_once_is_fine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/frames");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        runspace_fuzz::frames(&bytes);
        // And each with its end missing, and with a byte changed.
        for at in 0..bytes.len().min(200) {
            runspace_fuzz::frames(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0x81;
            runspace_fuzz::frames(&changed);
        }
        count += 1;
    }
    assert!(count > 10, "{count} inputs");
}
