//! Tests that span the crates live in `tests/`, compile tests in `ui/`; this library is empty.
