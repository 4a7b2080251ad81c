"""Each data set pushed, listed, read, asked for its referrers, and deleted again."""
import urllib.parse

import blobs
from blobs import DIGEST
from client import Mismatch, equal, expect
from dataset import IMAGE, INDEX
import json

ACCEPT = [("Accept", INDEX), ("Accept", IMAGE)]


def run(suite, data, repository):
    push(suite, data, repository)
    if not data.spoilt:
        tags(suite, data, repository)
        read(suite, data, repository)
        referrers(suite, data, repository)
    delete(suite, data, repository)


def media_type(raw):
    return json.loads(raw)["mediaType"]


def push(suite, data, repository):
    client = suite.client
    for digest, content in data.blobs.items():
        with suite.check("%s/push/blob" % data.name):
            blobs.push_some_way(client, repository, digest, content)
    for digest, raw in data.manifests.items():
        tags = [tag for tag, target in data.tags.items() if target == digest] if data.tag_parameters else []
        with suite.check("%s/push/by-digest" % data.name):
            put(client, repository, digest, digest, raw, data.spoilt, tags)
    if not data.tag_parameters and not data.spoilt:
        for tag, digest in data.tags.items():
            with suite.check("%s/push/by-tag" % data.name):
                put(client, repository, tag, digest, data.manifests[digest])


def put(client, repository, reference, digest, raw, spoilt=False, tags=()):
    url = client.url("/v2/%s/manifests/%s" % (repository, reference), **({"tag": tags} if tags else {}))
    sent = raw + b"  " if spoilt else raw
    if ":" in reference:
        answer = client.call("PUT", url, sent, [("Content-Type", media_type(raw))])
    else:
        # As some clients send it: without a length.
        answer = client.call("PUT", url, [sent], [("Content-Type", media_type(raw))], chunked=True)
    if spoilt:
        equal("the error code", expect(answer, 400).codes()[0], "DIGEST_INVALID")
        return
    expect(answer, 201, headers={DIGEST: digest})
    subject = json.loads(raw).get("subject")
    equal("OCI-Subject", answer.header("OCI-Subject"), subject["digest"] if subject else "")
    said = {tag.strip() for tag in answer.header("OCI-Tag").split(",")} - {""}
    if tags and said != set(tags):
        raise Mismatch("OCI-Tag names %s, not %s" % (sorted(said), sorted(tags)))
    shown = {"Content-Type": media_type(raw), "Content-Length": str(len(raw)), DIGEST: digest}
    expect(client.call("GET", answer.location(), headers=ACCEPT), 200, body=raw, headers=shown)


def tags(suite, data, repository):
    client = suite.client
    url = client.url("/v2/%s/tags/list" % repository)
    listed = None
    with suite.check("%s/tags/all" % data.name):
        answer = expect(client.call("GET", url), 200).json()
        listed = answer["tags"]
        equal("the name", answer["name"], repository)
        equal("the order of tags", listed, sorted(listed))
        if not set(data.tags) <= set(listed):
            raise Mismatch("tags %s are not listed" % sorted(set(data.tags) - set(listed)))
    if not data.tags or listed is None:
        return
    with suite.check("%s/tags/last" % data.name):
        for last in listed + ["!", "~"]:
            # What follows need not be there itself.
            rest = expect(client.call("GET", url + "?" + urllib.parse.urlencode({"last": last})), 200).json()["tags"]
            equal("the tags after %s" % last, rest, [tag for tag in listed if tag > last])
    with suite.check("%s/tags/pages" % data.name):
        equal("all pages", pages(client, url + "?n=1", "tags"), listed)
        equal("all pages of two", pages(client, url + "?n=2", "tags"), listed)


def pages(client, url, key):
    """Every entry of a list, and no page larger than was asked for."""
    size = int(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["n"][0])
    entries = []
    while url:
        answer = expect(client.call("GET", url), 200)
        page = answer.json()[key]
        if len(page) > size:
            raise Mismatch("a page of %d, not %d" % (len(page), size))
        entries += page
        url = following(answer)
    return entries


def following(answer):
    """Where `Link` leads, or None on the last page."""
    link = answer.header("Link")
    if not link:
        return None
    target, _, relation = link.partition(">")
    if not target.startswith("<") or 'rel="next"' not in relation.replace("rel=next", 'rel="next"'):
        raise Mismatch("Link is %r" % link)
    return urllib.parse.urljoin(answer.url, target[1:])


def read(suite, data, repository):
    client = suite.client
    for method in ("HEAD", "GET"):
        for how, references in (("by-tag", data.tags), ("by-digest", {d: d for d in data.manifests})):
            for reference, digest in references.items():
                raw = data.manifests[digest]
                with suite.check("%s/%s/%s" % (data.name, method.lower(), how)):
                    url = client.url("/v2/%s/manifests/%s" % (repository, reference))
                    expect(client.call(method, url, headers=ACCEPT), 200, body=raw if method == "GET" else b"", headers={
                        "Content-Type": media_type(raw), "Content-Length": str(len(raw)), DIGEST: digest})
    for digest, content in data.blobs.items():
        blobs.is_there(suite, "%s/blob" % data.name, repository, digest, content)


def referrers(suite, data, repository):
    for subject, wanted in data.referrers.items():
        with suite.check("%s/referrers/all" % data.name):
            found = list_referrers(suite.client, repository, subject)
            equal("the referrers", by_digest(found), by_digest(wanted))
        for kind in {entry.get("artifactType") for entry in wanted} | {"application/vnd.example.none"}:
            if kind is None:
                continue
            with suite.check("%s/referrers/filtered" % data.name):
                found = list_referrers(suite.client, repository, subject, kind)
                equal("the referrers of type %s" % kind, by_digest(found),
                      by_digest(e for e in wanted if e.get("artifactType") == kind))


def list_referrers(client, repository, subject, kind=None):
    """Every descriptor, over all pages."""
    url = client.url("/v2/%s/referrers/%s" % (repository, subject), **({"artifactType": kind} if kind else {}))
    found = []
    while url:
        answer = expect(client.call("GET", url), 200, headers={"Content-Type": INDEX})
        document = answer.json()
        equal("the index", (document["schemaVersion"], document["mediaType"]), (2, INDEX))
        equal("OCI-Filters-Applied", answer.header("OCI-Filters-Applied"), "artifactType" if kind else "")
        found += document["manifests"]
        url = following(answer)
    return found


def by_digest(descriptors):
    return sorted(descriptors, key=lambda d: d["digest"])


def delete(suite, data, repository):
    client = suite.client

    def gone(reference):
        for method in ("HEAD", "GET"):
            expect(client.call(method, client.url("/v2/%s/manifests/%s" % (repository, reference)), headers=ACCEPT), 404)

    for tag, digest in ({} if data.spoilt else data.tags).items():
        with suite.check("%s/delete/tag" % data.name):
            expect(client.call("DELETE", client.url("/v2/%s/manifests/%s" % (repository, tag))), 202)
        with suite.check("%s/delete/tag/gone" % data.name):
            gone(tag)
            expect(client.call("HEAD", client.url("/v2/%s/manifests/%s" % (repository, digest))), 200)
    for digest in reversed(data.manifests):
        with suite.check("%s/delete/manifest" % data.name):
            answer = client.call("DELETE", client.url("/v2/%s/manifests/%s" % (repository, digest)))
            expect(answer, 404 if data.spoilt else 202)
        with suite.check("%s/delete/manifest/gone" % data.name):
            gone(digest)
    for subject in data.referrers:
        with suite.check("%s/delete/referrers" % data.name):
            equal("the referrers left", list_referrers(client, repository, subject), [])
    for digest in data.blobs:
        blobs.delete(suite, "%s/blob" % data.name, repository, digest)
