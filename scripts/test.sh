#!/usr/bin/env bash
# `make test`: everything that can be tested here. Each part runs whatever became of the others;
# the end says which failed. What needs something that is missing says `skipped: ...`.
set -uo pipefail
. "$(dirname "$0")/common.sh"
cd "$root" || exit 1

began=$SECONDS
failures=()
part() { # NAME COMMAND...
  local name=$1 at=$SECONDS
  shift
  say "$name"
  "$@" </dev/null || failures+=("$name")
  say "$name took $((SECONDS - at)) s"
}

"$root/scripts/tools.sh" system portal postgres clients objects azure-sdk
pythons=()
for sdk in now 2021; do
  python="$LAZARET_CACHE/azure-sdk-$sdk/bin/python3"
  [ ! -x "$python" ] || pythons+=("$python")
done
LAZARET_AZURE_SDK=$(IFS=:; echo "${pythons[*]-}")
export LAZARET_AZURE_SDK
part "portal check" scripts/portal_check.sh
part "unit, property and scenario tests" cargo test --locked --workspace --no-fail-fast
if ! part_build=$(cargo build --locked --package server 2>&1 </dev/null); then
  printf '%s\n' "$part_build" | tail -n 20
  failures+=("building the server")
else
  corpus=$(scripts/corpus.sh)
  [ -z "$corpus" ] || export LAZARET_CORPUS=$corpus
  part "conformance" python3 tests/conformance/run.py
  part "conformance over S3" env LAZARET_TEST_STORES=s3 python3 tests/conformance/run.py
  part "the specification's own suite" tests/conformance/upstream.sh
  part "real clients" tests/clients.sh
  part "the Azure client of registries" python3 tests/acr_sdk.py
  part "an advisory comes and goes" python3 tests/advisory.py
  part "inventories of real images" python3 tests/inventory.py
  part "hostile images" python3 tests/hostile.py
  part "hostile requests" python3 tests/http_fuzz.py
  part "policies" python3 tests/policies.py
  part "moving to other stores" python3 tests/migrate.py
  part "a full disk" python3 tests/disk_full.py
  part "kill -9" python3 tests/kill9.py "${KILL9_ROUNDS:-20}"
  part "kill -9 with collections" python3 tests/kill9_collect.py "${KILL9_ROUNDS:-20}"
  part "scrub, backup, restore" python3 tests/maintenance.py
  part "portal flows" scripts/portal_flows.sh
fi

say "tests took $((SECONDS - began)) s"
if [ ${#failures[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failures[@]}"
  exit 1
fi
