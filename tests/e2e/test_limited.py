"""What limits the farm now, as status, limits and the progress of a batch tell it."""
import json
import sys
import time
from datetime import datetime

import farm
from farm import Farm
from test_projects import begin, project

MODEL = "gemini-3.1-flash-image"
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


if __name__ == "__main__":
    sys.exit(farm.main([by_a_dimension, by_refusals, by_a_bad_key, by_the_quota_of_a_day,
                        where_another_project_goes_on, by_what_there_is]))
