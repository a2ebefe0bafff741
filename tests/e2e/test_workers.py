"""A farm of several workers: Redis as sink, watchers that die, a drain."""
import json
import os
import signal
import subprocess

import farm
from farm import Farm, check_events, lines, sha256


def three_workers_two_watchers():
    farm.need_parti()
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        for _ in range(3):
            f.worker("--concurrency", "16")
        batch = f.genfarm("submit", farm.PARTI).stdout.strip()
        one = f.follow("watch", batch, "--json")
        two = f.follow("watch", batch, "--json")
        events = []
        while len(events) < 400:
            events.append(json.loads(two.stdout.readline()))
        two.kill()
        two.wait()
        last = events[-1]["event_id"]
        rest = f.genfarm("watch", batch, "--json", "--after", last).stdout
        events += [json.loads(line) for line in rest.splitlines()]
        check_events(events, 1632)
        check_events([json.loads(line) for line in one.stdout], 1632)
        assert one.wait(30) == 0
        f.genfarm("collect", batch, "-o", f.path("out"))
        manifest = lines(f.batch("manifest.jsonl"))
        assert len(manifest) == 1632 and len(f.requests()) == 1632
        for m in manifest:
            assert sha256(f.batch(m["images"][0]["path"])) == m["images"][0]["sha256"]
        farm.until(lambda: f.cli("GET", "genfarm:{default}:stored") == "0")


def collected_afterwards():
    """A client comes when the workers, who share the folder, are through."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(10)).stdout.strip()
        f.genfarm("watch", batch)
        f.genfarm("collect", batch, "-o", f.path("out"))
        assert [m["status"] for m in lines(f.batch("manifest.jsonl"))] == ["completed"] * 10


def drain():
    """SIGTERM: calls in flight end, the rest goes back and another worker does it; no call twice."""
    with Farm() as f:
        f.emulator("--latency", "300ms")
        f.redis()
        first = f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(60)).stdout.strip()
        w = f.follow("watch", batch, "--json")
        seen = 0
        while seen < 5:
            seen += '"completed"' in w.stdout.readline()
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
        f.worker("--concurrency", "32", "--sink", "dir:" + f.path("out"))
        w.stdout.read()
        assert w.wait(60) == 0
        assert len(f.requests()) == 60, "a drained call was repeated"


def drain_without_redis(grace="60"):
    """SIGTERM when Redis is gone: who has nothing to tell leaves; who did not tell yet what its
    calls took waits for Redis within the grace. Returns the log of the one that may have."""
    with Farm() as f:
        f.emulator()
        redis = f.redis("--appendonly", "yes")
        idle = f.worker("--queue", "one", "--queue", "two")
        worker = f.worker("--concurrency", "64", "--grace", grace)
        f.genfarm("watch", f.genfarm("submit", f.prompts(50), "--user", "kim").stdout.strip())
        redis.kill()
        redis.wait()
        for w in idle, worker:
            w.send_signal(signal.SIGTERM)
        assert idle.wait(30) == 0
        if grace == "60":
            f.redis("--appendonly", "yes")
        assert worker.wait(30) == 0
        if grace == "60":
            kim = json.loads(f.genfarm("quota", "user:kim", "--json").stdout)
            assert kim["month"]["used"]["calls"] == 50, kim
        with open(f.path("worker3.log")) as log:
            return log.read()


def grace_without_redis():
    """When the grace ends before Redis is back, it says what nobody will know."""
    assert any("quotas miss what the last calls took" in drain_without_redis("1")
               for _ in range(10)), "ten times all was told within a moment"


def lost_worker():
    """kill -9 of a worker: its calls are told as unknown and done again after the lease."""
    with Farm() as f:
        f.emulator("--latency", "500ms")
        f.redis()
        first = f.worker("--concurrency", "8", "--lease", "2", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(24)).stdout.strip()
        farm.until(lambda: len(f.requests()) >= 8)
        first.kill()
        f.worker("--concurrency", "32", "--lease", "2", "--sink", "dir:" + f.path("out"))
        out = f.genfarm("watch", batch, "--json").stdout
        events = [json.loads(line) for line in out.splitlines()]
        assert all(e["event"] == "completed" for e in check_events(events, 24))
        unknown = [e for e in events if e["event"] == "unknown"]
        assert unknown and all(e["error"]["code"] == "worker_lost" for e in unknown)


def lost_worker_by_job():
    """The same of jobs that say themselves, unlike their batch, what is to come of unknown calls."""
    for batch, own in (("retry", "fail"), ("fail", "retry")):
        with Farm() as f:
            f.emulator("--latency", "3s")
            f.redis()
            with open(f.path("jobs.jsonl"), "w") as out:
                out.write(json.dumps({"id": "own", "prompt": "a cat", "on_unknown": own}) + "\n")
                out.write(json.dumps({"id": "as-all", "prompt": "a dog"}) + "\n")
            first = f.worker("--concurrency", "2", "--lease", "2")
            f.genfarm("submit", f.path("jobs.jsonl"), "--batch", "b", "--on-unknown", batch)
            q = "genfarm:{default}:"
            held = lambda: f.cli("HVALS", q + "a:" + f.cli("ZRANGE", q + "leases", "0", "0"))
            farm.until(lambda: sorted(v[:1] for v in held().splitlines() if v) == ["f", "s"])
            first.kill()
            first.wait()
            f.worker("--concurrency", "2", "--lease", "2")
            out = f.genfarm("watch", "b", "--json", status=3).stdout
            ends = {e["id"]: (e["event"], (e.get("error") or {}).get("code"))
                    for e in map(json.loads, out.splitlines()) if e["event"] in ("completed", "failed")}
            again, gone = ("as-all", "own") if own == "fail" else ("own", "as-all")
            assert ends[gone] == ("failed", "worker_lost"), ends
            assert ends[again][0] == "completed", ends


def steering():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(50), "--batch", "steered").stdout.strip()
        assert batch == "steered"
        f.genfarm("submit", f.path("prompts50.txt"), "--batch", "steered")  # the same: no-op
        other = f.prompts(50, "something else %d")
        f.genfarm("submit", other, "--batch", "steered", status=2)
        f.genfarm("cancel", batch, "00000003", "00000004")
        f.genfarm("cancel", batch, "no-such-id", status=1)
        f.genfarm("pause", batch)
        f.worker("--concurrency", "8")
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["state"] == "paused" and status["cancelled"] == 2
        f.genfarm("resume", batch)
        f.genfarm("watch", batch, status=3)
        f.genfarm("retry", batch)
        out = f.genfarm("collect", batch, "-o", f.path("out"), "--json").stdout
        events = [json.loads(line) for line in out.splitlines()]
        assert [e["run"] for e in events if e["event"] == "reopened"] == [2]
        assert events[-1]["event"] == "batch_done" and events[-1]["completed"] == 50
        assert "steered" in f.genfarm("list").stdout
        assert "of 8" in f.genfarm("workers").stdout
        f.genfarm("doctor", status=None)


def other_language():
    """A producer with another msgpack library pushes to the inbox."""
    try:
        import msgpack
    except ImportError:
        print("python3-msgpack is not installed: skipped")
        return
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "8")
        things = [msgpack.packb({"batch": "theirs", "id": "n%d" % i, "prompt": "a thing %d" % i})
                  for i in range(20)]
        things += [things[3], b"\xc1 no msgpack", msgpack.packb({"batch": "theirs", "seal": True,
                                                                "total": 20})]
        push = lambda t: subprocess.run(["redis-cli", "-s", f.socket, "-x", "RPUSH",
                                         "genfarm:{default}:inbox"],
                                        input=t, capture_output=True, check=True)
        for t in things[:5]:
            push(t)
        farm.until(lambda: f.cli("HGET", "genfarm:{default}:b:theirs", "hw") == "5")
        collect = f.follow("collect", "theirs", "-o", f.path("out"))
        farm.until(lambda: os.path.exists(f.path("out", "theirs", "metadata.json")))
        for t in things[5:]:
            push(t)
        out = f.genfarm("watch", "theirs", "--json").stdout
        assert collect.wait(30) == 0
        prompts = [m["prompt"] for m in lines(f.batch("manifest.jsonl"))]
        assert prompts == ["a thing %d" % i for i in range(20)], prompts
        check_events([json.loads(line) for line in out.splitlines()], 20)
        farm.until(lambda: f.cli("LLEN", "genfarm:{default}:dead") == "1")


def library():
    """The example program of libgenfarm: submits, follows through a descriptor's loop, collects."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "8")
        p = subprocess.run([os.path.join(farm.BIN, "genfarm-example"), "a tree", "a river", "a hill"],
                           env=f.env, cwd=f.dir, capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stderr
        check_events([json.loads(line) for line in p.stdout.splitlines()], 3)
        (folder,) = os.listdir(f.path("pictures"))
        assert len(os.listdir(f.path("pictures", folder, "images"))) == 3
        p = subprocess.run([os.path.join(farm.BIN, "genfarm-example"), "a tree", ""], env=f.env,
                           cwd=f.dir, capture_output=True, text=True, timeout=60)
        assert p.returncode == 1 and "job 1" in p.stderr and "prompt" in p.stderr


farm.main([three_workers_two_watchers, collected_afterwards, drain, drain_without_redis,
           grace_without_redis, lost_worker, lost_worker_by_job, steering, other_language, library])
