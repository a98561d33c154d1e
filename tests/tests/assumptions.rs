//! What rustc is relied on to do, without a line of ours.
//!
//! The macros and the code for processes rest on behaviour that no reference promises. Each piece
//! has a file: in `assumptions/pass` it compiles and runs, in `assumptions/fail` rustc says what lies
//! beside it. When a new rustc fails one of them, it is known which trick to look at.

#[path = "support/wording.rs"]
mod wording;

#[test]
#[cfg_attr(miri, ignore = "starts rustc")]
fn assumptions() {
    let cases = trybuild::TestCases::new();
    cases.pass("assumptions/pass/*.rs");
    if wording::is_known("assumptions/fail") {
        cases.compile_fail("assumptions/fail/*.rs");
    }
}
