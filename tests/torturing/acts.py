"""What a plan may say, each verb a method: carried out on a storm's farm."""
import time

import damages
import farm
from child import Child
from producer import MALFORMED, Producer


class Acts:
    def __init__(self, storm):
        self.storm, self.farm, self.counts = storm, storm.farm, storm.counts
        self.in_time = storm.in_time

    # --- Workers ---

    def kill_worker(self, slot, down):
        s = self.storm.slots[slot]
        if s.child and s.child.poll() is None:
            s.child.kill()
            self.counts["kills"] += 1
        self.in_time(down, s.start)

    def stop_worker(self, slot, **more):
        self.stop(self.storm.slots[slot].child, more["for"])

    def drain_worker(self, slot, down):
        """Another one may take its place before it has ended."""
        s = self.storm.slots[slot]
        if s.child:
            s.child.drain()
            self.counts["drains"] += 1
        s.child = None if down < 1 else s.child
        self.in_time(down, s.start)

    def refit(self, slot, how, **more):
        s = self.storm.slots[slot]
        self.counts["refits"] += 1

        def fit(as_what):
            s.fit = as_what
            s.leave()
            s.start()
        fit(how)
        self.in_time(more["for"], lambda: fit(None))

    # --- The server ---

    def kill_redis(self, down):
        server = self.storm.server
        if server.poll() is not None:
            return
        server.kill()
        server.wait()
        self.counts["redis restarts"] += 1
        self.in_time(down, self.storm.restart_redis)

    def stop_redis(self, **more):
        server = self.storm.server
        if server.poll() is None:
            server.send_signal(farm.signal.SIGSTOP)
            self.counts["stops"] += 1
            self.in_time(more["for"], lambda: server.send_signal(farm.signal.SIGCONT))

    def flush_scripts(self):
        if self.storm.server_answers():
            self.storm.try_ask("SCRIPT", "FLUSH")

    def full(self, **more):
        if self.storm.server_answers():
            self.storm.try_ask("CONFIG", "SET", "maxmemory", "1")
            self.in_time(more["for"], self.storm.not_full)

    # --- Links, and the provider ---

    def link(self, slot, state, **more):
        name = "worker %d" % slot
        self.storm.net.set_state(name, state)
        self.counts["links cut"] += 1
        self.in_time(more["for"], lambda: self.storm.net.set_state(name, "up"))

    def weather(self, factor):
        self.storm.net.set_weather(factor)

    def stop_provider(self, **more):
        self.counts["stops"] += 1
        self.storm.stop_provider()
        self.in_time(more["for"], self.storm.provider_goes_on)

    # --- Clients ---

    def stop(self, child, seconds):
        if child is None or child.poll() is not None:
            return
        child.stop()
        self.counts["stops"] += 1
        self.in_time(seconds, child.go_on)

    def kill_client(self, which):
        clients = self.storm.clients()
        if clients:
            clients[which % len(clients)].kill()
            self.counts["kills"] += 1

    def stop_client(self, which, **more):
        clients = self.storm.clients()
        if clients:
            self.stop(clients[which % len(clients)], more["for"])

    def steer(self, what, *argv, out=None):
        self.counts[what] += 1
        child = Child(self.farm, "steer-%d" % sum(self.counts.values()), "genfarm", what, *argv,
                      env=self.storm.client_env, out=out)
        self.storm.steers.append(child)
        return child

    def steer_jobs(self, what, batch, jobs):
        b = self.storm.named(batch)
        if b:
            ids = [b.id_of(i % len(b.jobs)) for i in jobs]
            self.steer(what, b.name, *dict.fromkeys(ids), "--queue", b.spec["queue"])
            b.reopened()
            self.in_time(3, b.reopened)  # by then it has happened, most of the time

    def cancel(self, batch, jobs):
        b = self.storm.named(batch)
        if b and not jobs:
            b.cancelled = True
        self.steer_jobs("cancel", batch, jobs)

    def retry(self, batch, jobs):
        self.steer_jobs("retry", batch, jobs)

    def pause(self, batch, queue, **more):
        b = self.storm.named(batch)
        what = (b.name, "--queue", b.spec["queue"]) if b else ("--queue", queue)
        self.steer("pause", *what)
        self.in_time(more["for"], lambda: self.steer("resume", *what))

    def raise_budget(self, b):
        """Again and again until it went well: the command is killed, and the server, too."""
        if self.storm.is_over:
            return
        b.raised = b.raised or time.time()
        child = self.steer("resume", b.name, "--queue", b.spec["queue"], "--budget", "2000")
        self.in_time(10, lambda: child.poll() == 0 or self.raise_budget(b))

    def foreign(self, queue, kind):
        self.storm.producers.append(
            Producer(self.storm.producer_address, queue, [MALFORMED[kind]]))

    def fsck(self, queue, repair, kill_after):
        """What it finds is read in the end: there must be nothing."""
        mend = ("--repair",) if repair else ()
        child = self.steer("fsck", "--json", "--queue", queue, *mend,
                           out=self.farm.path("fsck-%d.out" % self.counts["fsck"]))
        if kill_after is not None:
            self.in_time(kill_after, child.kill)

    def damage(self, queue, what):
        if self.storm.server_answers():
            self.storm.try_ask(*damages.command(queue, what))
            self.counts["damages"] += 1
            self.in_time(0.5, lambda: self.fsck(queue, True, None))

    # --- What may be used ---

    def limit(self, group, spec, **more):
        self.storm.rules.limit(group, spec)
        self.in_time(more["for"], lambda: self.storm.rules.limit(group, None))

    def quota(self, account, unit, period, room, **more):
        self.storm.rules.quota(account, unit, period, room)
        self.in_time(more["for"], lambda: self.storm.rules.quota(account, unit, period, None))
