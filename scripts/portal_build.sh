#!/usr/bin/env bash
# Builds the portal that the server embeds, unless what is there is newer than its sources.
set -euo pipefail
. "$(dirname "$0")/common.sh"

cd "$root/portal"
if ! have npm; then
  skipped "portal: npm is not installed, so the server will have no portal"
  exit 0
fi
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules ]; then
  say "installing the portal's packages"
  npm ci --no-audit --no-fund --loglevel=error </dev/null
  touch node_modules
fi
if [ -f dist/index.html ] && [ -z "$(find src public index.html vite.config.ts package-lock.json -newer dist/index.html -print -quit)" ]; then
  exit 0
fi
say "building the portal"
npm run --silent build </dev/null
