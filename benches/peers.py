#!/usr/bin/env python3
"""Push, pull, manifest GET and tag list against other registries on the same machine, and blob pull
against nginx serving the same file; 1, 8 and 32 clients, rounds interleaved, loopback, plain HTTP.

Who takes part: Debian's docker-registry, distribution 3 and zot (`scripts/tools.sh peers`; what is
missing is said), nginx. wrk asks for manifests and tag lists; blobs are moved by threads of this
program that send files by the kernel and throw away what they receive.

What is not equal: lazaret checks an access token on each request, and analyses what is pushed; the
others take everything from everybody. `floor` of a push is sha256sum of the same files, then writing
and syncing copies of them.

BENCH_ROUNDS (5), BENCH_SECONDS (1, of each wrk run), BENCH_CLIENTS (1,8,32), BENCH_DIR, LAZARET_BIN.
"""
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import measure
from measure import MIB, harness

ROUNDS = int(os.environ.get("BENCH_ROUNDS", 5))
SECONDS = os.environ.get("BENCH_SECONDS", "1")
CLIENTS = [int(n) for n in os.environ.get("BENCH_CLIENTS", "1,8,32").split(",")]
TAGS = 1000
PUSH_BYTES = 256 * MIB    # of all clients together
PULL_BYTES = 1024 * MIB   # likewise
BLOB_BYTES = 64 * MIB     # what is pulled
RECEIVE_BYTES = MIB
START_SECONDS_MAX = 20
REPOSITORY = "bench/app"

DISTRIBUTION = """version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "127.0.0.1:%d"}
"""
NGINX = """daemon off; worker_processes auto; pid nginx.pid; error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/octet-stream;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server { listen 127.0.0.1:%d; root %s; }
}
"""


class Peer:
    """A server of the others, on a folder of its own."""

    def __init__(self, name, folder):
        self.name, self.folder, self.token = name, folder, None

    def start(self):
        self.port = harness.free_port()
        os.makedirs(self.folder)
        self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("%s does not start" % self.name)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Distribution(Peer):
    """docker-registry 2.x or distribution 3."""

    def __init__(self, name, program, folder):
        super().__init__(name, folder)
        self.program = program

    def command(self):
        return [self.program, "serve", self.write("config.yml", DISTRIBUTION % (os.path.join(self.folder, "data"), self.port))]


class Zot(Peer):
    def command(self):
        config = {"storage": {"rootDirectory": os.path.join(self.folder, "data"), "dedupe": False, "gc": False},
                  "http": {"address": "127.0.0.1", "port": str(self.port)}, "log": {"level": "error"}}
        return ["zot", "serve", self.write("config.json", json.dumps(config))]


class Nginx(Peer):
    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.write("nginx.conf", NGINX % (self.port, self.folder))]


class Lazaret:
    name = "lazaret"

    def __init__(self, folder):
        self.server = harness.Server(folder, program=measure.program())

    def start(self):
        self.server.start()
        self.process, self.port = self.server.process, self.server.port
        self.token = None
        query = urllib.parse.urlencode({"service": self.server.host, "scope": "repository:%s:pull,push" % REPOSITORY})
        status, _, body = self.server.registry().call("GET", "/oauth2/token?" + query)
        assert status == 200, (status, body)
        self.token = json.loads(body)["access_token"]
        return self

    def stop(self):
        self.server.kill()


class Wire:
    """One kept-alive connection: requests by hand, so that the client costs next to nothing."""

    def __init__(self, peer):
        self.socket = socket.create_connection(("127.0.0.1", peer.port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = "Host: 127.0.0.1:%d\r\n" % peer.port + ("Authorization: Bearer %s\r\n" % peer.token if peer.token else "")

    def close(self):
        self.socket.close()

    def ask(self, method, path, length=0, kind="application/octet-stream"):
        lines = "%s %s HTTP/1.1\r\n%s" % (method, path, self.head)
        if method != "GET":
            lines += "Content-Length: %d\r\nContent-Type: %s\r\n" % (length, kind)
        self.socket.sendall((lines + "\r\n").encode())

    def answer(self, buffer):
        """Status and headers; the body is received and forgotten. Ends early on no account."""
        head = b""
        while b"\r\n\r\n" not in head:
            got = self.socket.recv(4096)
            if not got:
                raise RuntimeError("the server hung up")
            head += got
        head, rest = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        status = int(lines[0].split()[1])
        if headers.get("transfer-encoding") == "chunked":
            while not rest.endswith(b"0\r\n\r\n"):
                rest += self.socket.recv(65536)
            return status, headers
        left = int(headers.get("content-length", 0)) - len(rest)
        while left > 0:
            got = self.socket.recv_into(buffer, min(left, len(buffer)))
            if not got:
                raise RuntimeError("the server hung up")
            left -= got
        return status, headers

    def push(self, path, size, digest, buffer):
        """POST and PUT, as all clients do that push in one piece."""
        self.ask("POST", "/v2/%s/blobs/uploads/" % REPOSITORY)
        status, headers = self.answer(buffer)
        assert status == 202, status
        location = headers["location"]
        parts = urllib.parse.urlsplit(location)
        target = parts.path + "?" + (parts.query + "&" if parts.query else "") + "digest=" + digest
        self.ask("PUT", target, size)
        with open(path, "rb") as f:
            self.socket.sendfile(f, 0, size)
        status, _ = self.answer(buffer)
        assert status == 201, status

    def put_manifest(self, reference, raw, buffer):
        self.ask("PUT", "/v2/%s/manifests/%s" % (REPOSITORY, reference), len(raw), harness.OCI_MANIFEST)
        self.socket.sendall(raw)
        status, _ = self.answer(buffer)
        assert status == 201, status


def together(calls):
    """Runs all at once; gives the seconds until the last one ends."""
    failures = []

    def guarded(call):
        try:
            call()
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.monotonic() - began


def descendants_cpu(pid):
    return sum(measure.processor_seconds(one) for one in [pid] + measure.descendants(pid))


def make_file(path, size, seed):
    """Bytes that no other file begins with, and their digest."""
    block = os.urandom(MIB)
    sha = hashlib.sha256()
    with open(path, "wb") as f:
        head, left = seed.encode().ljust(64), size
        for piece in [head] + [block] * (size // MIB + 1):
            piece = piece[:left]
            left -= len(piece)
            f.write(piece)
            sha.update(piece)
    return "sha256:" + sha.hexdigest()


def push_row(peers, clients, folder, number):
    """MiB/s and processor seconds per GiB of each, all with the same files; and the floor."""
    size = PUSH_BYTES // clients
    files = []
    for client in range(clients):
        path = os.path.join(folder, "push-%d" % client)
        files.append((path, make_file(path, size, "%d %d %d" % (clients, number, client))))
    found = {}
    for peer in peers:
        wires = [Wire(peer) for _ in files]
        buffer = bytearray(65536)
        cpu = descendants_cpu(peer.process.pid)
        seconds = together([lambda w=w, f=f: w.push(f[0], size, f[1], buffer) for w, f in zip(wires, files)])
        found[peer.name] = (PUSH_BYTES / MIB / seconds, (descendants_cpu(peer.process.pid) - cpu) * 1024 * MIB / PUSH_BYTES)
        for wire in wires:
            wire.close()
    began = time.monotonic()
    subprocess.run(["sha256sum"] + [f[0] for f in files], check=True, stdout=subprocess.DEVNULL)
    for path, _ in files:
        copy = path + ".copy"
        subprocess.run(["dd", "if=" + path, "of=" + copy, "bs=1M", "conv=fsync", "status=none"], check=True)
    found["floor"] = (PUSH_BYTES / MIB / (time.monotonic() - began), None)
    for path, _ in files:
        os.unlink(path + ".copy")
        os.unlink(path)
    return found


def pull_row(peers, clients, digest):
    times = max(1, PULL_BYTES // BLOB_BYTES // clients)
    found = {}
    for peer in peers:
        target = "/blob" if isinstance(peer, Nginx) else "/v2/%s/blobs/%s" % (REPOSITORY, digest)

        def pull(wire, buffer):
            for _ in range(times):
                wire.ask("GET", target)
                status, headers = wire.answer(buffer)
                assert (status, int(headers["content-length"])) == (200, BLOB_BYTES), (status, headers)

        wires = [(Wire(peer), bytearray(RECEIVE_BYTES)) for _ in range(clients)]
        cpu = descendants_cpu(peer.process.pid)
        seconds = together([lambda w=w: pull(*w) for w in wires])
        moved = clients * times * BLOB_BYTES
        found[peer.name] = (moved / MIB / seconds, (descendants_cpu(peer.process.pid) - cpu) * 1024 * MIB / moved)
        for wire, _ in wires:
            wire.close()
    return found


def small_row(peers, clients, path):
    """Requests per second and processor microseconds of each request."""
    found = {}
    for peer in peers:
        command = ["wrk", "-t1", "-c%d" % clients, "-d%ss" % SECONDS, "-H", "Accept: application/json, " + harness.OCI_MANIFEST]
        if peer.token:
            command += ["-H", "Authorization: Bearer " + peer.token]
        cpu = descendants_cpu(peer.process.pid)
        done = subprocess.run(command + ["http://127.0.0.1:%d%s" % (peer.port, path)], check=True,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        cpu = descendants_cpu(peer.process.pid) - cpu
        assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, (peer.name, done.stdout)
        requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        found[peer.name] = (float(re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout).group(1)), cpu * 1e6 / max(1, requests))
    return found


def fill(peer, path, digest):
    """The blob that is pulled, and an image of a thousand tags."""
    wire, buffer = Wire(peer), bytearray(65536)
    wire.push(path, BLOB_BYTES, digest, buffer)
    config = b"{}"
    with tempfile.NamedTemporaryFile() as f:
        f.write(config)
        f.flush()
        config_digest = "sha256:" + hashlib.sha256(config).hexdigest()
        wire.push(f.name, len(config), config_digest, buffer)
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": harness.OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": BLOB_BYTES}]}).encode()
    for number in range(TAGS):
        wire.put_manifest("v1.%d" % number, manifest, buffer)
    wire.close()


def take_part(folder):
    peers = [Lazaret(os.path.join(folder, "lazaret"))]
    for name, program in (("docker-registry", "docker-registry"), ("distribution 3", "distribution")):
        if shutil.which(program):
            peers.append(Distribution(name, program, os.path.join(folder, program)))
        else:
            print("skipped: %s is not installed (scripts/tools.sh peers)" % name)
    if shutil.which("zot"):
        peers.append(Zot("zot", os.path.join(folder, "zot")))
    else:
        print("skipped: zot is not installed and may not be had (scripts/tools.sh peers)")
    return peers


def show(row, clients, rounds, unit):
    names = [name for name in rounds[0] if name != "lazaret"]
    ours = [r["lazaret"][0] for r in rounds]
    figures = {"lazaret, " + unit[0]: measure.median(ours), "lazaret, " + unit[1]: measure.median([r["lazaret"][1] for r in rounds])}
    for name in names:
        theirs = [r[name][0] for r in rounds]
        figures["%s, %s" % (name, unit[0])] = measure.median(theirs)
        if rounds[0][name][1] is not None:
            figures["%s, %s" % (name, unit[1])] = measure.median([r[name][1] for r in rounds])
        figures["lazaret / %s" % name] = measure.ratio(ours, theirs)
    measure.report("%s, %d clients" % (row, clients), figures)


def main():
    if not shutil.which("wrk"):
        harness.skip("peers", "wrk is not installed (scripts/tools.sh peers)")
    sys.setswitchinterval(0.0005)
    folder = tempfile.mkdtemp(prefix="lazaret-peers-", dir=os.environ.get("BENCH_DIR"))
    os.chmod(folder, 0o755)
    started = []
    try:
        peers = take_part(folder)
        blob = os.path.join(folder, "blob")
        digest = make_file(blob, BLOB_BYTES, "pulled")
        for peer in peers:
            started.append(peer.start())
            fill(peer, blob, digest)
        pullers = list(peers)
        if shutil.which("nginx"):
            nginx = Nginx("nginx", os.path.join(folder, "nginx"))
            started.append(nginx.start())
            os.link(blob, os.path.join(nginx.folder, "blob"))
            os.chmod(blob, 0o644)
            pullers.append(nginx)
        else:
            print("skipped: nginx is not installed (scripts/tools.sh peers)")
        moved, asked = ("MiB/s", "processor s per GiB"), ("requests/s", "processor us per request")
        rows = {
            "manifest GET by tag": (lambda clients, _: small_row(peers, clients, "/v2/%s/manifests/v1.500" % REPOSITORY), asked),
            "list of 1,000 tags": (lambda clients, _: small_row(peers, clients, "/v2/%s/tags/list" % REPOSITORY), asked),
            "blob pull": (lambda clients, _: pull_row(pullers, clients, digest), moved),
            "blob push": (lambda clients, number: push_row(peers, clients, folder, number), moved),
        }
        wanted = os.environ.get("BENCH_ROWS")
        for row, (call, unit) in rows.items():
            if wanted and not any(part in row for part in wanted.split(",")):
                continue
            for clients in CLIENTS:
                rounds = [call(clients, number) for number in range(-1, ROUNDS)][1:]
                show(row, clients, rounds, unit)
        print("\nload average at the end: %s" % " ".join("%.1f" % load for load in os.getloadavg()))
    finally:
        for peer in started:
            peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
