#!/usr/bin/env python3
"""An advisory imported while the server runs opens a finding on an image pushed before, within a
second and without reading a layer; withdrawn, it closes it again; both say why."""
import io
import json
import os
import sys
import tarfile
import tempfile
import time
import zipfile

import harness
from harness import OCI_MANIFEST, Server, Tally, image_of, sha256

REPOSITORY = "advisory/app"
# From the end of the import to the change being visible.
SECONDS_MAX = 1.0
PATIENCE_SECONDS = 20
LAYERS_READ = "lazaret_layers_read_total"


def record(name, package, **fields):
    return dict({
        "schema_version": "1.6.0", "id": name, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "summary": "A defect made up for a test", "aliases": [],
        "affected": [{"package": {"ecosystem": "PyPI", "name": package},
                      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]}],
    }, **fields)


def import_records(server, folder, *records):
    """Replaces the PyPI export by one with these records."""
    path = os.path.join(folder, "PyPI", "all.zip")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for one in records:
            archive.writestr(one["id"] + ".json", json.dumps(one))
    done = server.command("advisories", "import", os.path.dirname(path), "--db", server.db)
    if done.returncode:
        sys.exit("import: " + done.stderr)
    return time.monotonic()


def layer():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        content = b"Metadata-Version: 2.1\nName: madeup\nVersion: 1.5\n"
        info = tarfile.TarInfo("site-packages/madeup-1.5.dist-info/METADATA")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def wait_for(api, digest, count, since):
    """Seconds until the image has that many findings, and the findings."""
    while True:
        findings = [f for f in api.findings(REPOSITORY, digest) if f["status"] == "open"]
        seconds = time.monotonic() - since
        if len(findings) == count or seconds > PATIENCE_SECONDS:
            return seconds, findings
        time.sleep(0.01)


def main():
    tally = Tally("an advisory comes and goes")
    unrelated = record("PYSEC-2026-9001", "another-package")
    about_it = record("PYSEC-2026-9002", "madeup", aliases=["CVE-2026-90002"])
    with tempfile.TemporaryDirectory() as folder, Server.temporary() as server:
        import_records(server, folder, unrelated)
        registry, api = server.registry(), server.api()
        content = layer()
        config, manifest = image_of([content])
        for blob in (content, config):
            registry.upload(REPOSITORY, sha256(blob), blob, len(blob))
        status, _, body = registry.put_manifest(REPOSITORY, "1", manifest, OCI_MANIFEST)
        tally.check("the image is pushed", status == 201, body)
        digest = sha256(manifest)
        tally.check("it has no finding", api.findings(REPOSITORY, digest) == [])
        read = api.metric(LAYERS_READ)

        seconds, findings = wait_for(api, digest, 1, import_records(server, folder, unrelated, about_it))
        tally.check("a finding opens", [f["cves"] for f in findings] == [["CVE-2026-90002"]], findings)
        tally.check("within a second", seconds < SECONDS_MAX, "%.2f s" % seconds)
        print("opened %.0f ms after the import" % (seconds * 1000))
        tally.check("the image is unhealthy", api.image(REPOSITORY, digest)[1]["status"] == "unhealthy")

        seconds, findings = wait_for(api, digest, 0, import_records(
            server, folder, unrelated, dict(about_it, withdrawn="2026-01-03T00:00:00Z", modified="2026-01-03T00:00:00Z")))
        tally.check("withdrawn, it closes", findings == [], findings)
        tally.check("within a second", seconds < SECONDS_MAX, "%.2f s" % seconds)
        print("closed %.0f ms after the import" % (seconds * 1000))

        history = [(event["what"], event["cause"]["kind"], event["cause"]["detail"])
                   for event in api.all(api.image_path(REPOSITORY, digest) + "/history")]
        tally.check("history tells both", [what for what, _, _ in history] == ["closed", "opened"], history)
        tally.check("each with its cause", all(kind for _, kind, _ in history), history)
        print("history:", history)
        tally.check("no layer was read for it", api.metric(LAYERS_READ) == read and read == 1, (read, api.metric(LAYERS_READ)))
        if tally.failures:
            print(server.log())
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
