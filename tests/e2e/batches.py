"""What the tests of lane batch share."""
import json

import farm
from farm import lines, sha256


def rows(f):
    """What the provider has made, a line for each row of a batch."""
    return [r for r in f.requests() if r["method"] == "ROW"]


def asked(f, end):
    return [r for r in f.requests() if r["path"].endswith(end)]


def submit(f, n, *options, text="picture number %d"):
    return f.genfarm("submit", f.prompts(n, text), "--lane", "batch", *options).stdout.strip()


def watched(f, batch, status=0):
    out = f.genfarm("watch", batch, "--json", status=status).stdout
    return [json.loads(line) for line in out.splitlines()]


def same_images(f, events, made):
    """Each completed job's image is one that the provider has made, byte for byte."""
    shas = sorted(e["images"][0]["sha256"] for e in events if e["event"] == "completed")
    assert shas == sorted(r["image_sha256"] for r in made if r["images"]), "other images"


def whole(f, out, n):
    manifest = lines(out("manifest.jsonl"))
    assert len(manifest) == n
    for m in manifest:
        assert sha256(out(m["images"][0]["path"])) == m["images"][0]["sha256"]
    return manifest


def nothing_left(f):
    """Of operations nothing is kept."""
    farm.until(lambda: not f.cli("EXISTS", "genfarm:{default}:ops") == "1")
    assert f.cli("KEYS", "genfarm:{default}:bo:*") == ""
    f.genfarm("fsck")
