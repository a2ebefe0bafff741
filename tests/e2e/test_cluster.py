"""A farm on a cluster of three nodes: slots are moved during a batch, and nothing is lost."""
import json
import os
import subprocess
import time

from farm import BIN, Farm, check_events, lines, main, sha256, until
from servers import Cluster

JOBS = 240


def places(farm, cluster):
    """The limiter's key, and the name of a queue whose keys are on another node."""
    first = farm.genfarm("preview", farm.prompts(1), "--json").stdout.splitlines()[0]
    model = json.loads(first)["model"]
    limit = "genfarm:{limit:default/%s/standard}:l" % model
    for i in range(100):
        queue = "q%d" % i
        if cluster.owner("genfarm:{%s}:cfg" % queue)[0] is not cluster.owner(limit)[0]:
            return limit, queue


def moved_slots():
    with Farm() as f:
        f.emulator("--latency", "50ms")
        c = Cluster(f)
        f.env["GENFARM_REDIS_URL"] = c.url()
        limit, queue = places(f, c)
        f.env["GENFARM_QUEUE"] = queue
        config = "genfarm:{%s}:cfg" % queue
        first, other = c.owner(config)[0], c.owner(limit)[0]
        (third,) = [n for n in c.nodes if n is not first and n is not other]
        logs = [f.path("worker%d.log" % (len(f.children) + i)) for i in range(2)]
        for _ in range(2):
            f.worker("--concurrency", "4", "--limit", "req=500/1s")
        batch = f.genfarm("submit", f.prompts(JOBS)).stdout.strip()
        watch = f.follow("watch", batch, "--json")
        events = []

        def more(n):
            end = len(events) + n
            while len(events) < end:
                events.append(json.loads(watch.stdout.readline()))

        more(JOBS // 6)
        assert other.cli("EXISTS", limit) == "1" and first.cli("EXISTS", config) == "1"
        # While the queue's keys are here and there, nothing of it can be done, and nothing is.
        assert c.move(config, third, lambda: time.sleep(0.05)) > 8
        more(JOBS // 6)
        assert c.move(limit, third) >= 1
        more(JOBS // 6)
        assert c.move(config, other, lambda: time.sleep(0.05)) > 8
        events += [json.loads(line) for line in watch.stdout]
        assert watch.wait(30) == 0
        ends = check_events(events, JOBS)
        assert all(e["event"] == "completed" for e in ends)
        assert len(f.requests()) == JOBS, "%d calls of %d jobs" % (len(f.requests()), JOBS)
        assert events[-1]["possible_double_bill"] == 0
        f.genfarm("collect", batch, "-o", f.path("out"))
        manifest = lines(f.batch("manifest.jsonl"))
        assert len(manifest) == JOBS
        for m in manifest:
            assert sha256(f.batch(m["images"][0]["path"])) == m["images"][0]["sha256"]
        for log in logs:
            assert "redis is away" not in open(log).read(), "a move is no outage"
        f.genfarm("fsck")
        assert "version" in f.genfarm("doctor", status=None).stdout
        until(lambda: other.cli("GET", "genfarm:{%s}:stored" % queue) == "0")


def other_ways_in():
    """A whole run, and a program that hangs the library's descriptor into a loop of its own."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        c = Cluster(f)
        f.genfarm("run", f.prompts(20), "--redis", c.url(), "-o", f.path("out"), "--workers", 2)
        assert len(lines(f.batch("manifest.jsonl"))) == 20
        f.env["GENFARM_REDIS_URL"] = c.url()
        f.worker("--concurrency", "8")
        p = subprocess.run([os.path.join(BIN, "genfarm-example"), "a tree", "a river", "a hill"],
                           env=f.env, cwd=f.dir, capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stderr
        check_events([json.loads(line) for line in p.stdout.splitlines()], 3)


main([moved_slots, other_ways_in])
