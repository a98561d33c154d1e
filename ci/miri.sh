#!/usr/bin/env bash
# The modules with `unsafe` under Miri, as far as it can run them: `rustup +nightly component add miri`.
# It cannot start processes, so of the process back end it sees the frames and values, and no more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

toolchain="+${TOOLCHAIN:-nightly}"
# Threads are kept for a while after the end of `main`, and clocks are read.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks ${MIRIFLAGS:-}"
# The chain between workers and consumer, threads, signals.
cargo "$toolchain" miri test -p runspace --lib --no-default-features --target-dir target/miri -- \
    chain:: hand:: sequence:: barrier:: threads:: reorder scope::
# What is borrowed by calls and scopes.
cargo "$toolchain" miri test -p runspace --no-default-features --test capture_and_borrow --target-dir target/miri
# Runs of numbers as they lie in memory, and frames.
cargo "$toolchain" miri test -p runspace --lib --target-dir target/miri -- process::wire
