"""The limiter: Redis time for a request of 1, 16 and 256 send slots, in three dimensions at once; how
full four workers keep a limit of one dimension and of three, and one that is changed meanwhile; and
what they make of a provider that allows half of it; how full one keeps it that is far from Redis.
Ends with what was aimed at, met or not."""
import json
import os
import subprocess
import time

from place import BIN, Farm, until
from test_far import Distance
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


JOBS = 1000
TRULY = {"req": 50, "slow": 500, "ipm": 3000}  # N of three dimensions that all come to 50 a second
PERIOD = {"req": 1, "slow": 10, "ipm": 60}
AIMS = {"used_percent": (">=", 97), "of_true_percent": (">=", 90), "refused_percent": ("<", 2),
        "over": ("<=", 0)}


def run(limit, jobs=JOBS, emulator=("--latency", "20ms"), meanwhile=None):
    """The times at which four workers' calls came, and which were refused."""
    with Farm() as farm:
        batch = four_workers(farm, limit, jobs, emulator)
        if meanwhile:
            meanwhile(farm)
        farm.genfarm("watch", batch)
        return times(farm), [r["status"] == 429 for r in farm.requests()]


def full(at, rate, windows):
    """How full a limit was kept, and by how many calls the fullest window passed what it may have."""
    over = max(most_in(at, period) - most for period, most in windows)
    return {"used_percent": round(100 * used(at, rate), 1), "over": over}


def shared(spec, most):
    """50 in a second, and 51, or 50 with `strict`, in any window of one."""
    return full(run(spec)[0], 50, [(1, most)])


def three(binding):
    """Three dimensions at once, of which this one binds and the others have a tenth more."""
    count = {d: n if d == binding else n * 11 // 10 for d, n in TRULY.items()}
    at, _ = run(",".join("%s=%d/%ds" % (d, count[d], PERIOD[d]) for d in count),
                JOBS if binding != "ipm" else 2 * TRULY["ipm"])
    return full(at, 50, [(PERIOD[d], count[d] + 1) for d in count])


def changed():
    """`limits set` from 50 to 100 a second while it runs; each half on its own, the limiter's
    own second of the change left out."""
    moment = []

    def meanwhile(farm):
        until(lambda: len(farm.requests()) >= 400, 120)
        farm.genfarm("limits", "set", "gemini-3.1-flash-image", "req=100/1s")
        moment.append(time.time())
    at, _ = run("req=50/1s", 2 * JOBS, meanwhile=meanwhile)
    before = [t for t in at if t < moment[0] - 1]
    after = [t for t in at if t > moment[0] + 1]
    both = full(before, 50, [(1, 51)]), full(after, 100, [(1, 101)])
    return {k: pick(b[k] for b in both) for k, pick in (("used_percent", min), ("over", max))}


def learned():
    """600 in 10 s are believed, 300 are allowed: what came of it after the first 600 calls."""
    at, refused = run("req=600/10s", 3000, ("--latency", "20ms", "--quota", "300/10s"))
    went = [t for t, no in zip(at, refused) if not no]
    return {"of_true_percent": round(100 * used(went, 30), 1),
            "refused_percent": round(100 * sum(refused[600:]) / len(refused[600:]), 2)}


def far(one_way):
    """One worker alone, with that many seconds to its Redis, and as many back."""
    with Farm() as farm:
        farm.emulator("--latency", "20ms", "--size", "64")
        farm.redis()
        Distance(farm.socket, farm.path("far.sock"), one_way)
        farm.genfarm("limits", "set", "gemini-3.1-flash-image", "req=100/1s")
        batch = farm.genfarm("submit", farm.prompts(JOBS)).stdout.strip()
        worker = farm.worker("--concurrency", "64", "--redis", "unix://" + farm.path("far.sock"))
        farm.genfarm("watch", batch)
        worker.terminate()
        worker.wait(60)
        return {"far_percent": round(100 * used(times(farm), 100), 1)}


MEASURED = [("50 a second", shared, "req=50/1s", 51),
            ("the same, strict", shared, "req=50/1s,strict", 50),
            ("three, req binds", three, "req"), ("three, slow binds", three, "slow"),
            ("three, ipm binds", three, "ipm"), ("set while it runs", changed),
            ("half is allowed", learned),
            ("20 ms there and back", far, 0.01), ("40 ms there and back", far, 0.02),
            ("100 ms there and back", far, 0.05)]


def verdicts(report):
    """Each aim, of every measurement that has such a figure: met or not met, by the worst round;
    those that other work disturbed count where no other is there, and are told apart."""
    for what, *_ in MEASURED:
        for field, (sign, aim) in AIMS.items():
            calm = list(report.of("limiter", what, field, calm=True).values())
            got = calm or list(report.of("limiter", what, field).values())
            if not got:
                continue
            worst = min(got) if sign == ">=" else max(got)
            met = {">=": worst >= aim, "<": worst < aim, "<=": worst <= aim}[sign]
            print("%-18s %-16s %7s, %s %s: %s%s" % (what, field, worst, sign, aim,
                                                    "met" if met else "NOT MET",
                                                    "" if calm else " (disturbed)"))


def measure(report, peers, options):
    del peers
    for turn in range(1, (options.rounds or 3) + 1):
        for each in REQUESTS:
            report.measure("limiter", "%d a request" % each, turn, once, each)
        for what, how, *about in MEASURED:
            report.measure("limiter", what, turn, how, *about)
    report.table("limiter", "limiter: rpm, tpm and rpd, one request after the other; four workers",
                 [("us_per_request", "Redis, us a request", "%.1f"),
                  ("us_per_slot", "Redis, us a slot", "%.2f"),
                  ("used_percent", "used, %", "%.1f"), ("over", "over in a window", "%.0f"),
                  ("of_true_percent", "of the true limit, %", "%.1f"),
                  ("refused_percent", "refused, %", "%.2f"),
                  ("far_percent", "used from afar, %", "%.1f")], [])
    verdicts(report)
