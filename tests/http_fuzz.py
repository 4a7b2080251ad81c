#!/usr/bin/env python3
"""Requests that nobody means well with: random ones by the thousand, then slow, broken-off, pipelined
and oversized ones.

Whatever is sent: no answer is a 5xx, every refusal below /v2/ says why in the form of the
specification, the server lives, and an upload that broke off goes on where it stood.

    http_fuzz.py [--requests N] [--seed N]
"""
import argparse
import hashlib
import http.client
import json
import os
import random
import re
import socket
import time
import urllib.parse

import harness
from harness import OCI_MANIFEST, Server, Tally, image_of, sha256

REQUESTS = 4000
SEED = 20_210_606
ANSWER_SECONDS_MAX = 30
SERVER_KIB_MAX = 512 * 1024

METHODS = ["GET"] * 6 + ["HEAD", "POST", "PUT", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get"]
WORDS = ["v2", "_catalog", "blobs", "uploads", "manifests", "tags", "list", "referrers", "fuzz", "a", "A", "..", ".", "",
         "%2e%2e", "%2f", "%00", "%ff", "%zz", "%", "\u00e9", "x" * 300, "sha256:" + "0" * 64, "sha256:0", "sha512:" + "f" * 128,
         "md5:00", ":", "@", "+", "-1", "latest", ".hidden", "00000000-0000-4000-8000-000000000000", "token", "oauth2", "api", "v1"]
PARAMETERS = ["digest", "mount", "from", "n", "last", "tag", "artifactType", "digest-algorithm", "ns", "scope", "service", "x"]
HEADERS = ["Range", "Content-Range", "Content-Type", "Accept", "If-None-Match", "If-Range", "X-Forwarded-Host",
           "X-Forwarded-Proto", "Expect", "Origin", "Cookie", "Content-Encoding", "X-Request-Id", "Accept-Encoding", "Upgrade"]
VALUES = ["", "*", "0-0", "0-9", "9-0", "bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-0,1-1,2-2", "bytes=" + "0-0," * 2000,
          "bytes=99999999999999999999999-", "bytes 0-9/10", "-", "0-18446744073709551615", "18446744073709551615-18446744073709551615",
          OCI_MANIFEST, "application/json; charset=utf-8", "text/html", "application/vnd.docker.distribution.manifest.v1+json",
          "\xff\xfe", "a" * 5000, "W/\"x\"", "gzip", "https", "evil.example/\"><script>", "100-continue", "h2c"]


class Generator:
    """Makes requests out of a seed."""

    def __init__(self, seed, blob, manifest):
        self.random, self.blob, self.manifest = random.Random(seed), blob, manifest

    def request(self):
        r = self.random
        method, path = r.choice(METHODS), self.path()
        if r.random() < 0.4:
            pairs = [(r.choice(PARAMETERS), self.value()) for _ in range(r.randint(1, 4))]
            path += "?" + urllib.parse.urlencode(pairs, encoding="latin-1", errors="replace")
        headers = [(r.choice(HEADERS), self.value()) for _ in range(r.choice((0, 0, 1, 2, 5)))]
        body = self.body() if method in ("POST", "PUT", "PATCH", "FOO") or r.random() < 0.05 else None
        return method, path, [(k, v.replace("\r", "").replace("\n", "")) for k, v in headers if k != "Expect" or body is None], body

    def path(self):
        r = self.random
        repository, digest = r.choice(("fuzz", "fuzz/deep/er", "Fuzz", "none")), self.digest()
        routes = ["/v2/", "/v2/_catalog", "/v2/%s/tags/list" % repository, "/v2/%s/manifests/%s" % (repository, r.choice(("1", digest, ".x"))),
                  "/v2/%s/blobs/%s" % (repository, digest), "/v2/%s/blobs/uploads/" % repository,
                  "/v2/%s/blobs/uploads/%s" % (repository, r.choice(WORDS)), "/v2/%s/referrers/%s" % (repository, digest)]
        if r.random() < 0.7:
            return urllib.parse.quote(r.choice(routes), safe="/:%?@+")
        return urllib.parse.quote("/v2/" + "/".join(r.choice(WORDS) for _ in range(r.randint(0, 8))), safe="/:%?@+")

    def digest(self):
        return self.random.choice((sha256(self.blob), sha256(self.manifest), "sha256:" + "0" * 64, "sha256:short", "sha512:" + "a" * 128))

    def value(self):
        r = self.random
        if r.random() < 0.2:
            # What is no text at all is refused below HTTP; see odd_requests.
            return "".join(chr(r.choice((r.randint(33, 126), r.randint(160, 255)))) for _ in range(r.randint(1, 40)))
        return r.choice(VALUES + [self.digest(), "fuzz", "1"])

    def body(self):
        r = self.random
        kind = r.random()
        if kind < 0.2:
            return r.randbytes(r.choice((0, 1, 100, 70_000)))
        if kind < 0.3:
            return self.blob
        raw = bytearray(json.dumps(self.mutated(json.loads(self.manifest))).encode())
        if r.random() < 0.3:
            raw[r.randrange(len(raw))] = r.randrange(256)
        return bytes(raw)

    def mutated(self, value, depth=0):
        """The document with some of its values replaced by others, of whatever type."""
        r = self.random
        if r.random() < 0.08:
            return r.choice([None, True, -1, 2 ** 70, 1e308, "", "x" * 1000, [], {}, [[[]]], {"digest": "sha256:x"}, self.digest()])
        if isinstance(value, dict):
            made = {k: self.mutated(v, depth + 1) for k, v in value.items() if r.random() > 0.05}
            if r.random() < 0.1:
                made[r.choice(("subject", "manifests", "artifactType", "annotations", "layers", "schemaVersion"))] = self.mutated([1], depth)
            return made
        if isinstance(value, list):
            return [self.mutated(v, depth + 1) for v in value] * r.choice((1, 1, 1, 0, 40))
        return value


def random_requests(server, tally, count, seed):
    blob = b"fuzzed " * 500
    configuration, manifest = image_of([blob])
    registry = server.registry()
    for content in (configuration, blob):
        registry.upload("fuzz", sha256(content), content, len(content))
    tally.check("an image is there", registry.put_manifest("fuzz", "1", manifest, OCI_MANIFEST)[0] == 201)
    generator, statuses, bad = Generator(seed, blob, manifest), {}, 0
    connection = harness.connect(server.url, ANSWER_SECONDS_MAX)
    for number in range(count):
        method, path, headers, body = generator.request()
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            connection.putheader("Authorization", registry.authorization)
            for name, value in headers:
                connection.putheader(name, value.encode("latin-1", "replace"))
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        except (http.client.HTTPException, OSError) as error:
            statuses["broken"] = statuses.get("broken", 0) + 1
            connection.close()
            if not server.alive():
                tally.check("the server lives after %s %s" % (method, path), False, error)
                return
            continue
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        why = fault(method, path, answer, content)
        if why:
            bad += 1
            tally.check("request %d: %s %s %s %r" % (number, method, path, headers, (body or b"")[:200]), False,
                        "%s: %d %r" % (why, answer.status, content[:300]))
        if bad > 20:
            break
    connection.close()
    print("answers: %s" % dict(sorted(statuses.items(), key=str)))
    tally.check("%d random requests are answered, seed %d" % (count, seed), bad == 0)
    tally.check("some are accepted and some refused", statuses.get(200) and statuses.get(400) and statuses.get(404))
    tally.check("no connection breaks", "broken" not in statuses, statuses.get("broken"))
    # What was there before is there, unless a random DELETE took it.
    tally.check("the image is whole or gone", registry.call("GET", "/v2/fuzz/manifests/" + sha256(manifest))[0] in (200, 404))


def fault(method, path, answer, content):
    """What is wrong with an answer, or None."""
    if answer.status >= 500:
        return "the server's own failure"
    if answer.status < 400 or method == "HEAD" or answer.status == 416 or not path.startswith("/v2/"):
        return None
    try:
        errors = json.loads(content)["errors"]
        if errors and all(e["code"] and e["message"] for e in errors) and answer.getheader("Content-Type") == "application/json":
            return None
        return "an envelope without code or message"
    except (ValueError, KeyError, TypeError):
        return "no error envelope"


def raw(server, request, hang_up=True, seconds=ANSWER_SECONDS_MAX, bytes_max=1 << 20):
    """Everything that comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as s:
        try:
            s.sendall(request)
            if hang_up:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # Refused before all of it was sent: the answer may be there all the same.
        received = b""
        try:
            while len(received) < bytes_max and (piece := s.recv(65536)):
                received += piece
        except OSError:
            pass
        return received


def odd_requests(server, tally):
    """What an HTTP library would not send."""
    authorization = "Authorization: %s\r\n" % server.registry().authorization
    get = "GET /v2/ HTTP/1.1\r\nHost: x\r\n%s" % authorization
    cases = {
        "no HTTP at all": b"hello\r\n\r\n", "nothing": b"", "binary": os.urandom(2000), "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00",
        "a megabyte of header": (get + "X-Big: %s\r\n\r\n" % ("a" * (1 << 20))).encode(),
        "a thousand headers": (get + "".join("X-%d: y\r\n" % n for n in range(1000)) + "\r\n").encode(),
        "a megabyte of path": b"GET /v2/" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "a header without colon": (get + "nonsense\r\n\r\n").encode(),
        "a negative length": (get.replace("GET", "PUT") + "Content-Length: -5\r\n\r\n").encode(),
        "two lengths": (get.replace("GET", "PUT") + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello").encode(),
        "a broken chunk": (get.replace("GET", "PUT") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n").encode(),
        "no host": ("GET /v2/ HTTP/1.1\r\n%s\r\n" % authorization).encode(),
        "HTTP 0.9": b"GET /v2/\r\n\r\n", "HTTP 9": (get.replace("1.1", "9.9") + "\r\n").encode(),
        "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "an authority": b"CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n",
        "an absolute target": (get.replace("/v2/", "http://other.example/v2/") + "\r\n").encode(),
    }
    for what, request in cases.items():
        answer = raw(server, request)
        status = answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.") else "none"
        tally.check("odd: %s" % what, not status.startswith("5"), answer[:200])
        tally.check("odd: %s: the server answers others" % what, server.registry().call("GET", "/v2/")[0] == 200)


def pipelined(server, tally):
    """Many requests in one piece are answered one by one, in order, none from within another's body."""
    registry, count = server.registry(), 60
    head = "Host: x\r\nAuthorization: %s\r\n" % registry.authorization
    smuggled = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n"
    request = ""
    for number in range(count):
        if number % 10 == 5:
            request += "POST /v2/pipe/blobs/uploads/?digest=%s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (
                sha256(smuggled.encode()), head, len(smuggled), smuggled)
        elif number == count - 1:
            request += "GET /v2/pipe-%d/tags/list HTTP/1.1\r\nConnection: close\r\n%s\r\n" % (number, head)
        else:
            request += "GET /v2/pipe-%d/tags/list HTTP/1.1\r\n%s\r\n" % (number, head)
    answers = raw(server, request.encode(), hang_up=False)
    statuses = re.findall(rb"HTTP/1\.1 (\d{3})", answers)
    expected = [b"201" if number % 10 == 5 else b"404" for number in range(count)]
    tally.check("pipelined requests are answered in order", statuses == expected, statuses)
    tally.check("nothing is answered from within a body", b"smuggled" not in answers)
    both = "POST /v2/pipe/blobs/uploads/ HTTP/1.1\r\n%sContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s" % (head, smuggled)
    answers = raw(server, both.encode())
    tally.check("two lengths at once do not end as two requests of different people",
                answers.count(b"HTTP/1.1 ") <= 2 and b"HTTP/1.1 5" not in answers, answers[:300])


def refusals_arrive(server, tally):
    """A refusal reaches a client that first sends everything, and the connection goes on."""
    registry, content = server.registry(), os.urandom(6 << 20)
    stranger = {"Authorization": "Bearer nonsense", "Content-Type": OCI_MANIFEST}
    connection = harness.connect(server.url, ANSWER_SECONDS_MAX)
    for what, method, path, headers, wanted in (
            ("a manifest that is too large", "PUT", "/v2/fuzz/manifests/large", {"Content-Type": OCI_MANIFEST}, 413),
            ("a blob of a stranger", "POST", "/v2/fuzz/blobs/uploads/?digest=" + sha256(content), stranger, 401),
            ("a blob without a digest", "PUT", "/v2/fuzz/blobs/uploads/00000000-0000-4000-8000-000000000000", {}, 400),
            ("a path that is none", "PUT", "/v2/fuzz/nothing", {}, 404)):
        try:
            connection.request(method, path, content, {"Authorization": registry.authorization, **headers})
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        except (http.client.HTTPException, OSError) as error:
            status, body = 0, repr(error)
        tally.check("%s: the refusal arrives" % what, status == wanted, (status, body[:300]))
        tally.check("%s: the connection goes on" % what, connection.sock is not None)
    connection.close()


def broken_uploads(server, tally, seed):
    """Bodies that stop at any byte; the upload goes on where the server says it stands."""
    r, registry = random.Random(seed), server.registry()
    content = r.randbytes(300_000)
    digest = sha256(content)
    _, location = registry.begin_upload("fuzz/broken")
    held = 0
    for attempt in range(20):
        stop = r.randrange(len(content) - held)
        head = "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n" % (
            location, registry.authorization, len(content) - held)
        if attempt % 2:
            head += "Content-Range: %d-%d\r\n" % (held, len(content) - 1)
        with socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_SECONDS_MAX) as s:
            s.sendall(head.encode() + b"\r\n" + content[held:held + stop])
            # Until the server has seen the end, it cannot know that the rest never comes.
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        status, headers = settled(registry, location)
        if not tally.check("broken upload %d: its status is told" % attempt, status == 204, status):
            return
        last = int(headers["Range"].split("-")[1])
        now = last + 1 if last else held
        tally.check("broken upload %d: it holds no more than was sent" % attempt, held <= now <= held + stop + 1, (held, now, stop))
        held = now
    status, _, body = registry.call("PATCH", location, content[held:], {"Content-Range": "%d-%d" % (held, len(content) - 1)})
    tally.check("the rest is taken", status == 202, (status, body[:200]))
    status, _, body = registry.call("PUT", location + "?digest=" + digest, b"")
    tally.check("the whole has the right digest", status == 201, (status, body[:200]))
    tally.check("it is served whole", registry.blob_digest("fuzz/broken", digest) == (200, digest))


def settled(registry, location):
    """Status of an upload once nobody writes to it any more."""
    end = time.monotonic() + ANSWER_SECONDS_MAX
    while time.monotonic() < end:
        # Even an empty chunk is refused while another request holds the upload.
        status, _, _ = registry.call("PATCH", location, b"", {"Content-Length": "0"})
        if status != 409:
            break
        time.sleep(0.02)
    status, headers, _ = registry.call("GET", location)
    return status, headers


def slow_uploads(server, tally):
    """Uploads that crawl cost others nothing."""
    registry, sockets = server.registry(), []
    for _ in range(100):
        _, location = registry.begin_upload("fuzz/slow")
        s = socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_SECONDS_MAX)
        s.sendall(("PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 1000\r\n\r\nx" % (
            location, registry.authorization)).encode())
        sockets.append((s, location))
    content = os.urandom(100_000)
    began = time.monotonic()
    tally.check("a push beside 100 slow ones", registry.upload("fuzz/slow", sha256(content), content, len(content))[0] == 201)
    tally.check("it does not wait for them", time.monotonic() - began < 5, time.monotonic() - began)
    status, _, body = registry.call("PATCH", sockets[0][1], b"y", {})
    tally.check("a second writer is told", status == 409, (status, body[:200]))
    s, location = sockets[1]
    s.sendall(b"x" * 999)
    tally.check("a slow one ends well", s.recv(12) == b"HTTP/1.1 202")
    whole = hashlib.sha256(b"x" * 1000).hexdigest()
    tally.check("and is what was sent", registry.call("PUT", location + "?digest=sha256:" + whole, b"")[0] == 201)
    for s, _ in sockets:
        s.close()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--requests", type=int, default=REQUESTS)
    options.add_argument("--seed", type=int, default=SEED)
    options = options.parse_args()
    tally = Tally("hostile requests")
    with Server.temporary() as server:
        random_requests(server, tally, options.requests, options.seed)
        odd_requests(server, tally)
        pipelined(server, tally)
        refusals_arrive(server, tally)
        broken_uploads(server, tally, options.seed)
        slow_uploads(server, tally)
        tally.check("the server lives", server.alive(), server.log())
        tally.check("nothing panicked", "panicked" not in server.log(1 << 24), server.log())
        peak = server.peak_kib()
        tally.check("the server's memory stays bounded", peak < SERVER_KIB_MAX, "%d KiB" % peak)
        print("peak memory of the server %d MiB" % (peak // 1024))
        tally.check("the server ends when asked", server.stop() == 0)
    return tally.finish()


if __name__ == "__main__":
    raise SystemExit(main())
