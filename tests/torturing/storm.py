"""Carries a plan out: the farm, what befalls it, and how it is left to end in peace."""
import collections
import os
import time

import farm
from batch import Batch
from child import Child
from link import Net
from plan import QUEUES, SLOTS
from producer import MALFORMED, Producer
from wire import Connection

AOF = ("--appendonly", "yes", "--appendfsync", "always")
LEASE = 2
PATIENCE = 150  # seconds for what must end by itself


class Slot:
    """A place for a worker, with a link of its own."""

    def __init__(self, storm, number):
        self.storm, self.number = storm, number
        self.queue = QUEUES[number % len(QUEUES)]
        path = storm.farm.path("w%d.sock" % number) if number % 4 < 2 else None
        self.url = storm.net.open("worker %d" % number, path)
        self.child = None
        self.starts = 0

    def start(self):
        if self.child and self.child.poll() is None:
            return
        sink = "redis" if self.queue == "redis" else "dir:" + self.storm.farm.path("shared")
        self.starts += 1
        self.child = Child(
            self.storm.farm, "worker%d-%d" % (self.number, self.starts), "genfarm-worker",
            "--redis", self.url, "--queue", self.queue, "--sink", sink, "--lease", LEASE,
            "--concurrency", 8, "--grace", 6, "--max-stored", "200M", "--limit", "req=100/1s")
        self.storm.workers.append(self.child)


class Storm:
    def __init__(self, f, plan):
        self.farm, self.plan = f, plan
        self.counts = collections.Counter()
        self.batches, self.steers, self.workers, self.producers = [], [], [], []
        self.later = []  # (time, what to do), beside the plan
        f.env["ASAN_OPTIONS"] = "exitcode=99:detect_leaks=1"
        os.mkdir(f.path("shared"))
        self.provider = f.emulator(
            "--size", "64", "--latency", "60ms", "--jitter", "300ms", "--seed", plan.seed,
            *(x for p in plan.faults for x in ("--fault", p)))
        self.logs = [f.log]
        self.server = f.redis(*AOF)
        self.net = Net(f.socket, plan.seed, plan.longest)
        self.client_env = dict(f.env, GENFARM_REDIS_URL=self.net.open("clients", f.path("c.sock")))
        self.producer_address = f.path("p.sock")
        self.net.open("producers", self.producer_address)
        self.slots = [Slot(self, i) for i in range(SLOTS)]

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
                getattr(self, "do_" + verb)(**args) if verb != "batch" else self.begin(args)
            self.step()

    def begin(self, spec):
        self.batches.append(Batch(self, spec))
        self.counts["batches"] += 1
        self.counts["jobs"] += spec["jobs"]

    def step(self):
        now = time.monotonic()
        due = [x for x in self.later if x[0] <= now]
        self.later = [x for x in self.later if x[0] > now]
        for _, act in due:
            act()
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
        return [c for b in self.batches for c in b.running()] + self.steers

    # --- What the plan may say ---

    def do_kill_worker(self, slot, down):
        s = self.slots[slot]
        if s.child and s.child.poll() is None:
            s.child.kill()
            self.counts["kills"] += 1
        self.in_time(down, s.start)

    def do_stop_worker(self, slot, **more):
        self.stop(self.slots[slot].child, more["for"])

    def do_drain_worker(self, slot, down):
        """Another one may take its place before it has ended."""
        s = self.slots[slot]
        if s.child:
            s.child.drain()
            self.counts["drains"] += 1
        s.child = None if down < 1 else s.child
        self.in_time(down, s.start)

    def do_kill_redis(self, down):
        if self.server.poll() is not None:
            return
        self.server.kill()
        self.server.wait()
        self.counts["redis restarts"] += 1
        self.in_time(down, self.restart_redis)

    def restart_redis(self):
        if self.server.poll() is not None:
            self.server = self.farm.redis(*AOF)

    def do_stop_redis(self, **more):
        if self.server.poll() is None:
            self.server.send_signal(farm.signal.SIGSTOP)
            self.counts["stops"] += 1
            server = self.server
            self.in_time(more["for"], lambda: server.send_signal(farm.signal.SIGCONT))

    def stop(self, child, seconds):
        if child is None or child.poll() is not None:
            return
        child.stop()
        self.counts["stops"] += 1
        self.in_time(seconds, child.go_on)

    def do_kill_client(self, which):
        clients = self.clients()
        if clients:
            clients[which % len(clients)].kill()
            self.counts["kills"] += 1

    def do_stop_client(self, which, **more):
        clients = self.clients()
        if clients:
            self.stop(clients[which % len(clients)], more["for"])

    def steer(self, what, *argv):
        self.counts[what] += 1
        self.steers.append(Child(self.farm, "steer-%d" % sum(self.counts.values()), "genfarm", what,
                                 *argv, env=self.client_env))

    def steer_jobs(self, what, batch, jobs):
        b = self.named(batch)
        if b:
            ids = [b.id_of(i % len(b.jobs)) for i in jobs]
            self.steer(what, b.name, *dict.fromkeys(ids), "--queue", b.spec["queue"])
            b.reopened()
            self.in_time(3, b.reopened)  # by then it has happened, most of the time

    def do_cancel(self, batch, jobs):
        b = self.named(batch)
        if b and not jobs:
            b.cancelled = True
        self.steer_jobs("cancel", batch, jobs)

    def do_retry(self, batch, jobs):
        self.steer_jobs("retry", batch, jobs)

    def do_pause(self, batch, queue, **more):
        b = self.named(batch)
        what = (b.name, "--queue", b.spec["queue"]) if b else ("--queue", queue)
        self.steer("pause", *what)
        self.in_time(more["for"], lambda: self.steer("resume", *what))

    def do_link(self, slot, state, **more):
        name = "worker %d" % slot
        self.net.set_state(name, state)
        self.counts["links cut"] += 1
        self.in_time(more["for"], lambda: self.net.set_state(name, "up"))

    def do_weather(self, factor):
        self.net.set_weather(factor)

    def try_ask(self, *args):
        try:
            self.ask(*args)
        except OSError:
            pass  # the server is down, or stopped

    def do_flush_scripts(self):
        if self.server.poll() is None and not self.server_stopped():
            self.try_ask("SCRIPT", "FLUSH")

    def server_stopped(self):
        with open("/proc/%d/stat" % self.server.pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"

    def do_full(self, **more):
        if self.server.poll() is None and not self.server_stopped():
            self.try_ask("CONFIG", "SET", "maxmemory", "1")
            self.in_time(more["for"], self.not_full)

    def not_full(self):
        if self.server.poll() is None and self.server_stopped():
            self.in_time(0.5, self.not_full)
        else:  # a server that was started again is not full either
            self.try_ask("CONFIG", "SET", "maxmemory", "0")

    def do_stop_provider(self, **more):
        self.provider.send_signal(farm.signal.SIGSTOP)
        self.counts["stops"] += 1
        self.in_time(more["for"], lambda: self.provider.send_signal(farm.signal.SIGCONT))

    def do_foreign(self, queue, kind):
        self.producers.append(Producer(self.producer_address, queue, [MALFORMED[kind]]))
