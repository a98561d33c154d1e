#!/usr/bin/env bash
# Known advisories, licences, sources: needs cargo-audit and cargo-deny. ADVISORIES is a clone of the RustSec
# advisory database, for where the tools cannot fetch it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -n "${ADVISORIES:-}" ]; then
    cargo audit --deny warnings --db "$ADVISORIES" --no-fetch --stale
    cargo deny --offline check bans licenses sources
else
    cargo audit --deny warnings
    cargo deny check
fi
