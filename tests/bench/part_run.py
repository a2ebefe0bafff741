"""A whole `genfarm run`: 1632 prompts, 64 calls in flight, 200 ms an answer, small pictures.

The least there is: the rounds of 64 calls that 1632 prompts take, times 200 ms."""
import glob
import json
import math
import os
import shutil
import time

from place import Farm
from farm import PARTI

SLOTS, LATENCY, PROMPTS = 64, 0.2, 1632
LEAST = math.ceil(PROMPTS / SLOTS) * LATENCY


class KeptFarm(Farm):
    """Removes nothing before the last round: ext4 does not give an inode away again within a minute,
    and looks for others for long while so many were freed."""
    folders = []

    def __exit__(self, *more):
        self.folders.append(self.dir)
        self.dir += "-none"
        super().__exit__(*more)


def once(*more):
    with KeptFarm() as farm:
        farm.emulator("--latency", "200ms")
        prompts = PARTI if os.path.exists(PARTI) else farm.prompts(PROMPTS)
        began, clock = time.time(), time.monotonic()
        farm.genfarm("run", prompts, "-o", farm.path("out"), "--concurrency", SLOTS, *more)
        whole = time.monotonic() - clock
        images = glob.glob(farm.batch("images", "*"))
        with open(farm.batch("metadata.json"), encoding="utf-8") as f:
            batch = json.load(f)["seconds"]
        # The name is what comes last: it changes the file's ctime.
        first = min(os.stat(i).st_ctime for i in images) - began
        if len(images) != PROMPTS or len(farm.requests()) != PROMPTS:
            raise RuntimeError("%d images, %d calls" % (len(images), len(farm.requests())))
    return {"batch_s": batch, "batch_over_least": round(batch / LEAST, 3),
            "whole_s": round(whole, 2), "first_image_s": round(first, 2),
            "first_image_percent": round(100 * first / whole, 1)}


def measure(report, peers, options):
    for turn in range(1, (options.rounds or 3) + 1):
        for name, more in (("genfarm run", []), ("genfarm run --no-sheet", ["--no-sheet"])):
            report.measure("run", name, turn, once, *more)
    for folder in KeptFarm.folders:
        shutil.rmtree(folder, ignore_errors=True)
    report.table("run", "run: %d prompts, %d slots, 200 ms; the least is %.1f s" % (
        PROMPTS, SLOTS, LEAST),
        [("batch_s", "batch, s", "%.2f"), ("batch_over_least", "over the least", "%.3f"),
         ("whole_s", "whole, s", "%.2f"), ("first_image_s", "first image, s", "%.2f"),
         ("first_image_percent", "% of the whole", "%.1f")])
