#!/usr/bin/env python3
"""Peak memory of the server and of its workers while 4 clients push a 400 MiB image at once.

Resident memory is sampled from /proc: of the server its own peak (VmHWM, which counts pages of
memory-mapped files too), of each worker the highest value seen.

BENCH_CLIENTS (4), LAZARET_BIN.
"""
import os
import sys
import threading
import time

import measure
from measure import MIB, harness
from harness import Layout, Server

CLIENTS = int(os.environ.get("BENCH_CLIENTS", 4))
SERVER_MIB_MAX = 300
SAMPLE_SECONDS = 0.01


def is_worker(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return b"\0layer-worker\0" in f.read()
    except OSError:
        return False


class Sampler(threading.Thread):
    """Watches the server and its workers until told to stop."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.stop, self.workers, self.anonymous = pid, threading.Event(), {}, 0

    def run(self):
        while not self.stop.wait(SAMPLE_SECONDS):
            seen = measure.status_kib(self.pid, "RssAnon")
            self.anonymous = max(self.anonymous, seen[0] if seen else 0)
            for child in measure.descendants(self.pid):
                # A child that has not started its program yet still has the server's figures.
                if not is_worker(child):
                    continue
                peak = measure.status_kib(child, "VmHWM")
                if peak:
                    self.workers[child] = max(self.workers.get(child, 0), peak[0])


def main():
    layout = Layout(measure.image("bench-400m"))
    with Server.temporary(program=measure.program()) as server:
        measure.import_advisories(server)
        server.kill()
        server.start()
        idle = server.peak_kib()
        sampler, refused = Sampler(server.process.pid), []
        sampler.start()
        clients = [threading.Thread(target=lambda n=n: refused.extend(server.registry().push_layout(layout, "bench/client-%d" % n)))
                   for n in range(CLIENTS)]
        began = time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        seconds = time.monotonic() - began
        sampler.stop.set()
        sampler.join()
        peak = server.peak_kib()
    measure.report("memory, %d clients push bench-400m at once" % CLIENTS, {
        "seconds": seconds,
        "server before, MiB": idle * 1024 / MIB,
        "server at its peak, MiB": peak * 1024 / MIB,
        "of it not file pages, MiB": sampler.anonymous * 1024 / MIB,
        "workers seen": len(sampler.workers),
        "largest worker, MiB": max(sampler.workers.values(), default=0) * 1024 / MIB,
        "refused": len(refused),
    })
    if refused or peak * 1024 / MIB > SERVER_MIB_MAX:
        sys.exit("FAILED: %s, or more than %d MiB" % (refused[:1], SERVER_MIB_MAX))


if __name__ == "__main__":
    main()
