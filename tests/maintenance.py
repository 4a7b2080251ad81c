#!/usr/bin/env python3
"""Scrub, backup and restore beside a server that is being pushed to and deleted from.

Scrub: one defect of each kind is planted beside untouched decoys; each is found and nothing else, a
damaged blob is not served, and a backup or a new push heals it.
Backup: made twice while clients push and delete; restored elsewhere, everything that was acknowledged
before it began is whole, and nothing dangles.
"""
import json
import os
import random
import shutil
import sqlite3
import sys
import threading

import harness
from harness import OCI_MANIFEST, Registry, Server, Tally, image_of, sha256

LOAD_SECONDS = 1.0


def push(registry, repository, tag, layers):
    """Gives the manifest's digest and the digests of all blobs."""
    config, raw = image_of(layers, author=tag)
    for content in layers + [config]:
        status, body = registry.upload(repository, sha256(content), content, len(content))
        if status != 201:
            raise RuntimeError("push: %s %s" % (status, body[:200]))
    status, _, body = registry.put_manifest(repository, tag, raw, OCI_MANIFEST)
    if status != 201:
        raise RuntimeError("push: %s %s" % (status, body[:200]))
    return sha256(raw), [sha256(c) for c in layers + [config]]


def whole(registry, repository, digest, blobs):
    status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, digest))
    return status == 200 and sha256(body) == digest and all(registry.blob_digest(repository, b) == (200, b) for b in blobs)


def blob_file(data, digest):
    algorithm, value = digest.split(":")
    return os.path.join(data, "content", "blobs", algorithm, value[:2], value)


def admin(server, *arguments):
    done = server.command("admin", *arguments, "--data", server.data, "--format", "json")
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, done.stderr[-500:]


def scrub(tally):
    rng = random.Random(1)
    with Server.temporary() as server:
        registry, backup = server.registry(), server.data + ".backup"
        contents = [rng.randbytes(n) for n in (10, 3_000, 70_000, 900_000, 400, 50_000, 1, 20_000)]
        digest, blobs = push(registry, "scrub/app", "1", contents)
        code, report = admin(server, "scrub")
        tally.check("nothing is wrong at first", code == 0 and report["defects"] == 0 and report["blobs"] == 9, (code, report))
        tally.check("a backup is made", admin(server, "backup", backup)[0] == 0)

        flipped, short, missing, healed = blobs[2], blobs[3], blobs[4], blobs[5]
        for target in (flipped, healed):
            with open(blob_file(server.data, target), "r+b") as f:
                f.seek(30_000)
                byte = f.read(1)
                f.seek(30_000)
                f.write(bytes([byte[0] ^ 1]))
        os.truncate(blob_file(server.data, short), 899_999)
        os.remove(blob_file(server.data, missing))
        stray = sha256(b"stray")
        with open(blob_file(server.data, stray), "wb") as f:
            f.write(b"stray")
        expected = {(flipped, "wrong-bytes"), (healed, "wrong-bytes"), (short, "wrong-size"), (missing, "missing-blob"), (stray, "stray-blob")}
        code, report = admin(server, "scrub")
        found = {(f["digest"], f["defect"]) for f in report["found"]}
        tally.check("each defect is found and nothing else", code == 1 and found == expected, (code, report))
        for target in (flipped, short, missing, healed):
            path = "/v2/scrub/app/blobs/" + target
            tally.check("a damaged blob is not served", registry.call("GET", path)[0] == 500)
            tally.check("who asks before a push hears that it is not there", registry.call("HEAD", path)[0] == 404)
            status, _ = registry.call("POST", "/v2/scrub/other/blobs/uploads/?mount=%s&from=scrub/app" % target, b"")[:2]
            tally.check("a damaged blob is not mounted", status == 202, status)
        status, body = registry.upload("scrub/app", healed, contents[5], len(contents[5]))
        tally.check("a push heals a blob", status == 201 and registry.blob_digest("scrub/app", healed) == (200, healed), (status, body[:200]))
        code, report = admin(server, "scrub", "--repair", "--from", backup)
        repaired = {f["digest"] for f in report["found"] if f["repaired"]}
        tally.check("a backup repairs the rest", repaired == {flipped, short, missing}, report)
        tally.check("the image is whole again", whole(registry, "scrub/app", digest, blobs))
        admin(server, "gc", "--grace", "0s")
        code, report = admin(server, "scrub")
        tally.check("nothing is wrong any more", code == 0 and not os.path.exists(blob_file(server.data, stray)), (code, report))

        # A manifest lies in the database.
        server.stop()
        database = sqlite3.connect(os.path.join(server.data, "lazaret.db"))
        database.execute("UPDATE manifests SET bytes = CAST(REPLACE(CAST(bytes AS TEXT), 'schemaVersion', 'schemaversion') AS BLOB)")
        database.commit()
        database.close()
        server.start()
        code, report = admin(server, "scrub")
        found = {(f["digest"], f["defect"]) for f in report["found"]}
        tally.check("a changed manifest is found", code == 1 and found == {(digest, "wrong-manifest")}, (code, report))
        code, report = admin(server, "scrub", "--repair", "--from", backup)
        tally.check("a backup repairs it", whole(server.registry(), "scrub/app", digest, blobs), report)


class Load(threading.Thread):
    """Pushes and deletes until told to stop; knows what was acknowledged."""

    def __init__(self, server, number, stop):
        super().__init__(daemon=True)
        self.registry = Registry(server.url, harness.ADMIN, server.password)
        self.repository, self.rng, self.stop = "load/r%d" % number, random.Random(number), stop
        self.lock, self.kept, self.pushed = threading.Lock(), {}, 0

    def run(self):
        while not self.stop.is_set():
            self.pushed += 1
            layers = [self.rng.randbytes(self.rng.choice((50, 5_000, 200_000))) for _ in range(2)]
            digest, blobs = push(self.registry, self.repository, "t%d" % self.pushed, layers)
            if self.rng.random() < 0.5:
                self.registry.call("DELETE", "/v2/%s/manifests/%s" % (self.repository, digest))
                continue
            with self.lock:
                self.kept[digest] = blobs

    def acknowledged(self):
        with self.lock:
            return dict(self.kept)


def backup(tally):
    config = "[collection]\ninterval_secs = 1\ngrace_secs = 5\n"
    with Server.temporary(config=config) as server:
        folder, elsewhere = server.data + ".backup", server.data + ".restored"
        stop = threading.Event()
        loads = [Load(server, n, stop) for n in range(3)]
        for load in loads:
            load.start()
        reports = []
        for _ in range(2):
            stop.wait(LOAD_SECONDS)
            before = [load.acknowledged() for load in loads]
            code, report = admin(server, "backup", folder)
            tally.check("a backup is made under load", code == 0, (code, report))
            reports.append(report)
        stop.set()
        for load in loads:
            load.join(60)
        tally.check("the second backup copies what is new", reports[1]["copied"] < reports[1]["blobs"], reports)
        done = server.command("admin", "restore", folder, "--data", elsewhere, "--format", "json")
        tally.check("the backup is restored", done.returncode == 0, done.stderr[-500:])
        tally.check("not over an installation", server.command("admin", "restore", folder, "--data", server.data).returncode == 3)

        other = Server(elsewhere)
        other.password, other.environment = server.password, server.environment
        with other:
            bad = [(load.repository, digest) for load, kept in zip(loads, before) for digest, blobs in kept.items()
                   if not whole(other.registry(), load.repository, digest, blobs)]
            tally.check("what was acknowledged before the backup began is whole", not bad and any(before), bad[:3])
            code, report = admin(other, "scrub")
            tally.check("nothing dangles", code == 0 and report["defects"] == 0, report)
            code, report = admin(other, "gc", "--grace", "0s")
            tally.check("collections go on there", code == 0, report)
            status, body = other.registry().upload("load/new", sha256(b"new"), b"new", 3)
            tally.check("pushes go on there", status == 201, (status, body))

        # A damaged backup is not restored.
        name = next(os.path.join(p, n) for p, _, names in os.walk(os.path.join(folder, "content", "blobs")) for n in names)
        with open(name, "ab") as f:
            f.write(b"x")
        third = server.data + ".third"
        done = server.command("admin", "restore", folder, "--data", third)
        tally.check("a damaged backup is refused", done.returncode == 3 and "damaged" in done.stderr, done.stderr[-300:])
        shutil.rmtree(third, ignore_errors=True)
        print("%d images under load, %d blobs in the backup, %d copied the second time"
              % (sum(load.pushed for load in loads), reports[1]["blobs"], reports[1]["copied"]))


def main():
    if os.environ.get("LAZARET_TEST_STORES"):
        harness.skip("scrub, backup and restore", "looks into SQLite and files")
    tally = Tally("scrub, backup and restore")
    scrub(tally)
    backup(tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
