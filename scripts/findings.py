#!/usr/bin/env python3
"""Prints what the server found in an image of a layout: findings.py URL REPOSITORY LAYOUT

--push TAG   push the layout first, for machines without a client
The account is admin with LAZARET_ADMIN_PASSWORD. Exit status 1 when nothing can be read.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
from harness import ADMIN, Api, Layout, Registry  # noqa: E402

ROWS_MAX = 15


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--push", metavar="TAG")
    parser.add_argument("url")
    parser.add_argument("repository")
    parser.add_argument("layout")
    arguments = parser.parse_args()
    password = os.environ["LAZARET_ADMIN_PASSWORD"]
    layout = Layout(arguments.layout)
    if arguments.push:
        refused = Registry(arguments.url, ADMIN, password).push_layout(layout, arguments.repository, arguments.push)
        if refused:
            sys.exit("the push was refused: %s" % (refused,))
    api, digest = Api(arguments.url, ADMIN, password), layout.entries()[0]["digest"]
    status, image = api.scanned(arguments.repository, digest)
    if status != 200:
        sys.exit("the image cannot be read: %s %s" % (status, image[:300]))
    cause = image["cause"]
    print("\n%s@%s" % (arguments.repository, digest))
    print("%s%s, %d packages, scan %s" % (image["status"], " (%s)" % cause["kind"] if cause else "", image["packages"], image["scan"]["state"]))
    print("  ".join("%s %d" % (name, count) for name, count in image["severities"].items()) + "  patchable %d" % image["patchable"])
    rows = api.findings(arguments.repository, digest)
    for row in rows[:ROWS_MAX]:
        packages = ", ".join(p["name"] for p in row["packages"])
        print("  %-9s %-16s %-18s %-14s -> %-14s %s" % (row["severity"], (row["cves"] or [""])[0], packages[:18], row["installed"][:14],
                                                        (row["fixed"] or "no fix")[:14], row["title"][:60]))
    if len(rows) > ROWS_MAX:
        print("  and %d more" % (len(rows) - ROWS_MAX))


if __name__ == "__main__":
    main()
