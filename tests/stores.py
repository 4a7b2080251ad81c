#!/usr/bin/env python3
"""Other stores than SQLite and files, for any test in this folder:

    LAZARET_TEST_STORES=postgres,s3 python3 tests/kill9.py       each server of a test starts empty
    tests/stores.py postgres,s3 tests/clients.sh @CONFIG         @CONFIG becomes a configuration file

`s3,redirect` sends clients on to the store for whole blobs. PostgreSQL comes from the distribution
and versitygw (S3) from the Go module proxy, both by scripts/tools.sh. They run below a temporary folder and end with this program, however it ends.
"""
import functools
import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import harness

START_SECONDS_MAX = 60
BUCKET, ACCESS, SECRET = "lazaret", "access", "correct-horse"

# Ends when its standard input does.
POSTGRES = r"""
set -eu
umask 077
dir=$(mktemp -d)
trap '"$1/pg_ctl" stop -D "$dir/data" -m immediate >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
"$1/initdb" -D "$dir/data" -U lazaret --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
"$1/pg_ctl" start -w -D "$dir/data" -l "$dir/log" -o "-k $dir -c listen_addresses= -c max_connections=200" >&2 </dev/null || { cat "$dir/log" >&2; exit 1; }
echo "$dir"
cat >/dev/null
"""
S3 = r"""
"$1" --port "127.0.0.1:$2" --access "$3" --secret "$4" --quiet --keep-alive posix "$5" >"$5.log" 2>&1 </dev/null &
trap 'kill $!; rm -rf "$5" "$5.log"' EXIT
echo started
cat >/dev/null
"""


class Stores:
    """What `names` ask for, shared by all servers of this program."""

    def __init__(self, names):
        unknown = set(names) - {"postgres", "s3", "redirect"}
        if unknown:
            sys.exit("no such store: %s; there are postgres, s3, and s3 with redirect" % ", ".join(sorted(unknown)))
        self.names, self.running, self.made = names, [], 0

    def settings(self):
        """Configuration for a server that begins with nothing."""
        self.made += 1
        text = ""
        if "postgres" in self.names:
            name = "test_%d" % self.made
            psql = [os.path.join(programs(), "psql"), "-Xqc", "CREATE DATABASE %s" % name, self.postgres("postgres")]
            subprocess.run(psql, check=True, stdin=subprocess.DEVNULL)
            text += '[database]\nurl = "%s"\n' % self.postgres(name)
        if "s3" in self.names:
            text += '[content]\nurl = "s3://%s/%d"\nendpoint = "%s"\nallow_http = true\n' % (BUCKET, self.made, self.s3)
            text += "redirect = true\n" if "redirect" in self.names else ""
            text += '[content.options]\naws_access_key_id = "%s"\naws_secret_access_key = "%s"\naws_region = "us-east-1"\n' % (ACCESS, SECRET)
        return text

    def postgres(self, database):
        return "postgres://lazaret@localhost/%s?host=%s" % (database, self.cluster)

    @functools.cached_property
    def cluster(self):
        # PostgreSQL does not run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        folder = self.begin(user + ["sh", "-c", POSTGRES, "cluster", programs()])
        if not folder:
            sys.exit("PostgreSQL does not start; see above")
        return folder

    @functools.cached_property
    def s3(self):
        program = os.path.join(harness.cache(), "bin", "versitygw")
        if not os.path.exists(program):
            harness.skip("S3", "no versitygw at hand; scripts/tools.sh installs it")
        folder, port = tempfile.mkdtemp(prefix="lazaret-s3-"), harness.free_port()
        os.mkdir(os.path.join(folder, BUCKET))
        self.begin(["sh", "-c", S3, "s3", program, str(port), ACCESS, SECRET, folder])
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return "http://127.0.0.1:%d" % port
            except OSError:
                time.sleep(0.05)
        sys.exit("the S3 server does not start")

    def begin(self, command):
        """Starts a script that lives as long as its standard input; gives its first line."""
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", start_new_session=True)
        self.running.append(process)
        return process.stdout.readline().strip()

    def end(self):
        for process in self.running:
            process.stdin.close()
            process.wait()


def programs():
    """Where the newest PostgreSQL is."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    if not found and not shutil.which("initdb"):
        harness.skip("PostgreSQL", "it is not installed; scripts/tools.sh does that")
    return found[-1] if found else os.path.dirname(shutil.which("initdb"))


@functools.cache
def of_environment():
    """The stores that LAZARET_TEST_STORES names, or None."""
    names = [name for name in os.environ.get("LAZARET_TEST_STORES", "").split(",") if name]
    return Stores(names) if names else None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    stores = Stores(sys.argv[1].split(","))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(stores.settings())
        config.flush()
        command = [config.name if word == "@CONFIG" else word for word in sys.argv[2:]]
        status = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
    stores.end()
    return status


if __name__ == "__main__":
    sys.exit(main())
