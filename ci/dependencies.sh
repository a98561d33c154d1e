#!/usr/bin/env bash
# Counts what each set of features brings, and compares it with the table in docs/security.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

count() {
    cargo tree --locked --offline -p runspace --target x86_64-unknown-linux-gnu -e normal --prefix none "$@" |
        awk '{ print $1, $2 }' | grep -v '^runspace' | sort -u | wc -l
}

table() {
    echo "none (\`default-features = false\`) | $(count --no-default-features)"
    echo "\`process\` | $(count --no-default-features --features process)"
    echo "\`rayon\` | $(count --no-default-features --features rayon)"
    echo "\`process\`, \`rayon\`: the default | $(count)"
    for feature in ctrl_c progress rate journal tracing serde cluster; do
        echo "none, and \`$feature\` | $(count --no-default-features --features "$feature")"
    done
    echo "all | $(count --all-features)"
}

while read -r line; do
    grep -qF "| $line |" docs/security.md || {
        echo "docs/security.md has no line '| $line |': a dependency has come or gone" >&2
        exit 1
    }
done < <(table)
