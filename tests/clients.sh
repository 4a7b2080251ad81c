#!/usr/bin/env bash
# Real clients against a real server: each logs in, pushes, pulls and compares digests.
# clients.sh [CONFIG-FILE]; the program is LAZARET_BIN or what cargo left in the target folder. Clients
# that are not installed are said to be skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../scripts/common.sh"

program="${LAZARET_BIN:-$(target_dir)/debug/lazaret}"
work=$(mktemp -d)
export LAZARET_ADMIN_PASSWORD=clients-$RANDOM$RANDOM XDG_RUNTIME_DIR="$work/run" REGISTRY_AUTH_FILE="$work/auth.json"
export DOCKER_CONFIG="$work/docker" REGCTL_CONFIG="$work/regctl.json"
export HELM_CONFIG_HOME="$work/helm" HELM_CACHE_HOME="$work/helm" HELM_DATA_HOME="$work/helm"
mkdir -p "$work/run" "$DOCKER_CONFIG"
passed=0 failed=0

good() { passed=$((passed + 1)); printf 'ok      %s\n' "$*"; }
bad() { failed=$((failed + 1)); printf 'FAILED  %s\n' "$*"; tail -n 5 "$work/out" | sed 's/^/        /'; }
# try WHAT COMMAND...: one check.
try() { local what=$1; shift; if "$@" >"$work/out" 2>&1 </dev/null; then good "$what"; else bad "$what"; return 0; fi; }
same() { if [ "$2" = "$3" ] && [ -n "$2" ]; then good "$1"; else echo "'$2' is not '$3'" >"$work/out"; bad "$1"; fi; }

port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
host="127.0.0.1:$port"
"$program" serve --http --data "$work/data" --listen "$host" ${1:+--config "$1"} >"$work/server.log" 2>&1 </dev/null &
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
# referrers REPOSITORY DIGEST [TYPE]: digests that refer to an image, sorted.
referrers() {
  curl -sf -u "admin:$LAZARET_ADMIN_PASSWORD" "http://$host/v2/$1/referrers/$2${3:+?artifactType=$3}" \
    | python3 -c 'import json,sys; print(*sorted(d["digest"] for d in json.load(sys.stdin)["manifests"]))'
}
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
  try "skopeo syncs a repository" skopeo --insecure-policy sync --src docker --src-tls-verify=false --dest dir "$host/clients/skopeo" "$work/synced"
  try "skopeo deletes" skopeo delete --tls-verify=false "docker://$host/clients/copy:1"
else
  skipped "skopeo: not installed"
fi

storage=(--root "$work/storage" --runroot "$work/runroot" --storage-driver vfs)
pushed=()
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
  if [ -n "$($client "${storage[@]}" images -q 2>/dev/null)" ]; then
    try "$client push, zstd:chunked" $client "${storage[@]}" push --tls-verify=false --compression-format zstd:chunked "$host/clients/$client:1" "docker://$host/clients/$client:zstd"
    try "$client makes an index" sh -c "$client ${storage[*]} manifest create several && $client ${storage[*]} manifest add --tls-verify=false several docker://$host/clients/$client:1"
    try "$client push of an index" $client "${storage[@]}" manifest push --tls-verify=false --all several "docker://$host/clients/$client:several"
    pushed+=("clients/$client:zstd" "clients/$client:several")
  fi
  $client "${storage[@]}" rmi -af >/dev/null 2>&1 </dev/null || true
done

for name in ${pushed[@]+"${pushed[@]}"}; do
  have skopeo || break
  rm -rf "$work/whole"
  try "$name: what it pushed is whole" skopeo --insecure-policy copy --all --src-tls-verify=false "docker://$host/$name" "oci:$work/whole:1"
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
  try "oras copies with what is attached" oras cp -r --from-plain-http --to-plain-http "$host/clients/oras:1" "$host/clients/oras-copy:1"
  same "oras copied what is attached" "$(referrers clients/oras-copy "$(served clients/oras 1)")" "$(referrers clients/oras "$(served clients/oras 1)")"
  try "oras lists tags" sh -c "oras repo tags --plain-http $host/clients/oras-copy | grep -qx 1"
  try "oras tags again" oras tag --plain-http "$host/clients/oras-copy:1" 2 3
  try "oras deletes" oras manifest delete --plain-http -f "$host/clients/oras-copy:1"
  same "oras deleted" "$(served clients/oras-copy 1)$(served clients/oras-copy 2)gone" gone
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
  try "crane lists tags" sh -c "crane ls --insecure $host/clients/crane-copy | grep -qx 1"
  try "crane tags again" crane tag --insecure "$host/clients/crane-copy:1" 2
  try "crane validates what is served" crane validate --insecure --remote "$host/clients/crane-copy:2"
  try "crane deletes" crane delete --insecure "$host/clients/crane-copy@$(served clients/crane-copy 1)"
  same "crane deleted" "$(served clients/crane-copy 1)$(served clients/crane-copy 2)gone" gone
else
  skipped "crane: not installed"
fi

if have regctl; then
  say "regctl $(regctl version --format '{{.VCSTag}}' 2>/dev/null)"
  try "regctl without TLS" regctl registry set "$host" --tls disabled
  try "regctl login" regctl registry login "$host" -u admin -p "$LAZARET_ADMIN_PASSWORD"
  try "regctl push" regctl image copy "ocidir://$layout:latest" "$host/clients/regctl:1"
  same "regctl pushed the same digest" "$(served clients/regctl 1)" "$digest"
  try "regctl pull" regctl image copy "$host/clients/regctl:1" "ocidir://$work/regctl:1"
  try "regctl pulled the same bytes" cmp "$layout/blobs/sha256/${digest#*:}" "$work/regctl/blobs/sha256/${digest#*:}"
  try "regctl lists tags" sh -c "regctl tag ls $host/clients/regctl | grep -qx 1"
  try "regctl lists repositories" sh -c "regctl repo ls $host | grep -qx clients/regctl"
  head -c 3000000 /dev/urandom >"$work/random"
  random=sha256:$(sha256sum "$work/random" | cut -d' ' -f1)
  try "regctl pushes a blob" sh -c "regctl blob put $host/clients/regctl <$work/random"
  try "regctl pulls the blob" sh -c "regctl blob get $host/clients/regctl $random | cmp - $work/random"
  try "regctl mounts the blob" regctl blob copy "$host/clients/regctl" "$host/clients/regctl-blob" "$random"
  try "regctl deletes the blob" regctl blob delete "$host/clients/regctl-blob" "$random"
  try "regctl attaches" regctl artifact put -f "$work/random" --artifact-type application/vnd.example.note --subject "$host/clients/regctl:1"
  try "regctl reads what is attached" sh -c "regctl artifact get --subject $host/clients/regctl:1 --filter-artifact-type application/vnd.example.note | cmp - $work/random"
  try "regctl copies with what is attached" regctl image copy --referrers --digest-tags "$host/clients/regctl:1" "$host/clients/regctl-copy:1"
  same "regctl copied what is attached" "$(referrers clients/regctl-copy "$digest")" "$(referrers clients/regctl "$digest")"
  try "regctl untags" regctl tag rm "$host/clients/regctl-copy:1"
  same "regctl only untagged" "$(served clients/regctl-copy 1)$(served clients/regctl-copy "$digest")" "$digest"
  try "regctl deletes" regctl manifest delete "$host/clients/regctl-copy@$digest"
  same "regctl deleted" "$(served clients/regctl-copy "$digest")gone" gone
else
  skipped "regctl: not installed"
fi

if have helm; then
  say "helm $(helm version --template '{{.Version}}' 2>/dev/null)"
  # A plus sign in a version is an underscore in its tag.
  (cd "$work" && helm create chart >/dev/null && sed -i 's/^version:.*/version: 1.2.3+build.7/' chart/Chart.yaml && helm package chart >/dev/null)
  chart=chart-1.2.3+build.7.tgz
  mkdir "$work/charts"
  try "helm login" helm registry login "$host" --plain-http -u admin -p "$LAZARET_ADMIN_PASSWORD"
  try "helm push" helm push --plain-http "$work/$chart" "oci://$host/charts"
  try "helm pull" helm pull --plain-http "oci://$host/charts/chart" --version 1.2.3+build.7 -d "$work/charts"
  try "helm pulled the same bytes" cmp "$work/$chart" "$work/charts/$chart"
  try "helm finds the newest version in a range" sh -c "helm show chart --plain-http oci://$host/charts/chart --version '>=1.0.0' | grep -q 'version: 1.2.3+build.7'"
else
  skipped "helm: not installed"
fi

if have cosign && have skopeo; then
  say "cosign $(cosign version 2>/dev/null | sed -n 's/^GitVersion: *//p')"
  export COSIGN_PASSWORD=cosign COSIGN_YES=true COSIGN_EXPERIMENTAL=1
  plain=(--allow-http-registry) offline=(--insecure-ignore-tlog --key "$work/cosign.pub" --allow-http-registry)
  signing=(--key "$work/cosign.key" --tlog-upload=false --allow-http-registry)
  image="$host/clients/cosign@$digest" tag=${digest/:/-}
  try "cosign's image is there" skopeo --insecure-policy copy --dest-tls-verify=false "oci:$layout:latest" "docker://$host/clients/cosign:1"
  try "cosign makes a key" sh -c "cd $work && cosign generate-key-pair"
  try "cosign login" cosign login "$host" -u admin -p "$LAZARET_ADMIN_PASSWORD"
  try "cosign refuses what is not signed" sh -c "! cosign verify ${offline[*]} $image"
  try "cosign signs under a tag" cosign sign "${signing[@]}" "$image"
  try "cosign verifies the tag" cosign verify "${offline[@]}" "$image"
  same "a signature tag is no referrer" "$(served clients/cosign "$tag.sig" | cut -c1-7)$(referrers clients/cosign "$digest")" "sha256:"
  try "cosign signs as a referrer" cosign sign "${signing[@]}" --registry-referrers-mode=oci-1-1 "$image"
  try "cosign verifies the referrer" cosign verify "${offline[@]}" --experimental-oci11 "$image"
  signature=$(referrers clients/cosign "$digest" application/vnd.dev.cosign.artifact.sig.v1%2Bjson)
  same "the signature is the referrer" "$(referrers clients/cosign "$digest")" "${signature:-none}"
  echo '{"name":"a document"}' >"$work/document.json"
  try "cosign attests" cosign attest "${signing[@]}" --type custom --predicate "$work/document.json" "$image"
  try "cosign verifies the attestation" cosign verify-attestation "${offline[@]}" --type custom "$image"
  try "cosign attaches an SBOM under a tag" cosign attach sbom "${plain[@]}" --sbom "$work/document.json" "$image"
  try "cosign reads the SBOM" sh -c "cosign download sbom ${plain[*]} $image | cmp - $work/document.json"
  try "cosign attaches an SBOM as a referrer" cosign attach sbom "${plain[@]}" --registry-referrers-mode oci-1-1 --sbom "$work/document.json" "$image"
  try "cosign signs with a bundle" cosign sign "${signing[@]}" --new-bundle-format "$image"
  try "cosign copies the image and what belongs to it" cosign copy "${plain[@]}" "$host/clients/cosign:1" "$host/clients/cosigned:1"
  try "cosign verifies the copy" cosign verify "${offline[@]}" "$host/clients/cosigned:1"
  # It tags the image by its digest, where other clients keep their index of referrers.
  same "an image under the tag for referrers adds none" "$(served clients/cosigned "$tag")$(referrers clients/cosigned "$digest")" "$digest"
  try "cosign cleans up" cosign clean -f "${plain[@]}" "$host/clients/cosigned:1"
  same "cosign's tags are gone" "$(served clients/cosigned "$tag.sig")$(served clients/cosigned 1)" "$digest"
else
  skipped "cosign: not installed"
fi

# Its module is not served by the module proxy; who has it otherwise gets it tested.
if have notation; then
  say "notation $(notation version 2>/dev/null | sed -n 's/^Version: *//p')"
  export NOTATION_USERNAME=admin NOTATION_PASSWORD=$LAZARET_ADMIN_PASSWORD XDG_CONFIG_HOME="$work/config"
  try "notation makes a certificate" notation cert generate-test --default lazaret.example
  cat >"$work/trust.json" <<'POLICY'
{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"strict"},
"trustStores":["ca:lazaret.example"],"trustedIdentities":["*"]}]}
POLICY
  try "notation's trust policy" notation policy import --force "$work/trust.json"
  try "notation signs" notation sign --insecure-registry "$host/clients/skopeo@$digest"
  try "notation lists" notation list --insecure-registry "$host/clients/skopeo@$digest"
  try "notation verifies" notation verify --insecure-registry "$host/clients/skopeo@$digest"
else
  skipped "notation: not installed, and the module proxy does not serve its module"
fi

[ $((passed + failed)) -gt 0 ] || skipped "all real clients: none is installed"
result_line "$passed" "$failed"
[ "$failed" -eq 0 ]
