//! Any bytes at all, as if they were a journal that an earlier run has left.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runspace_fuzz::journal(bytes));
