"""The users of deploy/redis-users.acl: each role can do all of its work and nothing else."""
import json
import os
import re
import subprocess
import sys

import farm
from farm import BIN, Farm, check_events, lines, sha256

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
Q = "genfarm:{default}:"


class Guarded(Farm):
    """A farm whose Redis knows nobody but those users; `as_` says who goes next."""

    def redis(self, *options):
        acl = self.path("users.acl")
        with open(os.path.join(ROOT, "deploy", "redis-users.acl")) as f:
            text = f.read()
        with open(acl, "w") as f:
            f.write(re.sub(r"^user genfarm-(\w+) off ", r"user genfarm-\1 on >pw-\1 ", text,
                           flags=re.M))
        p = super().redis("--aclfile", acl, *options)
        self.as_("client")
        return p

    def as_(self, role):
        self.env["GENFARM_REDIS_URL"] = "unix://genfarm-%s:pw-%s@%s" % (role, role, self.socket)
        return self

    def cli(self, *argv, role="admin"):
        r = subprocess.run(["redis-cli", "-s", self.socket, "--user", "genfarm-" + role, "--pass",
                            "pw-" + role, "--no-auth-warning", *argv], capture_output=True,
                           text=True, errors="replace")
        return r.stdout.strip()

    def nothing_denied(self):
        assert self.cli("ACL", "LOG") == "", self.cli("ACL", "LOG")


def events_of(f, batch, status=0):
    out = f.genfarm("watch", batch, "--json", status=status).stdout
    return [json.loads(line) for line in out.splitlines()]


def the_main_scenario():
    """Three workers, two watchers, images by way of Redis."""
    farm.need_parti()
    with Guarded() as f:
        f.emulator("--latency", "10ms")
        f.redis()
        f.as_("worker")
        for _ in range(3):
            f.worker("--concurrency", "16", "--limit", "req=500/1s")
        batch = f.as_("client").genfarm("submit", farm.PARTI).stdout.strip()
        f.as_("watcher")
        one = f.follow("watch", batch, "--json")
        check_events(events_of(f, batch), 1632)
        check_events([json.loads(line) for line in one.stdout], 1632)
        f.as_("client").genfarm("collect", batch, "-o", f.path("out"))
        manifest = lines(f.batch("manifest.jsonl"))
        assert len(manifest) == 1632 and len(f.requests()) == 1632
        for m in manifest[::50]:
            assert sha256(f.batch(m["images"][0]["path"])) == m["images"][0]["sha256"]
        farm.until(lambda: f.cli("GET", Q + "stored") == "0")
        f.as_("operator").genfarm("fsck")
        f.nothing_denied()


def weather_and_lost_workers():
    """Delays, refusals, unknown outcomes; a worker that is killed, and one that drains."""
    with Guarded() as f:
        f.emulator("--latency", "50ms", "--fault", "rate_minute=0.03", "--fault", "503=0.1",
                   "--fault", "cut_body=0.1")
        f.redis()
        f.as_("worker")
        first = f.worker("--concurrency", "8", "--lease", "2")
        batch = f.as_("client").genfarm("submit", f.prompts(100), "--max-attempts", "20", "--budget",
                                        "1000").stdout.strip()
        farm.until(lambda: len(f.requests()) >= 20)
        first.kill()
        f.as_("worker")
        second = f.worker("--concurrency", "32", "--lease", "2", "--sink", "dir:" + f.path("out"))
        f.as_("watcher")
        assert all(e["event"] == "completed" for e in check_events(events_of(f, batch), 100))
        second.terminate()
        assert second.wait(20) == 0
        f.as_("operator").genfarm("fsck", "--repair")
        f.nothing_denied()


def batches():
    """Lane batch: a worker that dies with one, another that takes it over."""
    with Guarded() as f:
        f.emulator("--batch-latency", "1s")
        f.redis()
        f.as_("worker")
        first = f.worker("--lease", "2")
        batch = f.as_("client").genfarm("submit", f.prompts(20), "--lane", "batch", "--budget",
                                        "1000").stdout.strip()
        farm.until(lambda: any("batchGenerate" in r["path"] for r in f.requests()))
        first.kill()
        f.as_("worker")
        second = f.worker("--lease", "2")
        f.as_("watcher")
        assert all(e["event"] == "completed" for e in check_events(events_of(f, batch), 20))
        second.terminate()
        assert second.wait(20) == 0
        f.as_("operator").genfarm("fsck", "--repair")
        f.nothing_denied()


def sharing():
    """Identical requests: of one that is under way, whose worker is lost, and of one fetched."""
    with Guarded() as f:
        f.emulator("--latency", "100s")
        f.redis()
        first = f.as_("worker").worker("--concurrency", "2", "--lease", "2")
        same = f.prompts(5, "the same%.0s")
        batch = f.as_("client").genfarm("submit", same, "--dedupe").stdout.strip()
        farm.until(lambda: f.cli("HGET", Q + "b:" + batch, "open") == "5" and
                   f.cli("ZCARD", Q + "d:" + batch) == "4")
        first.kill()
        f.emulator("--latency", "5ms")
        f.as_("worker").worker("--concurrency", "2")
        f.as_("client").genfarm("collect", batch, "-o", f.path("out"))
        farm.until(lambda: f.cli("GET", Q + "stored") == "0")
        again = f.genfarm("submit", same, "--dedupe").stdout.strip()
        assert all("deduped_of" in e for e in check_events(events_of(f, again), 5))
        assert len(f.requests()) == 1, len(f.requests())
        f.as_("operator").genfarm("fsck", "--repair")
        f.nothing_denied()


def quotas():
    with Guarded() as f:
        f.emulator("--latency", "30s")
        f.redis()
        f.as_("operator").genfarm("quota", "set", "user:ann", "images=6/day,usd=100/month")
        first = f.as_("worker").worker("--concurrency", "2", "--lease", "2")
        f.as_("client").genfarm("submit", f.prompts(5), "--user", "ann", "--batch", "b")
        farm.until(lambda: f.cli("HGET", "genfarm:{budget}:a:user:ann", "drc") == "2")
        first.kill()
        f.emulator("--latency", "5ms")
        f.as_("worker").worker("--concurrency", "2", "--lease", "2")
        farm.until(lambda: f.cli("HGET", Q + "b:b", "paused") == "account")
        f.as_("client").genfarm("submit", f.prompts(9), "--user", "ann", status=4)
        assert "user:ann" in f.as_("watcher").genfarm("quota").stdout
        f.as_("operator").genfarm("quota", "clear", "user:ann")
        events_of(f, "b")
        f.genfarm("fsck", "--repair")
        f.nothing_denied()


def steering():
    with Guarded() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(50), "--batch", "b", "--max-queue", 100,
                          "--max-queue-bytes", "1M").stdout.strip()
        f.genfarm("cancel", batch, "00000003")
        f.genfarm("pause", batch)
        f.genfarm("resume", batch)
        f.genfarm("pause")
        f.genfarm("resume")
        f.genfarm("cancel", batch)
        f.genfarm("retry", batch, "--code", "cancelled")
        f.cli("RPUSH", Q + "inbox", "no job", role="producer")
        f.as_("worker").worker("--concurrency", "8")
        f.as_("watcher")
        assert len([e for e in events_of(f, batch) if e["event"] == "completed"]) == 50
        farm.until(lambda: len(f.genfarm("dead", "--json").stdout.splitlines()) == 1)
        for command in ("status", "list", "workers", "usage"):
            assert f.genfarm(command, "--json").stdout, command
        f.as_("client")
        for command in ("status", "list", "workers", "usage"):
            assert f.genfarm(command, "--json").stdout, command
        f.genfarm("dead", "--export", f.path("dead.jsonl"), "--drop")
        f.genfarm("collect", batch, "-o", f.path("out"))
        f.as_("operator")
        f.genfarm("limits", "set", "default/standard/gemini-3.1-flash-image", "rpm=60", status=None)
        f.genfarm("limits")
        f.genfarm("fsck", "--repair")
        f.nothing_denied()


def everybody_may_ask_the_doctor():
    """What a role may not ask for is a warning; what it must be able to do is found to be so."""
    with Guarded() as f:
        f.emulator()
        f.redis("--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "200mb")
        found = {}
        for role in ("client", "watcher", "operator", "worker"):
            r = f.as_(role).genfarm("doctor", "--json", status=0)
            found[role] = {o["check"]: o["verdict"] for o in map(json.loads, r.stdout.splitlines())}
            assert found[role]["scripts"] == found[role]["memory"] == "ok", found[role]
        assert "config" not in found["operator"] and found["client"]["config"] == "warn"
        assert found["client"]["rights"] == "ok" and found["watcher"]["rights"] == "warn"


# role, command: what only others may do
DENIED = [
    ("watcher", ("submit", "PROMPTS")),
    ("watcher", ("cancel", "b")),
    ("watcher", ("pause",)),
    ("watcher", ("dead", "--drop", "--all")),
    ("client", ("fsck",)),
    ("producer", ("watch", "b")),
    ("producer", ("submit", "PROMPTS")),
    ("producer", ("status",)),
    ("client", ("list", "--queue", "other")),
    ("worker", ("submit", "PROMPTS", "--queue", "other")),
]

# role, command to Redis
FORBIDDEN = [
    ("client", "HGETALL %sa:w" % Q),
    ("client", "DEL %sx:w" % Q),
    ("client", "KEYS *"),
    ("client", "SCAN 0"),
    ("client", "CONFIG GET *"),
    ("client", "CONFIG SET maxmemory 1"),
    ("client", "HSET genfarm:{limit:default/m/standard}:l x 1"),
    ("client", "GET somebody-elses"),
    ("client", "EVAL return(redis.call('KEYS','*')) 1 %scfg" % Q),
    ("client", "EVAL return(redis.call('GET','somebody-elses')) 1 %scfg" % Q),
    ("worker", "FLUSHALL"),
    ("worker", "FLUSHDB"),
    ("worker", "KEYS *"),
    ("worker", "CONFIG GET requirepass"),
    ("worker", "ACL LIST"),
    ("worker", "SHUTDOWN NOSAVE"),
    ("worker", "REPLICAOF 127.0.0.1 1"),
    ("worker", "MODULE LIST"),
    ("worker", "SCRIPT FLUSH"),
    ("worker", "FUNCTION LIST"),
    ("worker", "CLIENT KILL TYPE normal"),
    ("worker", "PUBLISH x y"),
    ("worker", "SUBSCRIBE x"),
    ("worker", "MONITOR"),
    ("worker", "GET genfarm:{other}:cfg"),
    ("watcher", "HSET %scfg x 1" % Q),
    ("watcher", "DEL %scfg" % Q),
    ("watcher", "EVAL return(redis.call('DEL',KEYS[1])) 1 %scfg" % Q),
    ("watcher", "HGETALL %sa:w" % Q),
    ("producer", "LPOP %sinbox" % Q),
    ("producer", "LRANGE %sinbox 0 -1" % Q),
    ("producer", "RPUSH %sdead x" % Q),
    ("producer", "EVAL return(1) 0"),
    ("operator", "FLUSHALL"),
    ("operator", "CONFIG SET maxmemory 1"),
    ("operator", "GET somebody-elses"),
]


def nobody_does_more():
    with Guarded() as f:
        f.redis()
        f.cli("SET", "somebody-elses", "secret")
        for role, command in FORBIDDEN:
            said = f.cli(*command.split(), role=role)
            assert "NOPERM" in said or "can't " in said or "no permissions" in said, (role, command,
                                                                                      said)
        assert "NOAUTH" in subprocess.run(["redis-cli", "-s", f.socket, "GET", "x"],
                                          capture_output=True, text=True).stdout


def who_lacks_a_right_is_told():
    with Guarded() as f:
        f.emulator()
        f.redis()
        prompts = f.prompts(2)
        f.genfarm("submit", prompts, "--batch", "b")
        f.cli("RPUSH", Q + "dead", "x")
        for role, command in DENIED:
            r = f.as_(role).genfarm(*[prompts if w == "PROMPTS" else w for w in command], status=1)
            assert "has no right" in r.stderr, (role, command, r.stderr)
            assert "password" not in r.stderr
        assert json.loads(f.as_("client").genfarm("status", "b", "--json").stdout)["open"] == 2
        assert f.cli("LLEN", Q + "dead") == "1"
        for role in ("watcher", "client"):
            f.as_(role)
            p = f.start(os.path.join(BIN, "genfarm-worker"), stderr=subprocess.PIPE, text=True)
            assert p.wait(20) == 1
            said = p.stderr.read()
            assert "no right to work" in said and "redis-users.acl" in said, said


def rights_that_are_taken_away():
    """A worker whose rights go waits for them, says so once, and goes on."""
    with Guarded() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.as_("worker")
        p = f.worker("--concurrency", "4", "--lease", "2")
        log = f.path("worker%d.log" % (len(f.children) - 1))
        farm.until(lambda: "registered" in open(log).read())
        f.cli("ACL", "SETUSER", "genfarm-worker", "-evalsha", "-eval")
        f.as_("client").genfarm("submit", f.prompts(10), "--batch", "b")
        farm.until(lambda: "refuses this worker" in open(log).read())
        assert p.poll() is None
        f.cli("ACL", "SETUSER", "genfarm-worker", "+evalsha", "+eval")
        f.genfarm("watch", "b")
        assert open(log).read().count("refuses this worker") == 1


if __name__ == "__main__":
    sys.exit(farm.main([the_main_scenario, weather_and_lost_workers, batches, sharing, quotas, steering,
                        everybody_may_ask_the_doctor, nobody_does_more, who_lacks_a_right_is_told,
                        rights_that_are_taken_away]))
