#!/usr/bin/env python3
"""How long it takes to collect many orphans, and what a push notices of it: collect.py [ORPHANS]

Fills a data directory with blobs that a repository holds and no manifest needs, then collects them
with `lazaret admin gc` beside the server while a client pushes small blobs, and prints the times.
"""
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
from harness import Server, sha256  # noqa: E402

ORPHANS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
QUIET_PUSHES = 300


def fill(data):
    database = sqlite3.connect(os.path.join(data, "lazaret.db"))
    database.execute("INSERT INTO repositories (name, created_at) VALUES ('orphans', 0)")
    repository = database.execute("SELECT id FROM repositories WHERE name = 'orphans'").fetchone()[0]
    for number in range(ORPHANS):
        content = b"orphan %d" % number
        value = hashlib.sha256(content).hexdigest()
        with open(os.path.join(data, "content", "blobs", "sha256", value[:2], value), "wb") as f:
            f.write(content)
        database.execute("INSERT INTO blobs (digest, size, created_at) VALUES (?, ?, 0)", ("sha256:" + value, len(content)))
        database.execute("INSERT INTO repository_blobs VALUES (?, ?, 0)", (repository, "sha256:" + value))
    database.commit()
    database.close()


def push(registry, number):
    content = b"push %d" % number
    began = time.monotonic()
    status, body = registry.upload("pushes", sha256(content), content, len(content))
    if status != 201:
        raise RuntimeError("push: %s %s" % (status, body[:200]))
    return time.monotonic() - began


def show(what, times):
    times = sorted(times)
    print("%-24s %6d pushes, median %.1f ms, p99 %.1f ms, worst %.1f ms" % (
        what, len(times), 1000 * times[len(times) // 2], 1000 * times[len(times) * 99 // 100], 1000 * times[-1]))


def main():
    with Server.temporary(config="[collection]\ninterval_secs = 0\n") as server:
        server.stop()
        fill(server.data)
        server.start()
        registry = server.registry()
        show("nothing else going on", [push(registry, n) for n in range(QUIET_PUSHES)])
        began, number, times = time.monotonic(), QUIET_PUSHES, []
        collector = subprocess.Popen([server.program, "admin", "gc", "--data", server.data, "--grace", "1h", "--format", "json"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        while collector.poll() is None:
            times.append(push(registry, number))
            number += 1
        figures = json.loads(collector.stdout.read())
        show("during the collection", times)
        print("%d blobs collected in %.1f s, %d freed" % (ORPHANS, time.monotonic() - began, figures["blobs"]))
        return 0 if figures["blobs"] == ORPHANS else 1


if __name__ == "__main__":
    sys.exit(main())
