#!/usr/bin/env bash
# The portal's flows in headless Chromium against a real server with a real image in it.
# PORTAL_URL points them at a server that already runs (then LAZARET_PASSWORD is its password).
set -euo pipefail
. "$(dirname "$0")/common.sh"

if ! have chromium && ! have chromium-browser && ! have google-chrome; then
  skipped "portal flows: no Chromium is installed"
  exit 0
fi
have npm || { skipped "portal flows: npm is not installed"; exit 0; }
"$root/scripts/portal_build.sh"

work=$(mktemp -d)
export LAZARET_USER=admin
if [ -n "${PORTAL_URL:-}" ]; then
  export LAZARET_URL=$PORTAL_URL
  trap 'rm -rf "$work"' EXIT
else
  program="${LAZARET_BIN:-$(target_dir)/debug/lazaret}"
  export LAZARET_PASSWORD=flows-$RANDOM$RANDOM
  export LAZARET_ADMIN_PASSWORD=$LAZARET_PASSWORD
  # Only what the image of the flows is about: the whole snapshot takes longer than the flows.
  shared="$LAZARET_SHARED/advisories"
  if [ -d "$shared" ]; then
    "$program" advisories import "$shared/osv/PyPI" "$shared/osv/npm" "$shared/debian" "$shared/kev" "$shared/epss" --db "$work/data/advisories" >"$work/import.log" 2>&1 </dev/null \
      || { cat "$work/import.log"; exit 1; }
  else
    "$root/scripts/advisories.sh" "$program" "$work/data/advisories"
  fi
  port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
  export LAZARET_URL="http://127.0.0.1:$port"
  "$program" serve --http --data "$work/data" --listen "127.0.0.1:$port" >"$work/server.log" 2>&1 </dev/null &
  server=$!
  trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
  for _ in $(seq 600); do
    curl -so /dev/null "$LAZARET_URL/v2/" && break
    kill -0 $server 2>/dev/null || { echo "the server does not start:"; cat "$work/server.log"; exit 1; }
    sleep 0.1
  done
  layout="${LAZARET_CORPUS:-$LAZARET_CACHE/corpus}/python-app"
  if [ ! -f "$layout/index.json" ]; then
    layout="$work/sample"
    python3 "$root/scripts/sample_image.py" --no-base "$layout" || python3 "$root/scripts/sample_image.py" --offline "$layout"
  fi
  python3 "$root/scripts/findings.py" --push 1 "$LAZARET_URL" demo/python-app "$layout"
fi

if ! curl -sL "$LAZARET_URL/" | grep -q 'type="module"'; then
  echo "the server at $LAZARET_URL has no portal in it: build the portal (make portal), then the server" >&2
  exit 1
fi

status=0
cd "$root/portal"
# A broken server fails every flow, each after its whole patience: ten say enough.
CI=true npx --no-install playwright test --reporter=list --max-failures=10 2>&1 </dev/null | tee "$work/flows.log" || status=$?
count() { sed -nE "s/^ *([0-9]+) $1.*/\1/p" "$work/flows.log" | tail -n 1; }
passed=$(count passed) failed=$(count failed)
[ "$status" -eq 0 ] || failed=${failed:-1}
result_line "${passed:-0}" "${failed:-0}"
if [ "$status" -ne 0 ] && [ -f "$work/server.log" ]; then tail -n 30 "$work/server.log"; fi
exit "$status"
