"""Folders and watchers that come back to a server with another past: another batch of the same name,
or the same batch after the server lost the end of what it had acknowledged."""
import json
import os
import subprocess
import sys

import farm
from farm import Farm, lines, sha256

Q = "genfarm:{default}:"


def whole(folder, n):
    """All completed, by the manifest, and each file as the manifest has it, byte for byte."""
    manifest = lines(os.path.join(folder, "manifest.jsonl"))
    assert [m["status"] for m in manifest] == ["completed"] * n, manifest
    named = {i["path"]: i["sha256"] for m in manifest for i in m["images"]}
    there = {"images/" + name for name in os.listdir(os.path.join(folder, "images"))}
    assert there == set(named) and len(named) == n, (there, named)
    for path, sha in named.items():
        assert sha256(os.path.join(folder, path)) == sha, path


def example(f, *argv, status=0):
    """A program that uses the library; saves below ./pictures."""
    p = subprocess.run([os.path.join(farm.BIN, "genfarm-example"), *argv], env=f.env, cwd=f.dir,
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == status, (p.returncode, p.stdout, p.stderr)
    return p


# --- Another batch --------------------------------------------------------------------------


def expire(f, batch):
    f.cli("ZADD", Q + "expiring", "1", batch)
    farm.until(lambda: f.cli("EXISTS", Q + "b:" + batch) == "0")


def contents(folder):
    return {os.path.join(at, name): sha256(os.path.join(at, name))
            for at, _, names in os.walk(folder) for name in names}


def another_batch():
    """A folder is one batch's, whoever has its name by now: nothing of it is touched."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.genfarm("submit", f.prompts(5, "yesterday %d"), "--batch", "nightly")
        f.genfarm("cancel", "nightly", "00000004")
        f.worker()
        f.genfarm("collect", "nightly", "-o", f.path("pictures"), status=3)
        expire(f, "nightly")
        today = ["today %d" % i for i in range(5)]
        f.genfarm("submit", f.prompts(5, "today %d"), "--batch", "nightly")
        before = contents(f.path("pictures"))
        for argv in (("collect", "nightly", "-o", f.path("pictures")),
                     ("run", "--resume", f.path("pictures", "nightly"), "--queue", "default",
                      "--redis", f.env["GENFARM_REDIS_URL"])):
            r = f.genfarm(*argv, status=1)
            assert "belongs to another batch of that name; move it away" in r.stderr, r.stderr
        assert contents(f.path("pictures")) == before
        os.rename(f.path("pictures", "nightly"), f.path("pictures", "yesterday"))
        f.genfarm("collect", "nightly", "-o", f.path("pictures"))
        whole(f.path("pictures", "nightly"), 5)
        assert [m["prompt"] for m in lines(f.path("pictures", "nightly", "manifest.jsonl"))] == today


def another_batch_for_the_library():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker()
        example(f, "-n", "nightly", "yesterday", "bad [[fault:prohibited]]")
        expire(f, "nightly")
        before = contents(f.path("pictures"))
        r = example(f, "-n", "nightly", "today", "tomorrow", status=1)
        assert "belongs to another batch of that name" in r.stderr, r.stderr
        assert contents(f.path("pictures")) == before


def without_a_nonce():
    """The folder of an older program is gone on with, and is this batch's from then on."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.genfarm("submit", f.prompts(3), "--batch", "b")
        f.genfarm("cancel", "b", "00000002")
        f.worker()
        f.genfarm("collect", "b", "-o", f.path("out"), status=3)
        metadata = f.path("out", "b", "metadata.json")
        with open(metadata) as at:
            before = json.load(at)
        with open(metadata, "w") as at:
            json.dump({k: v for k, v in before.items() if k != "nonce"}, at)
        f.genfarm("retry", "b")
        f.genfarm("collect", "b", "-o", f.path("out"))
        with open(metadata) as at:
            assert json.load(at)["nonce"] == before["nonce"]
        whole(f.path("out", "b"), 3)


if __name__ == "__main__":
    sys.exit(farm.main([another_batch, another_batch_for_the_library, without_a_nonce]))
