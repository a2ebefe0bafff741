"""A foreign producer: pushes msgpack maps into the inbox, and again what was not answered."""
import struct
import threading
import time

from wire import Connection, Refused

MALFORMED = (b"\xc1 no msgpack", b"\x81\xa6prompt", b"\x93\x01\x02\x03", b"\x80")


def pack(v):
    """msgpack of what a job needs."""
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        return struct.pack(">Bq", 0xd3, v)
    if isinstance(v, float):
        return struct.pack(">Bd", 0xcb, v)
    if isinstance(v, str):
        b = v.encode()
        return struct.pack(">BI", 0xdb, len(b)) + b
    items = b"".join(pack(k) + pack(x) for k, x in v.items())
    return struct.pack(">BI", 0xdf, len(v)) + items


class Producer(threading.Thread):
    """Pushes `things` to a queue, each until it is acknowledged. `pushes`: tries in all."""

    def __init__(self, address, queue, things):
        super().__init__(daemon=True)
        self.address, self.key, self.things = address, "genfarm:{%s}:inbox" % queue, things
        self.acknowledged = self.pushes = 0
        self.quit = False
        self.start()

    def run(self):
        while self.acknowledged < len(self.things) and not self.quit:
            try:
                with Connection(self.address, 3) as c:
                    while self.acknowledged < len(self.things) and not self.quit:
                        self.pushes += 1
                        c.ask("RPUSH", self.key, self.things[self.acknowledged])
                        self.acknowledged += 1
            except (OSError, Refused):
                time.sleep(0.05)

    def done(self):
        return self.acknowledged == len(self.things)


def batch_things(spec, jobs):
    """The maps of one batch, some of which are no jobs, its end among them: before the last jobs,
    for that is allowed."""
    things = []
    for job in jobs:
        things.append(dict(job, batch=spec["name"], user=spec["user"], model=spec["model"],
                           priority=spec["priority"], max_attempts=spec["attempts"], timeout=3))
    for i in range(spec["bad"]):
        things.insert(5 * i, dict(things[0], id="bad-%d" % i, prompt=""))
    things.insert(len(things) - 2, {"batch": spec["name"], "seal": True, "total": len(things)})
    return [pack(t) for t in things]
