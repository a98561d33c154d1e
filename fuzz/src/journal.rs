//! The reader of journals, as the library has it.

#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../runtime/src/foreach/journal/format.rs"]
pub(crate) mod format;
#[path = "../../runtime/src/foreach/journal/reader.rs"]
pub(crate) mod reader;
