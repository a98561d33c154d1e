//! Tests that span the crates live in `tests/`, compile tests in `ui/`; this library has none of its
//! own but the pages below, whose examples are run as those of the documentation are.

/// What a call becomes.
#[cfg(doctest)]
#[doc = include_str!("../../docs/expansion.md")]
pub struct Expansion;
