"""One batch and its clients: it is submitted until that is acknowledged, watched without a gap
though the watcher is killed, and collected into a folder though the collector is."""
import json
import os
import random
import time

from child import Child
from producer import Producer, batch_things

ENDED = (0, 3)  # exit statuses of a client that saw the end
# Why one may end with status 1: it could not begin, or, of those that submit, found the server away
# for half a minute, and says what is in. Others go on through everything.
NOT_YET = ("cannot use the Redis server at", "there is no batch", "the server's memory is full",
           "nothing was submitted: ", " jobs are in batch ")


class Batch:
    def __init__(self, storm, spec):
        self.storm, self.spec, self.name = storm, spec, spec["name"]
        self.farm = storm.farm
        self.random = random.Random("%d/%s" % (storm.plan.seed, self.name))
        self.jobs = [self.job(i) for i in range(spec["jobs"])]
        self.file = self.farm.path(self.name + ".jsonl")
        with open(self.file, "w") as f:
            f.writelines(json.dumps(j) + "\n" for j in self.jobs)
        # The folder that the workers share, or another one.
        apart = spec["apart"] or spec["queue"] == "redis"
        self.folder = self.farm.path("collected" if apart else "shared")
        self.shares_folder = not apart
        self.acknowledged = False
        self.cancelled = False  # as a whole, perhaps before all of it was there:
        self.closed = False     # then it takes no more
        self.raised = None  # when its budget was, at the earliest; seconds since 1970
        self.submitter = self.watcher = self.collector = self.producer = None
        self.watched = self.collected = False  # to the end, as far as is known
        self.out = self.farm.path(self.name + ".watch")
        self.events = []
        self.watched_bytes = 0
        self.rests_until = 0  # after a client that could not run

    def job(self, i):
        if self.spec["dedupe"]:
            job = {"prompt": "%s: shared %d" % (self.spec["queue"], self.random.randrange(40))}
            return dict(job, id="n-%d" % i) if self.spec["ids"] else job
        slow = self.random.random() < self.spec["slow"]
        job = {"prompt": "%s: picture %d%s" % (self.name, i, " [[latency:1.5s]]" if slow else "")}
        if self.spec["ids"] or self.spec["foreign"]:
            job["id"] = "odd/%d ü" % i if i % 7 == 0 else "n-%d" % i
        return job

    def id_of(self, index):
        return self.jobs[index].get("id", "%08d" % index)

    def client(self, what, *argv, out=None):
        return Child(self.farm, "%s-%s" % (self.name, what), "genfarm", what, *argv, "--queue",
                     self.spec["queue"], out=out, env=self.storm.client_env)

    # --- Its clients ---

    def submit(self):
        s = self.spec
        if s["foreign"]:
            self.producer = self.producer or Producer(
                self.storm.producer_address, s["queue"], batch_things(s, self.jobs))
            self.acknowledged = self.producer.done()
        elif self.submitter is None:
            self.submitter = self.client(
                "submit", self.file, "--batch", self.name, "--user", s["user"], "--model",
                s["model"], "--priority", s["priority"], "--on-unknown", s["on_unknown"],
                "--max-attempts", s["attempts"], "--timeout", 3, "--lane", s["lane"],
                *self.submit_options())
        elif (code := self.ended(self.submitter, (2, 4))) is not None:
            assert code != 2 or self.cancelled, "%s: refused" % self.name
            self.closed = code == 2
            self.acknowledged = code in (0, 2)
            self.submitter = None

    def submit_options(self):
        s = self.spec
        out = ["--wait"] if s["wait"] else []
        for name in ("budget", "max_queue"):
            if s[name]:
                out += ["--" + name.replace("_", "-"), s[name]]
        if s["remote_deadline"]:
            out += ["--batch-deadline", s["remote_deadline"]]
        return out + ["--dedupe=" + s["dedupe"]] if s["dedupe"] else out

    def read_events(self):
        """Takes what the watcher has written in whole lines."""
        if not os.path.exists(self.out):
            return
        with open(self.out, "rb") as f:
            f.seek(self.watched_bytes)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.watched_bytes += len(whole)
        for line in whole.splitlines():
            event = json.loads(line)
            if event["event"] != "progress":
                self.events.append(event)

    def watch(self):
        if self.watcher is None:
            self.read_events()
            if os.path.exists(self.out):  # half a line is read again by the next one
                os.truncate(self.out, self.watched_bytes)
            after = ("--after", self.events[-1]["event_id"]) if self.events else ()
            self.watcher = self.client("watch", self.name, "--json", *after, out=self.out)
        elif (code := self.ended(self.watcher)) is not None:
            self.watched = code in ENDED
            self.watcher = None
            self.read_events()

    def is_complete(self):
        """Its folder is; the command refuses to go on with such."""
        try:
            with open(os.path.join(self.folder, self.name, "metadata.json")) as f:
                return json.load(f).get("state") == "completed"
        except (OSError, ValueError):
            return False

    def collect(self):
        if self.collector is None:
            if self.is_complete():
                self.collected = True
            else:
                self.collector = self.client("collect", self.name, "-o", self.folder)
        elif (code := self.ended(self.collector)) is not None:
            self.collected = code in ENDED
            self.collector = None

    def ended(self, child, refused=()):
        """The exit status of a client, if it has ended; none of them may end in any other way.
        `refused`: 4 for those that a quota or a full queue may refuse, 2 if the batch was closed."""
        code = child.poll()
        assert code in (None, 0, 1, 3, *refused) or code < 0, "%s: exit %d" % (child.name, code)
        assert code != 1 or any(w in child.last_words() for w in NOT_YET), "%s: %s" % (
            child.name, child.last_words())
        if code == 1 or code in refused:
            self.rests_until = time.monotonic() + 0.3
        return code

    def step(self):
        if time.monotonic() < self.rests_until:
            return
        if not self.acknowledged:
            self.submit()
        if not self.watched:
            self.watch()
        if not self.collected and self.acknowledged:
            self.collect()

    def reopened(self):
        """Perhaps; the clients look again."""
        self.watched = self.collected = False

    def running(self):
        return [c for c in (self.submitter, self.watcher, self.collector) if c]

    def settled(self):
        return self.acknowledged and self.watched and self.collected
