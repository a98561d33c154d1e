//! The programs are in this folder's files, one per idea: `cargo run --example NAME`.
