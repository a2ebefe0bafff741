"""What limits the farm now, as status, limits and the progress of a batch tell it."""
import json
import os
import re
import sys
import time
from datetime import datetime

import farm
from farm import Farm
from test_projects import begin, project

MODEL = "gemini-3.1-flash-image"
PRO, LITE = "gemini-3-pro-image", "gemini-3.1-flash-lite-image"
GROUP = "default/%s/standard" % MODEL
KEY = "genfarm:{limit:%s}:l" % GROUP


def start(f, *worker, emulator=(), n=20):
    f.emulator("--latency", "20ms", *emulator)
    f.redis()
    f.worker("--sink", "dir:" + f.path("out"), *worker)
    f.genfarm("submit", f.prompts(n), "--batch", "b")


def limited(f):
    return json.loads(f.genfarm("status", "b", "--json").stdout)["limited_by"]


def until(f, reason):
    """Waits until the farm says so; how, and what it tells people."""
    farm.until(lambda: (limited(f) or {}).get("reason") == reason)
    return limited(f), f.genfarm("status", "b").stderr


def ahead(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time()


def by_a_dimension():
    with Farm() as f:
        start(f, "--limit", "req=2/1h")
        told, words = until(f, "req")
        assert told["group"] == GROUP and 0 < ahead(told["until"]) <= 1900, told
        assert "limited by req of default/%s until " % MODEL in words, words
        assert GROUP in f.genfarm("limits").stdout
        (log,) = [f.path(n) for n in os.listdir(f.dir) if n.startswith("worker")]
        said = re.search('msg="limited" group=%s by=req seconds=([0-9.]+)' % GROUP,
                         open(log).read())
        assert said and 0 < float(said.group(1)) <= 1801, open(log).read()
        watch = f.follow("watch", "b", "--json")
        for line in watch.stdout:
            e = json.loads(line)
            if e["event"] == "progress" and e["limited_by"]:
                break
        assert e["limited_by"]["reason"] == "req" and e["limited_by"]["group"] == GROUP, e


def by_refusals():
    """Cooling, and the open circuit, as the limiter's state has it."""
    with Farm() as f:
        start(f, "--limit", "req=2/1h")
        until(f, "req")
        far = int(time.time() * 1e6) + 7200 * 1000000
        f.cli("HSET", KEY, "cd", str(far))
        told, words = until(f, "cooling")
        assert 3600 < ahead(told["until"]) <= 7200, told
        assert "cooling: default/%s until " % MODEL in words, words
        f.cli("HSET", KEY, "probe", "1")
        told, words = until(f, "circuit open")
        assert "circuit open: default/%s until " % MODEL in words, words


def by_a_bad_key():
    with Farm() as f:
        start(f, emulator=("--key", "another-key"))
        told, words = until(f, "blocked")
        assert (told["code"], told["group"]) == ("bad_key", GROUP), told
        assert ahead(told["until"]) <= 60, told
        assert "blocked (bad_key): default/%s until " % MODEL in words, words


def by_the_quota_of_a_day():
    with Farm() as f:
        start(f, emulator=("--quota", "3/day"))
        told, words = until(f, "daily quota")
        at = datetime.fromisoformat(told["until"].replace("Z", "+00:00"))
        assert (at.hour in (7, 8), at.minute, at.second) == (True, 0, 0), told  # midnight, UTC
        assert "limited by daily quota of default/%s until 00:00 Pacific" % MODEL in words, words
        assert "the provider allows rpd=3, learned" in f.genfarm("limits").stdout


def by_what_each_refusal_is_about():
    """Quotas of a day, none at all, no credits, spend: each is told by a name of its own."""
    told = {("429_day", "standard"): "daily quota of default/%s until 00:00 Pacific" % MODEL,
            ("429_zero", "flex"): "no quota (quota_exhausted): default/%s/flex until " % MODEL,
            ("429_spend", "standard", PRO): "limited by spend of default/%s until " % PRO}
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        for (fault, lane, *model) in told:
            f.genfarm("submit", "-", "--format", "txt", "--lane", lane, "--model",
                      *(model or [MODEL]), input="one [[fault:%s]]\n" % fault)
        words = lambda: f.genfarm("status").stderr
        farm.until(lambda: all(text in words() for text in told.values()), 60)
        spend = "genfarm:{limit:default/%s/standard}:l" % PRO
        left = int(f.cli("HGET", spend, "cd")) / 1e6 - time.time()
        assert 60 < left <= 120, left
        asked = len(f.requests())
        assert asked == 3, f.requests()
        # What is not spent of another model's is not held back.
        f.genfarm("submit", "-", "--format", "txt", "--model", LITE, "--batch", "other",
                  input="fine\n")
        f.genfarm("watch", "other")


def until_somebody_ends_it():
    """Jobs do not wait beyond what their group does: whoever opens that lets them go on."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        f.genfarm("submit", "-", "--format", "txt", "--batch", "b",
                  input="one [[fault:429_spend*1]]\n")
        told, _ = until(f, "spend")
        f.genfarm("limits", "clear", GROUP)
        f.genfarm("watch", "b")
        assert ahead(told["until"]) > 0, "it went on by itself"
        assert len(f.requests()) == 2, f.requests()


def by_want_of_credits():
    """Which no model of the project has."""
    with Farm() as f:
        start(f, n=2)
        f.genfarm("watch", "b")
        f.genfarm("submit", "-", "--format", "txt", "--model", PRO, "--batch", "c",
                  input="one [[fault:429_credits]]\n")
        limited_by = lambda: json.loads(f.genfarm("status", "c", "--json").stdout)["limited_by"]
        farm.until(lambda: (limited_by() or {}).get("reason") == "no credits")
        told, words = limited_by(), f.genfarm("status").stderr
        for model in (MODEL, PRO):
            assert "no credits (quota_exhausted): default/%s until " % model in words, words
        assert told["code"] == "quota_exhausted" and 300 < ahead(told["until"]) <= 600, told
        assert len(f.requests()) == 3


def by_want_of_capacity():
    """A refusal that names no quota says nothing of the rate, whatever delay it asks for."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"), "--limit", "req=1000/1s")
        for fault, cut in (("429_capacity", False), ("429_bare", False), ("rate_minute", True)):
            f.genfarm("submit", "-", "--format", "txt", "--batch", fault,
                      input="one [[fault:%s*1]]\n" % fault)
            f.genfarm("watch", fault)
            assert bool(f.cli("HGET", KEY, "rate")) == cut, fault
        assert len(f.requests()) == 6


def where_another_project_goes_on():
    with Farm() as f:
        begin(f, [project("art", "ART_KEY", limit="req=1/1h"),
                  project("spare", "SPARE_KEY", limit="req=1000/1s")])
        f.genfarm("submit", f.prompts(20), "--batch", "b")
        farm.until(lambda: "another project goes on" in f.genfarm("status").stderr)
        words = f.genfarm("status").stderr
        assert "limited by req of art/%s until " % MODEL in words, words
        assert "limited by: " in words, words  # something else, or nothing
        groups = [json.loads(line)["group"] for line in
                  f.genfarm("limits", "--json").stdout.splitlines()]
        assert "art/%s/standard" % MODEL in groups and "spare/%s/standard" % MODEL in groups, groups


def by_what_there_is():
    with Farm() as f:
        f.emulator("--latency", "60s")
        f.redis()
        f.genfarm("submit", f.prompts(5), "--batch", "b")
        assert "limited by: no workers" in f.genfarm("status").stderr
        worker = f.worker("--concurrency", "2", "--lease", "3", "--grace", "0", "--sink",
                          "dir:" + f.path("out"))
        farm.until(lambda: "limited by: concurrency" in f.genfarm("status").stderr)
        f.genfarm("cancel", "b")
        farm.until(lambda: "limited by: nothing" in f.genfarm("status").stderr)
        assert limited(f) is None


def by_a_queue_that_is_paused():
    with Farm() as f:
        f.redis()
        f.genfarm("submit", f.prompts(5), "--batch", "b")
        for command in ("status", "list"):
            shown = f.genfarm(command, "--json")
            assert json.loads(shown.stdout)["queue_paused"] is False, shown
            assert "is paused" not in f.genfarm(command).stderr
        f.genfarm("pause")
        for command in ("status", "list"):
            shown = json.loads(f.genfarm(command, "--json").stdout)
            assert (shown["queue_paused"], shown["state"]) == (True, "running"), shown
            assert "queue default is paused" in f.genfarm(command).stderr
        f.genfarm("resume")
        assert "is paused" not in f.genfarm("status").stderr


def by_money():
    """A batch that its budget holds back, one that its user's does, and one that a person does."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        waits = lambda b: json.loads(f.genfarm("status", b, "--json").stdout)["waits_for"]
        f.genfarm("submit", f.prompts(9), "--batch", "own", "--budget", "0.20")
        farm.until(lambda: waits("own"), 60)
        assert waits("own")["code"] == "budget" and "--budget" in waits("own")["message"]
        assert "waits (budget): the budget has no room" in f.genfarm("status", "own").stdout
        f.genfarm("pause")
        f.genfarm("submit", f.prompts(9), "--batch", "ann", "--user", "ann")
        f.genfarm("quota", "set", "user:ann", "images=3/day")
        time.sleep(1.2)  # a limit holds for calls that begin a second after it was set
        f.genfarm("resume")
        farm.until(lambda: waits("ann"), 60)
        assert waits("ann") == {"code": "quota_exhausted", "message":
                                "user:ann has no room for one more call: images/day"}, waits("ann")
        assert "waits (quota_exhausted): user:ann has no" in f.genfarm("list").stdout
        f.genfarm("quota", "clear", "user:ann")
        f.genfarm("watch", "ann")
        assert waits("ann") is None
        f.genfarm("submit", f.prompts(2), "--batch", "by-hand")
        f.genfarm("pause", "by-hand")
        assert waits("by-hand") is None


def by_a_sink_that_takes_nothing():
    with Farm() as f:
        start(f)
        f.genfarm("watch", "b")
        os.rename(f.path("out"), f.path("away"))
        open(f.path("out"), "w").close()
        f.genfarm("submit", f.prompts(9), "--batch", "c")
        limits = lambda: json.loads(f.genfarm("status", "c", "--json").stdout)["limited_by"]
        farm.until(lambda: limits() == dict(reason="blocked", group="storage", code="storage"), 60)
        assert "blocked (storage): storage" in f.genfarm("status").stderr
        assert "storage" not in f.genfarm("limits").stdout


if __name__ == "__main__":
    sys.exit(farm.main([by_a_dimension, by_refusals, by_a_bad_key, by_the_quota_of_a_day,
                        by_what_each_refusal_is_about, until_somebody_ends_it,
                        by_want_of_credits, by_want_of_capacity,
                        where_another_project_goes_on, by_what_there_is,
                        by_a_queue_that_is_paused, by_money, by_a_sink_that_takes_nothing]))
