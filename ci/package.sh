#!/usr/bin/env bash
# What would be published: both packages have what they need, and build from their own files. With `--no-verify`
# they are not built, which is quick.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The two together: the second is built against the first as if that were published.
cargo package --locked -p runspace-macros -p runspace "$@"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
for name in runspace-macros runspace; do
    files=$(tar -tzf "target/package/$name-$version.crate")
    for file in README.md LICENSE-MIT LICENSE-APACHE src/lib.rs; do
        grep -qxF "$name-$version/$file" <<< "$files" || {
            echo "$name-$version has no $file" >&2
            exit 1
        }
    done
done
