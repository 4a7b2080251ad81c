#!/usr/bin/env python3
"""Pushes and pulls a 400 MiB image with the same client against lazaret and Debian's docker-registry.

Two clients: a bare one (one kept-alive connection, one layer after the other, no hashing, so that
the server is what is measured) and skopeo. Servers run in turn, each on an empty data directory,
plain HTTP on loopback. What is not equal: lazaret asks for a password, analyses the layers while
they arrive and has them on disk (fsync) when it answers; docker-registry does none of the three.

BENCH_ROUNDS (5), LAZARET_BIN, BENCH_DIR (where data goes; a temporary folder otherwise).
"""
import os
import shutil
import subprocess
import tempfile
import time

import measure
from measure import MIB, harness
from harness import Layout, Server

ROUNDS = int(os.environ.get("BENCH_ROUNDS", 5))
REPOSITORY = "bench/app"
READ_BYTES = MIB
REGISTRY_CONFIG = """version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "127.0.0.1:%d"}
"""


class DockerRegistry:
    """Debian's docker-registry on an empty folder."""

    def __init__(self, folder):
        self.folder, self.port = folder, harness.free_port()

    def __enter__(self):
        os.makedirs(self.folder)
        config = self.folder + ".yml"
        with open(config, "w") as f:
            f.write(REGISTRY_CONFIG % (self.folder, self.port))
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.password = ""
        client = self.registry()
        for _ in range(500):
            if client.call("GET", "/v2/")[0] == 200:
                return self
            time.sleep(0.02)
        raise RuntimeError("docker-registry does not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    @property
    def host(self):
        return "127.0.0.1:%d" % self.port

    def registry(self):
        return harness.Registry("http://" + self.host, "nobody", "")


class Transfer:
    """One push and one pull, with the server's processor seconds."""

    def __init__(self, push, pull, push_cpu, pull_cpu):
        self.push, self.pull, self.push_cpu, self.pull_cpu = push, pull, push_cpu, pull_cpu


def bare_push(server, layout, manifest_bytes, blobs):
    registry = server.registry()
    registry.connection.blocksize = MIB
    for digest, size in blobs:
        with open(layout.path(digest), "rb") as f:
            status, body = registry.upload(REPOSITORY, digest, f, size)
        assert status == 201, (status, body)
    status, _, body = registry.put_manifest(REPOSITORY, "1", manifest_bytes, harness.OCI_MANIFEST)
    assert status == 201, (status, body)


def bare_pull(server, blobs):
    registry = server.registry()
    for digest, size in blobs:
        registry.connection.request("GET", "/v2/%s/blobs/%s" % (REPOSITORY, digest), headers={"Authorization": registry.authorization})
        answer, received, buffer = registry.connection.getresponse(), 0, bytearray(READ_BYTES)
        while count := answer.readinto(buffer):
            received += count
        assert (answer.status, received) == (200, size), (answer.status, received, size)


def skopeo(server, *arguments):
    credentials = ["--creds", "admin:" + server.password] if server.password else []
    prefix = "--dest" if arguments[-1].startswith("docker:") else "--src"
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", prefix + "-tls-verify=false"]
    if credentials:
        command += [prefix + "-creds", credentials[1]]
    subprocess.run(command + list(arguments), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def timed(server, call):
    began, cpu = time.monotonic(), measure.processor_seconds(server.process.pid)
    call()
    wall = time.monotonic() - began
    return wall, measure.processor_seconds(server.process.pid) - cpu


def transfer(make_server, client, layout_path):
    layout = Layout(layout_path)
    manifest_bytes = layout.read(layout.entries()[0]["digest"])
    manifest = harness.tolerant_json(manifest_bytes)
    blobs = [(b["digest"], b["size"]) for b in manifest["layers"] + [manifest["config"]]]
    folder = tempfile.mkdtemp(prefix="lazaret-bench-", dir=os.environ.get("BENCH_DIR"))
    try:
        with make_server(os.path.join(folder, "data")) as server:
            if client == "bare":
                push = timed(server, lambda: bare_push(server, layout, manifest_bytes, blobs))
                pull = timed(server, lambda: bare_pull(server, blobs))
            else:
                push = timed(server, lambda: skopeo(server, "oci:%s:latest" % layout_path, "docker://%s/%s:1" % (server.host, REPOSITORY)))
                out = os.path.join(folder, "out")
                pull = timed(server, lambda: skopeo(server, "docker://%s/%s:1" % (server.host, REPOSITORY), "dir:" + out))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Transfer(push[0], pull[0], push[1], pull[1])


def main():
    if not shutil.which("docker-registry"):
        harness.skip("push and pull", "docker-registry is not installed (Debian package docker-registry)")
    layout = measure.image("bench-400m")
    size = sum(os.path.getsize(Layout(layout).path(b["digest"])) for b in
               harness.tolerant_json(Layout(layout).read(Layout(layout).entries()[0]["digest"]))["layers"]) / MIB
    for client in ["bare"] + (["skopeo"] if shutil.which("skopeo") else []):
        mine, other = measure.alternate(
            lambda: transfer(lambda data: Server(data, program=measure.program()), client, layout),
            lambda: transfer(DockerRegistry, client, layout), ROUNDS)
        figures = {"image MiB": size}
        for what in ("push", "pull"):
            a, b = [getattr(t, what) for t in mine], [getattr(t, what) for t in other]
            figures["%s MiB/s, lazaret" % what] = size / measure.median(a)
            figures["%s MiB/s, docker-registry" % what] = size / measure.median(b)
            figures["%s time, docker-registry / lazaret" % what] = measure.ratio(b, a)
            figures["%s processor s of the server, lazaret" % what] = measure.median([getattr(t, what + "_cpu") for t in mine])
            figures["%s processor s of the server, docker-registry" % what] = measure.median([getattr(t, what + "_cpu") for t in other])
        measure.report("push and pull with the %s client" % client, figures)


if __name__ == "__main__":
    main()
