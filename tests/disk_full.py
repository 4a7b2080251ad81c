#!/usr/bin/env python3
"""Fills the disk under a server and looks at what is left: disk_full.py

Database and blobs lie on a small file system of their own in memory. Clients push while less and
less room is left, down to none. Every answer is a yes or a clear 507; nothing acknowledged is lost
or served wrong, then and after a restart; with room again, pushes go through.
Needs root, for the mount.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import harness
from harness import OCI_MANIFEST, Server, Tally, image_of, sha256

DISK_MIB = 96
# Room that is left before each round, in bytes.
ROOM = (6_000_000, 1_500_000, 400_000, 90_000, 30_000, 8_192, 0)
LAYER_BYTES = (100, 20_000, 700_000, 3_000_000)
PUSHES = 12
FULL = 507


def fill(path, leave):
    """Takes all room but some."""
    with open(path, "ab") as f:
        room = os.statvfs(path)
        wanted = room.f_bavail * room.f_frsize - leave
        if wanted > 0:
            os.posix_fallocate(f.fileno(), f.tell() or os.path.getsize(path), wanted)


class Pushed:
    """What the server has said yes to."""

    def __init__(self):
        self.blobs, self.manifests, self.refused, self.odd = set(), {}, 0, []

    def answer(self, what, status, expected, body):
        if status == expected:
            return True
        if status == FULL:
            self.refused += 1
            try:
                message = json.loads(body)["errors"][0]["message"]
            except (ValueError, KeyError, IndexError):
                message = ""
            if not message:
                self.odd.append((what, status, body[:100]))
        elif not (status == 404 and what == "finish"):
            self.odd.append((what, status, body[:200]))
        return False


def push(registry, rng, known, repository):
    layers = [rng.randbytes(rng.choice(LAYER_BYTES)) for _ in range(rng.randrange(1, 3))]
    config, manifest = image_of(layers)
    for content in layers + [config]:
        digest = sha256(content)
        status, _, body = registry.call("POST", "/v2/%s/blobs/uploads/" % repository)
        location = harness.path_of(_["Location"]) if known.answer("begin", status, 202, body) else None
        if location is None:
            return
        location += ("&" if "?" in location else "?") + "digest=" + digest
        status, _, body = registry.call("PUT", location, content, {"Content-Type": "application/octet-stream"})
        if not known.answer("finish", status, 201, body):
            return
        known.blobs.add((repository, digest))
    status, _, body = registry.put_manifest(repository, sha256(manifest), manifest, OCI_MANIFEST)
    if known.answer("manifest", status, 201, body):
        known.manifests[repository, sha256(manifest)] = manifest


def verify(registry, known, tally, when):
    bad = []
    for repository, digest in known.blobs:
        served = registry.blob_digest(repository, digest)
        if served != (200, digest):
            bad.append("blob %s: %s" % (digest, served))
    for (repository, digest), raw in known.manifests.items():
        status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, digest))
        if status != 200 or body != raw:
            bad.append("manifest %s: %s" % (digest, status))
    tally.check("%s: what was acknowledged is whole" % when, not bad, bad[:3])


def run(tally, disk):
    seed = int(os.environ.get("DISK_FULL_SEED", random.randrange(2**32)))
    print("DISK_FULL_SEED=%d" % seed)
    rng, known = random.Random(seed), Pushed()
    filler = os.path.join(disk, "filler")
    with Server(os.path.join(disk, "data")) as server:
        registry = server.registry()
        push(registry, rng, known, "full/r")
        tally.check("with room, a push goes through", len(known.manifests) == 1, known.odd[:3])
        for leave in ROOM:
            fill(filler, leave)
            for _ in range(PUSHES):
                push(registry, rng, known, "full/r")
            when = "%d bytes left" % leave
            tally.check("%s: every answer is a yes or 507" % when, not known.odd, known.odd[:3])
            known.odd.clear()
            verify(registry, known, tally, when)
        tally.check("the disk was full", known.refused > 0)
        os.remove(filler)
        before = len(known.manifests)
        push(registry, rng, known, "full/after")
        tally.check("with room again, a push goes through", len(known.manifests) == before + 1, known.odd[:3])
        fill(filler, 0)
        server.kill()
        os.remove(filler)
        server.start()
        verify(server.registry(), known, tally, "after a kill on a full disk")
        push(server.registry(), rng, known, "full/last")
        tally.check("and pushes go on", len(known.manifests) == before + 2, known.odd[:3])
    print("%d images and %d blobs acknowledged, %d answers said that the disk is full"
          % (len(known.manifests), len(known.blobs), known.refused))


def main():
    with tempfile.TemporaryDirectory(prefix="lazaret-full-") as disk:
        mount = ["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "lazaret-full", disk]
        mounted = subprocess.run(mount, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if mounted.returncode != 0:
            harness.skip("a full disk", "cannot mount a small file system: %s" % mounted.stderr.strip())
        tally = Tally("a full disk")
        try:
            run(tally, disk)
        finally:
            subprocess.run(["umount", "-l", disk], check=False)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
