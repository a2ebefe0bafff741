"""Limits and quotas that are set and cleared during the storm, and when each was in force.

The commands go past the links, so that none is delivered later than it ends; but they are killed,
and the server with them, and then said again."""
import collections
import json
import time

from child import Child
from specs import QUEUES

LEAST_USD = 0.019  # the worst that a row of a remote batch may cost is at least that


class Rule:
    """One change. `target`: the words of a command before SPEC; `spec`: None clears; `room`: the
    limit is that much above what is used, as (unit, period, room). Once it has been said, `since`
    (seconds since 1970) is when its command ended; `until`: when the next one for the same target
    began; 0: never so far."""

    def __init__(self, command, name, spec, room=None):
        self.command, self.name, self.spec, self.room = command, name, spec, room
        self.began = self.since = self.until = 0.0
        self.used = None      # as the account said before
        self.allowance = 0.0  # what may still begin by a quota, in its unit
        self.queues = list(QUEUES) if command == "quota" else list(QUEUES[:1])

    def argv(self):
        """The next command that must go well."""
        if self.room and not self.used:
            return (self.command, self.name, "--json")
        words = ("set", self.name, self.spec) if self.spec else ("clear", self.name)
        return (self.command, *words, "--queue", self.queues[0])

    def read_account(self, text):
        """Calls that are under way may take what is reserved for them. What is told of remote
        batches that had begun gives room back: their rows count as used, at their worst, until
        then."""
        unit, period, room = self.room
        self.used = json.loads(text)[period]
        room = room / 20 if unit == "usd" else room
        reserved, unknown = self.used["reserved"][unit], self.used["unknown_usd"]
        back = {"usd": unknown, "calls": unknown // LEAST_USD}
        self.allowance = reserved + room + back[unit]
        self.spec = "%s=%s/%s" % (unit, round(self.used["used"][unit] + reserved + room, 6), period)

    def went_well(self):
        """True: nothing is left to be said."""
        self.queues.pop(0)
        return not self.queues


class Rules:
    def __init__(self, farm):
        self.farm = farm
        self.waiting = collections.deque()
        self.said = []
        self.child = self.out = None
        self.n = 0
        self.rests_until = 0.0

    def limit(self, group, spec):
        self.waiting.append(Rule("limits", group, spec))

    def quota(self, account, unit, period, room):
        self.waiting.append(Rule("quota", account, None, room and (unit, period, room)))

    def begin(self):
        rule = self.waiting[0]
        self.n += 1
        self.out = self.farm.path("rule-%d.out" % self.n)
        if not rule.began:
            rule.began = time.time()
            for r in self.said:
                if (r.command, r.name) == (rule.command, rule.name) and not r.until:
                    r.until = rule.began
        self.child = Child(self.farm, "rule-%d" % self.n, "genfarm", *rule.argv(), out=self.out)

    def step(self):
        if self.child is None:
            if self.waiting and time.monotonic() > self.rests_until:
                self.begin()
            return
        code = self.child.poll()
        if code is None:
            return
        assert code in (0, 1) or code < 0, "%s: exit %d" % (self.child.name, code)
        self.child = None
        if code == 0:
            self.ended()
        else:
            self.rests_until = time.monotonic() + 0.3

    def ended(self):
        rule = self.waiting[0]
        if rule.room and not rule.used:
            with open(self.out) as f:
                rule.read_account(f.read())
        elif rule.went_well():
            rule.since = time.time()
            self.said.append(self.waiting.popleft())

    def settled(self):
        return not self.waiting
