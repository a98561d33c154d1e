//! What uses a feature that is off does not compile, and rustc says which feature that is.
//!
//! A file in `ui/fail` is named after the feature, or after the macro, and beside it lies what rustc prints for it;
//! `TRYBUILD=overwrite` writes that anew.

#[path = "../tests/support/wording.rs"]
mod wording;

#[test]
#[cfg_attr(miri, ignore = "starts rustc")]
fn features() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    if wording::is_known("ui/fail") {
        cases.compile_fail("ui/fail/*.rs");
    }
}
