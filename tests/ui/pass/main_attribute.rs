//! `main` with what else it may have, as the place where jobs are served.
#![deny(warnings)]
#![allow(clippy::mixed_attributes_style)]

use std::process::ExitCode;

use runspace::start_job;

#[runspace::main]
#[allow(clippy::unnecessary_wraps)]
fn main() -> Result<ExitCode, std::num::ParseIntError> {
    #![allow(unused_variables)]
    let unused = "1".parse::<u8>()?;
    assert_eq!(start_job!({ 6 * 7 }).join().unwrap(), 42);
    Ok(ExitCode::SUCCESS)
}
