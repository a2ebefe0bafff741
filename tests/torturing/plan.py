"""What shall happen, and when: all of it from the seed, so that it can be repeated. What the farm
makes of it depends on time; the plan does not."""
import random

QUEUES = ("dir", "redis")  # each named by the sink of its workers
SLOTS = 4                  # workers, by turns of one queue and the other
MODELS = ("gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-2.5-flash-image")
USERS = ("ann", "bob", "eve")

# Provider faults by what they lead to, and how many of a hundred calls each kind befalls.
FAULTS = {
    "again": (6, "500 502 503 503_demand 504 499 408 array_error"),
    "refused": (1, "400 400_image 404 413"),
    "content": (6, "safety prohibited recitation language blocklist spii other image_safety "
                   "image_prohibited image_recitation image_other no_image max_tokens malformed "
                   "unspecified unknown_finish text_only empty empty_parts empty_content "
                   "no_candidates empty_candidates block_safety block_prohibited "
                   "block_image_safety block_blocklist block_other"),
    "odd": (5, "two_images thought_image huge_text mid_stream jpeg webp"),
    "broken": (6, "cut_image corrupt_image bad_base64 bad_json html empty_body cut_header cut_body"),
    "slow": (1, "stall hang_body"),
    "cool": (0.6, "429 rate_minute 429_array 429_bare 429_spend 429_shared 429_capacity"),
    "block": (0.15, "429_zero 429_credits bad_key expired_key precondition country 401 402 "
                    "403 403_leaked 403_suspended 403_disabled"),
}
MOST_FAULTS = 60  # the emulator takes no more than 64

# How often in a minute, and at least once in every plan.
RATES = {
    "kill_worker": 14, "stop_worker": 8, "drain_worker": 7, "kill_redis": 4, "stop_redis": 3,
    "kill_client": 20, "stop_client": 8, "cancel": 16, "retry": 24, "pause": 8, "link": 9,
    "weather": 12, "flush_scripts": 3, "full": 2, "stop_provider": 2, "foreign": 12,
}


class Plan:
    """`faults`: NAME=P for the emulator; `batches`: what is submitted; `actions`: (time, verb,
    arguments), in order."""

    def __init__(self, seed, seconds):
        self.seed, self.seconds = seed, seconds
        self.random = random.Random(seed)
        self.longest = 2.5 if seconds < 60 else 12.0  # seconds that a connection hangs
        self.faults = self.make_faults()
        self.batches = self.make_batches()
        self.actions = [(b["at"], "batch", b) for b in self.batches]
        for verb, rate in RATES.items():
            for _ in range(max(1, round(rate * seconds / 60))):
                at = round(self.random.uniform(0.05, 0.95) * seconds, 2)
                self.actions.append((at, verb, getattr(self, verb)(at)))
        self.actions.sort(key=lambda a: a[0])

    def make_faults(self):
        kinds = [(share, name) for share, names in FAULTS.values() for name in names.split()]
        shares = {k: share / len(names.split()) for k, (share, names) in FAULTS.items()}
        named = [(k, n) for k, (_, names) in FAULTS.items() for n in names.split()]
        chosen = sorted(self.random.sample(named, min(MOST_FAULTS, len(kinds))))
        return ["%s=%.5f" % (name, shares[kind] / 100) for kind, name in chosen]

    def make_batches(self):
        out, at, n = [], 0.0, 0
        while at < 0.85 * self.seconds:
            foreign = n % 5 == 3
            out.append({
                "at": round(at, 2), "name": "b%03d" % n, "queue": QUEUES[n % 2], "foreign": foreign,
                "jobs": self.random.randrange(20, 90), "user": self.random.choice(USERS),
                "model": self.random.choice(MODELS), "on_unknown": self.random.choice(
                    ("retry", "retry", "fail")) if not foreign else "retry",
                "priority": self.random.choice(("high", "normal", "low")),
                "budget": None if foreign else self.random.choice((None, None, 1000, 2)),
                "ids": self.random.choice((True, False)), "apart": self.random.choice((True, False)),
                "attempts": self.random.randrange(2, 7), "slow": self.random.random() * 0.1})
            at += self.random.uniform(0.8, 3.2)
            n += 1
        return out

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

    def lines(self):
        yield "seed %d, %g s; faults: %s" % (self.seed, self.seconds, " ".join(self.faults))
        for at, verb, args in self.actions:
            yield "%7.2f %s %s" % (at, verb, " ".join("%s=%s" % i for i in args.items()))
