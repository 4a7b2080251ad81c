#!/usr/bin/env bash
# Fills an advisory index: advisories.sh PROGRAM DB. Live feeds where they can be reached, else
# the shared snapshot, else the starter set of this project, which is old and says so.
set -euo pipefail
. "$(dirname "$0")/common.sh"

program=$1 db=$2
log="$LAZARET_CACHE/advisories-update.log"
# Feeds that cannot be reached fail at once; ones that trickle are given up.
UPDATE_SECONDS_MAX=600

say "advisories: trying the live feeds"
if timeout "$UPDATE_SECONDS_MAX" "$program" advisories update --db "$db" >"$log" 2>&1 </dev/null; then
  say "advisories: the live feeds are in"
  exit 0
fi
if grep -q 'keep their older data' "$log"; then
  # What came is newer than anything below; the rest shows its age.
  skipped "some live feeds: $(tail -n 1 "$log")"
  exit 0
fi
printf 'the live feeds cannot be reached: %s\n' "$(tail -n 1 "$log")"

if [ -d "$LAZARET_SHARED/advisories" ]; then
  say "advisories: importing the snapshot in $LAZARET_SHARED/advisories (older than the live feeds)"
  # What the importer knows; upstream's own formats in their own folders.
  paths=()
  for part in osv debian alpine kev epss eol; do
    [ -e "$LAZARET_SHARED/advisories/$part" ] && paths+=("$LAZARET_SHARED/advisories/$part")
  done
  if "$program" advisories import "${paths[@]}" --db "$db" --format table </dev/null; then exit 0; fi
  printf 'the snapshot cannot be imported\n' >&2
fi

for starter in "$root"/assets/starter-advisories.*; do
  [ -f "$starter" ] || continue
  say "advisories: unpacking the starter set; it is stale, and the portal says how old each source is"
  "$program" advisories unpack "$starter" --db "$db" </dev/null
  exit 0
done
skipped "advisories: none could be had, so every image will read as not assessed"
