#!/usr/bin/env python3
"""Moves an installation from SQLite and files to PostgreSQL and S3: migrate.py

Images are pushed and inspected, the server stops, `lazaret admin migrate` moves it, and a server on
the new stores serves every byte as before and knows the same of every image. A second try onto the
same database is refused; moving while a server runs, too; a damaged blob is said to be damaged.
"""
import glob
import json
import os
import random
import shutil
import sys
import tempfile

import harness
import stores
from harness import OCI_MANIFEST, Server, Tally, image_of, sha256
from kill9 import layer

IMAGES = 12


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def known(server, images):
    """What the native API says of each image, but for times and hosts."""
    api, said = server.api(), {}
    for repository, digest in images:
        status, page = api.image(repository, digest)
        said[repository, digest] = (status, page.get("status"), page.get("tags"), page.get("platform")) if status == 200 else status
        said["packages", repository, digest] = api.all(api.image_path(repository, digest) + "/packages")
    return said


def main():
    rng, tally = random.Random(7), Tally("moving to other stores")
    chosen = stores.Stores(["postgres", "s3"])
    parent = tempfile.mkdtemp(prefix="lazaret-migrate-")
    data, images, blobs = os.path.join(parent, "old"), {}, {}
    try:
        old = Server(data)
        with old:
            registry = old.registry()
            for number in range(IMAGES):
                repository = "move/r%d" % (number % 3)
                layers = [layer(rng) for _ in range(rng.randrange(1, 3))]
                config, manifest = image_of(layers)
                for content in layers + [config]:
                    status = registry.upload(repository, sha256(content), content, len(content))[0]
                    blobs[repository, sha256(content)] = len(content)
                    tally.check("blob %d" % len(blobs), status == 201, status)
                status, _, body = registry.put_manifest(repository, "t%d" % number, manifest, OCI_MANIFEST)
                tally.check("image %d" % number, status == 201, body[:200])
                images[repository, sha256(manifest)] = manifest
            before = known(old, images)
            to = write(os.path.join(parent, "new.toml"), 'data = "%s"\n%s' % (os.path.join(parent, "new"), chosen.settings()))
            move = ["admin", "migrate", "--data", data, "--to", to, "--format", "json"]
            refused = old.command(*move)
            tally.check("a running server is not moved", refused.returncode == 3 and "another server" in refused.stderr, refused.stderr)
            old.stop()
        moved = old.command(*move)
        report = json.loads(moved.stdout) if moved.returncode == 0 else {}
        tally.check("it is moved", report.get("blobsCopied") == len(set(d for _, d in blobs)), (moved.returncode, moved.stderr, report))
        again = old.command(*move)
        tally.check("a database that holds something is not filled", again.returncode == 3, (again.returncode, again.stderr))

        new = Server(os.path.join(parent, "new"), arguments=["--config", to])
        new.password = old.password
        with new:
            registry = new.registry()
            bad = [d for (r, d) in blobs if registry.blob_digest(r, d) != (200, d)]
            tally.check("every blob is whole", not bad, bad[:3])
            bad = []
            for (repository, digest), raw in images.items():
                status, _, body = registry.call("GET", "/v2/%s/manifests/%s" % (repository, digest))
                if status != 200 or body != raw:
                    bad.append((digest, status))
            tally.check("every manifest is what was pushed", not bad, bad[:3])
            after = known(new, images)
            tally.check("the same is known of every image", after == before, [k for k in before if before[k] != after.get(k)][:2])
            content = layer(rng)
            config, manifest = image_of([content])
            statuses = [registry.upload("move/new", sha256(c), c, len(c))[0] for c in (content, config)]
            status, _, body = registry.put_manifest("move/new", "1", manifest, OCI_MANIFEST)
            tally.check("pushes go on", statuses == [201, 201] and status == 201, (statuses, status, body[:200]))

        victim = max(glob.glob(os.path.join(data, "content", "blobs", "*", "*", "*")), key=os.path.getsize)
        with open(victim, "r+b") as f:
            f.seek(100)
            byte = f.read(1)
            f.seek(100)
            f.write(bytes([byte[0] ^ 1]))
        third = write(os.path.join(parent, "third.toml"), 'data = "%s"\n%s' % (os.path.join(parent, "third"), chosen.settings()))
        damaged = old.command("admin", "migrate", "--data", data, "--to", third, "--format", "json")
        named = json.loads(damaged.stdout).get("damaged") if damaged.stdout else None
        expected = ["%s:%s" % (victim.split(os.sep)[-3], os.path.basename(victim))]
        tally.check("a damaged blob is named and not copied", damaged.returncode == 1 and named == expected, (damaged.returncode, named, damaged.stderr))
    finally:
        chosen.end()
        shutil.rmtree(parent, ignore_errors=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
