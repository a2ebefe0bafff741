"""Carries a plan out: the farm, what befalls it, and how it is left to end in peace."""
import collections
import os
import time

import farm
from acts import Acts
from batch import Batch
from net import Net
from plan import SLOTS
from rules import Rules
from slot import Slot, key_options, write_pools
from wire import Connection, Refused

AOF = ("--appendonly", "yes", "--appendfsync", "always")
PATIENCE = 150  # seconds for what must end by itself
RAISED_AFTER = 12  # seconds, of a budget that does not allow all of its batch
MOST_OPEN = 30  # batches that are begun and not yet collected


class Storm:
    def __init__(self, f, plan):
        self.farm, self.plan = f, plan
        self.counts = collections.Counter()
        self.batches, self.steers, self.workers, self.producers = [], [], [], []
        self.is_over = False
        self.later = []  # (time, what to do), beside the plan
        self.lease = 2
        f.env["ASAN_OPTIONS"] = "exitcode=99:detect_leaks=1"
        os.mkdir(f.path("shared"))
        write_pools(f)
        self.logs = []
        self.stood_still = []  # the provider, [from, to], in seconds since 1970
        self.begin_provider(
            "--latency", "60ms", "--jitter", "300ms", "--batch-latency", "1500ms", "--seed",
            plan.seed, *(x for p in plan.faults for x in ("--fault", p)),
            *(x for p in plan.remote_faults for x in ("--batch-fault", p)))
        self.server = f.redis(*AOF)
        self.net = Net(f.socket, plan.seed, plan.longest)
        self.client_env = dict(f.env, GENFARM_REDIS_URL=self.net.open("clients", f.path("c.sock")))
        self.producer_address = f.path("p.sock")
        self.net.open("producers", self.producer_address)
        self.slots = [Slot(self, i) for i in range(SLOTS)]
        self.rules = Rules(f)
        self.acts = Acts(self)

    def ask(self, *args):
        """Of the server itself, past all links."""
        with Connection(self.farm.socket) as c:
            return c.ask(*args)

    def in_time(self, seconds, act):
        self.later.append((time.monotonic() + seconds, act))

    # --- The storm ---

    def run(self):
        for s in self.slots:
            s.start()
        self.net.set_weather(1)
        begun = time.monotonic()
        todo = list(self.plan.actions)
        while time.monotonic() < begun + self.plan.seconds:
            while todo and begun + todo[0][0] <= time.monotonic():
                _, verb, args = todo.pop(0)
                getattr(self.acts, verb)(**args) if verb != "batch" else self.begin(args)
            self.step()
        self.is_over = True

    def begin(self, spec):
        """Unless the machine does not keep up: its clients alone would then be all it runs."""
        if sum(not b.settled() for b in self.batches) >= MOST_OPEN:
            self.counts["left out"] += 1
            return
        b = Batch(self, spec)
        self.batches.append(b)
        if (spec["budget"] or 1000) < 1000:  # it is waited for by its clients, and soon by too many
            self.in_time(RAISED_AFTER, lambda: self.acts.raise_budget(b))
        self.counts["batches"] += 1
        self.counts["jobs"] += spec["jobs"]

    def step(self):
        now = time.monotonic()
        due = [x for x in self.later if x[0] <= now]
        self.later = [x for x in self.later if x[0] > now]
        for _, act in due:
            act()
        self.rules.step()
        for b in self.batches:
            b.step()
        for c in self.steers + self.workers:
            c.poll()
        self.steers = [c for c in self.steers if c.poll() is None]
        self.workers = [w for w in self.workers if w.poll() is None]
        time.sleep(0.02)

    def named(self, name):
        """The batch, if its clients got so far."""
        return next((b for b in self.batches if b.name == name), None)

    def clients(self):
        rule = [self.rules.child] if self.rules.child else []
        return [c for b in self.batches for c in b.running()] + self.steers + rule

    # --- The server ---

    def restart_redis(self):
        if self.server.poll() is not None:
            self.server = self.farm.redis(*AOF)

    def try_ask(self, *args):
        try:
            self.ask(*args)
        except (OSError, Refused):
            pass  # the server is down, or stopped

    def server_stopped(self):
        with open("/proc/%d/stat" % self.server.pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"

    def server_answers(self):
        return self.server.poll() is None and not self.server_stopped()

    def not_full(self):
        if self.server.poll() is None and self.server_stopped():
            self.in_time(0.5, self.not_full)
        else:  # a server that was started again is not full either
            self.try_ask("CONFIG", "SET", "maxmemory", "0")

    # --- The provider ---

    def begin_provider(self, *options):
        self.provider = self.farm.emulator("--size", "64", *options, *key_options())
        self.logs.append(self.farm.log)

    def end_provider(self):
        self.provider.terminate()
        self.provider.wait(20)

    def stop_provider(self):
        self.provider.send_signal(farm.signal.SIGSTOP)
        self.stood_still.append([time.time(), float("inf")])

    def provider_goes_on(self):
        self.provider.send_signal(farm.signal.SIGCONT)
        for span in self.stood_still:
            span[1] = min(span[1], time.time())
