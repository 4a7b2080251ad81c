#!/usr/bin/env bash
# `make run`: build, fill the advisory index, start the server, push a sample image, show its
# findings, and keep serving until Ctrl-C. ONCE=1 stops after the summary.
# PROFILE=dev (builds in half the time) or release (for real use), DATA=DIR, LISTEN=ADDR, LAZARET_ADMIN_PASSWORD.
set -euo pipefail
. "$(dirname "$0")/common.sh"

cd "$root"
profile="${PROFILE:-dev}"
data="${DATA:-$root/out/data}"
listen="${LISTEN:-127.0.0.1:8080}"
repository=demo/python-app

"$root/scripts/tools.sh" system portal sample
"$root/scripts/portal_build.sh"
if [ -n "${LAZARET_BIN:-}" ]; then
  program=$LAZARET_BIN
else
  say "building lazaret ($profile profile)"
  cargo build --locked --profile "$profile" --package server </dev/null
  program="$(target_dir)/$([ "$profile" = dev ] && echo debug || echo "$profile")/lazaret"
fi

mkdir -p "$data"
# The first start prints or takes the password; later starts keep the account as it is.
if [ -f "$root/out/admin-password" ]; then
  LAZARET_ADMIN_PASSWORD=$(cat "$root/out/admin-password")
elif [ -z "${LAZARET_ADMIN_PASSWORD:-}" ]; then
  LAZARET_ADMIN_PASSWORD=$(python3 -c 'import secrets; print(secrets.token_urlsafe(12))')
fi
export LAZARET_ADMIN_PASSWORD
(umask 077; printf '%s' "$LAZARET_ADMIN_PASSWORD" >"$root/out/admin-password")

if [ -z "$(ls -A "$data/advisories" 2>/dev/null)" ]; then
  "$root/scripts/advisories.sh" "$program" "$data/advisories"
fi

sample="$root/out/sample"
[ -f "$sample/index.json" ] || { say "building the sample image"; python3 "$root/scripts/sample_image.py" "$sample"; }

say "starting lazaret on http://$listen"
"$program" serve --http --data "$data" --listen "$listen" </dev/null &
server=$!
stop() { kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
trap stop EXIT
trap 'exit 0' INT TERM
until curl -so /dev/null "http://$listen/v2/"; do
  kill -0 "$server" 2>/dev/null || { echo "lazaret did not start; see above" >&2; exit 1; }
  sleep 0.1
done

say "pushing the sample image to $listen/$repository:1"
if have skopeo; then
  skopeo --insecure-policy copy --quiet --dest-tls-verify=false --dest-creds "admin:$LAZARET_ADMIN_PASSWORD" \
    "oci:$sample:latest" "docker://$listen/$repository:1" </dev/null
  python3 "$root/scripts/findings.py" "http://$listen" "$repository" "$sample"
else
  python3 "$root/scripts/findings.py" --push 1 "http://$listen" "$repository" "$sample"
fi

cat <<TXT

Portal   http://$listen/
Login    admin / $LAZARET_ADMIN_PASSWORD   (kept in out/admin-password)
Push     skopeo copy --dest-tls-verify=false --dest-creds admin:PASSWORD oci:DIR docker://$listen/team/app:1
Data     $data
TXT
[ "${ONCE:-0}" != 1 ] || exit 0
echo "Ctrl-C stops it."
wait "$server"
