"""Identical requests are made once: shared among batches, workers and sinks, whatever becomes of
the one that makes the call."""
import json
import os
import sys

import farm
from farm import Farm, check_events, lines, sha256

Q = "genfarm:{default}:"
SLOW = ("--latency", "100s")  # no answer comes while the test lasts


def events_of(f, batch, status=0):
    out = f.genfarm("watch", batch, "--json", status=status).stdout
    events = [json.loads(line) for line in out.splitlines()]
    for e in events:
        e["id"] = e.get("index")  # samples of one prompt share an id
    return check_events(events, events[0]["total"])


def repeated(f, different, times, name="again.txt", text="one of the pictures, number %d"):
    path = f.path(name)
    with open(path, "w") as out:
        for _ in range(times):
            out.writelines(text % i + "\n" for i in range(different))
    return path


def images_are_whole(f, batch, total):
    if not os.path.exists(f.path("out", batch, "manifest.jsonl")):
        f.genfarm("collect", batch, "-o", f.path("out"))
    manifest = lines(f.path("out", batch, "manifest.jsonl"))
    assert len(manifest) == total, len(manifest)
    for m in manifest:
        (image,) = m["images"]
        assert sha256(f.path("out", batch, image["path"])) == image["sha256"]
    return manifest


def followers(f):
    return int(f.cli("SCARD", f.cli("KEYS", Q + "dw:*") or "none"))


def under_way(f, batch):
    """Calls that were sent and have not been answered."""
    return [v for key in f.cli("KEYS", Q + "a:*").splitlines()
            for v in f.cli("--no-raw", "HVALS", key).splitlines()
            if ') "s' in v and v.endswith("/%s\"" % batch)]


def status(f, batch):
    return json.loads(f.genfarm("status", batch, "--json").stdout)


def a_thousand_jobs(sink):
    """100 different prompts, five times in each of two batches, and two workers: 100 calls."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        for _ in range(2):
            f.worker("--concurrency", "8", *sink(f))
        for batch in ("one", "two"):
            f.genfarm("submit", repeated(f, 100, 5), "--dedupe", "--batch", batch)
        following = [f.follow("collect", b, "-o", f.path("out"), out=None) for b in ("one", "two")]
        assert [p.wait(200) for p in following] == [0, 0]
        assert len(f.requests()) == 100, len(f.requests())
        made = shared = cost = 0
        by_prompt = {}
        for batch in ("one", "two"):
            for m in images_are_whole(f, batch, 500):
                by_prompt.setdefault(m["prompt"], set()).add(m["images"][0]["sha256"])
            for e in events_of(f, batch):
                assert e["event"] == "completed"
                own = "deduped_of" not in e
                made, shared = made + own, shared + (not own)
                assert own or (e["cost_usd"] == 0 and e["attempts"] == 0), e
                assert own or e["deduped_of"].split("/")[0] in ("one", "two"), e
        assert (made, shared) == (100, 900)
        assert len(by_prompt) == 100 and all(len(s) == 1 for s in by_prompt.values())
        s = [status(f, b) for b in ("one", "two")]
        assert s[0]["calls"] + s[1]["calls"] == 100, s
        f.genfarm("fsck")


def in_a_folder():
    a_thousand_jobs(lambda f: ("--sink", "dir:" + f.path("out")))


def by_way_of_redis():
    a_thousand_jobs(lambda f: ())


def what_differs_is_not_shared():
    """Samples, sizes and models are requests of their own; lanes are not; without --dedupe, none."""
    with Farm() as f:
        f.emulator("--latency", "1ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        one = f.prompts(1)

        def calls(*options):
            before = len(f.requests())
            batch = f.genfarm("submit", one, *options).stdout.strip()
            events_of(f, batch)
            return len(f.requests()) - before

        assert calls("--dedupe", "--count", 3) == 3
        assert calls("--dedupe", "--count", 4) == 1
        assert calls("--dedupe=10m") == 0
        assert calls("--dedupe", "--lane", "flex") == 0
        assert calls("--dedupe", "--aspect-ratio", "16:9") == 1
        assert calls("--dedupe", "--seed", 7) == 1
        assert calls("--dedupe", "--model", "gemini-2.5-flash-image") == 1
        assert calls() == 1
        r = f.genfarm("submit", one, "--dedupe=soon", status=2)
        assert "--dedupe soon" in r.stderr, r.stderr


def a_time_that_is_over():
    with Farm() as f:
        f.emulator("--latency", "1ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        one = f.prompts(1)
        events_of(f, f.genfarm("submit", one, "--dedupe=1s").stdout.strip())
        farm.until(lambda: f.cli("KEYS", "genfarm:{default}:dd:*") == "")
        events_of(f, f.genfarm("submit", one, "--dedupe=1s").stdout.strip())
        assert len(f.requests()) == 2


def an_image_that_is_gone():
    """Deleted, or changed: the call is made, and what it gives is shared from then on."""
    with Farm() as f:
        f.emulator("--latency", "1ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        one = f.prompts(1)
        source = None
        for calls, spoil in enumerate((None, os.remove, lambda p: open(p, "ab").write(b"more"),
                                       lambda p: open(p, "r+b").write(b"another beginning")), 1):
            if spoil:
                spoil(f.path("out", source["batch"], source["images"][0]["path"]))
            made = f.genfarm("submit", one, "--dedupe").stdout.strip()
            (source,) = events_of(f, made)
            assert "deduped_of" not in source and len(f.requests()) == calls
            shared = f.genfarm("submit", one, "--dedupe").stdout.strip()
            (e,) = events_of(f, shared)
            assert e["deduped_of"] == made + "/00000000" and len(f.requests()) == calls, e
            images_are_whole(f, shared, 1)


def leader_killed():
    """The call of a lost worker is unknown; one of the others makes it again, once."""
    with Farm() as f:
        f.emulator(*SLOW)
        f.redis()
        first = f.worker("--concurrency", "4", "--lease", "2", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", repeated(f, 1, 20), "--dedupe", "--batch", "b").stdout.strip()
        farm.until(lambda: followers(f) == 19 and under_way(f, batch))
        first.kill()
        f.emulator("--latency", "5ms")
        f.worker("--concurrency", "4", "--sink", "dir:" + f.path("out"))
        assert all(e["event"] == "completed" for e in events_of(f, batch))
        assert len(f.requests()) == 1, "calls of the second worker"
        s = status(f, batch)
        assert s["calls"] == 2 and s["possible_double_bill"] == 1, s
        images_are_whole(f, batch, 20)
        f.genfarm("fsck")


def leader_refused():
    """What is refused for its content is refused for all, by one call; another day asks again."""
    with Farm() as f:
        f.emulator("--latency", "300ms", "--fault", "prohibited=1")
        f.redis()
        f.worker("--concurrency", "8")
        batch = f.genfarm("submit", repeated(f, 2, 10), "--dedupe").stdout.strip()
        ends = events_of(f, batch, status=3)
        assert all(e["event"] == "failed" for e in ends)
        assert {e["error"]["code"] for e in ends} == {"prohibited"}, ends
        assert len(f.requests()) == 2, len(f.requests())
        assert len([e for e in ends if "deduped_of" not in e]) == 2
        assert all(e["deduped_of"].split("/")[0] == batch for e in ends if "deduped_of" in e)
        assert status(f, batch)["calls"] == 2
        f.genfarm("retry", batch)  # is asked for, and so is made: again by two calls
        farm.until(lambda: status(f, batch)["failed"] == 20 and len(f.requests()) >= 4)
        assert len(f.requests()) == 4, len(f.requests())


def leader_failed():
    """What failed for a reason of its own moves on: each follower leads in its turn."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "500=1")
        f.redis()
        f.worker("--concurrency", "8")
        batch = f.genfarm("submit", repeated(f, 1, 5), "--dedupe", "--max-attempts",
                          "1").stdout.strip()
        ends = events_of(f, batch, status=3)
        assert len(f.requests()) == 5, len(f.requests())
        assert not [e for e in ends if "deduped_of" in e]


def leader_cancelled():
    """The next one leads, though it is of another batch."""
    with Farm() as f:
        f.emulator(*SLOW)
        f.redis()
        worker = f.worker("--concurrency", "4", "--lease", "2")
        f.genfarm("submit", repeated(f, 1, 3), "--dedupe", "--batch", "one")
        farm.until(lambda: len(under_way(f, "one")) == 1)
        f.genfarm("submit", repeated(f, 1, 3), "--dedupe", "--batch", "two")
        farm.until(lambda: followers(f) == 5)
        f.genfarm("cancel", "one")
        farm.until(lambda: len(under_way(f, "two")) == 1)
        assert [e["event"] for e in events_of(f, "one", status=3)] == ["cancelled"] * 3
        s = status(f, "two")
        assert s["completed"] == s["failed"] == 0, s
        f.genfarm("fsck")
        worker.kill()


if __name__ == "__main__":
    sys.exit(farm.main([in_a_folder, by_way_of_redis, what_differs_is_not_shared,
                        a_time_that_is_over, an_image_that_is_gone, leader_killed, leader_refused,
                        leader_failed, leader_cancelled]))
