"""What producers in other languages push: how its batches end, whose it is, what it may ask for."""
import json
import sys
import time

import farm
from farm import Farm, check_events

Q = "genfarm:{default}:"
JOBS = ("completed", "failed", "cancelled")


def push(f, *things):
    """In this order, and all at once."""
    f.cli("EVAL", "for _, v in ipairs(ARGV) do redis.call('RPUSH', KEYS[1], "
          "cmsgpack.pack(cjson.decode(v))) end", "1", Q + "inbox", *map(json.dumps, things))


def letters(f):
    return [json.loads(line) for line in f.genfarm("dead", "--json").stdout.splitlines()]


def watch(f, batch, status):
    out = f.genfarm("watch", batch, "--json", status=status).stdout
    return [e for e in map(json.loads, out.splitlines()) if e["event"] != "progress"]


def state(f, batch):
    return json.loads(f.genfarm("status", batch, "--json").stdout)


def begin(f):
    f.emulator("--latency", "5ms")
    f.redis()
    f.worker("--concurrency", "4")


def one_that_is_refused():
    """It counts for the end: who watches hears of it, and does not wait for ever."""
    with Farm() as f:
        begin(f)
        push(f, {"batch": "b", "id": "one", "prompt": "a cat"},
             {"seed": "often", "prompt": "x", "id": "two", "batch": "b"},
             {"batch": "b", "id": "three", "prompt": "a dog"},
             {"batch": "b", "seal": True, "total": 3})
        farm.until(lambda: f.cli("HGET", Q + "b:b", "sealed") == "1")
        events = watch(f, "b", 3)
        assert sorted(e["id"] for e in check_events(events, 2)) == ["one", "three"]
        (step,) = [e for e in events if e["event"] == "step"]
        assert (step["step"], step["id"]) == ("refused", "two"), step
        assert step["error"]["code"] == "bad_request" and "seed" in step["error"]["message"], step
        assert events[-1]["refused"] == 1 and events[-1]["total"] == 2, events[-1]
        assert [(d["batch"], d["message"]) for d in letters(f)] == [
            ("b", step["error"]["message"])]
        s = state(f, "b")
        assert (s["state"], s["total"], s["refused"]) == ("ended", 2, 1), s
        assert "1 more were refused: see genfarm dead --batch b" in f.genfarm("status", "b").stdout
        r = f.genfarm("watch", "b", status=3)
        assert "refused two: bad_request: " in r.stderr, r.stderr
        assert "1 more were refused" in r.stderr, r.stderr
        f.genfarm("collect", "b", "-o", f.path("out"), status=3)
        f.genfarm("fsck")


def fsck_mends_the_count():
    with Farm() as f:
        begin(f)
        push(f, {"batch": "b", "id": "one", "prompt": ""}, {"batch": "b", "seal": True, "total": 2})
        farm.until(lambda: f.cli("HGET", Q + "b:b", "seal_at") == "2" and
                   f.cli("HGET", Q + "b:b", "refused") == "1")
        f.cli("HSET", Q + "b:b", "refused", "0")
        r = f.genfarm("fsck", status=None)
        assert r.returncode != 0 and "things refused: 1, counted 0" in r.stdout + r.stderr, r
        f.genfarm("fsck", "--repair", status=None)
        f.genfarm("fsck")
        f.cli("HSET", Q + "b:b", "seal_at", "1")  # as if it had been counted too late
        f.genfarm("fsck", "--repair", status=None)
        assert state(f, "b")["state"] == "ended"
        f.genfarm("fsck")


def each_users_quota():
    """Jobs without a batch are each user's own, and a batch is that of one user."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.genfarm("quota", "set", "user:bob", "images=1/day")
        f.worker("--concurrency", "4")
        push(f, {"id": "a1", "prompt": "a cat", "user": "ann"})
        farm.until(lambda: len(f.requests()) == 1)
        push(f, *({"id": "b%d" % i, "prompt": "a dog %d" % i, "user": "bob"} for i in range(3)))
        bobs = lambda: [b for b in f.cli("ZRANGE", Q + "batches", "0", "-1").splitlines()
                        if b.endswith("-bob")]
        farm.until(bobs)
        farm.until(lambda: (s := state(f, bobs()[0]))["state"] == "paused" and s["completed"] == 1)
        assert len(f.requests()) == 2
        used = {line.split(",")[0]: line for line in
                f.genfarm("usage", "--by", "user", "--csv").stdout.splitlines()}
        assert set(used) >= {"ann", "bob"}, used
        push(f, {"batch": "anns", "id": "one", "prompt": "a cat", "user": "ann"})
        farm.until(lambda: f.cli("HGET", Q + "b:anns", "hw") == "1")
        push(f, {"batch": "anns", "id": "two", "prompt": "a dog", "user": "bob"},
             {"batch": "anns", "seal": True, "total": 2})
        watch(f, "anns", 3)
        (d,) = letters(f)
        assert d["message"] == "the batch is of user ann, and this job of user bob", d
        assert len(f.requests()) == 3


def a_deadline_of_its_own():
    """It counts from when the job came, not from when its batch was made; of a batch that was
    submitted all came at once."""
    with Farm() as f:
        begin(f)
        push(f, {"batch": "b", "id": "one", "prompt": "a cat"})
        farm.until(lambda: f.cli("HGET", Q + "b:b", "completed") == "1")
        f.cli("HINCRBY", Q + "b:b", "created", "-3600000")  # an hour ago
        push(f, {"batch": "b", "id": "two", "prompt": "a dog", "deadline": 600})
        farm.until(lambda: f.cli("HGET", Q + "b:b", "hw") == "2")
        f.genfarm("pause")
        push(f, {"batch": "b", "id": "three", "prompt": "a cow", "deadline": 0.001},
             {"batch": "b", "seal": True, "total": 3})
        farm.until(lambda: f.cli("HGET", Q + "b:b", "hw") == "3")
        time.sleep(0.01)  # until it has passed
        f.genfarm("resume")
        events = watch(f, "b", 3)
        ends = {e["id"]: e for e in events if e["event"] in JOBS}
        assert ends["two"]["event"] == "completed", ends["two"]
        assert ends["three"]["error"]["code"] == "expired", ends["three"]
        f.genfarm("pause")
        f.genfarm("submit", f.prompts(1), "--batch", "c", "--deadline", "600")
        f.cli("HINCRBY", Q + "b:c", "created", "-3600000")
        f.genfarm("resume")
        (end,) = [e for e in watch(f, "c", 3) if e["event"] in JOBS]
        assert end["error"]["code"] == "expired", end


def several_of_one():
    """One image and silence is no answer to three."""
    with Farm() as f:
        begin(f)
        push(f, {"batch": "b", "id": "one", "prompt": "a cat", "count": 3},
             {"batch": "b", "id": "two", "prompt": "a cat", "count": 1},
             {"batch": "b", "seal": True, "total": 2})
        farm.until(lambda: f.cli("HGET", Q + "b:b", "sealed") == "1")
        watch(f, "b", 3)
        (d,) = letters(f)
        assert "push as many jobs" in d["message"] and d["input"]["id"] == "one", d
        assert len(f.requests()) == 1


if __name__ == "__main__":
    sys.exit(farm.main([one_that_is_refused, fsck_mends_the_count, each_users_quota,
                        a_deadline_of_its_own, several_of_one]))
