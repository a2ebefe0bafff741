"""What tests/bench/run does once all is built: the parts, one after the other."""
import argparse
import importlib
import sys

import npm
from place import context
from report import Report

PARTS = {
    "queue": "jobs through the queue: BullMQ, bee-queue, beanstalkd",
    "limiter": "Redis time for 1, 16 and 256 send slots a request",
    "images": "CPU and memory an image of 2 MB: Google's JavaScript SDK",
    "run": "the time of a whole `genfarm run`, beside the least there is",
    "memory": "of a worker with 1,000 calls in flight",
}


def options():
    p = argparse.ArgumentParser(
        prog="tests/bench/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures genfarm beside its peers, in rounds, one after the other.",
        epilog="parts (all without one):\n" + "\n".join("  %-8s %s" % x for x in PARTS.items()))
    p.add_argument("parts", nargs="*", metavar="PART", help="|".join(PARTS))
    p.add_argument("--rounds", type=int, help="of each part (queue 5, limiter 3, images 3, run 3, memory 1)")
    p.add_argument("--jobs", type=int, default=50000, help="of the queue's part (50000)")
    p.add_argument("--patience", type=int, default=0, metavar="SECONDS",
                   help="wait so long, at most, for others to leave the machine alone")
    p.add_argument("--out", metavar="FILE", help="every measurement as a line of JSON")
    o = p.parse_args()
    unknown = [x for x in o.parts if x not in PARTS]
    if unknown:
        p.error("there is no part %s" % unknown[0])
    if o.jobs < 1000 or o.jobs % 1000:
        p.error("--jobs: a multiple of 1000")
    return o


def main():
    o = options()
    with Report(o.out, o.patience) as report, npm.Peers() as peers:
        report.context(**context(), **peers.versions())
        for name in o.parts or PARTS:
            importlib.import_module("part_" + name).measure(report, peers, o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
