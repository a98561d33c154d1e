#!/usr/bin/env bash
# The unit tests under ThreadSanitizer. The standard library has to be built with it too, or what std
# synchronises looks like a race: needs a nightly toolchain with `rustup component add rust-src`.
# What it is for, and what came of it, is in docs/proof.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Zsanitizer=thread ${RUSTFLAGS:-}"
export TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp:halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}"
cargo "+${TOOLCHAIN:-nightly}" test -Zbuild-std -p runspace --lib --target "$host" --target-dir target/tsan "$@"
