"""Dead letters: jobs that kill their workers, and things in the inbox that are no jobs; how they
are seen, and how they come back."""
import json
import subprocess
import sys

import farm
from farm import Farm, check_events, lines

Q = "genfarm:{default}:"


def letters(f, *options):
    return [json.loads(line) for line in f.genfarm("dead", "--json", *options).stdout.splitlines()]


def push(f, *things):
    for t in things:
        subprocess.run(["redis-cli", "-s", f.socket, "-x", "RPUSH", Q + "inbox"], input=t,
                       capture_output=True, check=True)


def poison(f, n, batch="b"):
    """A batch of n jobs, each of which has lost three workers; then a provider that answers."""
    f.emulator("--latency", "60s")
    f.genfarm("submit", f.prompts(n), "--batch", batch)
    leases = lambda: f.cli("ZRANGE", Q + "leases", "0", "-1").splitlines()
    sent = lambda inc: sum(v[0] == "s" for v in f.cli("HVALS", Q + "a:" + inc).splitlines() if v)
    for _ in range(3):
        before = leases()
        w = f.worker("--concurrency", n, "--lease", "2")
        farm.until(lambda: sum(sent(i) for i in leases() if i not in before) == n)
        w.kill()
        w.wait()
    f.emulator("--latency", "5ms")
    f.worker("--concurrency", "4", "--lease", "2")
    farm.until(lambda: f.cli("LLEN", Q + "dead") == str(n))


def pushed(f, **job):
    """A foreign producer's job."""
    f.cli("EVAL", "return redis.call('RPUSH', KEYS[1], cmsgpack.pack(cjson.decode(ARGV[1])))", "1",
          Q + "inbox", json.dumps(job))


def what_a_model_cannot_do():
    """From the inbox: refused as a client's would be, without a call; an alias is resolved."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        why = {"size": dict(image_size="9K"), "lite": dict(model="nano-banana", image_size="4K"),
               "ratio": dict(model="gemini-3-pro-image", aspect_ratio="1:8"),
               "file": dict(reference="file:///etc/passwd"), "url": dict(reference="http://x/y"),
               "list": dict(references=["a.png", "b.png"]), "path": dict(reference="../a.png")}
        for name, more in why.items():
            pushed(f, batch="theirs", id=name, prompt="a thing", **more)
        farm.until(lambda: f.cli("LLEN", Q + "dead") == str(len(why)))
        found = letters(f)
        assert {d["code"] for d in found} == {"bad_request"}, found
        words = [d["message"] for d in found]
        assert sum("references are not supported yet" in w for w in words) == 4, words
        assert sum("is not possible with gemini-" in w for w in words) == 3, words
        assert f.requests() == []
        for name, model in (("one", "nano-banana"), ("two", "gemini-2.5-flash-image")):
            pushed(f, batch="theirs", id=name, prompt="a thing", model=model, reference="")
        f.cli("EVAL", "return redis.call('RPUSH', KEYS[1], cmsgpack.pack({batch = 'theirs', "
              "seal = true, total = 2}))", "1", Q + "inbox")
        farm.until(lambda: f.cli("HGET", Q + "b:theirs", "hw") == "2")
        f.genfarm("watch", "theirs", status=3)
        assert [r["model"] for r in f.requests()] == ["gemini-2.5-flash-image"] * 2
        groups = f.genfarm("limits").stdout
        assert "default/gemini-2.5-flash-image" in groups and "banana" not in groups, groups
        # At submit, too.
        for text in ('{"prompt": "p", "reference": "file:///etc/passwd"}',
                     '{"prompt": "p", "references": ["a.png"]}', '{"prompt": "p", "Reference": 5}'):
            r = f.genfarm("submit", "-", "--format", "jsonl", input=text + "\n", status=2)
            assert "references are not supported yet" in r.stderr, r.stderr
        r = f.genfarm("submit", "-", "--format", "csv", status=2, input="prompt,reference\np,a.png\n")
        assert ":2: " in r.stderr and "references are not supported yet" in r.stderr, r.stderr
        f.genfarm("submit", "-", "--format", "csv", input="prompt,reference\np,\n")
        assert len(f.requests()) <= 3


def poison_comes_back():
    with Farm() as f:
        f.redis()
        poison(f, 3)
        found = letters(f)
        assert [(d["code"], d["batch"], d["state"]) for d in found] == [("poison", "b", "failed")] * 3
        assert sorted(d["id"] for d in found) == ["00000000", "00000001", "00000002"]
        table = f.genfarm("dead")
        assert "b/00000001" in table.stdout and "lost 3 times" in table.stdout
        assert "3 dead letters: 3 jobs, 0 malformed" in table.stderr
        # One by its letter; the others as a set; each is opened in a run of its own.
        one = next(d for d in found if d["index"] == 1)
        r = f.genfarm("dead", "--retry", one["letter"])
        assert "1 jobs opened again" in r.stderr and "1 dead letters taken out" in r.stderr
        assert sorted(d["index"] for d in letters(f)) == [0, 2]
        r = f.genfarm("dead", "--retry", "--batch", "b", "--code", "poison")
        assert "2 jobs opened again" in r.stderr and letters(f) == []
        out = f.genfarm("watch", "b", "--json").stdout
        events = [json.loads(line) for line in out.splitlines()]
        last = {e["index"]: e for e in events if e["event"] in ("completed", "failed")}
        assert {i: (e["event"], e["run"]) for i, e in last.items()} == {
            0: ("completed", 3), 1: ("completed", 2), 2: ("completed", 3)}
        assert [e["jobs"] for e in events if e["event"] == "reopened"] == [1, 2]
        assert f.genfarm("dead", "--retry").stderr.count("0 jobs opened again") == 1
        f.genfarm("fsck")


def letters_of_jobs_that_came_back_otherwise():
    """What `retry BATCH` opened, and what has expired, is told apart and opened no second time."""
    with Farm() as f:
        f.redis()
        poison(f, 2)
        f.genfarm("retry", "b", "--code", "poison")
        f.genfarm("watch", "b")
        assert [d["state"] for d in letters(f)] == ["completed"] * 2
        assert "retried since" in f.genfarm("dead").stdout
        f.cli("EVAL", "redis.call('RPUSH', KEYS[1], redis.call('LINDEX', KEYS[1], 0))", "1",
              Q + "dead")  # the same one twice
        r = f.genfarm("dead", "--retry")
        assert "0 jobs opened again" in r.stderr and letters(f) == [], r.stderr
        assert json.loads(f.genfarm("status", "b", "--json").stdout)["completed"] == 2
        f.cli("EVAL", "redis.call('RPUSH', KEYS[1], cmsgpack.pack({batch = 'gone', index = 4, "
              "id = 'x', code = 'poison', message = 'm', ts = 5}))", "1", Q + "dead")
        assert letters(f)[0]["state"] == "expired"
        r = f.genfarm("dead", "--retry")
        assert "expired" in r.stderr and len(letters(f)) == 1
        f.genfarm("dead", "--drop", "--batch", "gone")
        assert letters(f) == []


def malformed_input_is_corrected():
    try:
        import msgpack
    except ImportError:
        print("python3-msgpack is not installed: skipped")
        return
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "4")
        push(f, msgpack.packb({"batch": "z", "id": "one", "prompt": "", "title": "a cat"}),
             msgpack.packb({"batch": "z", "id": "two", "prompt": "x", "seed": "often"}),
             b"\xc1 no msgpack", b"x" * (3 << 20))
        farm.until(lambda: len(letters(f)) == 4)
        found = letters(f)
        assert [d["state"] for d in found] == ["malformed"] * 4
        assert '"prompt" is empty' in found[0]["message"] and found[0]["input"]["title"] == "a cat"
        assert "seed" in found[1]["message"] and found[1]["batch"] == "z"
        assert found[2]["input_base64"] == "wSBubyBtc2dwYWNr"
        assert found[3]["input_bytes"] == 3 << 20 and len(found[3]["input_base64"]) < 2 << 20
        # None of them is a job: nothing is opened, nothing lost.
        assert "4 were never jobs" in f.genfarm("dead", "--retry").stderr
        f.genfarm("dead", "--drop", "0123456789ab", status=1)
        f.genfarm("dead", "--drop", found[2]["letter"], "0123456789ab", status=1)
        f.genfarm("dead", "--drop", status=2)
        f.genfarm("dead", "--drop", "--retry", status=2)
        f.genfarm("dead", "--code", "bad_thing", status=2)
        assert len(letters(f)) == 4
        f.genfarm("dead", "--drop", found[2]["letter"], found[3]["letter"])
        # A file that cannot be written: nothing is taken out.
        f.genfarm("dead", "--export", f.path("no", "such", "x.jsonl"), "--drop", status=1)
        assert len(letters(f)) == 2
        todo = f.path("todo.jsonl")
        f.genfarm("dead", "--export", todo, "--batch", "z", "--drop")
        assert letters(f) == [] and len(lines(todo)) == 2
        f.genfarm("submit", todo, status=2)
        entries = lines(todo)
        entries[0]["prompt"] = "a cat on a fence"
        entries[1]["seed"] = 7
        with open(todo, "w") as out:
            out.writelines(json.dumps(e) + "\n" for e in entries)
        batch = f.genfarm("submit", todo).stdout.strip()
        events = [json.loads(line) for line in
                  f.genfarm("watch", batch, "--json").stdout.splitlines()]
        assert sorted(e["id"] for e in check_events(events, 2)) == ["one", "two"]


def exported_jobs_are_what_was_submitted():
    with Farm() as f:
        f.redis()
        poison(f, 2)
        todo = f.path("todo.jsonl")
        f.genfarm("dead", "--export", todo)
        assert sorted(e["prompt"] for e in lines(todo)) == ["picture number 0", "picture number 1"]
        assert len(letters(f)) == 2


def many_and_strange_ones():
    """A list that is read and emptied piece by piece, with things in it that are no letters."""
    with Farm() as f:
        f.redis()
        f.cli("EVAL", "for i = 1, 5000 do redis.call('RPUSH', KEYS[1], cmsgpack.pack({batch = 'b' .. "
              "i % 3, code = 'bad_request', message = 'no. ' .. i, ts = i, size = 3}, 'abc')) end",
              "1", Q + "dead")
        found = letters(f)
        assert [d["ts"] for d in found] == sorted(d["ts"] for d in found) and len(found) == 5000
        assert len({d["letter"] for d in found}) == 5000
        strange = ["'garbage'", "''", "string.rep('\\145', 60000)", "'\\223\\255\\255\\255\\255'",
                   "cmsgpack.pack({batch = '../up', code = 'poison', index = 1})",
                   "cmsgpack.pack({batch = 'b', code = 'no such', index = 1})",
                   "cmsgpack.pack({batch = 'b', code = 'poison', index = -5})",
                   "cmsgpack.pack({code = 'poison', index = 5})",
                   "cmsgpack.pack({batch = 'b', code = 'poison', index = 99999999})",
                   "cmsgpack.pack({batch = 'b', code = 'poison', index = 7, id = 'a\\27[31m\\n'})",
                   "cmsgpack.pack({code = 'poison', size = -1}, 'x')"]
        for s in strange:
            said = f.cli("EVAL", "return redis.call('RPUSH', KEYS[1], %s)" % s, "1", Q + "dead")
            assert said.isdigit(), said
        assert len(letters(f)) == 5000 + len(strange)
        table = f.genfarm("dead").stdout
        assert "\x1b" not in table and table.count("\n") == 5000 + len(strange)
        assert table.count("somebody else wrote it") == len(strange) - 1
        f.genfarm("dead", "--drop", "--batch", "b1")
        assert len(letters(f)) == 5000 + len(strange) - 1667
        f.genfarm("dead", "--retry")
        f.genfarm("dead", "--export", f.path("all.jsonl"))
        f.genfarm("dead", "--drop", "--all")
        assert letters(f) == []
        f.cli("SET", Q + "dead", "no list")
        r = f.genfarm("dead", status=1)
        assert "server answered with an error" in r.stderr, r.stderr


def retry_by_code():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "4")
        faults = ["safety", "safety", "no_image", "block_prohibited", "400", None]
        name = f.path("p.txt")
        with open(name, "w") as out:
            out.writelines("thing %d %s\n" % (i, "[[fault:%s*1]]" % x if x else "")
                           for i, x in enumerate(faults))
        batch = f.genfarm("submit", name, "--max-attempts", "1").stdout.strip()
        out = f.genfarm("watch", batch, "--json", status=3).stdout
        events = [json.loads(line) for line in out.splitlines()]
        codes = {e["index"]: e["error"]["code"] for e in events if e["event"] == "failed"}
        assert len(codes) == 5, codes
        f.genfarm("retry", batch, "--code", "safe", status=2)
        assert "0 jobs" in f.genfarm("retry", batch, "--code", "timeout").stderr
        assert "2 jobs opened again" in f.genfarm("retry", batch, "--code", "safety").stderr
        out = f.genfarm("watch", batch, "--json", status=3).stdout
        events = [json.loads(line) for line in out.splitlines()]
        assert {e["index"] for e in events if e["event"] == "completed"} == {0, 1, 5}
        r = f.genfarm("retry", batch, "00000002", "00000003", "--code",
                      "%s,timeout" % codes[2])
        assert "1 jobs opened again" in r.stderr, r.stderr
        f.genfarm("retry", batch)
        f.genfarm("watch", batch)


if __name__ == "__main__":
    sys.exit(farm.main([what_a_model_cannot_do, poison_comes_back, letters_of_jobs_that_came_back_otherwise,
                        malformed_input_is_corrected, exported_jobs_are_what_was_submitted,
                        many_and_strange_ones, retry_by_code]))
