#!/usr/bin/env python3
"""OCI Distribution 1.1 and what its main branch added since, as checks from outside.

    run.py                            our server, over plain HTTP and then over TLS
    run.py --config FILE              the same with these settings (another database, another blob store)
    run.py --registry URL [--user NAME --password WORD] [--insecure]     any registry

Written from the specification. It covers what the specification's own suite checks (upstream.sh
runs that one where it can be had), and what real clients were seen to need beyond it.
"""
import argparse
import os
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import blobs
import contents
import dataset
import edges
import harness
from client import Client, Suite

ALGORITHMS = ("sha256", "sha512")
# Everything optional is on.
SETTINGS = "[registry]\nsparse_images = true\n"


def run(name, client, absolute=None, first="conformance/one", second="conformance/two"):
    suite = Suite(name, client)
    edges.unused(suite, first)
    for algorithm in ALGORITHMS:
        blobs.run(suite, algorithm, first, second)
    for data in dataset.everything(ALGORITHMS):
        contents.run(suite, data, first)
    edges.run(suite, first)
    if absolute is not None:
        edges.locations(suite, first, absolute)
    return suite.finish()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--registry")
    options.add_argument("--user")
    options.add_argument("--password")
    options.add_argument("--insecure", action="store_true")
    options.add_argument("--config")
    options = options.parse_args()
    if options.registry:
        context = ssl._create_unverified_context() if options.insecure else None
        client = Client(options.registry.rstrip("/"), options.user, options.password, context, strict=False)
        return run("conformance of %s" % options.registry, client)
    settings = SETTINGS
    if options.config:
        with open(options.config) as f:
            settings = f.read() + "\n" + settings
    status = 0
    for tls in (False, True):
        # Once with relative locations, once with absolute ones.
        config = settings + ("absolute_locations = true\n" if tls else "")
        with harness.Server.temporary(config=config, tls=tls) as server:
            client = Client(server.url, harness.ADMIN, server.password, server.context)
            status |= run("conformance over %s" % ("TLS" if tls else "plain HTTP"), client, absolute=tls)
            if not server.alive() or server.stop() != 0:
                print("FAILED the server did not end well; its log:\n" + server.log())
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
