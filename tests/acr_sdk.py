#!/usr/bin/env python3
"""Microsoft's Python client of Azure Container Registry against a server: acr_sdk.py

Runs itself once for each generation of the SDK that scripts/tools.sh installed (2021: 1.0.0, today's),
over HTTPS, signed in as the SDK does it: its credential's token is exchanged, the registry's refresh
token is turned into access tokens by challenge. Where Azure's directory would give that token, one of
our own refresh tokens stands in: the exchange takes both.
"""
import json
import os
import subprocess
import sys
import urllib.parse

import harness
from harness import OCI_MANIFEST, Server, Tally, image_of, sha256

GENERATIONS = ("azure-containerregistry-2021", "azure-containerregistry-now")


def refresh_token(server):
    """As `docker login` gets it."""
    registry = server.registry()
    form = urllib.parse.urlencode({
        "grant_type": "password", "service": server.host, "username": harness.ADMIN,
        "password": server.password, "access_type": "offline"})
    status, _, body = registry.call("POST", "/oauth2/token", form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
    if status != 200:
        sys.exit("no token: %s %s" % (status, body[:300]))
    return json.loads(body)["refresh_token"]


def push(server, repository, tag, number):
    registry, layer = server.registry(), b"layer %d" % number
    config, manifest = image_of([layer])
    for content in (config, layer):
        registry.upload(repository, sha256(content), content, len(content))
    registry.put_manifest(repository, tag, manifest, OCI_MANIFEST)
    return sha256(manifest)


def one(tally, name, endpoint, token, images, ca):
    """Every call of the client that both generations have."""
    import time
    from collections import namedtuple
    from azure.containerregistry import ArtifactTagOrder, ContainerRegistryClient
    from azure.core.exceptions import ResourceNotFoundError

    class Credential:
        def get_token(self, *_, **__):
            return namedtuple("AccessToken", "token expires_on")(token, int(time.time()) + 3600)

    options = {"audience": "https://management.azure.com"}
    check = lambda what, good, why="": tally.check("%s: %s" % (name, what), good, why)
    with ContainerRegistryClient(endpoint, Credential(), connection_verify=ca, **options) as client:
        names = list(client.list_repository_names(results_per_page=1))
        check("repositories are listed, a page at a time", names == sorted(images), names)
        repository = "sdk/one"
        properties = client.get_repository_properties(repository)
        check("a repository has properties", (properties.name, properties.tag_count, properties.manifest_count) == (repository, 3, 3),
              (properties.name, properties.tag_count, properties.manifest_count))
        check("which are typed", properties.can_delete is True and properties.created_on.year >= 2026, properties.created_on)
        tags = [t.name for t in client.list_tag_properties(repository, results_per_page=2)]
        check("tags are listed", tags == ["t0", "t1", "t2"], tags)
        newest = [t.name for t in client.list_tag_properties(repository, order_by=ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING)]
        check("newest first where asked for", newest == ["t2", "t1", "t0"], newest)
        manifests = list(client.list_manifest_properties(repository))
        check("manifests are listed", {m.digest for m in manifests} == set(images[repository]), [m.digest for m in manifests])
        tag = client.get_tag_properties(repository, "t1")
        check("a tag has properties", (tag.name, tag.digest) == ("t1", images[repository][1]), tag.digest)
        manifest = client.get_manifest_properties(repository, "t1")
        check("a manifest has properties", (manifest.digest, manifest.tags) == (images[repository][1], ["t1"]), (manifest.digest, manifest.tags))
        check("by digest too", client.get_manifest_properties(repository, manifest.digest).digest == manifest.digest)

        locked = client.update_tag_properties(repository, "t1", can_write=False, can_delete=False)
        check("a tag is locked", (locked.can_write, locked.can_delete, locked.can_read) == (False, False, True))
        try:
            client.delete_tag(repository, "t1")
            check("a locked tag stays", False)
        except Exception as error:
            check("a locked tag stays", getattr(error, "status_code", 0) == 405, error)
        client.update_tag_properties(repository, "t1", can_write=True, can_delete=True)
        changed = client.update_repository_properties(repository, can_write=False)
        check("a repository is locked", changed.can_write is False)
        client.update_repository_properties(repository, can_write=True)
        changed = client.update_manifest_properties(repository, images[repository][0], can_list=False)
        check("a manifest is hidden", changed.can_list is False)
        client.update_manifest_properties(repository, images[repository][0], can_list=True)

        client.delete_tag(repository, "t0")
        check("a tag is removed, its manifest stays", client.get_manifest_properties(repository, images[repository][0]).tags in ([], None))
        client.delete_manifest(repository, images[repository][0])
        try:
            client.get_manifest_properties(repository, images[repository][0])
            check("a deleted manifest is gone", False)
        except ResourceNotFoundError:
            check("a deleted manifest is gone", True)
        if hasattr(client, "upload_blob"):
            content(check, client)
        client.delete_repository("sdk/two")
        check("a repository is deleted", list(client.list_repository_names()) == [n for n in sorted(images) if n != "sdk/two"] + (["sdk/up"] if hasattr(client, "upload_blob") else []))


def content(check, client):
    """What only today's client does."""
    import io
    digest, size = client.upload_blob("sdk/up", io.BytesIO(b"blob " * 2_000_000))
    check("a blob is pushed in chunks", size == 10_000_000 and digest == sha256(b"blob " * 2_000_000), (digest, size))
    got = b"".join(client.download_blob("sdk/up", digest))
    check("and comes back in ranges", got == b"blob " * 2_000_000, len(got))
    config, _ = client.upload_blob("sdk/up", io.BytesIO(b"{}"))
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": 10_000_000}]}
    pushed = client.set_manifest("sdk/up", manifest, tag="1")
    got = client.get_manifest("sdk/up", "1")
    check("a manifest is pushed and pulled", (got.digest, got.manifest) == (pushed, manifest), got)


def main():
    if len(sys.argv) > 1:
        tally = Tally(sys.argv[1])
        with Server.temporary(tls=True) as server:
            images = {"sdk/one": [push(server, "sdk/one", "t%d" % n, n) for n in range(3)], "sdk/two": [push(server, "sdk/two", "x", 9)]}
            ca = os.path.join(server.data, "tls", "ca.pem")
            one(tally, sys.argv[1], server.url, refresh_token(server), images, ca)
        return tally.finish()
    status = 0
    for generation in GENERATIONS:
        python = os.path.join(harness.cache(), generation, "bin", "python3")
        if not os.path.exists(python):
            print("skipped: %s: it is not installed; scripts/tools.sh azure-sdk does that" % generation)
            continue
        status |= subprocess.run([python, os.path.abspath(__file__), generation], stdin=subprocess.DEVNULL).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
