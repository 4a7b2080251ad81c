# Sourced by the scripts beside it: where things are, and how to say what was left out.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LAZARET_CACHE="${LAZARET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lazaret}"
export LAZARET_SHARED="${LAZARET_SHARED:-$root/../shared}"
export PATH="$LAZARET_CACHE/bin:$PATH"
mkdir -p "$LAZARET_CACHE/bin"

say() { printf '== %s\n' "$*"; }
skipped() { printf 'skipped: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# The target folder that cargo uses.
target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-$root/target}"; }

# A cargo-style result line for other test runners, so that one reader adds everything up.
result_line() { # passed failed
  printf 'test result: %s. %d passed; %d failed; 0 ignored; 0 measured; 0 filtered out\n' \
    "$([ "$2" -eq 0 ] && echo ok || echo FAILED)" "$1" "$2"
}
