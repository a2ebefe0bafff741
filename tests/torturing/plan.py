"""What shall happen, and when: all of it from the seed, so that it can be repeated. What the farm
makes of it depends on time; the plan does not."""
import random

import damages
import faults
import specs
from specs import MODELS, QUEUES, USERS

SLOTS = 4  # workers, by turns of one queue and the other
PROJECTS = ("default", "red", "blue")

# How often in a minute, and at least once in every plan.
RATES = {
    "kill_worker": 14, "stop_worker": 8, "drain_worker": 7, "kill_redis": 4, "stop_redis": 3,
    "kill_client": 20, "stop_client": 8, "cancel": 16, "retry": 24, "pause": 8, "link": 9,
    "weather": 12, "flush_scripts": 3, "full": 2, "stop_provider": 2, "foreign": 12, "limit": 6,
    "quota": 4, "refit": 4, "fsck": 8,
}


class Plan:
    """`faults`, `remote_faults`: for the emulator; `batches`: what is submitted; `actions`: (time,
    verb, arguments), in order."""

    def __init__(self, seed, seconds):
        self.seed, self.seconds = seed, seconds
        self.random = random.Random(seed)
        self.longest = 2.5 if seconds < 60 else 12.0  # seconds that a connection hangs
        endless = self.random.random() < 0.4
        self.faults = faults.of_calls(self.random)
        self.remote_faults = faults.of_remote(self.random, endless)
        self.batches = specs.make(self.random, seconds, endless)
        self.actions = [(b["at"], "batch", b) for b in self.batches]
        for verb, rate in RATES.items():
            for _ in range(max(1, round(rate * seconds / 60))):
                last = 0.5 if verb in ("limit", "quota") else 0.95  # these are seen when they last
                at = round(self.random.uniform(0.05, last) * seconds, 2)
                self.actions.append((at, verb, getattr(self, verb)(at)))
        self.damage(random.Random("%d/damage" % seed))
        self.actions.sort(key=lambda a: a[0])

    def damage(self, own):
        """In some plans the indexes of queues are damaged now and then, and fsck must mend them."""
        self.damages = own.random() < 0.3
        for _ in range(max(1, round(3 * self.seconds / 60)) if self.damages else 0):
            at = round(own.uniform(0.2, 0.9) * self.seconds, 2)
            self.actions.append((at, "damage", damages.choose(own)))

    def some_batch(self, at):
        """One of the last few that are there by then."""
        there = [b["name"] for b in self.batches if b["at"] < at] or [self.batches[0]["name"]]
        return self.random.choice(there[-6:])

    def some_jobs(self):
        """Empty: all of them; else numbers of jobs, to be taken modulo the batch's."""
        if self.random.random() < 0.2:
            return []
        return [self.random.randrange(1000) for _ in range(self.random.randrange(1, 6))]

    # --- Arguments of each verb ---

    def kill_worker(self, _):
        return {"slot": self.random.randrange(SLOTS), "down": round(self.random.uniform(0, 3), 2)}

    def stop_worker(self, _):
        # Shorter than a lease, or longer than one and its recovery.
        length = self.random.choice((self.random.uniform(0.2, 1.5), self.random.uniform(3, 7)))
        return {"slot": self.random.randrange(SLOTS), "for": round(length, 2)}

    drain_worker = kill_worker

    def kill_redis(self, _):
        return {"down": round(self.random.choice((0.0, self.random.uniform(0.1, 4))), 2)}

    def stop_redis(self, _):
        return {"for": round(self.random.choice((0.5, self.random.uniform(2.5, 6))), 2)}

    def kill_client(self, _):
        return {"which": self.random.randrange(1000)}

    def stop_client(self, _):
        return {"which": self.random.randrange(1000), "for": round(self.random.uniform(0.3, 4), 2)}

    def cancel(self, at):
        return {"batch": self.some_batch(at), "jobs": self.some_jobs()}

    def retry(self, at):
        return {"batch": self.some_batch(at),
                "jobs": self.some_jobs() if self.random.random() < 0.3 else []}

    def pause(self, at):
        batch = "" if self.random.random() < 0.25 else self.some_batch(at)
        return {"batch": batch, "queue": self.random.choice(QUEUES),
                "for": round(self.random.uniform(0.3, 4), 2)}

    def link(self, _):
        return {"slot": self.random.randrange(SLOTS), "state": self.random.choice(("refuse", "hold")),
                "for": round(self.random.choice((0.5, self.random.uniform(2.5, 6))), 2)}

    def weather(self, _):
        return {"factor": self.random.choice((0, 0.5, 1, 1, 3))}

    def flush_scripts(self, _):
        return {}

    def full(self, _):
        return {"for": round(self.random.uniform(0.3, 1.5), 2)}

    def stop_provider(self, _):
        return {"for": round(self.random.uniform(0.5, 4), 2)}

    def foreign(self, _):
        """Something in the inbox that is no job."""
        return {"queue": self.random.choice(QUEUES), "kind": self.random.randrange(4)}

    def limit(self, _):
        """Of one group, for a while; then there is none, until a worker sets its own."""
        n = self.random.randrange(8, 20)
        spec = self.random.choice(("req=%d/4s", "req=%d/2s,strict", "rpd=%d", "rpd=%d,req=60/1s",
                                   "req=%d/4s,inflight=4"))
        return {"group": "%s/%s/%s" % (self.random.choice(PROJECTS), self.random.choice(MODELS),
                                       self.random.choice(("standard", "standard", "flex"))),
                "spec": spec % n, "for": round(self.random.uniform(3, 9), 2)}

    def quota(self, _):
        """`room`: what is allowed above what is used by then; dollars are a twentieth of it."""
        account = self.random.choice(["user:" + u for u in USERS] +
                                     ["project:" + p for p in PROJECTS])
        return {"account": account, "unit": self.random.choice(("calls", "usd")),
                "period": self.random.choice(("day", "month")),
                "room": self.random.randrange(5, 25), "for": round(self.random.uniform(3, 8), 2)}

    def refit(self, _):
        """A worker leaves, and those that follow it have a bad key among theirs, or little room."""
        return {"slot": self.random.randrange(SLOTS), "how": self.random.choice(("key", "room")),
                "for": round(self.random.uniform(2, 10), 2)}

    def fsck(self, _):
        return {"queue": self.random.choice(QUEUES), "repair": self.random.random() < 0.7,
                "kill_after": round(self.random.uniform(0, 1), 2)
                if self.random.random() < 0.3 else None}

    def lines(self):
        yield "seed %d, %g s; faults: %s" % (self.seed, self.seconds, " ".join(self.faults))
        yield "of remote batches: " + " ".join(self.remote_faults)
        for at, verb, args in self.actions:
            told = ["%s=%s" % i for i in args.items() if i[1] not in (None, False, "standard")]
            yield "%7.2f %s %s" % (at, verb, " ".join(told))
