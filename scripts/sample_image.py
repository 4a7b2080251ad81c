#!/usr/bin/env python3
"""Builds a small real image with packages of 2018 and 2019 as an OCI layout: sample_image.py OUT

Layers: a Debian base (needs root, mmdebstrap and a package mirror; left out otherwise), Python
packages (pip), Node.js packages (npm). What cannot be had is said and left out. Python standard
library only, beside pip and npm themselves.

--offline   download nothing: one layer with the metadata files of the same Python packages, which
            is all that an inventory reads of them. For tests of clients.
--no-base   no Debian base, even where one could be made.
"""
import argparse
import glob
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

WHEELS = ["Django==2.2.0", "Jinja2==2.10", "requests==2.19.1", "urllib3==1.23"]
# Releases that installed themselves with distutils: a lone egg-info file names them.
SDISTS = ["PyYAML==5.1"]
NODE = ["lodash@4.17.4", "minimist@0.0.8", "handlebars@4.0.11"]
SITE = "usr/local/lib/python3.11/site-packages"
NODE_MODULES = "usr/local/lib/node_modules"
SUITE = "bookworm"
EPOCH = 1_700_000_000
CREATED = "2023-11-14T22:13:20Z"


def skipped(what, why):
    print("skipped: %s: %s" % (what, why), file=sys.stderr)


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("LAZARET_CACHE") or os.path.join(home, "lazaret")


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError("%s: %s" % (command[0], lines[-1] if lines else "exit %d" % done.returncode))


class Tar:
    """A layer in the making: sorted, without owners or times of this machine."""

    def __init__(self):
        self.files, self.folders = {}, set()

    def add(self, path, content):
        self.files[path] = content
        while path := os.path.dirname(path):
            self.folders.add(path)

    def bytes(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self.folders | self.files.keys()):
                info = tarfile.TarInfo(path)
                info.mtime = EPOCH
                if path in self.folders:
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(info)
                else:
                    info.size, info.mode = len(self.files[path]), 0o644
                    tar.addfile(info, io.BytesIO(self.files[path]))
        return out.getvalue()


def python_layer(offline):
    tar = Tar()
    if offline:
        for spec in WHEELS + SDISTS:
            name, version = spec.split("==")
            tar.add("%s/%s-%s.dist-info/METADATA" % (SITE, name, version), b"Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name.encode(), version.encode()))
        return tar.bytes()
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d")
    with tempfile.TemporaryDirectory() as folder:
        run(*pip, folder, "--only-binary=:all:", *WHEELS)
        for wheel in glob.glob(folder + "/*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if not name.endswith("/"):
                        tar.add(SITE + "/" + name, archive.read(name))
    for spec in SDISTS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                run(*pip, folder, "--no-binary=:all:", spec)
            except RuntimeError as error:
                skipped(spec, error)
                continue
            with tarfile.open(glob.glob(folder + "/*.tar.gz")[0]) as archive:
                for member in archive:
                    path = member.name.split("/", 1)[-1]
                    if member.isfile() and path == "PKG-INFO":
                        tar.add("%s/%s-py3.11.egg-info" % (SITE, member.name.split("/")[0]), archive.extractfile(member).read())
                    elif member.isfile() and path.startswith("lib3/"):
                        tar.add(SITE + "/" + path[len("lib3/"):], archive.extractfile(member).read())
    return tar.bytes()


def node_layer():
    tar = Tar()
    with tempfile.TemporaryDirectory() as folder:
        run("npm", "pack", "--silent", *NODE, cwd=folder)
        for packed in glob.glob(folder + "/*.tgz"):
            with tarfile.open(packed) as archive:
                files = {m.name.split("/", 1)[1]: archive.extractfile(m).read() for m in archive if m.isfile()}
            name = json.loads(files["package.json"])["name"]
            for path, content in files.items():
                tar.add("%s/%s/%s" % (NODE_MODULES, name, path), content)
    return tar.bytes()


def base_layer():
    """A Debian root as mmdebstrap makes it; kept, since the mirror need not be asked twice."""
    kept = os.path.join(cache(), "sample-base-%s.tar" % SUITE)
    if not os.path.exists(kept):
        if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
            raise RuntimeError("needs root and mmdebstrap")
        os.makedirs(cache(), exist_ok=True)
        part = kept + ".part.tar"
        run("mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*", "--customize-hook=rm -rf $1/var/cache/apt/archives $1/var/lib/apt/lists",
            SUITE, part)
        os.rename(part, kept)
    with open(kept, "rb") as f:
        return f.read()


class Layout:
    """An OCI image layout in the making."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "blobs", "sha256"))
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def write(self, name, document):
        with open(os.path.join(self.folder, name), "w") as f:
            json.dump(document, f)

    def blob(self, content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        with open(os.path.join(self.folder, "blobs", "sha256", digest), "wb") as f:
            f.write(content)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}

    def document(self, document, kind):
        return self.blob(json.dumps(document).encode(), "application/vnd.oci.image.%s.v1+json" % kind)


def build(out, offline, no_base):
    parts = [("pip install " + " ".join(WHEELS + SDISTS), lambda: python_layer(offline))]
    if not offline:
        parts.append(("npm install " + " ".join(NODE), node_layer))
        if not no_base:
            parts.insert(0, ("Debian %s" % SUITE, base_layer))
    layout, layers, diff_ids, history = Layout(out), [], [], []
    for by, make in parts:
        try:
            content = make()
        except (RuntimeError, OSError) as error:
            skipped("layer " + by, error)
            continue
        diff_ids.append("sha256:" + hashlib.sha256(content).hexdigest())
        history.append({"created": CREATED, "created_by": by})
        layers.append(layout.blob(gzip.compress(content, 6, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
    if not layers:
        raise RuntimeError("no layer could be made")
    config = layout.document({
        "created": CREATED, "architecture": "amd64", "os": "linux", "history": history,
        "config": {"Env": ["PYTHONPATH=/" + SITE, "NODE_PATH=/" + NODE_MODULES], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}}, "config")
    manifest = layout.document({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                "config": config, "layers": layers}, "manifest")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    layout.write("index.json", {"schemaVersion": 2, "manifests": [manifest]})
    print("%s  %d layers, %d KiB" % (manifest["digest"], len(layers), sum(layer["size"] for layer in layers) // 1024))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--no-base", action="store_true")
    arguments = parser.parse_args()
    try:
        build(arguments.out, arguments.offline, arguments.no_base)
    except RuntimeError as error:
        sys.exit("sample_image.py: %s" % error)


if __name__ == "__main__":
    main()
