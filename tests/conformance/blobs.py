"""Blobs: every way to push one, to read all or part of it, and to delete it."""
import itertools
import os

from client import Mismatch, equal, expect
from dataset import OCTETS, digest_of

TYPE = ("Content-Type", OCTETS)
CHUNK_BYTES = 1024
DIGEST = "Docker-Content-Digest"


def begin(client, repository, **query):
    """Begins an upload; gives its address."""
    answer = expect(client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository, **query)), 202)
    return answer.location()


def closing(address, digest):
    """The address that ends an upload."""
    return address + ("&" if "?" in address else "?") + "digest=" + digest


def stored(client, answer, digest, data):
    """What an acknowledged push promises: the digest, and the blob where Location says."""
    expect(answer, 201, headers={DIGEST: digest})
    expect(client.call("GET", answer.location()), 200, body=data, headers={DIGEST: digest})


def outcome(client, answer, digest, data, spoilt):
    if spoilt:
        expect(answer, 400)
        equal("the error code", answer.codes()[0], "DIGEST_INVALID")
        expect(client.call("HEAD", answer.url.split("/blobs/")[0] + "/blobs/" + digest), 404)
    else:
        stored(client, answer, digest, data)


def post_only(client, repository, digest, data, spoilt=False):
    url = client.url("/v2/%s/blobs/uploads/" % repository, digest=digest)
    outcome(client, client.call("POST", url, data, [TYPE]), digest, data, spoilt)


def post_put(client, repository, digest, data, spoilt=False):
    address = begin(client, repository)
    outcome(client, client.call("PUT", closing(address, digest), data, [TYPE]), digest, data, spoilt)


def post_put_announced(client, repository, digest, data, spoilt=False):
    """The algorithm of the digest is said beforehand."""
    address = begin(client, repository, digest_algorithm=digest.split(":")[0])
    outcome(client, client.call("PUT", closing(address, digest), data, [TYPE]), digest, data, spoilt)


def streamed(client, repository, digest, data, spoilt=False):
    address = begin(client, repository)
    pieces = [data[at:at + 700] for at in range(0, len(data), 700)]
    answer = expect(client.call("PATCH", address, pieces, [TYPE], chunked=True), 202)
    outcome(client, client.call("PUT", closing(answer.location(), digest), b"", [TYPE]), digest, data, spoilt)


def chunked(client, repository, digest, data, spoilt=False, put_last=False, out_of_order=False):
    answer = expect(client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository)), 202)
    size = max(int(answer.header("OCI-Chunk-Min-Length") or 0), CHUNK_BYTES)
    address, sent = answer.location(), 0
    while sent < len(data):
        if out_of_order:
            address = misplaced(client, address, digest, data, sent, size, put_last)
        end = min(sent + size, len(data))
        headers = [TYPE, ("Content-Range", "%d-%d" % (sent, end - 1))]
        if put_last and end == len(data):
            answer = client.call("PUT", closing(address, digest), data[sent:end], headers)
            return outcome(client, answer, digest, data, spoilt)
        answer = expect(client.call("PATCH", address, data[sent:end], headers), 202, headers={"Range": "0-%d" % (end - 1)})
        address, sent = answer.location(), end
    outcome(client, client.call("PUT", closing(address, digest), b"", [TYPE]), digest, data, spoilt)


def misplaced(client, address, digest, data, sent, size, put_last):
    """Sends a chunk that is not next, and finds out how to go on."""
    first = sent + size if sent + size < len(data) else 0
    end = min(first + size, len(data))
    headers = [TYPE, ("Content-Range", "%d-%d" % (first, end - 1))]
    if put_last and end == len(data):
        answer = client.call("PUT", closing(address, digest), data[first:end], headers)
    else:
        answer = client.call("PATCH", address, data[first:end], headers)
    expect(answer, 416)
    answer = expect(client.call("GET", address), 204)
    # Nothing and one byte look alike.
    equal("Range", answer.header("Range"), "0-%d" % max(sent - 1, 0))
    return answer.location()


def mount(client, repository, digest, data, source=None, there=True):
    query = {"mount": digest, **({"from": source} if source else {})}
    answer = client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository, **query), b"")
    if there:
        return stored(client, answer, digest, data)
    expect(answer, 202)
    return stored(client, client.call("PUT", closing(answer.location(), digest), data, [TYPE]), digest, data)


WAYS = (post_put, post_only, streamed, chunked, post_put_announced)
_turn = itertools.cycle(WAYS)


def push_some_way(client, repository, digest, data):
    """Each way in its turn."""
    way = next(_turn)
    # There is no chunk of nothing.
    (way if data or way is not chunked else post_put)(client, repository, digest, data)


def is_there(suite, name, repository, digest, data):
    client, url = suite.client, suite.client.url("/v2/%s/blobs/%s" % (repository, digest))
    headers = {"Content-Length": str(len(data)), DIGEST: digest}
    with suite.check(name + "/head"):
        expect(client.call("HEAD", url), 200, body=b"", headers=headers)
    with suite.check(name + "/get"):
        expect(client.call("GET", url), 200, body=data, headers=headers)


def delete(suite, name, repository, digest):
    client, url = suite.client, suite.client.url("/v2/%s/blobs/%s" % (repository, digest))
    with suite.check(name + "/delete"):
        expect(client.call("DELETE", url), *((202,) if client.strict else (202, 404)))
    with suite.check(name + "/gone"):
        expect(client.call("HEAD", url), 404)
        expect(client.call("GET", url), 404)


def run(suite, algorithm, repository, other):
    client = suite.client

    def new(size=512):
        data = os.urandom(size)
        return digest_of(algorithm, data), data

    def name(what):
        return "blobs/%s/%s" % (algorithm, what)

    digest, data = new()
    with suite.check(name("missing")):
        answer = expect(client.call("GET", client.url("/v2/%s/blobs/%s" % (repository, digest))), 404)
        equal("the error code", answer.codes()[0], "BLOB_UNKNOWN")
        expect(client.call("HEAD", client.url("/v2/%s/blobs/%s" % (repository, digest))), 404, body=b"")

    three = 3 * CHUNK_BYTES - 5
    pushes = {
        "post": (post_only, 512, {}), "post-put": (post_put, 512, {}), "announced": (post_put_announced, 512, {}),
        "chunk": (chunked, 512, {}), "stream": (streamed, 2048, {}), "chunks": (chunked, three, {}),
        "chunks-put-last": (chunked, three, {"put_last": True}),
        "out-of-order": (chunked, three, {"out_of_order": True}),
        "out-of-order-put-last": (chunked, three, {"put_last": True, "out_of_order": True}),
        "empty": (post_put, 0, {}), "empty-post": (post_only, 0, {}), "empty-stream": (streamed, 0, {}),
    }
    for what, (way, size, options) in pushes.items():
        digest, data = new(size)
        with suite.check(name(what) + "/push"):
            way(client, repository, digest, data, **options)
        is_there(suite, name(what), repository, digest, data)
        delete(suite, name(what), repository, digest)
    digest, data = digest_of(algorithm, b"{}"), b"{}"
    for way in WAYS:
        with suite.check(name("empty-json/%s" % way.__name__)):
            way(client, repository, digest, data)
        is_there(suite, name("empty-json"), repository, digest, data)
        delete(suite, name("empty-json"), repository, digest)

    for what, source in (("mount", other), ("mount-anonymous", None)):
        digest, data = new()
        with suite.check(name(what) + "/push-elsewhere"):
            push_some_way(client, other, digest, data)
        with suite.check(name(what)):
            mount(client, repository, digest, data, source)
        is_there(suite, name(what), repository, digest, data)
        delete(suite, name(what), repository, digest)
        is_there(suite, name(what) + "/source-stays", other, digest, data)
        delete(suite, name(what) + "/source", other, digest)
    for what, source in (("missing", other), ("missing-repository", other + "/never"), ("missing-anonymous", None),
                         ("malformed-source", "Not A Name")):
        digest, data = new()
        with suite.check(name("mount-" + what)):
            mount(client, repository, digest, data, source, there=False)
        is_there(suite, name("mount-" + what), repository, digest, data)
        delete(suite, name("mount-" + what), repository, digest)

    with suite.check(name("cancel")):
        address = begin(client, repository)
        expect(client.call("DELETE", address), 204)
        equal("the error code", expect(client.call("GET", address), 404).codes()[0], "BLOB_UPLOAD_UNKNOWN")
        equal("the error code", expect(client.call("PATCH", address, b"x", [TYPE]), 404).codes()[0], "BLOB_UPLOAD_UNKNOWN")

    for what, (way, options) in {"post": (post_only, {}), "post-put": (post_put, {}), "chunks": (chunked, {}),
                                 "chunks-put-last": (chunked, {"put_last": True}), "stream": (streamed, {}),
                                 "announced": (post_put_announced, {})}.items():
        digest, data = new(three)
        with suite.check(name("bad-digest/" + what)):
            way(client, repository, digest, data + b"oh no", spoilt=True, **options)
    ranges(suite, name, repository, *new(2048))
    uploads(suite, name, repository, other, new)


def ranges(suite, name, repository, digest, data):
    """Parts of a blob (RFC 9110, section 14)."""
    client, size = suite.client, len(data)
    with suite.check(name("ranges/push")):
        push_some_way(client, repository, digest, data)
    url = client.url("/v2/%s/blobs/%s" % (repository, digest))
    for asked, (first, end) in {"500-1499": (500, 1500), "500-": (500, size), "-500": (size - 500, size),
                                "2000-5000": (2000, size), "0-0": (0, 1), "0-": (0, size), "-99999": (0, size),
                                "2047-": (2047, size)}.items():
        with suite.check(name("ranges/" + asked)):
            expect(client.call("GET", url, headers=[("Range", "bytes=" + asked)]), 206, body=data[first:end], headers={
                "Content-Length": str(end - first), "Content-Range": "bytes %d-%d/%d" % (first, end - 1, size), DIGEST: digest})
    for asked in ("500-0", "5000-10000", "2048-", "-0"):
        with suite.check(name("ranges/unsatisfiable/" + asked)):
            expect(client.call("GET", url, headers=[("Range", "bytes=" + asked)]), 416,
                   headers={"Content-Range": "bytes */%d" % size})
    for asked in ("bytes=x-y", "bytes", "lines=1-2", "bytes=1-2,x"):
        with suite.check(name("ranges/ignored/" + asked)):
            expect(client.call("GET", url, headers=[("Range", asked)]), 200, body=data)
    with suite.check(name("ranges/several")):
        answer = expect(client.call("GET", url, headers=[("Range", "bytes=0-9,100-109,-5")]), 206)
        boundary = answer.header("Content-Type").partition("boundary=")[2].strip('"')
        equal("the media type", answer.header("Content-Type").split(";")[0], "multipart/byteranges")
        parts = answer.body.split(b"--" + boundary.encode())[1:-1]
        equal("the parts", [p.split(b"\r\n\r\n", 1)[1][:-2] for p in parts], [data[:10], data[100:110], data[-5:]])
    with suite.check(name("ranges/announced")):
        for method in ("GET", "HEAD"):
            expect(client.call(method, url), 200, headers={"Accept-Ranges": "bytes"})
    with suite.check(name("ranges/if-range")):
        tag = client.call("HEAD", url).header("ETag")
        one = [("Range", "bytes=1-1")]
        expect(client.call("GET", url, headers=one + [("If-Range", tag)]), 206, body=data[1:2])
        expect(client.call("GET", url, headers=one + [("If-Range", '"another"')]), 200, body=data)
    with suite.check(name("not-modified")):
        tag = client.call("HEAD", url).header("ETag")
        expect(client.call("GET", url, headers=[("If-None-Match", tag)]), 304, body=b"")
    delete(suite, name("ranges"), repository, digest)


def uploads(suite, name, repository, other, new):
    """What an upload in progress says, and what it refuses."""
    client = suite.client
    with suite.check(name("upload/status")):
        digest, data = new(300)
        answer = expect(client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository)), 202)
        expect(client.call("GET", answer.location()), 204, body=b"", headers={"Range": "0-0"})
        answer = expect(client.call("PATCH", answer.location(), data[:100], [TYPE]), 202, headers={"Range": "0-99"})
        answer = expect(client.call("GET", answer.location()), 204, headers={"Range": "0-99"})
        # Without a range, a body is what comes next.
        answer = expect(client.call("PATCH", answer.location(), data[100:], [TYPE]), 202, headers={"Range": "0-299"})
        stored(client, client.call("PUT", closing(answer.location(), digest)), digest, data)
    with suite.check(name("upload/ended")):
        address = begin(client, repository)
        digest, data = new(30)
        stored(client, client.call("PUT", closing(address, digest), data, [TYPE]), digest, data)
        expect(client.call("GET", address), 404)
        expect(client.call("PUT", closing(address, digest), data, [TYPE]), 404)
    with suite.check(name("upload/elsewhere")):
        address = begin(client, repository)
        if "/v2/%s/" % repository in address:
            moved = address.replace("/v2/%s/" % repository, "/v2/%s/" % other)
            equal("the error code", expect(client.call("PATCH", moved, b"x", [TYPE]), 404).codes()[0], "BLOB_UPLOAD_UNKNOWN")
        expect(client.call("DELETE", address), 204)
    for what, header in {"http-form": "bytes 0-9/10", "reversed": "9-0", "words": "a-b", "half": "0-"}.items():
        with suite.check(name("upload/content-range/" + what)):
            address = begin(client, repository)
            expect(client.call("PATCH", address, b"0123456789", [TYPE, ("Content-Range", header)]), 400, 416)
            expect(client.call("GET", address), 204, headers={"Range": "0-0"})
    with suite.check(name("upload/content-range/length")):
        address = begin(client, repository)
        expect(client.call("PATCH", address, b"0123456789", [TYPE, ("Content-Range", "0-4")]), 400, 416)
        expect(client.call("PATCH", address, [b"0123456789"], [TYPE, ("Content-Range", "0-4")], chunked=True), 400, 416)
    with suite.check(name("upload/no-digest")):
        equal("the error code", expect(client.call("PUT", begin(client, repository), b"x", [TYPE]), 400).codes()[0], "DIGEST_INVALID")
    with suite.check(name("upload/malformed-digest")):
        for digest in ("sha256:nonsense", "md5:d41d8cd98f00b204e9800998ecf8427e", "", "sha256:" + "A" * 64):
            expect(client.call("PUT", closing(begin(client, repository), digest), b"x", [TYPE]), 400)
            expect(client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository, digest=digest or "x"), b"x", [TYPE]), 400)
    with suite.check(name("upload/unknown-algorithm")):
        expect(client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository, digest_algorithm="md5")), 400)
    with suite.check(name("upload/unknown")):
        for session in ("00000000-0000-4000-8000-000000000000", "no-such", "..."):
            answer = client.call("GET", client.url("/v2/%s/blobs/uploads/%s" % (repository, session)))
            equal("the error code", expect(answer, 404).codes()[0], "BLOB_UPLOAD_UNKNOWN")
    with suite.check(name("upload/chunk-minimum")):
        answer = expect(client.call("POST", client.url("/v2/%s/blobs/uploads/" % repository)), 202)
        # Proxies cap bodies: a registry that wants large chunks cannot be pushed to.
        if int(answer.header("OCI-Chunk-Min-Length") or 0) > 16 << 20:
            raise Mismatch("chunks of %s bytes are wanted" % answer.header("OCI-Chunk-Min-Length"))
