#!/usr/bin/env python3
"""Kills the server in the middle of pushes and looks at what is left: kill9.py [ROUNDS]

Several clients push images without pause. At a random moment the server and its workers get
SIGKILL. After the restart: every blob and manifest that was acknowledged is served whole, a
digest that was not acknowledged is either absent or whole, tags point at manifests that are
there, and the interrupted pushes can be repeated or resumed.

KILL9_SEED repeats a run's random choices (not its timing).
"""
import io
import os
import random
import sys
import tarfile
import threading

import harness
from harness import OCI_MANIFEST, Registry, Server, Tally, image_of, sha256

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
PUSHERS = 3
KILL_AFTER_SECONDS_MAX = 1.2
LAYER_BYTES = (1_000, 300_000, 6_000_000)
UPLOAD_CHUNK_BYTES = 256 * 1024


def layer(rng):
    """A real tar of random bytes with a dpkg database, so that it is analysed while it arrives."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in (
            ("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
            ("var/lib/dpkg/status", b"Package: p%d\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n" % rng.randrange(10**9)),
            ("data.bin", rng.randbytes(rng.choice(LAYER_BYTES))),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Acknowledged:
    """What the server has said yes to; only this must survive."""

    def __init__(self):
        self.lock = threading.Lock()
        self.blobs, self.manifests, self.tags = {}, {}, {}
        self.attempted = {}

    def note(self, where, key, value):
        with self.lock:
            where[key] = value


class Tag:
    """The manifests that a tag may point at; each repository has one pusher."""

    def __init__(self, possible=(), acknowledged=False):
        self.possible, self.acknowledged = set(possible), acknowledged


class Pusher(threading.Thread):
    """Pushes one image after the other until the server is gone."""

    def __init__(self, server, known, seed, stop):
        super().__init__(daemon=True)
        self.registry = Registry(server.url, harness.ADMIN, server.password, timeout=30)
        self.known, self.rng, self.stop = known, random.Random(seed), stop
        self.repository = "kill/r%d" % (seed % PUSHERS)
        self.unexpected = []

    def run(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            layers = [layer(self.rng) for _ in range(self.rng.randrange(1, 4))]
            config, manifest = image_of(layers)
            if not all(self.blob(content) for content in layers + [config]):
                continue
            digest, tag = sha256(manifest), "t%d" % self.rng.randrange(20)
            reference = tag if self.rng.random() < 0.8 else digest
            self.known.note(self.known.attempted, (self.repository, digest), manifest)
            if reference == tag:
                # Whatever becomes of this request, the tag may point at either manifest from here on.
                self.known.tags.setdefault((self.repository, tag), Tag()).possible.add(digest)
            status, _, body = self.registry.put_manifest(self.repository, reference, manifest, OCI_MANIFEST)
            if status == 201:
                self.known.note(self.known.manifests, (self.repository, digest), manifest)
                if reference == tag:
                    self.known.tags[self.repository, tag] = Tag({digest}, True)
            elif status != 0:
                self.unexpected.append((status, body[:200]))

    def blob(self, content):
        digest = sha256(content)
        self.known.note(self.known.attempted, (self.repository, digest), None)
        status, location = self.registry.begin_upload(self.repository)
        if status != 202:
            if status != 0:
                self.unexpected.append((status, location[:200]))
            return False
        if self.rng.random() < 0.5 and len(content) > UPLOAD_CHUNK_BYTES:
            for at in range(0, len(content), UPLOAD_CHUNK_BYTES):
                piece = content[at:at + UPLOAD_CHUNK_BYTES]
                status, headers, body = self.registry.call("PATCH", location, piece, {
                    "Content-Type": "application/octet-stream", "Content-Range": "%d-%d" % (at, at + len(piece) - 1)})
                if status != 202:
                    # A repeated request after a broken connection may answer 404 or 416; both mean begin anew.
                    if status not in (0, 404, 416):
                        self.unexpected.append((status, body[:200]))
                    return False
                location = harness.path_of(headers["Location"])
            content_left = b""
        else:
            content_left = content
        location += ("&" if "?" in location else "?") + "digest=" + digest
        status, _, body = self.registry.call("PUT", location, content_left, {"Content-Type": "application/octet-stream"})
        if status == 201:
            self.known.note(self.known.blobs, (self.repository, digest), len(content))
        elif status not in (0, 404):
            self.unexpected.append((status, body[:200]))
        return status == 201


def verify(server, known, tally, number, recent):
    """Everything acknowledged is whole; everything else is whole or absent."""
    registry = server.registry()
    bad = []
    for (repository, digest), size in recent(known.blobs):
        status, served = registry.blob_digest(repository, digest)
        if (status, served) != (200, digest):
            bad.append("acknowledged blob %s (%d bytes): %s %s" % (digest, size, status, served))
    for (repository, digest), raw in recent(known.manifests):
        status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, digest))
        if status != 200 or body != raw:
            bad.append("acknowledged manifest %s: %s" % (digest, status))
    for (repository, digest), raw in recent(known.attempted):
        if raw is None:
            status, served = registry.blob_digest(repository, digest)
            if status not in (200, 404) or (status == 200 and served != digest):
                bad.append("blob %s is half there: %s %s" % (digest, status, served))
        else:
            status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, digest))
            if status not in (200, 404) or (status == 200 and body != raw):
                bad.append("manifest %s is half there: %s" % (digest, status))
    for (repository, name), tag in known.tags.items():
        status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, name))
        if status == 200 and sha256(body) in tag.possible:
            tag.possible, tag.acknowledged = {sha256(body)}, True
        elif status != 404 or tag.acknowledged:
            bad.append("tag %s of %s: %s, should be one of %s" % (name, repository, status, sorted(tag.possible)))
    tally.check("round %d: what was acknowledged is whole" % number, not bad, bad[:3])


def repeat_pushes(server, known, tally, number, rng):
    """An interrupted push goes through when it is made again."""
    registry = server.registry()
    content = layer(rng)
    config, manifest = image_of([content])
    statuses = [registry.upload("kill/again", sha256(c), c, len(c))[0] for c in (content, config)]
    status, _, body = registry.put_manifest("kill/again", "latest", manifest, OCI_MANIFEST)
    tally.check("round %d: pushes go through again" % number, statuses == [201, 201] and status == 201, (statuses, status, body[:200]))


def resume_upload(server, tally, rng):
    """An upload that was cut off goes on where the server says it stands."""
    registry, content = server.registry(), rng.randbytes(4 * UPLOAD_CHUNK_BYTES)
    _, location = registry.begin_upload("kill/resume")
    first = content[:UPLOAD_CHUNK_BYTES]
    status, headers, body = registry.call("PATCH", location, first, {"Content-Range": "0-%d" % (len(first) - 1)})
    tally.check("resume: the first chunk is taken", status == 202, (status, body[:200]))
    location = harness.path_of(headers["Location"])
    server.kill()
    server.start()
    registry = server.registry()
    status, headers, body = registry.call("GET", location)
    received = int(headers.get("Range", "0--1").split("-", 1)[1]) + 1 if status == 204 else -1
    if tally.check("resume: the upload is still there", status == 204 and 0 <= received <= len(first), (status, received, body[:200])):
        location = harness.path_of(headers["Location"])
        location += ("&" if "?" in location else "?") + "digest=" + sha256(content)
        status, _, body = registry.call("PUT", location, content[received:],
                                        {"Content-Range": "%d-%d" % (received, len(content) - 1)})
        tally.check("resume: the rest is taken", status == 201, (status, body[:200]))
        tally.check("resume: the blob is whole", registry.blob_digest("kill/resume", sha256(content)) == (200, sha256(content)))


def main():
    seed = int(os.environ.get("KILL9_SEED", random.randrange(2**32)))
    print("KILL9_SEED=%d" % seed)
    rng, tally, known = random.Random(seed), Tally("kill -9, %d rounds" % ROUNDS), Acknowledged()
    unexpected = []
    with Server.temporary() as server:
        for number in range(1, ROUNDS + 1):
            before = {name: set(getattr(known, name)) for name in ("blobs", "manifests", "attempted")}
            stop = threading.Event()
            pushers = [Pusher(server, known, rng.randrange(2**32) // PUSHERS * PUSHERS + i, stop) for i in range(PUSHERS)]
            for pusher in pushers:
                pusher.start()
            stop.wait(rng.uniform(0.02, KILL_AFTER_SECONDS_MAX))
            server.kill()
            stop.set()
            for pusher in pushers:
                pusher.join(60)
                unexpected += pusher.unexpected
            server.start()

            def recent(where, last=number == ROUNDS):
                # Each round looks at its own; the last one at everything.
                old = next((before[n] for n in before if getattr(known, n) is where), set())
                return [(k, v) for k, v in list(where.items()) if last or k not in old]

            verify(server, known, tally, number, recent)
            repeat_pushes(server, known, tally, number, rng)
        resume_upload(server, tally, rng)
        tally.check("no request was answered with anything else than yes, gone or a broken connection", not unexpected, unexpected[:3])
        tally.check("the kills hit pushes", len(known.attempted) > len(known.blobs) + len(known.manifests))
        print("%d blobs and %d manifests acknowledged, %d attempts broken off"
              % (len(known.blobs), len(known.manifests), len(known.attempted) - len(known.blobs) - len(known.manifests)))
        if tally.failures:
            print(server.log())
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
