#!/usr/bin/env python3
"""Kills server and collector in the middle of pushes, deletions and collections: kill9_collect.py [ROUNDS]

Clients push images that share layers, untag and delete them without pause; collections without a
grace time run all the time, in the server and as `lazaret admin gc`. At a random moment both get
SIGKILL. After the restart: every acknowledged manifest is whole with all its blobs, every
acknowledged deletion has stayed, tags point where they may. In the end one collection leaves
exactly what manifests need: as many files as rows, and none without a reference.

KILL9_SEED repeats a run's random choices (not its timing).
"""
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import harness
from harness import OCI_MANIFEST, Registry, Server, Tally, image_of, sha256

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
CLIENTS = 4
KILL_AFTER_SECONDS_MAX = 0.8
POOL = [random.Random(n).randbytes(size) for n, size in enumerate((100, 5_000, 60_000, 300_000, 1_500_000, 700, 20_000, 1))]
CONFIG = "[collection]\ninterval_secs = 1\ngrace_secs = 0\n"


class Kept:
    """A manifest that was pushed: what must be there, and what may."""

    def __init__(self, raw, blobs):
        self.raw, self.blobs, self.state = raw, blobs, "pushing"


class Client(threading.Thread):
    """Pushes, untags and deletes images of its own repository until the server is gone."""

    def __init__(self, server, number, manifests, seed, stop):
        super().__init__(daemon=True)
        self.registry = Registry(server.url, harness.ADMIN, server.password, timeout=30)
        self.repository, self.manifests = "collect/r%d" % number, manifests
        self.rng, self.stop, self.unexpected, self.counts = random.Random(seed), stop, [], {"push": 0, "delete": 0, "untag": 0}

    def run(self):
        while not self.stop.is_set():
            mine = [d for d, kept in self.manifests.items() if kept.state == "kept"]
            choice = self.rng.random()
            if choice < 0.6 or not mine:
                self.push()
            elif choice < 0.9:
                self.delete(self.rng.choice(mine))
            else:
                self.untag()

    def push(self):
        layers = self.rng.sample(POOL, self.rng.randrange(1, 4))
        config, raw = image_of(layers, author="%d" % self.rng.randrange(10**12))
        for content in layers + [config]:
            digest = sha256(content)
            if self.rng.random() < 0.3 and self.registry.call("HEAD", "/v2/%s/blobs/%s" % (self.repository, digest))[0] == 200:
                continue
            status, body = self.registry.upload(self.repository, digest, content, len(content))
            if status != 201:
                return self.expect(status, (0, 404), body)
        digest, reference = sha256(raw), "t%d" % self.rng.randrange(5)
        kept = self.manifests[digest] = Kept(raw, [sha256(c) for c in layers + [config]])
        status, _, body = self.registry.put_manifest(self.repository, reference, raw, OCI_MANIFEST)
        # Without a grace time, blobs may be collected before their manifest comes: 400, and nothing is kept.
        if status == 201:
            kept.state = "kept"
            self.counts["push"] += 1
        elif status == 400:
            kept.state = "gone"
        self.expect(status, (0, 201, 400), body)

    def delete(self, digest):
        self.manifests[digest].state = "deleting"
        status, _, body = self.registry.call("DELETE", "/v2/%s/manifests/%s" % (self.repository, digest))
        if status == 202:
            self.manifests[digest].state = "gone"
            self.counts["delete"] += 1
        # A request that is repeated over a new connection may find its work done.
        self.expect(status, (0, 202, 404), body)

    def untag(self):
        status, _, body = self.registry.call("DELETE", "/v2/%s/manifests/t%d" % (self.repository, self.rng.randrange(5)))
        self.counts["untag"] += status == 202
        self.expect(status, (0, 202, 404), body)

    def expect(self, status, good, body):
        if status not in good:
            self.unexpected.append((status, body[:200]))


class Collector(threading.Thread):
    """Runs one collection of a process of its own after the other."""

    def __init__(self, server, stop):
        super().__init__(daemon=True)
        self.server, self.stop, self.process, self.freed, self.ended = server, stop, None, 0, 0

    def run(self):
        while not self.stop.is_set():
            self.process = subprocess.Popen(
                [self.server.program, "admin", "gc", "--data", self.server.data, "--grace", "0s", "--format", "json"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            out, _ = self.process.communicate()
            if self.process.returncode == 0:
                self.freed, self.ended = self.freed + json.loads(out)["blobs"], self.ended + 1

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)


def verify(registry, repositories, tally, number, changed):
    bad = []
    for repository, manifests in repositories.items():
        for digest, kept in list(manifests.items()):
            if not changed(kept):
                continue
            status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, digest))
            if kept.state in ("pushing", "deleting"):
                kept.state = "kept" if status == 200 else "gone"
            if kept.state == "gone":
                if status != 404:
                    bad.append("deleted manifest %s: %s" % (digest, status))
                continue
            if status != 200 or body != kept.raw:
                bad.append("acknowledged manifest %s: %s" % (digest, status))
                continue
            for blob in kept.blobs:
                answer = registry.blob_digest(repository, blob)
                if answer != (200, blob):
                    bad.append("blob %s of acknowledged manifest %s: %s" % (blob, digest, answer))
        status, _, body = registry.call("GET", "/v2/%s/tags/list" % repository)
        for tag in (json.loads(body).get("tags") or []) if status == 200 else []:
            status, headers, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, tag))
            if status != 200 or sha256(body) not in manifests:
                bad.append("tag %s of %s: %s" % (tag, repository, status))
    tally.check("round %d: what was acknowledged is whole, what was deleted is gone" % number, not bad, bad[:3])


def leaks(server, repositories, tally):
    """After the server has stopped: files, rows and what manifests need are the same."""
    done = server.command("admin", "gc", "--data", server.data, "--grace", "0s", "--format", "json")
    tally.check("the last collection gets through", done.returncode == 0, done.stderr[-300:])
    folder, files = os.path.join(server.data, "content", "blobs"), set()
    for parent, _, names in os.walk(folder):
        files |= {os.path.relpath(parent, folder).split(os.sep)[0] + ":" + name for name in names}
    database = sqlite3.connect(os.path.join(server.data, "lazaret.db"))
    rows = {row[0] for row in database.execute("SELECT digest FROM blobs WHERE condemned_at IS NULL")}
    condemned = database.execute("SELECT COUNT(*) FROM blobs WHERE condemned_at IS NOT NULL").fetchone()[0]
    referred = {row[0] for row in database.execute("SELECT DISTINCT digest FROM manifest_references WHERE kind <> 'child'")}
    links = database.execute("SELECT COUNT(*) FROM repository_blobs rb WHERE NOT EXISTS (SELECT 1 FROM manifest_references mr "
                             "WHERE mr.digest = rb.digest AND mr.repository_id = rb.repository_id)").fetchone()[0]
    needed = {blob for manifests in repositories.values() for kept in manifests.values() if kept.state == "kept" for blob in kept.blobs}
    tally.check("files are what manifests need", files == needed, (len(files), len(needed)))
    tally.check("rows are what manifests need", rows == needed == referred, (len(rows), len(needed), len(referred)))
    tally.check("nothing is left half removed", condemned == 0 and links == 0, (condemned, links))
    print("%d blobs needed, %d files, %d rows" % (len(needed), len(files), len(rows)))


def main():
    if os.environ.get("LAZARET_TEST_STORES"):
        harness.skip("kill -9 with collections", "looks into SQLite and files")
    seed = int(os.environ.get("KILL9_SEED", random.randrange(2**32)))
    print("KILL9_SEED=%d" % seed)
    rng, tally = random.Random(seed), Tally("kill -9 with collections, %d rounds" % ROUNDS)
    repositories = {"collect/r%d" % n: {} for n in range(CLIENTS)}
    unexpected, counts, freed, ended = [], {"push": 0, "delete": 0, "untag": 0}, 0, 0
    with Server.temporary(config=CONFIG) as server:
        for number in range(1, ROUNDS + 1):
            stop, before = threading.Event(), {id(k) for m in repositories.values() for k in m.values() if k.state == "gone"}
            clients = [Client(server, n, repositories["collect/r%d" % n], rng.randrange(2**32), stop) for n in range(CLIENTS)]
            collector = Collector(server, stop)
            for thread in clients + [collector]:
                thread.start()
            stop.wait(rng.uniform(0.05, KILL_AFTER_SECONDS_MAX))
            stop.set()
            if rng.random() < 0.7:
                collector.kill()
            server.kill()
            for thread in clients + [collector]:
                thread.join(60)
            freed, ended = freed + collector.freed, ended + collector.ended
            for client in clients:
                unexpected += client.unexpected
                counts = {name: n + client.counts[name] for name, n in counts.items()}
            server.start()
            verify(server.registry(), repositories, tally, number, lambda kept: id(kept) not in before)
        verify(server.registry(), repositories, tally, ROUNDS, lambda _: True)
        tally.check("no request was answered with anything unexpected", not unexpected, unexpected[:3])
        tally.check("the collections met deletions", freed > 0 and counts["delete"] > 0, (freed, counts))
        server.stop()
        leaks(server, repositories, tally)
        print("%d pushes, %d deletions, %d tags removed, %d collections of other processes ended and freed %d blobs"
              % (counts["push"], counts["delete"], counts["untag"], ended, freed))
        if tally.failures:
            print(server.log())
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
