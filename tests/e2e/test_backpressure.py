"""A farm that is full: submitting is refused before anything is in, or waits for room; memory that
runs out half-way; images that nobody fetches."""
import json
import signal
import sys

import farm
from farm import Farm

Q = "genfarm:{default}:"


class Submission:
    """A submit that may wait: what it says, and how it ends."""

    def __init__(self, f, *argv):
        self.name = f.path("submit%d.err" % len(f.children))
        self.p = f.start(farm.os.path.join(farm.BIN, "genfarm"), "submit", *argv,
                         stdout=farm.subprocess.PIPE, stderr=open(self.name, "w"), text=True)

    def said(self):
        return open(self.name).read()

    def waits(self, word):
        farm.until(lambda: word in self.said(), 120)
        assert self.p.poll() is None, self.said()

    def ends(self, status=0):
        assert self.p.wait(60) == status, self.said()
        return self.p.stdout.read().strip()


def batches(f):
    return {b["batch"]: b for b in map(json.loads, f.genfarm("list", "--json").stdout.splitlines())}


def full_queue_refuses():
    with Farm() as f:
        f.redis()
        f.genfarm("submit", f.prompts(10), "--batch", "first", "--max-queue", 15)
        r = f.genfarm("submit", f.prompts(6), "--batch", "second", "--max-queue", 15, status=4)
        assert "nothing was submitted" in r.stderr and "has 10 jobs" in r.stderr, r.stderr
        assert r.stdout == "" and list(batches(f)) == ["first"]
        r = f.genfarm("submit", f.prompts(6), "--max-queue", 5, "--wait", status=4)
        assert "can never" in r.stderr
        queued = int(f.cli("GET", Q + "queued"))
        r = f.genfarm("submit", f.prompts(6), "--batch", "second", "--max-queue-bytes",
                      queued + 10, status=4)
        assert "nothing was submitted" in r.stderr and "%d bytes" % queued in r.stderr, r.stderr
        r = f.genfarm("submit", f.prompts(6), "--max-queue-bytes", 100, status=4)
        assert "can never" in r.stderr
        assert list(batches(f)) == ["first"]
        # The same batch again is no new one; and a larger queue takes the other.
        f.genfarm("submit", f.prompts(10), "--batch", "first", "--max-queue", 11)
        f.genfarm("submit", f.prompts(6), "--batch", "second", "--max-queue", 16,
                  "--max-queue-bytes", "1M")
        f.genfarm("fsck")


def full_queue_is_waited_for():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.genfarm("submit", f.prompts(10), "--batch", "first")
        one = Submission(f, f.prompts(12), "--batch", "one", "--max-queue", "15", "--wait")
        two = Submission(f, f.prompts(9), "--batch", "two", "--max-queue-bytes", "1K", "--wait")
        gone = Submission(f, f.prompts(9), "--batch", "gone", "--max-queue", "15", "--wait")
        for s in (one, two, gone):
            s.waits("waiting: the ")
        gone.p.send_signal(signal.SIGINT)
        gone.ends(130)
        assert "nothing was submitted: interrupted" in gone.said(), gone.said()
        assert list(batches(f)) == ["first"]
        f.worker("--concurrency", "4", "--sink", "dir:" + f.path("out"))
        assert (one.ends(), two.ends()) == ("one", "two")
        for s in (one, two):
            assert s.said().count("waiting:") == 1 and s.said().count("going on") == 1, s.said()
        f.genfarm("watch", "one")
        f.genfarm("watch", "two")
        f.genfarm("fsck")
        assert f.cli("EXISTS", Q + "queued") == "0"


def big_prompts(f, n):
    name = f.path("big.txt")
    with open(name, "w") as out:
        out.writelines("%d %s\n" % (i, "x" * 9000) for i in range(n))
    return name


def squeeze(f, room):
    used = int(f.cli("INFO", "memory").split("used_memory:")[1].split()[0])
    assert f.cli("CONFIG", "SET", "maxmemory", str(used + room)) == "OK"


def memory_runs_out():
    """maxmemory in the middle of a submission: what is in is told, and the same command goes on."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        big = big_prompts(f, 1500)
        squeeze(f, 8 << 20)
        r = f.genfarm("submit", big, "--batch", "b", status=1)
        assert "maxmemory" in r.stderr and "--batch b adds the rest" in r.stderr, r.stderr
        said = int(r.stderr.split(" of 1500 jobs are in")[0].split()[-1])
        got = batches(f)["b"]
        assert 0 < said == got["in"] < 1500, (said, got)
        f.cli("CONFIG", "SET", "maxmemory", "1")
        r = f.genfarm("submit", f.prompts(3), "--batch", "c", status=1)
        assert "nothing was submitted" in r.stderr and "maxmemory" in r.stderr, r.stderr
        s = Submission(f, big, "--batch", "b", "--wait")
        s.waits("waiting: the server's memory is full")
        f.cli("CONFIG", "SET", "maxmemory", "0")
        assert s.ends() == "b"
        assert s.said().count("waiting:") == 1 and s.said().count("going on") == 1, s.said()
        got = batches(f)["b"]
        assert got["in"] == 1500 and got["total"] == 1500 and got["state"] == "running"
        f.genfarm("fsck")
        f.worker("--concurrency", "32", "--sink", "dir:" + f.path("out"))
        f.genfarm("watch", "b")
        assert len(f.requests()) == 1500


def server_is_waited_for():
    with Farm() as f:
        f.env["GENFARM_REDIS_URL"] = "unix://" + f.path("r.sock")
        r = f.genfarm("submit", f.prompts(3), status=1)
        assert "cannot use the Redis server" in r.stderr
        s = Submission(f, f.prompts(3), "--batch", "b", "--wait")
        s.waits("waiting: cannot use the Redis server")
        f.redis()
        assert s.ends() == "b" and batches(f)["b"]["in"] == 3
        assert s.said().count("waiting:") == 1


def images_nobody_fetches():
    """--max-stored counts what all workers have stored, and nothing is lost by waiting."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--bytes", "300000")
        f.redis()
        limit, size, calls, n = 10 << 20, 300000, 4, 80
        for _ in range(2):
            f.worker("--concurrency", calls, "--max-stored", limit)
        f.genfarm("submit", f.prompts(n), "--batch", "b")
        stored = lambda: int(f.cli("GET", Q + "stored") or 0)
        flight = lambda: [w["in_flight"] for w in
                          map(json.loads, f.genfarm("workers", "--json").stdout.splitlines())]
        # Both have stopped, though neither has stored so much by itself.
        farm.until(lambda: stored() > limit - (5 << 20) and
                   int(f.cli("LLEN", Q + "r:1/standard/gemini-3.1-flash-image/b")) > 0 and
                   not any(f.cli("HLEN", Q + "a:" + w) != "0"
                           for w in f.cli("ZRANGE", Q + "leases", "0", "-1").splitlines()))
        at = stored()
        # What one may be ahead of the other: its calls, and a second between two looks.
        assert at <= limit + calls * (4 << 20), at
        assert len(f.requests()) * size >= at and len(f.requests()) < n
        farm.time.sleep(2.5)  # they look once a second
        assert stored() == at, "calls go on with no room"
        f.genfarm("collect", "b", "-o", f.path("out"))
        farm.until(lambda: stored() == 0)
        assert len(f.requests()) == n


def stored(f):
    return int(f.cli("GET", Q + "stored") or 0)


def has_ended(f, batch):
    return lambda: batches(f)[batch]["state"] == "ended"


def the_oldest_give_way():
    """Of a full sink the images of the batch that ended first go, not the farm; whoever comes too late
    for them is told."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--bytes", "300000")
        f.redis()
        f.worker("--concurrency", 2, "--max-stored", 20 << 20)
        f.genfarm("submit", f.prompts(20), "--batch", "old")
        farm.until(has_ended(f, "old"))
        f.genfarm("submit", f.prompts(20), "--batch", "new")
        farm.until(has_ended(f, "new"))
        assert len(f.requests()) == 40, len(f.requests())
        both = stored(f)
        assert 39 * 300000 < both <= 12 << 20, both
        f.genfarm("submit", f.prompts(60), "--batch", "big")
        # All that ended did so just now: it is left to be fetched, and the farm waits.
        farm.until(lambda: stored(f) > both and
                   all(f.cli("HLEN", Q + "a:" + w) == "0"
                       for w in f.cli("ZRANGE", Q + "leases", "0", "-1").splitlines()), 120)
        ready = lambda: int(f.cli("HVALS", Q + "ready") or 0)
        assert ready() > 0 and not has_ended(f, "big")()
        assert not batches(f)["old"]["images_gone"]
        f.cli("ZINCRBY", Q + "images", "-1000000", "old")  # an old one now
        farm.until(lambda: batches(f)["old"]["images_gone"] == 20, 120)
        b = batches(f)
        assert not b["new"]["images_gone"] and not b["big"]["images_gone"], b
        assert "of 20 jobs are gone" in f.genfarm("status", "old").stdout
        r = f.genfarm("collect", "old", "-o", f.path("old"), status=1)
        assert "20 jobs completed, but their images are no longer" in r.stderr, r.stderr
        assert "--max-stored" in r.stderr
        f.genfarm("collect", "new", "-o", f.path("new"))
        f.genfarm("collect", "big", "-o", f.path("big"))
        assert len(f.requests()) == 100 and stored(f) == 0
        f.genfarm("fsck")


def time_begins_at_the_end():
    """--keep counts from the end of a batch, not from when its images came."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--keep", 1)
        f.genfarm("submit", f.prompts(3), "--batch", "over")
        farm.until(has_ended(f, "over"))
        farm.until(lambda: batches(f)["over"]["images_gone"] == 3)
        f.genfarm("limits", "set", "gemini-3.1-flash-image", "req=1/1h")
        f.genfarm("submit", f.prompts(6), "--batch", "waits")
        farm.until(lambda: batches(f)["waits"]["completed"] >= 1)
        farm.time.sleep(2.5)  # they look once a second
        b = batches(f)["waits"]
        assert b["state"] == "running" and not b["images_gone"], b
        assert int(f.cli("HLEN", Q + "im:waits")) == 2 + b["completed"]
        f.genfarm("fsck")
        f.genfarm("cancel", "waits")  # and so it ends
        farm.until(lambda: batches(f)["waits"]["images_gone"] == b["completed"])
        assert f.cli("KEYS", Q + "o:*") == "" and stored(f) == 0
        f.genfarm("fsck")


if __name__ == "__main__":
    sys.exit(farm.main([full_queue_refuses, full_queue_is_waited_for, memory_runs_out,
                        server_is_waited_for, images_nobody_fetches, the_oldest_give_way,
                        time_begins_at_the_end]))
