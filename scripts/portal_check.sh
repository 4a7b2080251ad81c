#!/usr/bin/env bash
# Types, translations, unit tests, build and size budget of the portal.
set -euo pipefail
. "$(dirname "$0")/common.sh"

have npm || { skipped "portal check: npm is not installed"; exit 0; }
cd "$root/portal"
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules ]; then
  npm ci --no-audit --no-fund --loglevel=error </dev/null
  touch node_modules
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
NO_COLOR=1 npm run --silent check 2>&1 </dev/null | tee "$work/check.log" || status=$?
# Vitest's own words: `Tests  12 passed (12)` or `Tests  1 failed | 11 passed (12)`.
tests=$(grep -E '^ *Tests ' "$work/check.log" | tail -n 1 || true)
passed=$(sed -nE 's/.* ([0-9]+) passed.*/\1/p' <<<"$tests") failed=$(sed -nE 's/.* ([0-9]+) failed.*/\1/p' <<<"$tests")
[ "$status" -eq 0 ] || failed=${failed:-1}
result_line "${passed:-0}" "${failed:-0}"
exit "$status"
