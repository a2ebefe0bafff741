"""Folders and watchers that come back to a server with another past: another batch of the same name,
or the same batch after the server lost the end of what it had acknowledged."""
import json
import os
import shutil
import subprocess
import sys

import farm
from farm import Farm, lines, sha256

Q = "genfarm:{default}:"
N = 100  # jobs of a batch: some seconds' work for SLOW
SLOW, FAST = 2, 32
AOF = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")


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


# --- Another history of the same batch ------------------------------------------------------


def kept(folder):
    """Results that a collector has in its journal."""
    try:
        with open(os.path.join(folder, ".results"), "rb") as journal:
            return journal.read().count(b'"event_id"')
    except FileNotFoundError:
        return 0


class Past:
    """A server that goes back to what it was when a few jobs were done, while the folder has more."""

    def __init__(self, f, queue="default"):
        self.f, self.key = f, "genfarm:{%s}:b:b" % queue
        f.emulator("--latency", "120ms", "--jitter", "100ms")
        self.server = f.redis(*AOF)

    def worker(self, concurrency):
        self.at_work = self.f.worker("--concurrency", str(concurrency), "--lease", "3")

    def done(self):
        return int(self.f.cli("HGET", self.key, "completed") or 0)

    def lose(self, folder, *killed):
        data, copy = self.f.path("appendonlydir"), self.f.path("copy")
        farm.until(lambda: self.done() >= 3)
        shutil.copytree(data, copy)
        before = self.done()
        farm.until(lambda: kept(folder) >= before + 10)
        for p in (self.server, *killed):
            p.kill()
            p.wait()
        shutil.rmtree(data)
        os.rename(copy, data)
        self.server = self.f.redis(*AOF)
        assert self.done() < kept(folder) < N

    def whole(self, folder, *queue):
        """And it is what the server tells."""
        whole(folder, N)
        told = self.f.genfarm("watch", "b", "--json", *queue).stdout.splitlines()
        ends = farm.check_events([json.loads(line) for line in told], N)
        assert {e["index"]: e["images"] for e in ends} == {
            m["index"]: m["images"] for m in lines(os.path.join(folder, "manifest.jsonl"))}


def collected_again():
    """Who collects is told; the next one begins the folder again, and has the server's history."""
    with Farm() as f:
        past = Past(f)
        past.worker(SLOW)
        f.genfarm("submit", f.prompts(N), "--batch", "b")
        first = f.start(os.path.join(farm.BIN, "genfarm"), "collect", "b", "-o", f.path("out"),
                        stderr=subprocess.PIPE, text=True)
        past.lose(f.path("out", "b"), past.at_work)
        past.worker(FAST)
        told = first.communicate(timeout=100)[1]
        assert first.returncode == 1 and "lost what it had acknowledged" in told, told
        r = f.genfarm("collect", "b", "-o", f.path("out"))
        assert "lost what it had acknowledged" in r.stderr and "begins again" in r.stderr, r.stderr
        past.whole(f.path("out", "b"))
        r = f.genfarm("collect", "b", "-o", f.path("out"), status=1)
        assert "is complete" in r.stderr, r.stderr


def collected_again_when_it_has_ended():
    """The same of a collector that was killed, and of a batch that has ended since: nobody but the
    folder knows of what was lost."""
    with Farm() as f:
        past = Past(f)
        past.worker(SLOW)
        f.genfarm("submit", f.prompts(N), "--batch", "b")
        first = f.follow("collect", "b", "-o", f.path("out"))
        past.lose(f.path("out", "b"), past.at_work, first)
        past.worker(FAST)
        f.genfarm("watch", "b")
        f.genfarm("collect", "b", "-o", f.path("out"))
        past.whole(f.path("out", "b"))


def collected_again_by_the_library():
    with Farm() as f:
        past = Past(f)
        past.worker(SLOW)
        prompts = ["picture number %d" % i for i in range(N)]
        program = f.start(os.path.join(farm.BIN, "genfarm-example"), "-n", "b", *prompts, cwd=f.dir,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        farm.until(lambda: f.cli("EXISTS", past.key) == "1")
        first = f.follow("collect", "b", "-o", f.path("pictures"))
        past.lose(f.path("pictures", "b"), past.at_work, first)
        past.worker(FAST)
        told = program.communicate(timeout=100)[1]
        assert program.returncode == 1 and "lost what it had acknowledged" in told, told
        example(f, "-n", "b", *prompts)
        past.whole(f.path("pictures", "b"))


def run_again():
    with Farm() as f:
        past = Past(f, "run-b")
        run = f.follow("run", f.prompts(N), "--batch", "b", "-o", f.path("out"), "--concurrency",
                       SLOW)
        past.lose(f.path("out", "b"), run)
        r = f.genfarm("run", "--resume", f.path("out", "b"), "--concurrency", FAST)
        assert "begins again" in r.stderr, r.stderr
        past.whole(f.path("out", "b"), "--queue", "run-b")


def an_end_that_is_not_told():
    """A batch that has ended, by its counters, leaves no job open in silence."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker()
        f.genfarm("submit", f.prompts(3), "--batch", "b")
        events = [json.loads(line) for line in
                  f.genfarm("watch", "b", "--json").stdout.splitlines()]
        ends = farm.check_events(events, 3)
        assert f.cli("XDEL", Q + "ev:b", ends[1]["event_id"]) == "1"
        for _ in range(2):
            r = f.genfarm("collect", "b", "-o", f.path("out"), status=1)
            assert "1 jobs have ended, but the folder does not have them" in r.stderr, r.stderr


def after_an_event_that_is_not_there():
    """A watcher that has seen more than there is now is told so, and reads nothing."""
    with Farm() as f:
        f.redis()
        f.genfarm("submit", f.prompts(3), "--batch", "b")
        f.genfarm("cancel", "b")
        events = [json.loads(line) for line in
                  f.genfarm("watch", "b", "--json", status=3).stdout.splitlines()]
        last = events[-1]["event_id"]
        assert f.genfarm("watch", "b", "--json", "--after", last, status=3).stdout == ""
        r = f.genfarm("watch", "b", "--json", "--after", "99-0", status=1)
        assert r.stdout == "" and "event 99-0 is not there any more" in r.stderr, r.stderr


if __name__ == "__main__":
    sys.exit(farm.main([another_batch, another_batch_for_the_library, without_a_nonce, collected_again,
                        collected_again_when_it_has_ended, collected_again_by_the_library, run_again,
                        an_end_that_is_not_told, after_an_event_that_is_not_there]))
