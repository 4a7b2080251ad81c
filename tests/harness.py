"""A server to test against and clients that hide nothing. Python standard library only.

    with Server.temporary() as server:
        registry = server.registry()
        registry.push_layout(Layout("path/to/layout"), "demo/app")

The program under test is LAZARET_BIN, else what `cargo build` left in the target folder.
Results are printed the way cargo prints them, so that one reader adds everything up.
"""
import base64
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ADMIN = "admin"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 45
SCAN_SECONDS_MAX = 180
CHUNK_BYTES = 1 << 20


def binary():
    """The lazaret program to test."""
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
    path = os.environ.get("LAZARET_BIN") or os.path.join(target, "debug", "lazaret")
    if not os.access(path, os.X_OK):
        sys.exit("no program at %s: run `cargo build -p server`, or set LAZARET_BIN" % path)
    return path


def shared():
    """The folder with shared test data, or None. LAZARET_SHARED names another than ../shared."""
    path = os.environ.get("LAZARET_SHARED") or os.path.join(ROOT, "..", "shared")
    return os.path.abspath(path) if os.path.isdir(path) else None


def corpus():
    """The folder of built test images (scripts/corpus.sh), or None."""
    path = os.environ.get("LAZARET_CORPUS") or os.path.join(cache(), "corpus")
    return path if os.path.isdir(path) else None


def cache():
    """What may be kept between runs; outside the clone."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("LAZARET_CACHE") or os.path.join(home, "lazaret")


def skip(what, why):
    """Says loudly what was not tested, and ends well."""
    print("skipped: %s: %s" % (what, why))
    sys.exit(0)


class Tally:
    """Counts checks and prints the verdict the way cargo does."""

    def __init__(self, name):
        self.name, self.passed, self.failures, self.began = name, 0, [], time.monotonic()
        print("\nrunning %s" % name)

    def check(self, what, good, why=""):
        if good:
            self.passed += 1
        else:
            self.failures.append(what)
            print("FAILED %s%s" % (what, ": %s" % (why,) if why != "" else ""))
        sys.stdout.flush()
        return bool(good)

    def finish(self):
        """Prints the sum and gives the exit status."""
        bad = len(self.failures)
        print("test result: %s. %d passed; %d failed; 0 ignored; 0 measured; 0 filtered out; finished in %.2fs"
              % ("FAILED" if bad else "ok", self.passed, bad, time.monotonic() - self.began))
        if self.passed == 0 and bad == 0:
            print("FAILED %s: nothing was checked" % self.name)
            return 1
        return 1 if bad else 0


class Server:
    """`lazaret serve` on a free loopback port, over plain HTTP unless `tls` is asked for."""

    def __init__(self, data, program=None, arguments=(), environment=None, config=None, tls=False):
        self.data, self.program, self.arguments = data, program or binary(), list(arguments)
        self.tls = tls
        self.password = secrets.token_urlsafe(12)
        self.environment = dict(os.environ, LAZARET_ADMIN_PASSWORD=self.password, **(environment or {}))
        self.process, self.port, self.own = None, None, False
        self.log_path = data.rstrip("/") + ".log"
        if config:
            path = data.rstrip("/") + ".toml"
            with open(path, "w") as f:
                f.write(config)
            self.arguments += ["--config", path]

    @classmethod
    def temporary(cls, **options):
        import stores  # It needs what stands here.
        if chosen := stores.of_environment():
            options["config"] = chosen.settings() + (options.get("config") or "")
        parent = tempfile.mkdtemp(prefix="lazaret-test-")
        server = cls(os.path.join(parent, "data"), **options)
        server.own = parent
        return server

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)

    @property
    def host(self):
        return "127.0.0.1:%d" % self.port

    @property
    def url(self):
        return ("https://" if self.tls else "http://") + self.host

    @property
    def context(self):
        """What a client needs to trust the server, or None over plain HTTP."""
        return ssl.create_default_context(cafile=os.path.join(self.data, "tls", "ca.pem")) if self.tls else None

    @property
    def db(self):
        """The advisory index that this server uses."""
        return os.path.join(self.data, "advisories")

    def start(self):
        # The port is free when asked for and may be taken a moment later: then another is tried.
        for _ in range(5):
            self.port = free_port()
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(
                    [self.program, "serve"] + ([] if self.tls else ["--http"])
                    + ["--data", self.data, "--listen", self.host] + self.arguments,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True)
            if self.wait_until_ready():
                return self
        raise RuntimeError("the server does not start; its log:\n" + self.log())

    def wait_until_ready(self):
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            try:
                connection = connect(self.url, 5, self.context)
                connection.request("GET", "/v2/")
                status = connection.getresponse().status
                connection.close()
                if status in (200, 401):
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        self.kill()
        raise RuntimeError("the server is not ready after %d s; its log:\n%s" % (START_SECONDS_MAX, self.log()))

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Takes the server and its workers away at once, as a power cut would."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def stop(self):
        """Asks the server to end; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS_MAX)
        self.process = None
        return status

    def peak_kib(self):
        """The most memory that the server process ever had resident, workers not counted."""
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))

    def log(self, bytes_max=4000):
        try:
            with open(self.log_path, "rb") as f:
                f.seek(max(0, os.path.getsize(self.log_path) - bytes_max))
                return f.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def registry(self):
        return Registry(self.url, ADMIN, self.password, context=self.context)

    def api(self):
        return Api(self.url, ADMIN, self.password, context=self.context)

    def command(self, *arguments, **options):
        return subprocess.run([self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(url, timeout, context=None):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
    return http.client.HTTPConnection(parts.netloc, timeout=timeout)


class Http:
    """One kept-alive connection with Basic authentication."""

    def __init__(self, url, user, password, timeout=120, context=None):
        self.connect = lambda: connect(url, timeout, context)
        self.connection = self.connect()
        self.authorization = "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()

    def call(self, method, path, body=None, headers=None):
        """Status, headers and bytes of the answer; status 0 when the connection broke."""
        headers = dict(headers or {}, Authorization=self.authorization)
        for last in (False, True):
            try:
                if hasattr(body, "seek"):
                    body.seek(0)
                try:
                    self.connection.request(method, path, body, headers)
                except (BrokenPipeError, ConnectionResetError):
                    if self.connection.sock is None:
                        raise  # There was no connection in the first place.
                    # The server may have answered before it had everything: a 413, say.
                    answer = self.connection.getresponse()
                    outcome = answer.status, answer.headers, answer.read()
                    self.connection.close()
                    return outcome
                answer = self.connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (http.client.HTTPException, OSError) as error:
                self.connection.close()
                self.connection = self.connect()
                if last:
                    return 0, {}, str(error).encode()


class Registry(Http):
    """The distribution API, one method a request."""

    def has_blob(self, repository, digest):
        return self.call("HEAD", "/v2/%s/blobs/%s" % (repository, digest))[0] == 200

    def begin_upload(self, repository):
        status, headers, body = self.call("POST", "/v2/%s/blobs/uploads/" % repository, b"", {"Content-Length": "0"})
        return (status, path_of(headers["Location"])) if status == 202 else (status, body)

    def upload(self, repository, digest, content, size):
        """Pushes one blob with POST and PUT. `content` is bytes or a file. Gives status and body."""
        status, location = self.begin_upload(repository)
        if status != 202:
            return status, location
        location += ("&" if "?" in location else "?") + urllib.parse.urlencode({"digest": digest})
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        status, _, body = self.call("PUT", location, content, headers)
        return status, body

    def put_manifest(self, repository, reference, raw, media_type):
        return self.call("PUT", "/v2/%s/manifests/%s" % (repository, reference), raw, {"Content-Type": media_type})

    def blob_digest(self, repository, digest):
        """Status and sha256 of what is served as that blob, read in pieces."""
        path = "/v2/%s/blobs/%s" % (repository, digest)
        try:
            self.connection.request("GET", path, headers={"Authorization": self.authorization})
            answer = self.connection.getresponse()
            status, sha = answer.status, hashlib.sha256()
            while chunk := answer.read(CHUNK_BYTES):
                sha.update(chunk)
            return status, "sha256:" + sha.hexdigest()
        except (http.client.HTTPException, OSError) as error:
            self.connection.close()
            self.connection = self.connect()
            return 0, str(error)

    def push_layout(self, layout, repository, tag=None):
        """Pushes a layout byte for byte, right or wrong. Gives what was refused."""
        push = Push(self, layout, repository)
        for entry in layout.entries():
            name = entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "latest")
            push.manifest(entry, tag or name)
        return push.refused


class Push:
    """One push of a layout: what is done, and what the server would not take."""

    def __init__(self, registry, layout, repository):
        self.registry, self.layout, self.repository = registry, layout, repository
        self.done, self.refused = set(), []

    def refuse(self, what, status, body):
        self.refused.append((what, status, bytes(body)[:300].decode("utf-8", "replace")))

    def blob(self, descriptor):
        digest = descriptor["digest"]
        if digest in self.done or not self.layout.has(digest):
            return
        self.done.add(digest)
        if self.registry.has_blob(self.repository, digest):
            return
        with open(self.layout.path(digest), "rb") as f:
            status, body = self.registry.upload(self.repository, digest, f, os.path.getsize(f.name))
        if status != 201:
            self.refuse("blob " + digest, status, body)

    def manifest(self, descriptor, reference):
        digest, raw = descriptor["digest"], self.layout.read(descriptor["digest"])
        if digest not in self.done:
            self.done.add(digest)
            document = tolerant_json(raw)
            for child in document.get("manifests") or []:
                if isinstance(child, dict) and self.layout.has(child["digest"]) and child["digest"] not in self.done:
                    self.manifest(child, child["digest"])
            for blob in [document.get("config")] + (document.get("layers") or []):
                if isinstance(blob, dict) and "digest" in blob:
                    self.blob(blob)
        status, _, body = self.registry.put_manifest(self.repository, reference, raw, descriptor["mediaType"])
        if status != 201:
            self.refuse("manifest " + reference, status, body)


class Layout:
    """An OCI image layout on disk."""

    def __init__(self, folder):
        self.folder = folder

    def entries(self):
        with open(os.path.join(self.folder, "index.json")) as f:
            return json.load(f)["manifests"]

    def path(self, digest):
        return os.path.join(self.folder, "blobs", *digest.split(":", 1))

    def has(self, digest):
        return os.path.exists(self.path(digest))

    def read(self, digest):
        with open(self.path(digest), "rb") as f:
            return f.read()


class Api(Http):
    """The native API."""

    def read(self, path, **query):
        query = {k: v for k, v in query.items() if v is not None}
        status, _, body = self.call("GET", "/api/v1" + path + ("?" + urllib.parse.urlencode(query) if query else ""))
        return status, json.loads(body) if status == 200 else body

    def image_path(self, repository, digest, registry="main"):
        return "/registries/%s/repositories/%s/images/%s" % (registry, repository.replace("/", "~"), digest)

    def image(self, repository, digest):
        return self.read(self.image_path(repository, digest))

    def all(self, path, **query):
        """Every row of a paged list."""
        rows = []
        while True:
            status, page = self.read(path, offset=len(rows), limit=200, **query)
            if status != 200:
                raise RuntimeError("GET %s: %s %s" % (path, status, page[:300]))
            rows += page["items"]
            if not page["items"] or len(rows) >= page["total"]:
                return rows

    def findings(self, repository, digest):
        return self.all(self.image_path(repository, digest) + "/findings")

    def packages(self, repository, digest):
        return self.all(self.image_path(repository, digest) + "/packages")

    def scanned(self, repository, digest, seconds=SCAN_SECONDS_MAX):
        """The image once its scan has ended, or as it is when the time is over."""
        end = time.monotonic() + seconds
        while True:
            status, image = self.image(repository, digest)
            if status != 200 or image["scan"]["state"] in ("done", "failed", "stale") or time.monotonic() > end:
                return status, image
            time.sleep(0.05)

    def metric(self, name):
        """Sum of a metric over its labels; None when it is not exported."""
        _, _, body = self.call("GET", "/metrics")
        values = [float(line.rsplit(" ", 1)[1]) for line in body.decode().splitlines()
                  if line.startswith(name) and line[len(name):len(name) + 1] in ("{", " ")]
        return sum(values) if values else None


def path_of(location):
    parts = urllib.parse.urlsplit(location)
    return parts.path + ("?" + parts.query if parts.query else "")


def tolerant_json(raw):
    """The document, or as much of a hostile one as can be read."""
    for end in (len(raw), raw.find(b',"annotations"')):
        try:
            document = json.loads(raw if end == len(raw) else raw[:end] + b"}")
            return document if isinstance(document, dict) else {}
        except (ValueError, RecursionError):
            continue
    return {}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image_of(layers, platform=("linux", "amd64"), **config):
    """Configuration and manifest bytes for uncompressed layers (bytes)."""
    configuration = json.dumps({
        "architecture": platform[1], "os": platform[0], "config": config,
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(configuration),
                   "size": len(configuration)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(layer), "size": len(layer)}
                   for layer in layers],
    }).encode()
    return configuration, manifest


OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
