"""The limiter: Redis time for a request of 1, 16 and 256 send slots, in three dimensions at once; how
full four workers keep a limit; and what they make of a provider that allows half of it."""
import json
import os
import subprocess

from place import BIN, Farm
from test_limits import four_workers, most_in, times, used

REQUESTS = {1: 20000, 16: 10000, 256: 2000}


def once(each):
    with Farm() as farm:
        farm.redis()
        done = subprocess.run([os.path.join(BIN, "bench_limit"), "unix://" + farm.socket,
                               str(REQUESTS[each]), str(each)], capture_output=True, text=True,
                              timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    return json.loads(done.stdout)


def shared():
    """A limit of 50 a second."""
    with Farm() as farm:
        farm.genfarm("watch", four_workers(farm, "req=50/1s", 1000))
        at = times(farm)
    return {"used_percent": round(100 * used(at, 50), 1), "most_in_1s": most_in(at, 1.0)}


def learned():
    """600 in 10 s are believed, 300 are allowed."""
    with Farm() as farm:
        farm.genfarm("watch", four_workers(farm, "req=600/10s", 1500,
                                           ("--latency", "20ms", "--quota", "300/10s")))
        late = [r["status"] == 429 for r in farm.requests()][600:]
        return {"used_percent": round(100 * used(times(farm), 30), 1),
                "refused_percent": round(100 * sum(late) / len(late), 2)}


def measure(report, peers, options):
    del peers
    for turn in range(1, (options.rounds or 3) + 1):
        for each in REQUESTS:
            report.measure("limiter", "%d a request" % each, turn, once, each)
        report.measure("limiter", "shared by four", turn, shared)
        report.measure("limiter", "half is allowed", turn, learned)
    report.table("limiter", "limiter: rpm, tpm and rpd, one request after the other",
                 [("us_per_request", "Redis, us a request", "%.1f"),
                  ("us_per_slot", "Redis, us a slot", "%.2f"),
                  ("used_percent", "used, %", "%.1f"), ("most_in_1s", "most in 1 s", "%.0f"),
                  ("refused_percent", "refused, %", "%.2f")], [])
