#!/usr/bin/env python3
"""Holds `lazaret inventory` against the inventories that other tools took of the same images.

    inventory.py [IMAGE...]      images are in LAZARET_CORPUS, see scripts/corpus.sh

Equal means: the same packages with the same versions, each brought in by the same layer, and
nothing extra. Names are compared without regard to case for PyPI, where `-`, `_` and `.` are
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
    optional = {key(p) for p in want if p.get("notes")}
    wanted, gotten = collections.Counter(map(key, want)), collections.Counter(map(key, got))
    missing = [k for k in wanted if k not in gotten and k not in optional]
    extra = [k for k in gotten if k not in wanted]
    tally.check("%s: every package is found" % name, not missing, "%d missing: %s" % (len(missing), sorted(missing)[:4]))
    tally.check("%s: nothing extra" % name, not extra, "%d extra: %s" % (len(extra), sorted(extra)[:4]))

    layers, found_layers = collections.defaultdict(set), collections.defaultdict(set)
    for package in want:
        layers[key(package)].add(package["layer"])
    for package in got:
        found_layers[key(package)].add(package["layer"])
    moved = [(k, sorted(layers[k]), sorted(found_layers[k], key=str)) for k in layers if k in found_layers and not found_layers[k] <= layers[k]]
    tally.check("%s: each from its own layer" % name, not moved, "%d elsewhere: %s" % (len(moved), moved[:4]))

    sources = {(key(p), p.get("arch")): (p["source"], p["source_version"]) for p in want if p.get("source_version")}
    wrong = [(k, sources[k, p.get("arch")], p.get("source")) for p in got for k in [key(p)]
             if (k, p.get("arch")) in sources and source_name(p) != sources[k, p.get("arch")][0]]
    tally.check("%s: source packages are named" % name, not wrong, "%d wrong: %s" % (len(wrong), wrong[:4]))


def source_name(package):
    source = package.get("source")
    return source.get("name") if isinstance(source, dict) else source or package["name"]


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
