#!/usr/bin/env python3
"""Immutable tags, quotas, soft delete and retention, set beside a running server: policies.py"""
import json
import random
import sys
import time

import harness
from harness import OCI_MANIFEST, Server, Tally, image_of, sha256

# A change by another process is in force after two seconds; slow machines get more.
SOON_SECONDS_MAX = 20


def soon(check):
    end = time.monotonic() + SOON_SECONDS_MAX
    while True:
        answer = check()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.05)


class Scene:
    def __init__(self, server, tally):
        self.server, self.registry, self.tally, self.rng = server, server.registry(), tally, random.Random(3)

    def set(self, policies):
        path = self.server.data + ".policies.json"
        with open(path, "w") as f:
            json.dump(policies, f)
        done = self.server.command("admin", "policies", "set", path, "--data", self.server.data)
        self.tally.check("policies are set", done.returncode == 0, done.stderr)

    def pushed(self, repository, reference, size=1000):
        layer = self.rng.randbytes(size)
        config, manifest = image_of([layer])
        answers = []
        for content in (config, layer):
            begun, location = self.registry.begin_upload(repository)
            location += ("&" if "?" in location else "?") + "digest=" + sha256(content)
            status, _, body = self.registry.call("PUT", location, content, {"Content-Type": "application/octet-stream"})
            answers.append((status, body.decode("utf-8", "replace")))
            if status != 201:
                return status, answers[-1][1], sha256(manifest)
        status, _, body = self.registry.put_manifest(repository, reference, manifest, OCI_MANIFEST)
        return status, body.decode("utf-8", "replace"), sha256(manifest)

    def get(self, repository, reference):
        return self.registry.call("GET", "/v2/%s/manifests/%s" % (repository, reference))[0]

    def delete(self, repository, reference):
        status, _, body = self.registry.call("DELETE", "/v2/%s/manifests/%s" % (repository, reference))
        return status, body.decode("utf-8", "replace")


def immutable_tags(scene):
    check = scene.tally.check
    scene.pushed("release/app", "v1")
    scene.set({"immutability": [{"repositories": "release/*", "tags": "v*"}]})
    check("a set tag is not moved", soon(lambda: scene.pushed("release/app", "v1")[0] == 403))
    status, body, _ = scene.pushed("release/app", "v1")
    check("the refusal says why", "immutable" in body.lower() and "v1" in body, body)
    check("another tag is set", scene.pushed("release/app", "latest")[0] == 201)
    check("another repository is free", [scene.pushed("other/app", "v1")[0] for _ in range(2)] == [201, 201])
    check("it is not removed", scene.delete("release/app", "v1")[0] == 403)
    check("it is still served", scene.get("release/app", "v1") == 200)


def quotas(scene):
    check = scene.tally.check
    scene.set({"quotas": {"repositories": [{"repositories": "small/*", "bytes": 100_000}]}})
    check("a quota holds", soon(lambda: scene.pushed("small/probe", "1", 60_000)[0] == 403))
    check("below it, a push goes through", scene.pushed("small/app", "1", 60_000)[0] == 201)
    status, body, _ = scene.pushed("small/app", "1", 60_000)
    check("the refusal says how much", status == 403 and "100000" in body.replace(",", ""), body)
    check("others are free", scene.pushed("large/app", "1", 200_000)[0] == 201)
    shown = scene.server.command("admin", "usage", "--recount", "--format", "json", "--data", scene.server.data)
    usage = json.loads(shown.stdout) if shown.stdout else {}
    held = {r["name"]: r["bytes"] for r in usage.get("repositories", [])}
    check("the counters are right", shown.returncode == 0 and usage["corrected"] == 0, (shown.stdout, shown.stderr))
    check("usage is told", held.get("large/app", 0) > 200_000 and 0 < held.get("small/app", 0) <= 100_000, held)


def soft_delete(scene):
    check, registry = scene.tally.check, scene.registry
    scene.set({"softDelete": {"enabled": True, "retentionDays": 7}})
    time.sleep(2.5)  # In force for certain: deleting for good cannot be tried twice.
    _, _, digest = scene.pushed("soft/app", "1")
    check("it is deleted", scene.delete("soft/app", digest)[0] == 202)
    check("it is gone", (scene.get("soft/app", digest), scene.get("soft/app", "1")) == (404, 404))
    status, _, body = registry.call("GET", "/acr/v1/_deleted/_catalog")
    check("it is listed as deleted", status == 200 and "soft/app" in json.loads(body).get("repositories", []), (status, body[:200]))
    collected = scene.server.command("admin", "gc", "--grace", "0s", "--format", "json", "--data", scene.server.data)
    check("garbage is collected", collected.returncode == 0, collected.stderr)
    status, _, body = registry.call("POST", "/acr/v1/_deleted/soft/app/_manifests/%s/restore" % digest)
    check("it is restored", status in (200, 202), (status, body[:200]))
    check("with its tag", (scene.get("soft/app", digest), scene.get("soft/app", "1")) == (200, 200))
    manifest = json.loads(registry.call("GET", "/v2/soft/app/manifests/1")[2])
    layer = manifest["layers"][0]["digest"]
    check("and with its blobs", registry.blob_digest("soft/app", layer) == (200, layer))


def retention(scene):
    check = scene.tally.check
    digests = [scene.pushed("old/app", "t%d" % number)[2] for number in range(5)]
    scene.set({"retention": [{"name": "few", "repositories": "old/*", "keepNewest": 2}]})
    arguments = ["admin", "retention", "--format", "json", "--data", scene.server.data]
    dry = scene.server.command(*arguments, "--dry-run")
    report = json.loads(dry.stdout) if dry.stdout else {}
    check("a dry run says what would go", {p["digest"] for p in report.get("planned", [])} == set(digests[:3]), (dry.stderr, report))
    check("and takes nothing", all(scene.get("old/app", d) == 200 for d in digests))
    done = scene.server.command(*arguments)
    check("the rules are applied", done.returncode == 0, done.stderr)
    check("the newest stay", [scene.get("old/app", d) for d in digests] == [404, 404, 404, 200, 200])


def main():
    tally = Tally("policies")
    with Server.temporary() as server:
        scene = Scene(server, tally)
        for part in (immutable_tags, quotas, soft_delete, retention):
            part(scene)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
