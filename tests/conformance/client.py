"""An HTTP client that writes down what it did, and a suite that shows it where a check fails."""
import base64
import contextlib
import http.client
import json
import re
import time
import urllib.parse

REDIRECTS_MAX = 5
SHOWN_BYTES_MAX = 400
# What a redirect to an object store says instead of the store.
PROMISED = ("Docker-Content-Digest", "ETag", "Accept-Ranges")
ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class Mismatch(Exception):
    """The registry did something else than the specification says."""


class Answer:
    def __init__(self, url, response, body):
        self.url, self.status, self.headers, self.body = url, response.status, response.headers, body

    def header(self, name):
        """Every value of a header as one list; an empty string where there is none."""
        return ", ".join(self.headers.get_all(name) or [])

    def location(self):
        """Where the answer leads, as an absolute address."""
        place = self.headers.get("Location")
        if not place:
            raise Mismatch("the answer has no Location")
        return urllib.parse.urljoin(self.url, place)

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Mismatch("the body is not JSON: %s" % error)

    def codes(self):
        """The error codes in the body."""
        return [e.get("code") for e in self.json().get("errors", [])]


class Client:
    """Speaks to one registry, signs in when it is asked to, and follows redirects as a browser would.

    `strict` holds every answer against what this registry promises beyond the specification: no
    answer is a 5xx, and every refusal says why in the body.
    """

    def __init__(self, base, user=None, password=None, context=None, strict=True):
        self.base, self.user, self.password, self.context, self.strict = base, user, password, context, strict
        self.tokens, self.transcript, self.connections = {}, [], {}

    def url(self, path, **query):
        """An address on the registry; lists in `query` repeat the parameter."""
        pairs = urllib.parse.urlencode({k.replace("_", "-"): v for k, v in query.items()}, doseq=True)
        return self.base + path + ("?" + pairs if pairs else "")

    def call(self, method, url, body=None, headers=(), chunked=False):
        """Sends one request. `body` is bytes, or with `chunked` a list of them without a length."""
        key = (re.sub(r"/(blobs|manifests|tags|referrers)/.*", "", urllib.parse.urlsplit(url).path),
               ACTIONS.get(method, "push"))
        answer = self.follow(method, url, body, headers, chunked, self.tokens.get(key))
        if answer.status == 401 and self.user is not None:
            self.tokens[key] = self.sign_in(answer)
            answer = self.follow(method, url, body, headers, chunked, self.tokens[key])
        if self.strict:
            self.judge(method, answer)
        return answer

    def judge(self, method, answer):
        if answer.status >= 500:
            raise Mismatch("%d is the registry's own failure" % answer.status)
        if answer.status >= 400 and answer.status != 416 and method != "HEAD":
            errors = answer.json().get("errors")
            if not errors or not all(isinstance(e.get("code"), str) and e.get("message") for e in errors):
                raise Mismatch("%d without code and message" % answer.status)

    def follow(self, method, url, body, headers, chunked, authorization):
        promised = None
        for _ in range(REDIRECTS_MAX):
            answer = self.send(method, url, body, headers, chunked, authorization)
            if method not in ("GET", "HEAD") or answer.status not in (301, 302, 303, 307, 308):
                # An object store knows neither digests nor the names that the registry gives.
                for name in PROMISED if promised else ():
                    del answer.headers[name]
                    answer.headers[name] = promised.header(name)
                return answer
            promised = promised or answer
            target = answer.location()
            if urllib.parse.urlsplit(target).netloc != urllib.parse.urlsplit(url).netloc:
                authorization = None
            url = target
        raise Mismatch("more than %d redirects" % REDIRECTS_MAX)

    def send(self, method, url, body, headers, chunked, authorization):
        parts = urllib.parse.urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        headers = list(headers)
        if authorization:
            headers.append(("Authorization", authorization))
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif body is not None or method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(body or b""))))
        self.note("> %s %s" % (method, url), [h for h in headers if h[0] != "Authorization"],
                  b"".join(body) if chunked else body)
        for again in (True, False):
            connection, kept = self.connection(parts)
            try:
                connection.putrequest(method, target, skip_accept_encoding=True)
                for name, value in headers:
                    connection.putheader(name, value)
                connection.endheaders(body, encode_chunked=chunked)
                response = connection.getresponse()
                answer = Answer(url, response, response.read())
            except (http.client.HTTPException, OSError) as error:
                self.connections.pop(parts.netloc).close()
                # A kept connection may have been closed meanwhile; a fresh one may not.
                if again and kept:
                    continue
                raise Mismatch("no answer: %r" % error)
            self.note("< %d" % answer.status, answer.headers.items(), answer.body)
            return answer

    def connection(self, parts):
        kept = self.connections.get(parts.netloc)
        if kept:
            return kept, True
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        options = {"context": self.context} if parts.scheme == "https" else {}
        self.connections[parts.netloc] = connection = kind(parts.netloc, timeout=60, **options)
        return connection, False

    def basic(self):
        return "Basic " + base64.b64encode(("%s:%s" % (self.user, self.password)).encode()).decode()

    def sign_in(self, answer):
        """The Authorization header that the challenge asks for."""
        challenge = answer.header("WWW-Authenticate")
        if challenge.lower().startswith("basic"):
            return self.basic()
        fields = dict(re.findall(r'([a-z]+)="([^"]*)"', challenge))
        if not challenge.startswith("Bearer ") or "realm" not in fields:
            raise Mismatch("401 with the challenge %r" % challenge)
        query = {k: fields[k] for k in ("service", "scope") if k in fields}
        realm = urllib.parse.urljoin(answer.url, fields["realm"]) + "?" + urllib.parse.urlencode(query)
        token = self.send("GET", realm, None, [], False, self.basic())
        if token.status != 200:
            raise Mismatch("no token: %d" % token.status)
        token = token.json()
        return "Bearer " + (token.get("access_token") or token["token"])

    def note(self, first, headers, body):
        shown = (body or b"")[:SHOWN_BYTES_MAX].decode("utf-8", "backslashreplace")
        rest = "" if body is None or len(body) <= SHOWN_BYTES_MAX else " ... %d bytes" % len(body)
        self.transcript.append("%s\n%s%s%s" % (first, "".join("    %s: %s\n" % h for h in headers),
                                               "    " + shown if shown else "", rest))


def expect(answer, *statuses, body=None, headers=None):
    """Holds an answer against what it should be; gives it back."""
    if answer.status not in statuses:
        raise Mismatch("status %d, not %s" % (answer.status, " or ".join(map(str, statuses))))
    if body is not None and answer.body != body:
        raise Mismatch("body of %d bytes differs from the %d expected" % (len(answer.body), len(body)))
    for name, value in (headers or {}).items():
        if answer.header(name) != value:
            raise Mismatch("%s is %r, not %r" % (name, answer.header(name), value))
    return answer


def equal(what, found, wanted):
    if found != wanted:
        raise Mismatch("%s is %r, not %r" % (what, found, wanted))


class Suite:
    """Counts checks, shows requests and answers of those that fail."""

    def __init__(self, name, client):
        self.name, self.client = name, client
        self.passed, self.failures, self.began = 0, [], time.monotonic()
        print("\nrunning %s" % name)

    @contextlib.contextmanager
    def check(self, name):
        self.client.transcript = []
        try:
            yield
        except (Mismatch, KeyError, TypeError, AttributeError) as error:
            self.failures.append(name)
            print("FAILED %s: %s" % (name, error))
            print("  " + "\n".join(self.client.transcript).replace("\n", "\n  "), flush=True)
        else:
            self.passed += 1

    def finish(self):
        """Prints the sum, also the way cargo prints it; gives the exit status."""
        bad = len(self.failures)
        print("%s: %d passed, %d failed" % (self.name, self.passed, bad))
        print("test result: %s. %d passed; %d failed; 0 ignored; 0 measured; 0 filtered out; finished in %.2fs"
              % ("FAILED" if bad or not self.passed else "ok", self.passed, bad, time.monotonic() - self.began))
        return 1 if bad or not self.passed else 0
