"""What lies beside the data sets: lists of nothing, refusals, odd but real requests."""
import json
import os

import blobs
import contents
from blobs import DIGEST
from client import Mismatch, equal, expect
from dataset import CONFIG, IMAGE, INDEX, DataSet, digest_of

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_BYTES_MAX = 4 << 20


def unused(suite, repository):
    """Before anything was pushed."""
    client = suite.client
    with suite.check("ping"):
        answer = expect(client.call("GET", client.url("/v2/")), 200)
        equal("the API version", answer.header("Docker-Distribution-Api-Version"), "registry/2.0")
    with suite.check("ping/challenge"):
        if client.user is not None:
            answer = client.send("GET", client.url("/v2/"), None, [], False, None)
            challenge = expect(answer, 401).header("WWW-Authenticate")
            if not challenge.startswith(("Bearer realm=", "Basic realm=")):
                raise Mismatch("the challenge is %r" % challenge)
    with suite.check("empty/tags"):
        answer = expect(client.call("GET", client.url("/v2/%s/tags/list" % repository)), 200, 404)
        if answer.status == 404:
            equal("the error code", answer.codes()[0], "NAME_UNKNOWN")
    with suite.check("empty/referrers"):
        subject = digest_of("sha256", os.urandom(8))
        equal("the referrers", contents.list_referrers(client, repository, subject), [])


def run(suite, repository):
    for part in (manifest_refusals, manifest_types, sizes, lists, requests, in_use):
        # What a part needs first may fail too, and must not end the others.
        with suite.check("%s/to-its-end" % part.__name__):
            part(suite, repository)


def prepared(client, repository):
    """An image whose blobs are pushed."""
    data = DataSet("edge")
    digest = data.image("edge")["digest"]
    for blob, content in data.blobs.items():
        blobs.post_only(client, repository, blob, content)
    return digest, data.manifests[digest]


def manifest_refusals(suite, repository):
    client = suite.client
    at = lambda reference: client.url("/v2/%s/manifests/%s" % (repository, reference))

    def put(what, raw, *statuses, reference="refused", media_type=IMAGE, code=None):
        with suite.check("manifest/refused/" + what):
            answer = expect(client.call("PUT", at(reference), raw, [("Content-Type", media_type)]), *statuses)
            if code:
                equal("the error code", answer.codes()[0], code)
            if ":" not in reference:
                expect(client.call("GET", at(reference)), 404)

    for method in ("GET", "HEAD", "DELETE"):
        with suite.check("manifest/missing/by-digest/" + method.lower()):
            expect(client.call(method, at(digest_of("sha256", os.urandom(8)))), 404)
        with suite.check("manifest/missing/by-tag/" + method.lower()):
            answer = expect(client.call(method, at("missing-%s" % os.urandom(4).hex())), 404)
            if method != "HEAD":
                equal("the error code", answer.codes()[0], "MANIFEST_UNKNOWN")
        for digest in ("sha256:baddigeststring", "sha256:" + "a" * 63, "md5:" + "0" * 32):
            with suite.check("manifest/malformed-digest/" + method.lower()):
                expect(client.call(method, at(digest)), 400, 404)
    _, raw = prepared(client, repository)
    put("malformed-digest", raw, 400, reference="sha256:baddigeststring")
    put("other-digest", raw, 400, reference=digest_of("sha256", b"something else"), code="DIGEST_INVALID")
    put("not-json", b"not json", 400, code="MANIFEST_INVALID")
    put("empty", b"", 400, code="MANIFEST_INVALID")
    put("an-array", b"[]", 400, code="MANIFEST_INVALID")
    put("schema-1", b'{"schemaVersion":1,"name":"x","tag":"y","fsLayers":[],"history":[],"signatures":[]}', 400,
        media_type="application/vnd.docker.distribution.manifest.v1+prettyjws", code="MANIFEST_INVALID")
    put("unknown-type", raw, 400, 415, media_type="image/png")
    put("type-of-another", raw.replace(IMAGE.encode(), INDEX.encode()), 400, code="MANIFEST_INVALID")
    document = json.loads(raw)
    absent = {"mediaType": CONFIG, "digest": digest_of("sha256", os.urandom(8)), "size": 99}
    put("absent-config", json.dumps({**document, "config": absent}).encode(), 400, 404, code="MANIFEST_BLOB_UNKNOWN")
    put("image-and-index", json.dumps({**document, "manifests": []}).encode(), 400, code="MANIFEST_INVALID")
    put("malformed-descriptor", raw.replace(b'"digest": "sha256:', b'"digest": "sha256:zz'), 400)
    for name in ("UPPER", "a//b", "-a", "a_-b"):
        with suite.check("name/malformed"):
            answer = expect(client.call("GET", client.url("/v2/%s/tags/list" % name)), 400, 404)
            if answer.status == 400:
                equal("the error code", answer.codes()[0], "NAME_INVALID")
    for tag in (".dot", "a" * 129, "a%20b"):
        with suite.check("tag/malformed"):
            expect(client.call("PUT", at(tag), raw, [("Content-Type", IMAGE)]), 400)
    with suite.check("tag/malformed-parameter"):
        answer = client.call("PUT", at(digest_of("sha256", raw)) + "?tag=ok&tag=.bad", raw, [("Content-Type", IMAGE)])
        expect(answer, 400)
        expect(client.call("HEAD", at("ok")), 404)


def manifest_types(suite, repository):
    client = suite.client
    digest, raw = prepared(client, repository)
    url = client.url("/v2/%s/manifests/edge" % repository)
    served = {"Content-Type": IMAGE, "Content-Length": str(len(raw)), DIGEST: digest}
    for what, headers in {"missing": [], "with-parameters": [("Content-Type", IMAGE + "; charset=utf-8")],
                          "generic": [("Content-Type", "application/json")]}.items():
        with suite.check("manifest/content-type/" + what):
            expect(client.call("PUT", url, raw, headers), 201, headers={DIGEST: digest})
            expect(client.call("GET", url), 200, body=raw, headers=served)
    for accept in ("", "*/*", "application/vnd.docker.distribution.manifest.v1+json", DOCKER_IMAGE, "text/html;q=0.1"):
        with suite.check("manifest/accept-converts-nothing"):
            expect(client.call("GET", url, headers=[("Accept", accept)]), 200, body=raw, headers=served)
    with suite.check("manifest/range"):
        # containerd sends it with every manifest.
        answer = expect(client.call("GET", url, headers=[("Range", "bytes=0-")]), 200, 206, body=raw)
        equal("the digest", answer.header(DIGEST), digest)
    with suite.check("manifest/not-modified"):
        tag = client.call("GET", url).header("ETag")
        expect(client.call("GET", url, headers=[("If-None-Match", tag)]), 304, body=b"")
    with suite.check("manifest/namespace"):
        expect(client.call("GET", url + "?ns=docker.io"), 200, body=raw)
    with suite.check("manifest/tag-moves"):
        other, moved = prepared(client, repository)
        expect(client.call("PUT", url, moved, [("Content-Type", IMAGE)]), 201)
        expect(client.call("HEAD", url), 200, headers={DIGEST: other})
        expect(client.call("GET", client.url("/v2/%s/manifests/%s" % (repository, digest))), 200, body=raw)
    with suite.check("manifest/again"):
        for _ in range(2):
            expect(client.call("PUT", url, raw, [("Content-Type", IMAGE)]), 201, headers={DIGEST: digest})
    for what, media_type, document in (
            ("image", DOCKER_IMAGE, {k: v for k, v in json.loads(raw).items()}),
            ("list", DOCKER_LIST, {"schemaVersion": 2, "manifests": [
                {"mediaType": IMAGE, "digest": digest, "size": len(raw), "platform": {"os": "linux", "architecture": "amd64"}}]})):
        with suite.check("manifest/docker/" + what):
            old = json.dumps({**document, "mediaType": media_type}, indent=3).encode()
            answer = client.call("PUT", client.url("/v2/%s/manifests/docker" % repository), old, [("Content-Type", media_type)])
            expect(answer, 201, headers={DIGEST: digest_of("sha256", old)})
            expect(client.call("GET", answer.location()), 200, body=old, headers={"Content-Type": media_type})


def sizes(suite, repository):
    client = suite.client
    data = DataSet("size")
    data.image(annotations={"x": ""})
    for digest, content in data.blobs.items():
        blobs.post_only(client, repository, digest, content)
    raw = next(iter(data.manifests.values()))
    for what, size, status in (("largest", MANIFEST_BYTES_MAX, 201), ("too-large", MANIFEST_BYTES_MAX + 1, 413)):
        with suite.check("manifest/size/" + what):
            padded = raw.replace(b'"x": ""', b'"x": "%s"' % (b"y" * (size - len(raw))))
            equal("the size", len(padded), size)
            url = client.url("/v2/%s/manifests/size-%s" % (repository, what))
            expect(client.call("PUT", url, padded, [("Content-Type", IMAGE)]), status)
            expect(client.call("HEAD", url), 200 if status == 201 else 404)


def lists(suite, repository):
    client, at = suite.client, "/v2/%s" % repository
    with suite.check("tags/none-asked"):
        answer = expect(client.call("GET", client.url(at + "/tags/list", n=0)), 200)
        equal("the tags", (answer.json()["tags"], answer.header("Link")), ([], ""))
    for n in ("-1", "x", "1.5"):
        with suite.check("tags/malformed-number"):
            expect(client.call("GET", client.url(at + "/tags/list", n=n)), 400)
    with suite.check("tags/large-number"):
        expect(client.call("GET", client.url(at + "/tags/list", n="999999999999999999999")), 200)
    with suite.check("referrers/malformed-digest"):
        for digest in ("sha256:xyz", "latest", "md5:00"):
            expect(client.call("GET", client.url(at + "/referrers/" + digest)), 400)
    with suite.check("referrers/pages"):
        data, subject = DataSet("pages"), {"mediaType": IMAGE, "digest": digest_of("sha256", os.urandom(8)), "size": 3}
        for number in range(120):
            data.artifact(subject=subject, content=b"same", annotations={"number": str(number)})
        for digest, content in data.blobs.items():
            blobs.post_only(client, repository, digest, content)
        for digest, raw in data.manifests.items():
            url = client.url("%s/manifests/%s" % (at, digest))
            expect(client.call("PUT", url, raw, [("Content-Type", IMAGE)]), 201)
        found = contents.list_referrers(client, repository, subject["digest"])
        equal("the number of referrers", len({d["digest"] for d in found}), 120)
        equal("the referrers", contents.by_digest(found), contents.by_digest(data.referrers[subject["digest"]]))
    fallback(suite, repository)


def fallback(suite, repository):
    """Index tags that clients of older registries keep are part of the list."""
    client, at = suite.client, "/v2/%s" % repository
    with suite.check("referrers/fallback-tag"):
        data, kind = DataSet("fallback"), "application/vnd.example.fallback"
        subject = digest_of("sha256", os.urandom(8))
        target = {"mediaType": IMAGE, "digest": subject, "size": 3}
        # The first does not say whom it is about, the second does, the third is not there.
        silent = data.artifact(kind, annotations={"who": "silent"})
        speaking = data.artifact(kind, subject=target, annotations={"who": "speaking"})
        other = data.artifact("application/vnd.example.unrelated")
        absent = {"mediaType": IMAGE, "digest": digest_of("sha256", os.urandom(8)), "size": 5}
        for digest, content in data.blobs.items():
            blobs.post_only(client, repository, digest, content)
        data.index([silent, speaking, absent, other])
        for digest, raw in data.manifests.items():
            expect(client.call("PUT", client.url("%s/manifests/%s" % (at, digest)), raw), 201)
        index = list(data.manifests.values())[-1]
        expect(client.call("PUT", client.url("%s/manifests/%s" % (at, subject.replace(":", "-"))), index), 201)
        found = contents.list_referrers(client, repository, subject)
        equal("the digests", [d["digest"] for d in contents.by_digest(found)],
              sorted(d["digest"] for d in (silent, speaking, other)))
        notes = {d["digest"]: d.get("annotations") for d in found}
        equal("the annotations", notes[silent["digest"]], {"who": "silent"})
        filtered = contents.list_referrers(client, repository, subject, kind)
        equal("the filtered digests", sorted(d["digest"] for d in filtered),
              sorted(d["digest"] for d in (silent, speaking)))
    with suite.check("referrers/signature-tag-is-none"):
        digest, raw = prepared(client, repository)
        for suffix in (".sig", ".att", ".sbom"):
            tag = digest.replace(":", "-") + suffix
            expect(client.call("PUT", client.url("%s/manifests/%s" % (at, tag)), raw), 201)
        equal("the referrers", contents.list_referrers(client, repository, digest), [])


def requests(suite, repository):
    client, at = suite.client, "/v2/%s" % repository
    for method, path in (("POST", "/tags/list"), ("DELETE", "/tags/list"), ("POST", "/manifests/x"), ("PATCH", "/manifests/x"),
                         ("PUT", "/referrers/" + digest_of("sha256", b"")), ("PUT", "/blobs/" + digest_of("sha256", b"")),
                         ("GET", "/blobs/uploads/"), ("PUT", "/blobs/uploads/")):
        with suite.check("method/%s%s" % (method.lower(), path.split(":")[0])):
            answer = expect(client.call(method, client.url(at + path), b"" if method != "GET" else None), 405)
            equal("the error code", answer.codes()[0], "UNSUPPORTED")
            if not answer.header("Allow"):
                raise Mismatch("405 without Allow")
    for path in ("/nothing", "/tags", "/manifests/", "/blobs/", "/%00/tags/list", "/..%2f..%2f/tags/list", "/x%zz/manifests/y"):
        with suite.check("path" + path):
            expect(client.call("GET", client.url(at + path)), 400, 404)
    with suite.check("mount/same-repository"):
        data = os.urandom(20)
        digest = digest_of("sha256", data)
        blobs.post_only(client, repository, digest, data)
        blobs.mount(client, repository, digest, data, repository)
    with suite.check("blob/pushed-twice"):
        for way in blobs.WAYS:
            way(client, repository, digest, data)


def locations(suite, repository, absolute):
    """Relative, unless the server is told otherwise; then as the proxy before it is called."""
    client = suite.client
    forwarded = [("X-Forwarded-Host", "registry.example:444"), ("X-Forwarded-Proto", "https")]
    for what, headers, wanted in (("direct", [], client.base), ("forwarded", forwarded, "https://registry.example:444")):
        with suite.check("location/" + what):
            data = os.urandom(20)
            digest = digest_of("sha256", data)
            begun = client.url("/v2/%s/blobs/uploads/" % repository)
            for query, status in (("", 202), ("?digest=" + digest, 201), ("?mount=%s&from=%s" % (digest, repository), 201)):
                # A token is made for one host, so that a password is what works through the proxy.
                answer = expect(client.send("POST", begun + query, data if "digest" in query else b"", headers, False,
                                            client.basic()), status)
                place = answer.header("Location")
                if not place.startswith((wanted if absolute else "") + "/v2/" + repository):
                    raise Mismatch("Location is %r" % place)


def in_use(suite, repository):
    client = suite.client
    with suite.check("blob/in-use-stays"):
        digest, raw = prepared(client, repository)
        url = client.url("/v2/%s/manifests/%s" % (repository, digest))
        expect(client.call("PUT", url, raw, [("Content-Type", IMAGE)]), 201)
        config = json.loads(raw)["config"]["digest"]
        # Whoever takes it for a registry without deletion is not wrong: the manifest goes first.
        answer = expect(client.call("DELETE", client.url("/v2/%s/blobs/%s" % (repository, config))), 202, 405)
        if answer.status == 405:
            expect(client.call("GET", client.url("/v2/%s/blobs/%s" % (repository, config))), 200)
            expect(client.call("DELETE", url), 202)
            expect(client.call("DELETE", client.url("/v2/%s/blobs/%s" % (repository, config))), 202)
