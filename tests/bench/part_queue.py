"""The queue itself: bulk submit, then no-op jobs through one worker process, peers beside it.

Each contender gets a server of its own, fresh, on a unix socket and without persistence, and
they take turns. genfarm's worker asks its limiter, claims under a lease, marks as sent and
settles with an event and counters; the peers do what they do by default, without a limiter."""
import json
import os
import subprocess
import sys

from place import BIN, HERE, Cost, Farm, until

WIDTH = 100
TIMEOUT = 120  # seconds for one measurement


def redis(farm):
    return farm.redis(), farm.socket


def beanstalkd(farm):
    path = farm.path("b.sock")
    p = farm.start("beanstalkd", "-l", "unix:" + path)
    until(lambda: os.path.exists(path))
    return p, path


def contenders(peers):
    """Name, server, and the command that is given the address, the jobs and the width."""
    genfarm = os.path.join(BIN, "bench_queue")
    yield "genfarm", redis, lambda a: [genfarm, "unix://" + a], WIDTH
    yield "genfarm at 256", redis, lambda a: [genfarm, "unix://" + a], 256
    for name, source in (("bullmq", "bullmq.mjs"), ("bee-queue", "beequeue.mjs")):
        script = peers.script(name, source)
        if script:
            yield name, redis, lambda a, s=script: ["node", s, a], WIDTH
    client = os.path.join(HERE, "beanstalkd.py")
    yield "beanstalkd", beanstalkd, lambda a: [sys.executable, client, a], WIDTH


def once(serve, command, width, jobs):
    with Farm() as farm:
        server, address = serve(farm)
        cost = Cost(server.pid)
        done = subprocess.run([*command(address), str(jobs), str(width)], capture_output=True,
                              text=True, timeout=TIMEOUT)
        spent = sum(cost.so_far())
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    figures = json.loads(done.stdout)
    figures.pop("what", None)
    return dict(figures, jobs=jobs, width=width, server_us_per_job=round(spent * 1000 / jobs, 1))


def measure(report, peers, options):
    rivals = list(contenders(peers))
    for turn in range(1, (options.rounds or 5) + 1):
        for name, serve, command, width in list(rivals):
            if not report.measure("queue", name, turn, once, serve, command, width, options.jobs):
                rivals = [r for r in rivals if r[0] != name]
    report.table(
        "queue", "queue: %d jobs of 300 bytes, one worker at %d" % (options.jobs, WIDTH),
        [("in_per_s", "in, jobs/s", "%.0f"), ("through_per_s", "through, jobs/s", "%.0f"),
         ("server_us_per_job", "server, us a job", "%.1f")],
        [("genfarm", peer) for peer in ("bullmq", "bee-queue", "beanstalkd")])
