#!/usr/bin/env bash
# All figures of benches/README.md, one after the other, on a release build (LAZARET_BIN, else it
# is built). Wants a quiet machine. BENCH_JSON=FILE keeps the figures as JSON lines.
set -euo pipefail
. "$(dirname "$0")/../scripts/common.sh"
cd "$root"

if [ -z "${LAZARET_BIN:-}" ]; then
  scripts/portal_build.sh
  cargo build --locked --release --package server </dev/null
  LAZARET_BIN="$(target_dir)/release/lazaret"
fi
export LAZARET_BIN
corpus=$(scripts/corpus.sh)
[ -z "$corpus" ] || export LAZARET_CORPUS=$corpus
failures=()
for bench in verdict memory push_pull peers million scan; do
  say "benches/$bench.py"
  python3 "benches/$bench.py" </dev/null || failures+=("$bench")
done
[ ${#failures[@]} -eq 0 ] || { echo "FAILED: ${failures[*]}"; exit 1; }
