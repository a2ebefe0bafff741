"""A place for a worker: its link, its keys, and whoever works there now."""
import json

from child import Child
from plan import QUEUES

# Those of the emulator, by project; and some that it does not know.
KEYS = {"default": ["a-key-of-the-test"], "red": ["key-of-red-1", "key-of-red-2"],
        "blue": ["key-of-blue"]}
ENV = {"RED_1": "key-of-red-1", "RED_2": "key-of-red-2", "BLUE": "key-of-blue",
       "BAD_1": "key-of-nobody", "BAD_2": "key-of-nobody-else"}
POOLS = {"good": {"red": ("RED_1", "RED_2"), "blue": ("BLUE",)},
         "bad": {"red": ("BAD_1", "RED_2"), "blue": ("BAD_2",)}}


def key_options():
    """For the emulator."""
    return [x for project, keys in KEYS.items() for k in keys for x in ("--key", k + "=" + project)]


def write_pools(farm):
    farm.env.update(ENV)
    for name, projects in POOLS.items():
        with open(farm.path(name + ".json"), "w") as out:
            json.dump({"projects": [{"name": p, "keys": [{"env": k} for k in keys]}
                                    for p, keys in projects.items()]}, out)


class Slot:
    """Slots 0 and 1 have the keys of two projects, the others that of the one."""

    def __init__(self, storm, number):
        self.storm, self.number = storm, number
        self.queue = QUEUES[number % len(QUEUES)]
        path = storm.farm.path("w%d.sock" % number) if number % 4 < 2 else None
        self.url = storm.net.open("worker %d" % number, path)
        self.child = None
        self.starts = 0
        self.limited = True
        self.fit = None  # or "key", "room": what the next ones have in another way

    def options(self):
        sink = "redis" if self.queue == "redis" else "dir:" + self.storm.farm.path("shared")
        out = ["--redis", self.url, "--queue", self.queue, "--sink", sink, "--grace", 6]
        if self.number < 2:
            pool = "bad" if self.fit == "key" else "good"
            out += ["--projects", self.storm.farm.path(pool + ".json")]
        if self.fit == "room":
            out += ["--concurrency", 2, "--max-stored", "4300K", "--max-batches", 1]
        else:
            out += ["--concurrency", 8, "--max-stored", "200M"]
        return out + ["--batch-bytes", "60M"] + ["--limit", "req=100/1s"] * self.limited

    def start(self):
        """Unless somebody is there who does not leave."""
        if self.child and self.child.poll() is None and not self.child.draining:
            return
        self.starts += 1
        self.child = Child(
            self.storm.farm, "worker%d-%d" % (self.number, self.starts), "genfarm-worker",
            *self.options(), "--lease", self.storm.lease)
        self.storm.workers.append(self.child)

    def leave(self):
        """Another one may take its place before it has ended."""
        if self.child:
            self.child.drain()
        self.child = None
