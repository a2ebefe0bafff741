"""After the storm: no faults any more, and everything ends by itself."""
import os
import signal
import time

from ledger import Ledger, came
from specs import QUEUES
from storm import PATIENCE


class Calm:
    def __init__(self, storm):
        self.storm, self.farm = storm, storm.farm

    def until(self, what, words):
        """Not in vain as long as calls are made or events come: a long storm leaves much to be done,
        and a machine may be busy. But not for ever."""
        begun = moved = time.monotonic()
        seen = self.progress()
        while not what():
            now, at = time.monotonic(), self.progress()
            if at != seen:
                seen, moved = at, now
            if now - moved > PATIENCE or now - begun > 10 * PATIENCE + 2 * self.storm.plan.seconds:
                raise AssertionError("after the storm, in vain: %s" % words)
            self.storm.step()

    def progress(self):
        return (os.path.getsize(self.storm.logs[-1]),
                sum(b.watched_bytes for b in self.storm.batches))

    def run(self):
        s = self.storm
        self.faults_off()
        self.until(lambda: all(b.acknowledged for b in s.batches if not b.spec["max_queue"]),
                   "submissions")
        self.until(lambda: all(p.done() for p in s.producers), "foreign producers")
        self.other_workers()
        self.until(lambda: all(b.acknowledged for b in s.batches), "submissions to a full queue")
        self.until(lambda: all(map(self.is_over, s.batches)), "batches end")
        self.until(self.no_lost_workers, "lost workers' leases go")
        self.drain()
        for b in s.batches:
            b.reopened()
        self.until(lambda: all(b.settled() for b in s.batches), "watchers and collectors end")
        s.end_provider()

    def faults_off(self):
        s = self.storm
        for _, act in s.later:
            act()
        s.later = []
        for c in s.workers + s.clients():
            c.go_on()
        if s.server.poll() is None:
            s.server.send_signal(signal.SIGCONT)
        s.provider_goes_on()
        s.restart_redis()
        s.not_full()
        s.net.settle_down()
        self.until(lambda: not s.steers, "commands")
        self.until(s.rules.settled, "limits and quotas")
        for queue in QUEUES:
            self.farm.genfarm("resume", "--queue", queue)
        for b in s.batches:
            if s.ask("EXISTS", self.key(b, "b:")):
                self.farm.genfarm("resume", b.name, "--queue", b.spec["queue"])

    def mend(self):
        """What the last damages left. What is mended may show more, once."""
        for queue in QUEUES:
            self.farm.genfarm("fsck", "--repair", "--queue", queue, status=None)
            self.farm.genfarm("fsck", "--repair", "--queue", queue)

    def other_workers(self):
        """All workers leave, whatever they have met; others begin, with a provider that works, and
        knows nothing of remote batches: these end before."""
        s = self.storm
        for slot in s.slots:  # each project's batches need one who has its keys
            slot.start()
        for queue in QUEUES:
            self.farm.genfarm("pause", "--queue", queue)
        self.until(self.no_remote_batches, "remote batches")
        for slot in s.slots:
            slot.child = None
        self.drain()
        if s.plan.damages:
            self.mend()
        s.end_provider()
        self.raise_budgets()
        self.forget_limits()
        s.begin_provider("--latency", "20ms", "--batch-latency", "300ms")
        for queue in QUEUES:
            self.farm.genfarm("resume", "--queue", queue)
        for slot in s.slots:
            slot.limited = False  # a busy machine misses most of the instants that limits allow
            slot.start()

    def forget_limits(self):
        """What the provider said of its quotas is believed for longer than anyone waits here."""
        for key in self.storm.ask("KEYS", "genfarm:{limit:*"):
            self.storm.ask("DEL", key)

    def raise_budgets(self):
        """Until then no batch may have cost more, by the provider's own log."""
        ledger = Ledger(self.storm.logs)
        for b in self.storm.batches:
            if not b.spec["budget"]:
                continue
            until = b.raised or float("inf")
            cost = sum(ledger.micro(x) for j in b.jobs for x in ledger.of(j["prompt"])
                       if came(x) < until) / 1e6
            assert cost <= b.spec["budget"], "%s: cost %f of %s" % (b.name, cost, b.spec["budget"])
            self.farm.genfarm("resume", b.name, "--queue", b.spec["queue"], "--budget", "2000")

    def drain(self):
        for w in self.storm.workers:
            w.drain()
        leaving = list(self.storm.workers)
        self.until(lambda: not self.storm.workers, "workers leave")
        for w in leaving:
            assert w.poll() == 0, "%s: exit %s after its drain" % (w.name, w.poll())

    @staticmethod
    def key(batch, kind):
        return "genfarm:{%s}:%s%s" % (batch.spec["queue"], kind, batch.name)

    def is_over(self, b):
        return self.storm.ask("HGET", self.key(b, "b:"), "done_at") is not None

    def no_lost_workers(self):
        """Only those that live have a lease."""
        leases = sum(self.storm.ask("ZCARD", "genfarm:{%s}:leases" % q) for q in QUEUES)
        return leases == len(self.storm.workers)

    def no_remote_batches(self):
        return not any(self.storm.ask("ZCARD", "genfarm:{%s}:ops" % q) for q in QUEUES)
