#!/usr/bin/env python3
"""How long after the manifest PUT the verdict is stored, and whether shared layers are read again.

Images whose layers were just pushed, one after the other on one connection. Measured at the client:
from sending the manifest to having its answer, which comes after the verdict is stored; that it is
stored is checked by reading the image right after. Then a second image on the same layers: no layer
may be read for it, which the server's own counter says.

BENCH_IMAGES (300), LAZARET_BIN.
"""
import io
import json
import os
import sys
import tarfile
import time

import measure
from measure import harness
from harness import OCI_MANIFEST, Layout, Server, image_of, sha256

IMAGES = int(os.environ.get("BENCH_IMAGES", 300))
# How often the server had to read a layer's bytes, whether while it arrived or later.
LAYERS_READ = os.environ.get("LAYERS_READ_METRIC", "lazaret_layers_read_total")
REPOSITORY = "bench/verdict"


def tar_of(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def layers_of(number, base_status):
    """A Debian layer whose database is unlike any other, and one with old Python packages."""
    own = b"Package: own-%d\nStatus: install ok installed\nArchitecture: all\nVersion: 1.%d\n\n" % (number, number)
    python = [("usr/lib/python3/site-packages/%s-%s.dist-info/METADATA" % (name, version),
               b"Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name.encode(), version.encode()))
              for name, version in (("Django", "2.2.%d" % (number % 20)), ("PyYAML", "5.1"), ("Jinja2", "2.10"))]
    return [
        tar_of([("etc/os-release", b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'), ("var/lib/dpkg/status", base_status + own)]),
        tar_of(python + [("app/number", b"%d" % number)]),
    ]


def debian_status():
    """The dpkg database of a real image, or a small one."""
    corpus = harness.corpus()
    try:
        layout = Layout(os.path.join(corpus or "", "debian-bookworm"))
        manifest = json.loads(layout.read(layout.entries()[0]["digest"]))
        with tarfile.open(layout.path(manifest["layers"][0]["digest"])) as tar:
            return tar.extractfile(next(m for m in tar if m.name.lstrip("./") == "var/lib/dpkg/status")).read()
    except (OSError, tarfile.TarError, StopIteration):
        print("without the corpus: a small package database instead of Debian's")
        return b"Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.11-1\n\n"


def push_layers(registry, blobs):
    for blob in blobs:
        status, body = registry.upload(REPOSITORY, sha256(blob), blob, len(blob))
        if status != 201:
            sys.exit("push: %s %s" % (status, body))


def put_manifest(registry, manifest, tag):
    began = time.monotonic()
    status, headers, body = registry.put_manifest(REPOSITORY, tag, manifest, OCI_MANIFEST)
    seconds = time.monotonic() - began
    if status != 201:
        sys.exit("manifest: %s %s" % (status, body))
    return seconds


def main():
    status = debian_status()
    with Server.temporary(program=measure.program()) as server:
        measure.import_advisories(server)
        server.kill()
        server.start()
        registry, api = server.registry(), server.api()
        fresh, shared, findings, late = [], [], 0, 0
        for number in range(IMAGES):
            layers = layers_of(number, status)
            config, manifest = image_of(layers)
            push_layers(registry, layers + [config])
            fresh.append(put_manifest(registry, manifest, "fresh-%d" % number))
            _, image = api.image(REPOSITORY, sha256(manifest))
            late += image["scan"]["state"] != "done"
            findings = max(findings, sum(image["severities"].values()))
        read_before = api.metric(LAYERS_READ)
        for number in range(IMAGES):
            config, manifest = image_of(layers_of(number, status), Labels={"number": str(number)})
            push_layers(registry, [config])
            shared.append(put_manifest(registry, manifest, "shared-%d" % number))
            _, image = api.image(REPOSITORY, sha256(manifest))
            late += image["scan"]["state"] != "done"
        read_after = api.metric(LAYERS_READ)
    measure.report("verdict at push, %d images" % IMAGES, {
        "packages, findings of an image": "%d, %d" % (image["packages"], findings),
        "fresh layers: median ms": measure.median(fresh) * 1000,
        "fresh layers: p99 ms": measure.percentile(fresh, 99) * 1000,
        "fresh layers: worst ms": max(fresh) * 1000,
        "shared layers: median ms": measure.median(shared) * 1000,
        "shared layers: p99 ms": measure.percentile(shared, 99) * 1000,
        "verdicts not there when the PUT answered": late,
        "layers read for the fresh images": read_before,
        "layers read for the images that share": None if read_before is None else read_after - read_before,
    })
    if late or read_before is None or read_after != read_before or read_before < IMAGES:
        sys.exit("FAILED: a verdict was late, or layers were read again, or the counter %s does not count" % LAYERS_READ)


if __name__ == "__main__":
    main()
