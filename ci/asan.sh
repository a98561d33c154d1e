#!/usr/bin/env bash
# The unit tests under AddressSanitizer, leaks included: needs a nightly toolchain, and nothing else.
# What it is for, and what came of it, is in docs/proof.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Zsanitizer=address ${RUSTFLAGS:-}"
# Tests that end a process by a signal want that signal, and not a report of it. The signal stack of the
# main thread is std's.
options="handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:use_sigaltstack=0"
export ASAN_OPTIONS="detect_leaks=1:exitcode=99:$options:${ASAN_OPTIONS:-}"
# A limit on address space leaves no room for the sanitizer's shadow of it.
cargo "+${TOOLCHAIN:-nightly}" test -p runspace --lib --target "$host" --target-dir target/asan "$@" -- \
    --skip a_memory_limit_costs_the_item_that_meets_it
