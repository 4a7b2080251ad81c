"""What is pushed: every kind of content that the specifications allow, made anew for each run."""
import base64
import gzip
import hashlib
import io
import json
import os
import tarfile

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
OCTETS = "application/octet-stream"
NOTE = "application/vnd.example.note.v1"
OTHER = "application/vnd.example.other.v1"
PLATFORMS = (("linux", "amd64"), ("linux", "arm64"))


def digest_of(algorithm, data):
    return "%s:%s" % (algorithm, hashlib.new(algorithm, data).hexdigest())


class DataSet:
    """Blobs, manifests in the order in which they are pushed, tags, and who refers to whom."""

    def __init__(self, name, algorithm="sha256"):
        self.name, self.algorithm = name, algorithm
        self.blobs, self.manifests, self.tags, self.referrers = {}, {}, {}, {}
        # Tags go along with the push by digest, as `tag` parameters.
        self.tag_parameters = False
        # The bytes are not those of the digest: each push must be refused.
        self.spoilt = False

    def describe(self, media_type, data, with_data=False):
        descriptor = {"mediaType": media_type, "digest": digest_of(self.algorithm, data), "size": len(data)}
        if with_data:
            descriptor["data"] = base64.b64encode(data).decode()
        return descriptor

    def blob(self, media_type, data, with_data=False):
        descriptor = self.describe(media_type, data, with_data)
        self.blobs[descriptor["digest"]] = data
        return descriptor

    def layer(self, compress=True, with_data=False):
        """Descriptor of a layer with one file in it, and the digest of its archive."""
        archive, content = io.BytesIO(), b"lucky number %s\n" % os.urandom(8).hex().encode()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("etc/lucky")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        data = archive.getvalue()
        plain = digest_of(self.algorithm, data)
        if compress:
            return self.blob(LAYER + "+gzip", gzip.compress(data), with_data), plain
        return self.blob(LAYER, data, with_data), plain

    def config(self, layers, platform=PLATFORMS[0], with_data=False, **more):
        document = {"architecture": platform[1], "os": platform[0],
                    "rootfs": {"type": "layers", "diff_ids": layers}, **more}
        return self.blob(CONFIG, json.dumps(document).encode(), with_data)

    def manifest(self, document, tag=None, platform=None):
        """Adds a manifest or index; gives its descriptor."""
        raw = json.dumps(document).encode()
        descriptor = self.describe(document["mediaType"], raw)
        digest = descriptor["digest"]
        self.manifests[digest] = raw
        if tag:
            self.tags[tag] = digest
        if "subject" in document:
            entry = dict(descriptor)
            kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
            if kind:
                entry["artifactType"] = kind
            if document.get("annotations"):
                entry["annotations"] = document["annotations"]
            self.referrers.setdefault(document["subject"]["digest"], []).append(entry)
        if platform:
            descriptor["platform"] = {"os": platform[0], "architecture": platform[1]}
        return descriptor

    def image(self, tag=None, platform=None, layers=2, compress=True, with_data=False, custom=False, **fields):
        extra = {"x-%s" % os.urandom(4).hex(): {"lucky": os.urandom(4).hex()}} if custom else {}
        made = [self.layer(compress, with_data) for _ in range(layers)]
        config = self.config([plain for _, plain in made], platform or PLATFORMS[0], with_data, **extra)
        document = {"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [d for d, _ in made]}
        return self.manifest({**document, **fields, **extra}, tag, platform)

    def artifact(self, kind=NOTE, layer_type=NOTE, content=None, tag=None, platform=None, **fields):
        config = self.blob(EMPTY, b"{}")
        layer = self.blob(layer_type, os.urandom(300) if content is None else content)
        return self.manifest({"schemaVersion": 2, "mediaType": IMAGE, "artifactType": kind, "config": config,
                              "layers": [layer], **fields}, tag, platform)

    def index(self, children, tag=None, custom=False, **fields):
        extra = {"x-%s" % os.urandom(4).hex(): os.urandom(4).hex()} if custom else {}
        return self.manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": children, **fields, **extra}, tag)

    def platforms(self, tag=None, custom=False, **fields):
        """An index with an image for each of two platforms."""
        return self.index([self.image(platform=p, custom=custom) for p in PLATFORMS], tag, custom, **fields)


def annotations():
    return {"org.example.greeting": "hello", "org.example.%s" % os.urandom(4).hex(): os.urandom(8).hex()}


def plain(descriptor):
    """A descriptor as a subject names it."""
    return {k: descriptor[k] for k in ("mediaType", "digest", "size")}


def everything(algorithms=("sha256", "sha512"), sparse=True):
    """Every data set. `sparse`: whether images with missing layers are accepted."""
    made = []

    def new(name, algorithm="sha256"):
        made.append(DataSet(name, algorithm))
        return made[-1]

    new("image").image("image")
    new("image-uncompressed").image("image-uncompressed", compress=False)
    new("large-manifest").image("large-manifest",
                                annotations={"large-%d" % i: "A" * 10_000 for i in range(390)})
    new("index").platforms("index")
    data = new("nested-index")
    data.index([data.platforms(), data.platforms()], "nested-index")
    new("empty-index").index([], "empty-index")
    new("artifact").artifact(tag="artifact")
    data = new("artifact-index")
    data.index([data.artifact(platform=p) for p in PLATFORMS], "artifact-index", artifactType=NOTE)
    new("artifact-without-layers").artifact(content=b"{}", layer_type=EMPTY, tag="artifact-without-layers")

    data = new("artifacts-with-subject")
    subject = plain(data.image("subject"))
    data.image(subject=subject)
    data.artifact(tag="note", subject=subject, annotations=annotations())
    data.artifact(OTHER, OCTETS, tag="other", subject=subject, annotations=annotations())
    data = new("index-with-subject")
    subject = plain(data.platforms("subject-index"))
    data.index([data.artifact(platform=p) for p in PLATFORMS], "index-artifact", artifactType=NOTE,
               subject=subject, annotations=annotations())
    data.index([], subject=subject)
    data = new("missing-subject")
    gone = {"mediaType": IMAGE, "digest": digest_of("sha256", os.urandom(16)), "size": 123}
    data.artifact(tag="early", subject=gone, annotations=annotations())

    new("data-field").image("data-field", with_data=True)
    data = new("non-distributable-layers")
    foreign = []
    for media_type in (FOREIGN, FOREIGN + "+gzip"):
        digest = digest_of("sha256", os.urandom(16))
        foreign.append({"mediaType": media_type, "digest": digest, "size": 12345,
                        "urls": ["https://store.example.com/" + digest]})
    layer, archive = data.layer()
    config = data.config([f["digest"] for f in foreign] + [archive])
    data.manifest({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": foreign + [layer]}, "foreign")
    new("custom-fields").platforms("custom-fields", custom=True)
    new("no-layers").image("no-layers", layers=0)

    data = new("sparse-index")
    absent = {"mediaType": IMAGE, "digest": digest_of("sha256", os.urandom(16)), "size": 1024,
              "platform": {"os": "linux", "architecture": "s390x"}}
    data.index([data.image(platform=PLATFORMS[0]), absent], "sparse-index")
    if sparse:
        data = new("sparse-image")
        data.image("sparse-image")
        first = next(d for d, raw in data.blobs.items() if raw[:2] == b"\x1f\x8b")
        del data.blobs[first]

    for algorithm in algorithms:
        if algorithm != "sha256":
            new(algorithm, algorithm).platforms()
        data = new("tag-parameters-" + algorithm, algorithm)
        data.tag_parameters = True
        data.platforms("param-" + algorithm)
        for number, digest in enumerate(data.manifests):
            data.tags["param-%s-%d" % (algorithm, number)] = digest
    data = new("bad-digest")
    data.image("never")
    data.spoilt = True
    return made
