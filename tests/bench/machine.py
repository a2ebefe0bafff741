"""Who else is at work on this machine: figures taken beside others say little of times."""
import os
import resource
import time

TICK = os.sysconf("SC_CLK_TCK")
CALM = 10  # percent of the machine that others may have had, for a measurement to count as calm


def seconds():
    """Of CPU, spent and in all, by whoever, since the machine began."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, idle, wait, irq, soft, stolen = (
            int(w) / TICK for w in f.readline().split()[1:9])
    busy = user + nice + system + irq + soft + stolen
    return busy, busy + idle + wait


def own():
    """Of CPU, spent by this process and those of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both)


class Others:
    """What others have had of the machine since this was made; children must have ended."""

    def __init__(self):
        self.before, self.own = seconds(), own()

    def percent(self):
        busy, whole = (now - then for now, then in zip(seconds(), self.before))
        return round(100 * max(0, busy - (own() - self.own)) / whole, 1) if whole else 0


def wait_for_calm(most):
    """Until others leave the machine alone for a second, `most` seconds at most."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        others = Others()
        time.sleep(1)
        if others.percent() < CALM:
            return
