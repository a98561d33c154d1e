//! Any bytes at all, as if a worker had sent them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runspace_fuzz::frames(bytes));
