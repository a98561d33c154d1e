//! Values of every shape, written, read in pieces, and compared.
#![no_main]

use runspace_fuzz::{Value, there_and_back};

libfuzzer_sys::fuzz_target!(|input: (Vec<Value>, u16)| there_and_back(&input.0, input.1));
