//! What goes wrong, and what becomes of it: a test for each row of docs/faults.md, on each back end.

#![cfg(target_os = "linux")]
#![allow(unreachable_pub, reason = "a test program has no users")]

#[path = "../../runtime/tests/support/mod.rs"]
mod support;
#[path = "../../runtime/tests/support/terminal.rs"]
mod terminal;

mod chaos;
mod common;
mod crashes;
mod ends;
mod half_done;
mod input;
mod journals;
mod large;
mod limits;
mod nesting;
mod outputs;
mod panics;
mod pools;
mod shortage;
mod stage;
mod start;
mod starting;
mod surroundings;
mod telling;
mod values;
mod waits;

fn main() -> std::process::ExitCode {
    stage::main(&[
        chaos::ROWS,
        crashes::ROWS,
        ends::ROWS,
        half_done::ROWS,
        input::ROWS,
        journals::ROWS,
        large::ROWS,
        limits::ROWS,
        nesting::ROWS,
        outputs::ROWS,
        panics::ROWS,
        pools::ROWS,
        shortage::ROWS,
        start::ROWS,
        starting::ROWS,
        surroundings::ROWS,
        telling::ROWS,
        values::ROWS,
        waits::ROWS,
    ])
}
