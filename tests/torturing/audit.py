"""All that must hold at the end, of each batch and of the queues."""
import collections
import glob
import hashlib
import json

import audit_dead
import audit_events
import audit_files
import audit_money
import audit_rules
import audit_usage
import damages
from child import broken_words
from entries import Entries, costs
from ledger import Ledger, is_made
from plan import PROJECTS
from specs import QUEUES, USERS


class Audit:
    """Collects what is wrong: all of it, for one fault may show in several places."""

    def __init__(self, storm):
        self.storm, self.farm = storm, storm.farm
        self.wrong = []
        self.ledger = Ledger(storm.logs)
        self.letters = audit_dead.Letters(self.farm, QUEUES)
        self.entries = Entries(self.farm, QUEUES)
        self.prompts = {}  # -> audit_money.Prompt
        self.unknown = self.calls = self.poison = self.rules = self.shared = 0
        self.usage = {q: collections.Counter() for q in QUEUES}

    def hold(self, what, check, *args):
        try:
            check(*args)
        except (AssertionError, OSError, KeyError, IndexError, ValueError) as e:
            self.wrong.append("%s: %s: %s" % (what, type(e).__name__, e))

    def run(self):
        for b in self.storm.batches:
            self.hold(b.name, self.batch, b)
        for queue in QUEUES:
            self.hold("queue " + queue, self.queue, queue)
            self.hold("fsck " + queue, self.fsck, queue)
            self.hold("usage " + queue, audit_usage.check, self.farm, queue, self.usage[queue])
        for p in self.prompts.values():
            self.hold("%s %s" % (p.jobs, p.prompt), audit_money.check_prompt, p, self.ledger,
                      self.entries)
        self.hold("limits and quotas", self.limits_and_quotas)
        self.hold("accounts", audit_rules.check_accounts, self.farm,
                  ["user:" + u for u in USERS] + ["project:" + p for p in PROJECTS])
        self.hold("fsck in the storm", self.fscks)
        self.hold("dead letters", audit_dead.check, self.letters, self.storm.producers, self.poison)
        self.hold("requests", self.all_requests)
        self.wrong += broken_words(self.farm.dir)
        return self.wrong

    def batch(self, b):
        queue = ("--queue", b.spec["queue"])
        status = json.loads(self.farm.genfarm("status", b.name, "--json", *queue).stdout)
        last = int(self.storm.ask("HGET", "genfarm:{%s}:b:%s" % (b.spec["queue"], b.name), "ev"))
        again = self.farm.genfarm("watch", b.name, "--json", *queue, status=None).stdout
        events = [e for e in map(json.loads, again.splitlines()) if e["event"] != "progress"]
        self.unknown += status["possible_double_bill"]
        self.calls += status["calls"]
        self.poison += sum(e["event"] == "failed" and e["error"]["code"] == "poison"
                           for e in events)
        entries = self.entries.of_batch(b.name)
        audit_usage.add(self.usage[b.spec["queue"]], events, status, entries)
        if b.closed:
            b.jobs = b.jobs[:status["total"]]
        jobs = self.jobs(b, events)
        hold = lambda what, *args: self.hold(b.name + " " + what, *args)
        hold("watcher", audit_events.dense, b.events, last)
        hold("watched again", self.same, b.events, events)
        hold("refused", audit_dead.check_refused, self.letters, b, status)
        hold("events", audit_events.check, events, last, len(jobs), status)
        hold("money", audit_money.check_batch, entries, status)
        self.shared += sum("deduped_of" in e for e in events)
        by_job = audit_events.of_jobs(events)
        for index, (_, prompt) in enumerate(jobs):
            p = self.prompts.setdefault(prompt, audit_money.Prompt(prompt))
            p.add(b.name, index, by_job.get(index, []))
        hold("files", audit_files.check, b.folder + "/" + b.name, b.shares_folder, jobs,
             audit_events.finals(events), self.ledger)

    def figures(self):
        """What came of it all, by name."""
        lines = self.ledger.all()
        rows = sum(x["method"] == "ROW" for x in lines)
        return {"calls": self.calls, "unknown": self.unknown, "rows": rows,
                "requests": sum(map(is_made, lines)), "limits and quotas": self.rules,
                "shared": self.shared,
                "found": sum(not e["calls"] and costs(e) > 0 for e in self.entries.all())}

    def jobs(self, b, events):
        """(id, prompt) of each job, by index: what came through the inbox may have changed places
        on its way, or found its batch cancelled."""
        prompts = {b.id_of(i): job["prompt"] for i, job in enumerate(b.jobs)}
        names = {e["index"]: e["id"] for e in events if "index" in e}
        late = self.letters.late(b.name)
        assert sorted([*names.values(), *late]) == sorted(prompts), "other jobs than were pushed"
        if not b.spec["foreign"]:
            assert all(names[i] == b.id_of(i) for i in names), "jobs changed places"
        assert not late or b.cancelled, "jobs were refused: %s" % sorted(late)[:10]
        return [(names[i], prompts[names[i]]) for i in sorted(names)]

    @staticmethod
    def same(first, again):
        assert first == again, "events differ from what they were: %s" % [
            pair for pair in zip(first, again) if pair[0] != pair[1]][:1]

    def queue(self, queue):
        """Nothing is left over of workers and jobs."""
        ask = lambda *args: self.storm.ask(args[0], "genfarm:{%s}:%s" % (queue, args[1]), *args[2:])
        left = {name: ask(command, name) for command, name in (
            ("LLEN", "live"), ("LLEN", "inbox"), ("HLEN", "ready"), ("ZCARD", "delayed"),
            ("ZCARD", "leases"), ("ZCARD", "cancelling"))}
        assert not any(left.values()), left
        images = self.storm.ask("KEYS", "genfarm:{%s}:im:*" % queue)
        stored = sum(int(self.storm.ask("HGET", key, "bytes")) for key in images)
        assert int(ask("GET", "stored") or 0) == stored, "%s stored, told %s" % (
            stored, ask("GET", "stored"))
        keys = self.storm.ask("KEYS", "genfarm:{%s}:[ax]:*" % queue)
        immortal = [k for k in keys if self.storm.ask("PTTL", k) == -1]
        for key in self.storm.ask("KEYS", "genfarm:{%s}:o:*" % queue):
            batch, index = key.decode().split(":o:")[1].split("/")[:2]
            if self.storm.ask("PTTL", key) == -1 and not ask("HEXISTS", "im:" + batch, index):
                immortal.append(key)
        assert not immortal, "left for ever: %s" % immortal[:10]

    def fsck(self, queue):
        r = self.farm.genfarm("fsck", "--queue", queue, status=None)
        assert r.returncode == 0, "exit %d: %s" % (r.returncode, (r.stdout + r.stderr)[-2000:])

    def all_requests(self):
        """No request for what nobody asked."""
        known = {j["prompt"] for b in self.storm.batches for j in b.jobs}
        asked, all = sum(len(self.ledger.of(p)) for p in known), len(self.ledger.all())
        assert asked == all, "%d requests for nobody" % (all - asked)

    def limits_and_quotas(self):
        users = {hashlib.sha256(j["prompt"].encode()).hexdigest(): b.spec["user"]
                 for b in self.storm.batches for j in b.jobs}
        self.rules = audit_rules.check(self.storm.rules, self.ledger, users, self.storm.stood_still)

    def fscks(self):
        """Whoever looked at the queue in the storm found nothing to be mended."""
        found = []
        for path in sorted(glob.glob(self.farm.path("fsck-*.out"))):
            with open(path) as f:
                found += [line.strip() for line in f]
        if self.storm.plan.damages:
            found = [x for x in found if not damages.may_be_found(x)]
        assert not found, "%d problems: %s" % (len(found), found[:10])
