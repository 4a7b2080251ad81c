#!/usr/bin/env python3
"""Pushes every hostile image byte for byte and holds the answers against its case.json.

Whatever an image is: the server stays alive and answers, nothing ends as a clean bill
but the few that are only odd (VALID), and an image that was refused is not there.

    hostile.py [CASE...]      the images are in LAZARET_CORPUS/hostile, see scripts/corpus.sh
"""
import json
import os
import sys
import threading
import time

import harness
from harness import Layout, Server, Tally

# Valid images, however odd: read to their end, they may be called healthy.
VALID = {"good-symlinks:latest", "tar-oddities:latest", "layers-10000:latest", "index-chain:plain", "index-chain:wide",
         "odd-configs:same-layer-twice"}

# Nobody may wait longer for any answer while a hostile image is worked on.
ANSWER_SECONDS_MAX = 5
SCAN_SECONDS_MAX = 60
SERVER_KIB_MAX = 1024 * 1024


def case_names():
    folder = os.path.join(harness.corpus() or "", "hostile")
    if not os.path.isdir(folder):
        harness.skip("hostile images", "no corpus at hand; scripts/corpus.sh builds it")
    names = sys.argv[1:] or sorted(n for n in os.listdir(folder) if os.path.exists(os.path.join(folder, n, "case.json")))
    return folder, names


class Heartbeat(threading.Thread):
    """Asks for the repository list all the time; remembers the slowest answer."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.api, self.stop, self.slowest, self.lost = server.api(), threading.Event(), 0.0, 0

    def run(self):
        while not self.stop.wait(0.1):
            began = time.monotonic()
            if self.api.call("GET", "/v2/")[0] != 200:
                self.lost += 1
            self.slowest = max(self.slowest, time.monotonic() - began)


def try_case(server, tally, folder, name):
    with open(os.path.join(folder, name, "case.json")) as f:
        case = json.load(f)
    layout, repository = Layout(os.path.join(folder, name)), "hostile/" + name
    refused = server.registry().push_layout(layout, repository)
    if case["push"] == "accept":
        tally.check("%s: push is accepted" % name, not refused, refused[:2])
    elif case["push"] == "reject":
        tally.check("%s: push is refused" % name, refused)
        tally.check("%s: refused with a 4xx" % name, all(400 <= status < 500 for _, status, _ in refused), refused[:2])
    if not tally.check("%s: the server lives" % name, server.alive(), server.log(1500)):
        server.start()
        return

    api = server.api()
    for entry in layout.entries():
        tag = entry["annotations"]["org.opencontainers.image.ref.name"]
        status, image = api.scanned(repository, entry["digest"], SCAN_SECONDS_MAX)
        if status == 404:
            tally.check("%s:%s: only what was refused is absent" % (name, tag), refused)
            continue
        if not tally.check("%s:%s: the image can be read" % (name, tag), status == 200, image):
            continue
        state = image["scan"]["state"]
        tally.check("%s:%s: the scan ends" % (name, tag), state in ("done", "failed", "stale"), image["scan"])
        if "%s:%s" % (name, tag) not in VALID:
            tally.check("%s:%s: never healthy" % (name, tag), image["status"] != "healthy", summary(image))
        if image["status"] == "notApplicable":
            tally.check("%s:%s: says why not" % (name, tag), image["cause"] is not None)
        judge(tally, "%s:%s" % (name, tag), case["scan"], image, api.packages(repository, entry["digest"]))


def judge(tally, what, scan, image, packages):
    """Holds the phrases of `scan` against what came out."""
    canary = any(p["name"] == "canary" for p in packages)
    trouble = bool(image["problems"]) or image["scan"]["state"] == "failed"
    if "canary gone" in scan:
        tally.check("%s: nothing is left" % what, not packages, [p["name"] for p in packages][:5])
    elif "canary found" in scan and image["kind"] == "image":
        tally.check("%s: the canary is found" % what, canary or ("or an error" in scan and trouble), summary(image))
    if scan.startswith("complete;") or scan == "complete":
        tally.check("%s: the scan is complete" % what, image["scan"]["state"] != "failed", image["scan"])
    if what in VALID:
        tally.check("%s: nothing is wrong with it" % what, not image["problems"], summary(image))
    elif scan.startswith("an error") or "error is reported" in scan or "limits reported" in scan:
        tally.check("%s: something is reported" % what, trouble or image["status"] == "notApplicable", summary(image))
    if "no packages from the machine" in scan:
        strangers = [p["name"] for p in packages if p["name"] != "canary"]
        tally.check("%s: the host was not read" % what, not strangers, strangers[:5])


def summary(image):
    return {"status": image["status"], "cause": image["cause"], "scan": image["scan"]["state"],
            "problems": [p["kind"] for p in image["problems"]][:5], "packages": image["packages"]}


def main():
    folder, names = case_names()
    tally = Tally("hostile images, %d cases" % len(names))
    with Server.temporary() as server:
        if harness.shared():
            # With advisories in place "not assessed" cannot hide behind an empty index.
            done = server.command("advisories", "import", os.path.join(harness.shared(), "advisories", "debian"), "--db", server.db)
            tally.check("advisories are imported", done.returncode == 0, done.stderr[-300:])
        heartbeat = Heartbeat(server)
        heartbeat.start()
        for name in names:
            began = time.monotonic()
            try_case(server, tally, folder, name)
            print("%-22s %6.1f s" % (name, time.monotonic() - began))
        heartbeat.stop.set()
        heartbeat.join()
        tally.check("the server answered all the time", heartbeat.lost == 0, heartbeat.lost)
        tally.check("no answer took longer than %d s" % ANSWER_SECONDS_MAX, heartbeat.slowest < ANSWER_SECONDS_MAX, heartbeat.slowest)
        peak = server.peak_kib()
        tally.check("the server's memory stays bounded", peak < SERVER_KIB_MAX, "%d KiB" % peak)
        print("slowest answer %.0f ms, peak memory of the server %d MiB" % (heartbeat.slowest * 1000, peak // 1024))
        tally.check("the server ends when asked", server.stop() == 0)
    return tally.finish()


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    sys.exit(main())
