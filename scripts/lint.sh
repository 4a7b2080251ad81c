#!/usr/bin/env bash
# rustfmt, clippy, rustdoc, cargo-deny and tidy: all that is judged without running anything.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$root"

"$root/scripts/tools.sh" cargo-deny
cargo xtask check </dev/null
