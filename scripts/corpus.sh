#!/usr/bin/env bash
# Builds the test images from the shared builder into the cache and prints where they are:
# corpus.sh [IMAGE...]. Images that are there are not built again, unless the builder changed.
# Without the shared folder, or without the tools, it says what is missing and builds the rest.
set -euo pipefail
. "$(dirname "$0")/common.sh"

out="${LAZARET_CORPUS:-$LAZARET_CACHE/corpus}"
builder="$LAZARET_SHARED/images/build.py"
# Fixed data: seconds, no network, no root.
fixed=(alpine-3.16 alpine-3.18 ubuntu-bionic-status hostile)
# From the package mirrors of this machine: root, mmdebstrap, pip, npm.
mirrored=(debian-bookworm debian-sid distroless-base distroless-python python-app node-app)

if [ ! -f "$builder" ]; then
  skipped "test images: no $builder (LAZARET_SHARED names another folder)" >&2
  exit 0
fi
stamp=$(cat "$LAZARET_SHARED"/images/*.py | sha256sum | cut -c1-16)
if [ -d "$out" ] && [ -f "$out/.stamp" ] && [ "$(cat "$out/.stamp")" != "$stamp" ]; then
  rm -rf "$out"
fi

wanted=("$@")
if [ ${#wanted[@]} -eq 0 ]; then
  wanted=("${fixed[@]}")
  if [ "$(id -u)" != 0 ]; then
    skipped "images ${mirrored[*]}: building them needs root" >&2
  elif ! have npm || ! have pip; then
    skipped "images ${mirrored[*]}: building them needs npm and pip" >&2
  else
    if ! have mmdebstrap || ! have zstd; then
      sh "$LAZARET_SHARED/images/deps.sh" >"$LAZARET_CACHE/corpus-deps.log" 2>&1 </dev/null || true
    fi
    if have mmdebstrap; then wanted+=("${mirrored[@]}"); else skipped "images ${mirrored[*]}: mmdebstrap cannot be installed" >&2; fi
  fi
fi

missing=()
for name in "${wanted[@]}"; do
  [ -e "$out/$name/index.json" ] || { [ "$name" = hostile ] && [ -d "$out/hostile/zstd-window" ]; } || missing+=("$name")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "building test images ${missing[*]} into $out" >&2
  mkdir -p "$out"
  # One image that cannot be built does not take the others away.
  python3 "$builder" --keep-work "$out" "${missing[@]}" >"$LAZARET_CACHE/corpus.log" 2>&1 </dev/null \
    || for name in "${missing[@]}"; do
         python3 "$builder" --keep-work "$out" "$name" >>"$LAZARET_CACHE/corpus.log" 2>&1 </dev/null \
           || { skipped "image $name: $(tail -n 1 "$LAZARET_CACHE/corpus.log")" >&2; rm -rf "${out:?}/$name"; }
       done
  echo "$stamp" >"$out/.stamp"
fi
printf '%s\n' "$out"
