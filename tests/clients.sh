#!/usr/bin/env bash
# Real clients against a real server: each logs in, pushes, pulls and compares digests.
# clients.sh; the program is LAZARET_BIN or what cargo left in the target folder. Clients that
# are not installed are said to be skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../scripts/common.sh"

program="${LAZARET_BIN:-$(target_dir)/debug/lazaret}"
work=$(mktemp -d)
export LAZARET_ADMIN_PASSWORD=clients-$RANDOM$RANDOM XDG_RUNTIME_DIR="$work/run" REGISTRY_AUTH_FILE="$work/auth.json"
export DOCKER_CONFIG="$work/docker"
mkdir -p "$work/run" "$DOCKER_CONFIG"
passed=0 failed=0

good() { passed=$((passed + 1)); printf 'ok      %s\n' "$*"; }
bad() { failed=$((failed + 1)); printf 'FAILED  %s\n' "$*"; tail -n 5 "$work/out" | sed 's/^/        /'; }
# try WHAT COMMAND...: one check.
try() { local what=$1; shift; if "$@" >"$work/out" 2>&1 </dev/null; then good "$what"; else bad "$what"; return 0; fi; }
same() { if [ "$2" = "$3" ] && [ -n "$2" ]; then good "$1"; else echo "'$2' is not '$3'" >"$work/out"; bad "$1"; fi; }

port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
host="127.0.0.1:$port"
"$program" serve --http --data "$work/data" --listen "$host" >"$work/server.log" 2>&1 </dev/null &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 600); do
  curl -so /dev/null "http://$host/v2/" && break
  kill -0 $server 2>/dev/null || { echo "the server does not start:"; cat "$work/server.log"; exit 1; }
  sleep 0.1
done
echo "running real clients against $host"

# A small image that needs no network: the sample's layout without its base.
layout="$work/layout"
python3 "$root/scripts/sample_image.py" --offline "$layout" >/dev/null
digest=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$layout/index.json")
served() { curl -sfI -u "admin:$LAZARET_ADMIN_PASSWORD" -H 'Accept: */*' "http://$host/v2/$1/manifests/$2" | tr -d '\r' | sed -n 's/^docker-content-digest: //Ip'; }

if have skopeo; then
  say "$(skopeo --version)"
  try "skopeo login" skopeo login --tls-verify=false -u admin -p "$LAZARET_ADMIN_PASSWORD" "$host"
  try "skopeo refuses a wrong password" sh -c "! skopeo login --authfile '$work/none.json' --tls-verify=false -u admin -p wrong '$host'"
  try "skopeo push" skopeo --insecure-policy copy --dest-tls-verify=false "oci:$layout:latest" "docker://$host/clients/skopeo:1"
  same "skopeo pushed the same digest" "$(served clients/skopeo 1)" "$digest"
  try "skopeo push, Docker types" skopeo --insecure-policy copy --format v2s2 --dest-tls-verify=false "oci:$layout:latest" "docker://$host/clients/skopeo:v2s2"
  try "skopeo pull" skopeo --insecure-policy copy --src-tls-verify=false "docker://$host/clients/skopeo:1" "oci:$work/pulled:latest"
  same "skopeo pulled the same digest" "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$work/pulled/index.json" 2>/dev/null)" "$digest"
  try "skopeo copies between repositories" skopeo --insecure-policy copy --src-tls-verify=false --dest-tls-verify=false "docker://$host/clients/skopeo:1" "docker://$host/clients/copy:1"
  try "skopeo lists tags" sh -c "skopeo list-tags --tls-verify=false docker://$host/clients/skopeo | grep -q v2s2"
  try "skopeo deletes" skopeo delete --tls-verify=false "docker://$host/clients/copy:1"
else
  skipped "skopeo: not installed"
fi

storage=(--root "$work/storage" --runroot "$work/runroot" --storage-driver vfs)
for client in podman buildah; do
  if ! have $client; then skipped "$client: not installed"; continue; fi
  say "$($client --version)"
  if ! $client "${storage[@]}" images >"$work/out" 2>&1 </dev/null; then
    skipped "$client: it does not run here: $(tail -n 1 "$work/out")"
    continue
  fi
  try "$client login" $client login --tls-verify=false -u admin -p "$LAZARET_ADMIN_PASSWORD" "$host"
  try "$client pull" $client "${storage[@]}" pull --tls-verify=false "$host/clients/skopeo:1"
  if [ -n "$($client "${storage[@]}" images -q 2>/dev/null)" ]; then
    try "$client tag" $client "${storage[@]}" tag "$host/clients/skopeo:1" "$host/clients/$client:1"
    try "$client push" $client "${storage[@]}" push --tls-verify=false "$host/clients/$client:1"
    try "$client pulls what it pushed" sh -c "$client ${storage[*]} rmi -f $host/clients/$client:1 && $client ${storage[*]} pull --tls-verify=false $host/clients/$client:1"
  fi
  $client "${storage[@]}" rmi -af >/dev/null 2>&1 </dev/null || true
done

if have oras; then
  say "oras $(oras version 2>/dev/null | head -n 1)"
  echo 'a plain file' >"$work/note.txt"
  try "oras login" oras login --plain-http -u admin -p "$LAZARET_ADMIN_PASSWORD" "$host"
  try "oras push" sh -c "cd $work && oras push --plain-http $host/clients/oras:1 --artifact-type application/vnd.example.note note.txt:text/plain"
  try "oras pull" oras pull --plain-http -o "$work/oras" "$host/clients/oras:1"
  try "oras pulled the same bytes" cmp "$work/note.txt" "$work/oras/note.txt"
  try "oras attach" sh -c "cd $work && oras attach --plain-http $host/clients/oras:1 --artifact-type application/vnd.example.sbom note.txt:text/plain"
  try "oras discovers what is attached" sh -c "oras discover --plain-http --format json $host/clients/oras:1 | grep -q vnd.example.sbom"
  try "oras copies an image" oras cp --from-oci-layout --to-plain-http "$layout:latest" "$host/clients/oras-image:1"
  same "oras pushed the same digest" "$(served clients/oras-image 1)" "$digest"
else
  skipped "oras: not installed"
fi

if have crane; then
  say "crane $(crane version 2>/dev/null)"
  try "crane login" crane auth login -u admin -p "$LAZARET_ADMIN_PASSWORD" "$host"
  try "crane push" crane push --insecure "$layout" "$host/clients/crane:1"
  try "crane pull" crane pull --insecure --format oci "$host/clients/crane:1" "$work/crane"
  same "crane sees its own digest served" "$(crane digest --insecure "$host/clients/crane:1" 2>/dev/null)" "$(served clients/crane 1)"
  try "crane lists the catalog" sh -c "crane catalog --insecure $host | grep -q clients/crane"
  try "crane mounts across repositories" crane copy --insecure "$host/clients/crane:1" "$host/clients/crane-copy:1"
else
  skipped "crane: not installed"
fi

[ $((passed + failed)) -gt 0 ] || skipped "all real clients: none is installed"
result_line "$passed" "$failed"
[ "$failed" -eq 0 ]
