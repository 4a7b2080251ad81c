#!/usr/bin/env python3
"""Runs the specification's own suite against a server of ours and adds up what it reports.

    upstream.py PROGRAM [--config FILE]

Everything optional is on: what the suite skips or finds disabled counts as failed.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import harness
from run import SETTINGS

RUN_SECONDS_MAX = 600
EVERYTHING = {name: "true" for name in (
    "OCI_API_BLOBS_ATOMIC", "OCI_API_BLOBS_DELETE", "OCI_API_BLOBS_DIGEST_HEADER", "OCI_API_BLOBS_MOUNT_ANONYMOUS",
    "OCI_API_BLOBS_UPLOAD_CANCEL", "OCI_API_MANIFESTS_ATOMIC", "OCI_API_MANIFESTS_DELETE",
    "OCI_API_MANIFESTS_DIGEST_HEADER", "OCI_API_MANIFESTS_TAG_PARAM", "OCI_API_TAGS_ATOMIC", "OCI_API_TAGS_DELETE",
    "OCI_API_TAGS_LIST", "OCI_API_REFERRER", "OCI_DATA_SPARSE", "OCI_DATA_SHA512")}


def main():
    program, settings = sys.argv[1], SETTINGS
    if "--config" in sys.argv:
        with open(sys.argv[sys.argv.index("--config") + 1]) as f:
            settings = f.read() + "\n" + settings
    passed = failed = 0
    for version in ("1.1", "dev"):
        with harness.Server.temporary(config=settings) as server, tempfile.TemporaryDirectory() as results:
            environment = dict(os.environ, OCI_REGISTRY=server.host, OCI_TLS="disabled", OCI_REPO1="conformance/one",
                               OCI_REPO2="conformance/two", OCI_USERNAME=harness.ADMIN, OCI_PASSWORD=server.password,
                               OCI_VERSION=version, OCI_RESULTS_DIR=results, **EVERYTHING)
            done = subprocess.run([program], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=RUN_SECONDS_MAX)
        counts = {name.lower(): int(number) for name, number in re.findall(r"^\s+(\w+)\.+:\s+(\d+)$", done.stdout, re.M)}
        good = counts.get("pass", 0)
        print("upstream suite, version %s: %s" % (version, counts))
        passed, failed = passed + good, failed + counts.get("total", 1) - good
        if done.returncode != 0 or not counts:
            print((done.stdout + done.stderr)[-20000:])
            failed = failed or 1
    print("test result: %s. %d passed; %d failed; 0 ignored; 0 measured; 0 filtered out"
          % ("FAILED" if failed else "ok", passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
