#!/usr/bin/env python3
"""A registry with a million tags: start-up, lists, manifests, idle cost and memory.

Half of the tags are in one repository, the rest in 10,000 others; a manifest for every four tags, an
inspected image of ten packages for each manifest. The rows are written straight into the database of
a server that has made its schema; then the real server runs on it. wrk asks, one client at a time.

BENCH_TAGS (1000000), BENCH_SECONDS (2, of each wrk run), BENCH_DIR, LAZARET_BIN.
"""
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import measure
from measure import harness

TAGS = int(os.environ.get("BENCH_TAGS", 1000000))
SECONDS = os.environ.get("BENCH_SECONDS", "2")
REPOSITORIES = 10000
TAGS_PER_MANIFEST = 4
PACKAGES = 20000
PACKAGES_PER_IMAGE = 10
# No server has newer analysers, so nothing waits to be inspected again.
ANALYSER_VERSION = 1 << 30
IDLE_SECONDS = 15
STARTS = 5
BIG = "big/app"
NOW = 1700000000000


def repository(number):
    return "team-%03d/app-%05d" % (number % 200, number)


def manifest(number):
    layer = hashlib.sha256(b"layer %d" % number).hexdigest()
    return json.dumps({
        "schemaVersion": 2, "mediaType": harness.OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + layer, "size": number}]}).encode()


def fill(path):
    """Gives the digest of a manifest of the large repository."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -1000000")
    many = database.executemany
    many("INSERT INTO repositories (id, name, created_at) VALUES (?, ?, ?)",
         [(1, BIG, NOW)] + [(n + 2, repository(n), NOW) for n in range(REPOSITORIES)])
    many("INSERT INTO packages (id, namespace, type, name, version, arch, source_name, source_version, match_name)"
         " VALUES (?, 'debian:12', 'deb', ?, ?, 'amd64', ?, ?, ?)",
         ((n + 1, "package-%d" % n, "1.%d-1" % n, "package-%d" % n, "1.%d-1" % n, "package-%d" % n) for n in range(PACKAGES)))
    count = TAGS // TAGS_PER_MANIFEST
    in_big = count // 2

    def owner(number):
        return 1 if number < in_big else 2 + number % REPOSITORIES

    digests = []
    for start in range(0, count, 50000):
        rows = []
        for number in range(start, min(count, start + 50000)):
            raw = manifest(number)
            digests.append("sha256:" + hashlib.sha256(raw).hexdigest())
            rows.append((number + 1, owner(number), digests[-1], harness.OCI_MANIFEST, len(raw), NOW + number, raw))
        many("INSERT INTO manifests (id, repository_id, digest, media_type, size, annotations, pushed_at, pushed_by, bytes)"
             " VALUES (?, ?, ?, ?, ?, '{}', ?, 'bench', ?)", rows)
        many("INSERT INTO images (id, digest, analyser_version, scan_state, scan_trigger, started_at, finished_at, platform,"
             " problems, status, packages) VALUES (?, ?, ?, 'done', 'push', 0, 0, '{}', '[]', 'healthy', ?)",
             ((row[0], row[2], ANALYSER_VERSION, PACKAGES_PER_IMAGE) for row in rows))
        many("INSERT INTO image_packages (image_id, package_id, ordinal, path, judged) VALUES (?, ?, 0, 'var/lib/dpkg/status', 1)",
             ((row[0], (row[0] * 7 + n * 1999) % PACKAGES + 1) for row in rows for n in range(PACKAGES_PER_IMAGE)))
        many("INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
             ((row[1], "v%07d-%d" % (row[0], n), row[0], NOW, NOW) for row in rows for n in range(TAGS_PER_MANIFEST)))
    database.commit()
    counted = [database.execute("SELECT COUNT(*) FROM " + table).fetchone()[0] for table in ("repositories", "manifests", "tags", "image_packages")]
    database.close()
    return digests[in_big // 2], counted


def start_seconds(server):
    """From the start of the process to its first answer."""
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def latency(server, path, accept="application/json"):
    """Median and 99th percentile in milliseconds, one client."""
    command = ["wrk", "-t1", "-c1", "-d%ss" % SECONDS, "--latency", "-H", "Authorization: " + server.registry().authorization,
               "-H", "Accept: " + accept, server.url + path]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, (path, done.stdout)
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}

    def at(percent):
        value, name = re.search(percent + r"%\s+([0-9.]+)(us|ms|s)\s", done.stdout).groups()
        return float(value) * unit[name]

    return "%8.2f  %8.2f" % (at("50"), at("99"))


def main():
    if not shutil.which("wrk"):
        harness.skip("million", "wrk is not installed (scripts/tools.sh peers)")
    folder = tempfile.mkdtemp(prefix="lazaret-million-", dir=os.environ.get("BENCH_DIR"))
    server = harness.Server(os.path.join(folder, "data"), program=measure.program())
    try:
        empty = start_seconds(server)
        server.stop()
        began = time.monotonic()
        digest, (repositories, manifests, tags, packages) = fill(os.path.join(server.data, "lazaret.db"))
        print("filled in %.0f s: %d repositories, %d manifests, %d tags, %d packages of images" % (
            time.monotonic() - began, repositories, manifests, tags, packages))
        figures = {"database, MiB": os.path.getsize(os.path.join(server.data, "lazaret.db")) / measure.MIB, "start with nothing stored, s": empty}
        starts = []
        for _ in range(STARTS):
            starts.append(start_seconds(server))
            server.stop()
        figures["start, s (median of %d)" % STARTS] = measure.median(starts)
        measure.import_advisories(server)
        figures["first start with advisories, s"] = start_seconds(server)
        time.sleep(IDLE_SECONDS)
        server.stop()
        figures["later start with advisories, s"] = start_seconds(server)
        status, _, body = server.registry().call("GET", "/v2/%s/tags/list?n=10" % BIG)
        assert status == 200 and len(json.loads(body)["tags"]) == 10, (status, body)
        cpu = measure.processor_seconds(server.process.pid)
        time.sleep(IDLE_SECONDS)
        figures["processor ms per second when idle"] = (measure.processor_seconds(server.process.pid) - cpu) * 1000 / IDLE_SECONDS
        in_big = TAGS // TAGS_PER_MANIFEST // 2
        tag = "v%07d-1" % (in_big // 2)
        paths = {
            "tags, first page of 1,000": "/v2/%s/tags/list" % BIG,
            "tags, page of 1,000 in the middle": "/v2/%s/tags/list?last=%s" % (BIG, tag),
            "tags, last page": "/v2/%s/tags/list?last=v%07d-0" % (BIG, in_big - 20),
            "tags of a small repository": "/v2/%s/tags/list" % repository(5),
            "catalogue, first page of 1,000": "/v2/_catalog",
            "catalogue, page of 1,000 in the middle": "/v2/_catalog?last=" + repository(100),
            "manifest by tag": "/v2/%s/manifests/%s" % (BIG, tag),
            "manifest by digest": "/v2/%s/manifests/%s" % (BIG, digest),
        }
        for name, path in paths.items():
            figures["%s, ms: median, p99" % name] = latency(server, path, harness.OCI_MANIFEST + ", application/json")
        rss, anonymous, peak = measure.status_kib(server.process.pid, "VmRSS", "RssAnon", "VmHWM")
        figures.update({"resident MiB": rss / 1024, "of which not pages of files": anonymous / 1024, "peak MiB": peak / 1024})
        measure.report("a million tags" if TAGS == 1000000 else "%d tags" % TAGS, figures)
        print("load average: %s" % " ".join("%.1f" % load for load in os.getloadavg()))
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
