#!/usr/bin/env python3
"""Holds `lazaret inventory` against the inventories that other tools took of the same images.

    inventory.py [IMAGE...]      images are in LAZARET_CORPUS, see scripts/corpus.sh

Equal means: the same packages with the same versions, as often as they are installed, each brought
in by the same layer, seen in the same file, built from the same source package, and nothing extra. Names are compared without regard to case for PyPI, where `-`, `_` and `.` are
alike too. A scanner may leave out what the expected list marks with `notes`, and what is not a
package of a type that this version reads (TYPES).
"""
import collections
import json
import os
import subprocess
import sys

import harness
from harness import Tally

TYPES = {"deb", "apk", "pypi", "npm"}


def key(package):
    name = package["name"]
    if package["type"] == "pypi":
        name = name.lower().replace("_", "-").replace(".", "-")
    return package["type"], name, package["version"]


def expected_of(path):
    with open(path) as f:
        return json.load(f)


def compare(tally, name, expected, found):
    want = [p for p in expected["packages"] if p["type"] in TYPES]
    got = [p for p in found if p["type"] in TYPES]
    optional = collections.Counter(key(p) for p in want if p.get("notes"))
    wanted, gotten = collections.Counter(map(key, want)), collections.Counter(map(key, got))
    missing, extra = wanted - gotten - optional, gotten - wanted
    tally.check("%s: every package is found" % name, not missing, said(missing))
    tally.check("%s: nothing extra" % name, not extra, said(extra))

    # What is there must be there for the same reason: its layer, its file, its source package.
    pools = collections.defaultdict(list)
    for package in got:
        pools[key(package)].append(package)
    elsewhere, unseen, unsourced = [], [], []
    for package in want:
        candidates = pools[key(package)]
        if not candidates:
            continue
        same_layer = [c for c in candidates if c["layer"] == package["layer"]]
        same_file = [c for c in same_layer if is_at(c["path"], package["path"])]
        best = (same_file or same_layer or candidates)[0]
        if not same_layer:
            elsewhere.append((key(package), package["layer"], best["layer"]))
        elif not same_file:
            unseen.append((key(package), package["path"], best["path"]))
        candidates.remove(best)
        if package.get("source_version"):
            source = (package["source"], package["source_version"])
            if (best["source"], best["source_version"]) != source:
                unsourced.append((key(package), source, (best["source"], best["source_version"])))
    for what, wrong in (("from its own layer", elsewhere), ("seen in its own file", unseen), ("of its source package", unsourced)):
        tally.check("%s: each %s" % (name, what), not wrong, "%d are not: %s" % (len(wrong), wrong[:4]))


def is_at(path, expected):
    """Expected paths name the file, or the folder that holds the package's metadata."""
    return path == expected or path.startswith(expected.rstrip("/") + "/")


def said(counter):
    return "%d: %s" % (counter.total(), sorted(counter)[:4])


def main():
    corpus = harness.corpus()
    if corpus is None:
        harness.skip("inventories of real images", "no corpus at hand; scripts/corpus.sh builds it")
    names = sys.argv[1:] or sorted(f[:-5] for f in os.listdir(os.path.join(corpus, "expected")) if f.endswith(".json"))
    tally, program = Tally("inventories of %d images" % len(names)), harness.binary()
    for name in names:
        expected = expected_of(os.path.join(corpus, "expected", name + ".json"))
        layout = os.path.join(corpus, name if "manifest" not in expected else name.rsplit(".", 1)[0])
        if not any(p["type"] in TYPES for p in expected["packages"]) or not os.path.isdir(layout):
            continue
        answer = subprocess.run([program, "inventory", "oci:" + layout, "--platform", expected["platform"], "--format", "json"],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if tally.check("%s: is read" % name, answer.returncode == 0, answer.stderr[-300:]):
            compare(tally, name, expected, json.loads(answer.stdout)["packages"])
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
