"""What an image of 2 MB costs: genfarm-worker beside Google's JavaScript SDK.

Both ask the same emulator, one that needs no CPU of theirs, over HTTP/1.1 without TLS. Counted is
the process that fetches: user and system time from the moment it is warm to its last image on
disk, the most memory, the time that passed. The worker takes its jobs from Redis and settles them
there, digests each image, syncs it to the disk and checks it; the SDK's script does none of this,
as it is written by its users: decode, write."""
import os
import subprocess
import time

import picture
from place import Cost, Farm, answer, child, limit, peak_mb, say

MODEL = "gemini-2.5-flash-image"
WIDTHS = {64: 256, 256: 512}  # calls in flight, images
ANSWERS = ["--latency", "1s", "--jitter", "1s"]
PHOTO = "photo"       # every answer is one PNG as dear to decode as a photograph
DRAWING = "drawing"   # a flat drawing, padded to 2 MB by a chunk that is no pixels
SDK = "@google/genai"
TIMEOUT = 120          # seconds for one measurement


def emulator(farm, kind):
    if kind == DRAWING:
        farm.emulator(*ANSWERS, "--size", "1K", "--bytes", "2M")
        return
    name = farm.path("photo.png")
    with open(name, "wb") as f:
        f.write(picture.png())
    farm.emulator(*ANSWERS, "--image", name)


def figures(pid, cost, images, began, folder):
    passed = time.monotonic() - began
    user, system = cost.so_far()
    found = [f for f in os.listdir(folder) if f.endswith(".png") and not f.startswith("warm")]
    if len(found) != images:
        raise RuntimeError("%d images of %d" % (len(found), images))
    return {"cpu_ms": round((user + system) / images, 2), "user_ms": round(user / images, 2),
            "system_ms": round(system / images, 2), "peak_mb": peak_mb(pid),
            "wall_s": round(passed, 2), "images": images}


def worker(farm, verify, width, images):
    farm.redis()
    folder = farm.path("sink")
    os.mkdir(folder)
    p = farm.worker("--sink", "dir:" + folder, "--concurrency", str(width), "--verify", verify)
    for batch, count in (("warm", 8), ("bench", images)):
        cost, began = Cost(p.pid), time.monotonic()
        farm.genfarm("submit", farm.prompts(count), "--batch", batch, "--model", MODEL)
        farm.genfarm("watch", batch)
    return figures(p.pid, cost, images, began, os.path.join(folder, "bench", "images"))


def sdk(farm, script, width, images):
    folder = farm.path("out")
    os.mkdir(folder)
    p = child(farm, "node", script, farm.env["GOOGLE_GEMINI_BASE_URL"], folder, MODEL, images,
              width, stderr=subprocess.DEVNULL)
    limit(p, TIMEOUT)
    if answer(p) != "ready":
        raise RuntimeError("it did not begin")
    cost, began = Cost(p.pid), time.monotonic()
    say(p)
    answer(p)
    result = figures(p.pid, cost, images, began, folder)
    say(p)
    return result


def contenders(peers):
    """Name, kind of picture, and what is called with the farm, the width and the images."""
    script = peers.script(SDK, "sdk.mjs")
    if script:
        yield SDK, PHOTO, lambda *a: sdk(a[0], script, *a[1:])
    for verify in ("full", "crc", "none"):
        yield "genfarm " + verify, PHOTO, lambda *a, v=verify: worker(a[0], v, *a[1:])
    yield "genfarm full, " + DRAWING, DRAWING, lambda *a: worker(a[0], "full", *a[1:])


def once(kind, run, width, images):
    with Farm() as farm:
        emulator(farm, kind)
        return run(farm, width, images)


def measure(report, peers, options):
    rivals = list(contenders(peers))
    for turn in range(1, (options.rounds or 3) + 1):
        for width, images in WIDTHS.items():
            for name, kind, run in rivals:
                report.measure("images at %d" % width, name, turn, once, kind, run, width, images)
    for width, images in WIDTHS.items():
        ours = [name for name, _, _ in rivals if name != SDK]
        report.table("images at %d" % width,
                     "images: %d of 2 MB, %d calls in flight" % (images, width),
                     [("cpu_ms", "CPU, ms an image", "%.1f"), ("user_ms", "user", "%.1f"),
                      ("system_ms", "system", "%.1f"), ("peak_mb", "memory, MB", "%.0f"),
                      ("wall_s", "time, s", "%.1f")],
                     [(name, SDK) for name in ours])
