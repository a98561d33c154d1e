//! Mixed calls on every back end for a given time: memory, descriptors, threads and children are looked at
//! every few seconds, written down and drawn, and must not grow.
//!
//! ```text
//! $ cargo run --release -p runspace-tests --bin soak -- --seconds 3600 --csv soak.csv --svg soak.svg
//! ```
//!
//! Between the calls the numbers go up and down with what runs; a leak is what is left when the noise is
//! taken away: the median of the last quarter of the time, beside that of the second. Exits with status 1
//! if one of them has grown, or if a call has lost an item or invented a failure.

#[cfg(target_os = "linux")]
#[path = "../soak/mod.rs"]
mod soak;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    soak::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("it reads /proc, and starts processes: Linux only");
}
