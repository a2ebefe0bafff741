"""Every kind of request that workers and clients make of Redis is cut short once and more: each is
made again, and neither jobs nor calls nor cost are counted twice for it."""
import collections
import json
import os
import sys

import farm
from farm import Farm

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "torturing"))
from net import Net  # noqa: E402


GREETING = (b"PING", b"INFO", b"ROLE", b"CLIENT")  # a client that cannot connect says so and ends


class Cut:
    """What befalls the first and the fourth request of each kind, scripts apart."""

    def __init__(self, fate):
        self.fate = fate
        self.seen = collections.Counter()

    def __call__(self, one):
        kind = one.split(b"\r\n")[2].upper()
        if kind.startswith(b"EVAL"):
            kind = one.split(b"\r\n")[4]
        self.seen[kind] += 1
        return self.fate if self.seen[kind] in (1, 4) and kind not in GREETING else None


def cut(fate, shared=False):
    with Farm() as f:
        f.emulator("--latency", "5ms", "--size", "64")
        f.redis()
        net = Net(f.socket, 1, 1)
        url = net.open("worker", f.path("w.sock"))
        cuts = net.links["worker"].wish = Cut(fate)
        f.worker("--redis", url, "--concurrency", "4", "--lease", "20", "--sink",
                 "dir:" + f.path("out") if shared else "redis")
        f.env["GENFARM_REDIS_URL"] = net.open("client", f.path("c.sock"))
        net.links["client"].wish = Cut(fate)
        batch = f.genfarm("submit", f.prompts(40)).stdout.strip()
        r = f.genfarm("collect", batch, "-o", f.path("collected"), "--json")
        ends = farm.check_events([json.loads(line) for line in r.stdout.splitlines()], 40)
        assert all(e["event"] == "completed" for e in ends)
        net.links["client"].wish = None
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["calls"] == len(f.requests()) == 40, status
        assert status["possible_double_bill"] == 0, status
        cost = sum(round(e["cost_usd"] * 1e6) for e in ends)
        assert round(status["cost_usd"] * 1e6) == cost, "%s, by its events %d" % (status, cost)
        assert sum(n > 3 for n in cuts.seen.values()) >= 6, cuts.seen
        f.genfarm("fsck")


def answers():
    cut("cut_reply")
    cut("cut_reply", shared=True)


def half_answers():
    cut("cut_answer")


def late():
    cut("late")


def of_an_image_whose_source_goes():
    """It was to be shared, and was stored, but nobody heard of that, nor at first of what is stored:
    it is no call more."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--size", "64")
        f.redis()
        net = Net(f.socket, 1, 1)
        url = net.open("worker", f.path("w.sock"))
        f.worker("--redis", url, "--sink", "redis")
        images = "genfarm:{default}:o:%s/0"
        lost, looks = [], []

        def lose(one):
            words = one.split(b"\r\n")[2::2]
            if words == [b"GET", (images % "b").encode()]:
                looks.append(one)
                return "cut_reply" if len(looks) == 1 else None
            if lost or b"b/0" not in words or not any(w.startswith(b"t/") for w in words):
                return None
            lost.append(f.cli("DEL", images % "a" + "/0", images % "a"))
            return "cut_reply"
        for batch in ("a", "b"):
            f.genfarm("submit", f.prompts(1), "--dedupe", "--batch", batch)
            f.genfarm("watch", batch)
            net.links["worker"].wish = lose
        events = map(json.loads, f.genfarm("watch", "b", "--json").stdout.splitlines())
        (e,) = [e for e in events if e["event"] == "completed"]
        assert len(looks) == 2 and lost == ["2"] and e["deduped_of"] == "a/00000000", (lost, e)
        assert len(f.requests()) == 1, f.requests()
        f.genfarm("fsck")


if __name__ == "__main__":
    sys.exit(farm.main([answers, half_answers, late, of_an_image_whose_source_goes]))
