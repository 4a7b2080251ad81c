#!/usr/bin/env bash
# The specification's own conformance suite, with everything optional switched on, as version 1.1
# and as its main branch. Needs Go, and a module proxy that has the suite; else says so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/common.sh"

MODULE=github.com/opencontainers/distribution-spec/conformance
BUILD_SECONDS_MAX=600
suite=$LAZARET_CACHE/bin/oci-conformance

if [ ! -x "$suite" ]; then
  have go || { skipped "the specification's own conformance suite: no go to build it with"; exit 0; }
  work=$(mktemp -d)
  cp "$here/go.mod" "$here/tools.go" "$work"
  if ! (cd "$work" && timeout "$BUILD_SECONDS_MAX" go get "$MODULE@main" && timeout "$BUILD_SECONDS_MAX" go build -o "$suite" "$MODULE") \
    >"$LAZARET_CACHE/oci-conformance.log" 2>&1 </dev/null; then
    skipped "the specification's own conformance suite: $(tail -n 1 "$LAZARET_CACHE/oci-conformance.log")"
    rm -rf "$work"
    exit 0
  fi
  rm -rf "$work"
fi
exec python3 "$here/upstream.py" "$suite" "$@"
