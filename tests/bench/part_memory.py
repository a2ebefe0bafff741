"""The memory of a worker with 1,000 calls in flight, each an image of 8 MB with a thoughtSignature
of 2 MB: sink dir, HTTP/1.1 without TLS, --verify full."""
import json
import os
import resource
import shutil
import time
import urllib.request

from place import Farm, limit, peak_mb

CALLS = 1000
ROOM = 12 << 30  # bytes of disk: all the images are there in the end
TIMEOUT = 400  # seconds
MODEL = "gemini-3.1-flash-image"  # one that answers with signatures


def most_in_flight(farm, p):
    """Watches the batch to its end; the most calls that the emulator has had at once."""
    most, url = 0, farm.env["GOOGLE_GEMINI_BASE_URL"] + "/emulator/stats"
    while p.poll() is None:
        with urllib.request.urlopen(url, timeout=60) as answer:
            most = max(most, json.load(answer)["in_flight"])
        time.sleep(0.2)
    return most


def once():
    with Farm() as farm:
        if shutil.disk_usage(farm.dir).free < ROOM:
            raise RuntimeError("needs %d GB of room in %s" % (ROOM >> 30, farm.dir))
        farm.redis()
        # Late enough for every call to have been sent before the first answer begins.
        farm.emulator("--latency", "8s", "--bytes", "8M", "--thought-signature", "2M")
        os.mkdir(farm.path("sink"))
        worker = farm.worker("--sink", "dir:" + farm.path("sink"), "--concurrency", str(CALLS),
                             "--verify", "full")
        began = time.monotonic()
        farm.genfarm("submit", farm.prompts(CALLS), "--batch", "b", "--model", MODEL)
        most = most_in_flight(farm, limit(farm.follow("watch", "b"), TIMEOUT))
        passed = time.monotonic() - began
        images = os.listdir(farm.path("sink", "b", "images"))
        if len(images) != CALLS:
            raise RuntimeError("%d images of %d" % (len(images), CALLS))
        return {"peak_mb": peak_mb(worker.pid), "most_in_flight": most,
                "wall_s": round(passed, 1)}


def measure(report, peers, options):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * CALLS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * CALLS), hard))
    for turn in range(1, (options.rounds or 1) + 1):
        report.measure("memory", "genfarm-worker", turn, once)
    report.table("memory", "memory: 1,000 calls in flight, 8 MB of image and 2 MB of "
                 "thoughtSignature each",
                 [("peak_mb", "VmHWM, MB", "%.1f"), ("most_in_flight", "calls at once", "%.0f"),
                  ("wall_s", "time, s", "%.0f")])
