"""Times things in turn, A B A B, and compares pair by pair, so that a machine whose speed drifts
does not decide. Python standard library only."""
import ctypes
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import harness  # noqa: E402,F401

MIB = 1 << 20


PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.002


class Run:
    """One timed run of a command."""

    def __init__(self, wall, cpu, peak_kib, output):
        self.wall, self.cpu, self.peak_kib, self.output = wall, cpu, peak_kib, output


def run(command, environment=None, cwd=None):
    """Runs a command: wall seconds, processor seconds of it and all its descendants, and the peak
    resident KiB of the largest of these processes."""
    # Descendants that outlive the command come to us and are counted too.
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("prctl(PR_SET_CHILD_SUBREAPER) failed")
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment, cwd=cwd)
    # Standard error is drained beside standard output, else a talkative program would block.
    errors, peaks, stop = [], {}, threading.Event()
    drain = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
    watch = threading.Thread(target=watch_peaks, args=(process.pid, peaks, stop), daemon=True)
    drain.start()
    watch.start()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    try:
        while True:
            _, _, usage = os.wait4(-1, 0)
            cpu += usage.ru_utime + usage.ru_stime
    except ChildProcessError:
        pass
    stop.set()
    drain.join()
    watch.join()
    process.stdout.close()
    process.stderr.close()
    if process.returncode:
        sys.exit("%s: exit status %d\n%s" % (" ".join(command), process.returncode, errors[0][-2000:].decode("utf-8", "replace")))
    return Run(wall, cpu, max(peaks.values(), default=0), output)


def watch_peaks(pid, peaks, stop):
    """Notes the highest VmHWM of a process and its descendants. Not ru_maxrss: that of a fresh
    child starts with its parent's."""
    while not stop.wait(SAMPLE_SECONDS):
        for one in [pid] + descendants(pid):
            seen = status_kib(one, "VmHWM")
            if seen:
                peaks[one] = max(peaks.get(one, 0), seen[0])


def status_kib(pid, *names):
    """Fields of /proc/PID/status that are given in KiB; None when the process is gone."""
    try:
        with open("/proc/%d/status" % pid) as f:
            found = dict(line.split(":", 1) for line in f)
        return [int(found[name].split()[0]) for name in names]
    except (OSError, KeyError, ValueError):
        return None


def descendants(pid):
    """Processes below this one, now."""
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                found += [int(child) for child in f.read().split()]
    except OSError:
        pass
    return found + [below for child in found for below in descendants(child)]


def alternate(first, second, rounds, warmup=1):
    """Calls both in turn; gives the counted results of each."""
    results = ([], [])
    for number in range(-warmup, rounds):
        for side, call in enumerate((first, second)):
            outcome = call()
            if number >= 0:
                results[side].append(outcome)
    return results


def median(values):
    return statistics.median(values)


def percentile(values, share):
    """The smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def ratio(first, second):
    """Median of the pairwise ratios first/second."""
    return median([a / b for a, b in zip(first, second)])


def machine():
    """What the figures were taken on."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return "%d x %s, Linux %s, Python %s" % (os.cpu_count(), model, platform.release(), platform.python_version())


def processor_seconds(pid):
    """Processor seconds of a process and of its children that ended."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def program():
    """The program to measure; a dev build is refused, its figures would mean nothing."""
    path = os.environ.get("LAZARET_BIN") or os.path.join(os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"), "release", "lazaret")
    if not os.access(path, os.X_OK):
        sys.exit("no release build at %s: run `cargo build --release -p server`, or set LAZARET_BIN" % path)
    if os.path.basename(os.path.dirname(path)) == "debug":
        sys.exit("%s is a dev build; measure a release build" % path)
    return path


def image(name):
    """The layout of a corpus image; builds it where that is possible."""
    path = os.path.join(harness.corpus() or "", name)
    if not os.path.exists(os.path.join(path, "index.json")):
        done = subprocess.run([os.path.join(ROOT, "scripts", "corpus.sh"), name], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        path = os.path.join(done.stdout.strip(), name)
        if not done.stdout.strip() or not os.path.exists(os.path.join(path, "index.json")):
            harness.skip("bench on " + name, "the image is not here and cannot be built: " + done.stderr.strip()[-300:])
    return path


def import_advisories(server):
    """Fills the index of a server that is not running yet, so that matching has work to do."""
    if harness.shared() is None:
        print("without advisories: no shared snapshot at hand, so matching has nothing to do")
        return
    parts = [os.path.join(harness.shared(), "advisories", part) for part in ("debian", "osv/PyPI", "osv/npm", "kev", "epss")]
    done = server.command("advisories", "import", *parts, "--db", server.db)
    if done.returncode:
        sys.exit("advisories cannot be imported: " + done.stderr[-500:])


def report(name, figures):
    """Prints figures for people, and as one JSON line for BENCH_JSON."""
    print("\n%s  (%s)" % (name, machine()))
    for key, value in figures.items():
        print("  %-46s %s" % (key, value if isinstance(value, str) else "%.3f" % value if isinstance(value, float) else value))
    path = os.environ.get("BENCH_JSON")
    if path:
        with open(path, "a") as f:
            f.write(json.dumps({"bench": name, "machine": machine(), "figures": figures}) + "\n")
