"""The ledger: an entry for every call, whatever became of it; its lines add up to the sums."""
import csv
import io
import json
import re
import sys
import time

import farm
from farm import Farm

MODEL = ("--model", "gemini-2.5-flash-image")
SUMS = ("calls", "images", "unknown", "in_tokens", "out_tokens", "bytes")


def state(f, batch):
    return json.loads(f.genfarm("status", batch, "--json").stdout)


def calls(f, *options):
    return [json.loads(line) for line in
            f.genfarm("usage", "--calls", "--json", *options).stdout.splitlines()]


def micro(rows):
    return sum(round(r["cost_usd"] * 1e6) for r in rows)


def adds_up(f, rows):
    """The entries against the sums by day; returns those sums."""
    sums = [json.loads(line) for line in
            f.genfarm("usage", "--json", "--by", "user").stdout.splitlines()]
    for user in {r["user"] for r in rows} | {r["user"] for r in sums}:
        mine = [r for r in rows if r["user"] == user]
        (told,) = [r for r in sums if r["user"] == user]
        for name in SUMS:
            assert sum(r[name] for r in mine) == told[name], (user, name, told)
        assert micro(mine) == round(told["cost_usd"] * 1e6), (user, told)
    return sums


def consistent(f, total):
    """Once the calls under way have settled: all that were made are entered, and not all are."""
    rows = calls(f)
    if not 1 <= len(rows) == len(f.requests()) == state(f, "b")["completed"] < total:
        return False
    try:
        adds_up(f, rows)
    except AssertionError:
        return False
    return True


def key(f, kind):
    return "genfarm:{default}:" + kind


def today():
    return int(time.time()) // 86400


def every_call_is_entered():
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "500=0.2", "--fault", "cut_body=0.1")
        f.redis()
        for _ in range(2):
            f.worker("--concurrency", "8", "--project", "red")
        cost = 0
        for user in ("ann", "bob"):
            f.genfarm("submit", f.prompts(30), *MODEL, "--user", user, "--batch", "b-" + user,
                      "--max-attempts", "20")
            f.genfarm("watch", "b-" + user)
            cost += round(state(f, "b-" + user)["cost_usd"] * 1e6)
        rows = calls(f)
        adds_up(f, rows)
        requests = f.requests()
        assert sum(r["calls"] for r in rows) == len(rows) == len(requests), (
            len(rows), len(requests))
        assert micro(rows) == cost > 0
        assert sum(r["outcome"] == "ok" for r in rows) == 60
        assert {r["outcome"] for r in rows} == {"ok", "server_error", "network"}
        for r in rows:
            assert (r["provider"], r["project"], r["lane"]) == ("gemini", "red", "standard"), r
            assert r["model"] == MODEL[1] and r["operation"] == "generate", r
            assert r["endpoint"] == f.env["GOOGLE_GEMINI_BASE_URL"], r
            assert re.fullmatch("[0-9a-f]{16}", r["call"]) and r["bytes_sent"] > 0, r
            assert r["run"] == 1 and r["attempt"] >= 1 and r["batch"] == "b-" + r["user"], r
            assert r["latency_ms"] >= 0 and r["ts"].endswith("Z"), r
            if r["outcome"] == "ok":
                assert r["images"] == 1 and r["bytes_received"] > r["bytes"] > 0, r
        assert len({r["call"] for r in rows}) == len(rows)
        as_csv = list(csv.DictReader(io.StringIO(f.genfarm("usage", "--calls", "--csv").stdout)))
        assert [r["call"] for r in as_csv] == [r["call"] for r in rows]
        assert sum(round(float(r["cost_usd"]) * 1e6) for r in as_csv) == cost
        day = rows[0]["ts"][:10]
        assert calls(f, "--day", day) == [r for r in rows if r["ts"][:10] == day]
        assert calls(f, "--since", day) == rows and calls(f, "--until", "2026-01-01") == []
        f.genfarm("usage", "--day", "yesterday", status=2)
        f.genfarm("fsck")


def many_pieces():
    """More than one answer holds; and a queue without calls has no ledger."""
    with Farm() as f:
        f.emulator("--latency", "0ms")
        f.redis()
        assert calls(f) == []
        f.worker("--concurrency", "64")
        f.genfarm("submit", f.prompts(520), *MODEL, "--batch", "b")
        f.genfarm("watch", "b")
        rows = calls(f)
        assert sorted(r["index"] for r in rows) == list(range(520))
        adds_up(f, rows)


def lost_workers_calls():
    """Calls that a killed worker had under way are entered as unknown."""
    with Farm() as f:
        f.emulator("--latency", "60s")
        f.redis()
        first = f.worker("--concurrency", "4", "--lease", "2", "--project", "blue")
        f.genfarm("submit", f.prompts(4), *MODEL, "--batch", "b", "--user", "ann", "--budget",
                  "10")
        farm.until(lambda: state(f, "b")["reserved_usd"] > 0.15)
        first.kill()
        f.emulator("--latency", "5ms")
        f.worker("--concurrency", "4", "--lease", "2")
        f.genfarm("watch", "b")
        rows = calls(f)
        lost = [r for r in rows if r["outcome"] == "worker_lost"]
        assert len(lost) == 4 and len(rows) == 8, rows
        for r in lost:
            assert r["unknown"] == r["calls"] == 1 and r["user"] == "ann", r
            assert r["project"] == "blue" and r["provider"] == "gemini" and r["id"], r
            assert r["endpoint"].startswith("http://127.0.0.1:"), r
        adds_up(f, rows)


def by_batch():
    """Each batch's entries add up to what its own counters say, and all of them to the sums."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "500=0.2")
        f.redis()
        f.worker("--concurrency", "8")
        names = ("one", "two", "three")
        for n, batch in enumerate(names):
            f.genfarm("submit", f.prompts(10 + 10 * n), *MODEL, "--batch", batch,
                      "--max-attempts", "20")
        for batch in names:
            f.genfarm("watch", batch)
        ask = lambda *o: [json.loads(line) for line in f.genfarm(
            "usage", "--by", "batch", "--json", *o).stdout.splitlines()]
        rows = {r["batch"]: r for r in ask()}
        assert set(rows) == set(names) and "completed" not in rows["one"], rows
        for batch in names:
            r, s = rows[batch], state(f, batch)
            assert r["calls"] == s["calls"] and r["images"] == s["completed"], (r, s)
            assert round(r["cost_usd"] * 1e6) == round(s["cost_usd"] * 1e6), (r, s)
            assert ask("--batch", batch) == [r]
            entries = calls(f, "--batch", batch)
            assert len(entries) == r["calls"] and {e["batch"] for e in entries} == {batch}
        (day,) = [json.loads(line) for line in
                  f.genfarm("usage", "--by", "day", "--json").stdout.splitlines()]
        for name in SUMS:
            assert sum(r[name] for r in rows.values()) == day[name], name
        assert micro(rows.values()) == round(day["cost_usd"] * 1e6)
        assert ask("--day", "2020-01-01") == [] == calls(f, "--batch", "none")
        table = f.genfarm("usage", "--by", "batch", "--csv").stdout.splitlines()
        assert table[0] == "batch,calls,images,unknown,in_tokens,out_tokens,bytes,cost_usd"
        assert [line.split(",")[0] for line in table[1:]] == sorted(names), table
        assert "in all" in f.genfarm("usage", "--by", "batch").stdout
        f.genfarm("usage", "--batch", "one", status=2)


def lost_workers_projects():
    """Of a worker with several projects the ledger knows which one each lost call went through."""
    with Farm() as f:
        f.emulator("--latency", "60s")
        f.redis()
        projects = f.red_and_blue()
        first = f.worker("--concurrency", "4", "--lease", "2", "--projects", projects)
        f.genfarm("submit", f.prompts(4), *MODEL, "--batch", "b", "--budget", "10")
        farm.until(lambda: state(f, "b")["reserved_usd"] > 0.15)
        first.kill()
        f.emulator("--latency", "5ms", "--fault", "500=0.5")
        f.worker("--concurrency", "4", "--lease", "2", "--projects", projects)
        f.genfarm("watch", "b")
        rows = calls(f)
        lost = [r["project"] for r in rows if r["outcome"] == "worker_lost"]
        assert len(lost) == 4 and set(lost) == {"red", "blue"}, rows
        assert {r["project"] for r in rows} == {"red", "blue"}, rows
        adds_up(f, rows)
        f.genfarm("fsck")


def a_foreign_key_is_in_the_way():
    """Somebody else's keys under the ledger's names stop no job, and nothing is left out."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "4")
        days = (today(), today() + 1)
        for day in days:
            f.cli("SET", key(f, "lg:%d" % day), "not a list")
        f.genfarm("submit", f.prompts(30), *MODEL, "--batch", "b")
        f.genfarm("watch", "b")
        assert f.cli("LLEN", key(f, "late")) == "30"
        for day in days:
            f.cli("DEL", key(f, "lg:%d" % day))
        farm.until(lambda: f.cli("LLEN", key(f, "late")) == "0")
        farm.until(lambda: len(calls(f)) == 30)
        adds_up(f, calls(f))
        for kind in ["lg", "late"] + ["lg:%d" % day for day in days]:
            f.cli("DEL", key(f, kind))
            f.cli("SET", key(f, kind), "nor this")
        f.genfarm("submit", f.prompts(30), *MODEL, "--batch", "c")
        f.genfarm("watch", "c")
        assert state(f, "c")["completed"] == 30


def memory_is_full():
    """Over maxmemory calls under way still settle, and each is in the ledger."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        f.redis("--maxmemory-policy", "noeviction")
        f.worker("--concurrency", "16", "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(100), *MODEL, "--batch", "b")
        farm.until(lambda: len(f.requests()) >= 1)
        f.cli("CONFIG", "SET", "maxmemory", "1mb")
        refused = f.path("worker%d.log" % (len(f.children) - 1))
        farm.until(lambda: "redis refuses" in open(refused).read())
        farm.until(lambda: consistent(f, 100))
        f.cli("CONFIG", "SET", "maxmemory", "0")
        f.genfarm("watch", "b")
        adds_up(f, calls(f))
        assert len(calls(f)) == 100


def bounded_or_off():
    with Farm() as f:
        f.emulator("--latency", "0ms")
        f.redis()
        worker = f.worker("--concurrency", "16", "--ledger", "16K")
        f.genfarm("submit", f.prompts(600), *MODEL, "--batch", "b")
        f.genfarm("watch", "b")
        size = lambda: int(f.cli("HGET", key(f, "lg"), str(today())) or 0)
        farm.until(lambda: 0 < size() <= 16384)
        r = f.genfarm("usage", "--calls", "--json")
        kept = [json.loads(line) for line in r.stdout.splitlines()]
        assert 0 < len(kept) < 600 and "are kept no longer" in r.stderr, r.stderr
        assert "%d calls" % (600 - len(kept)) in r.stderr, r.stderr
        worker.terminate()
        worker.wait()
        f.worker("--ledger", "0")
        f.genfarm("submit", f.prompts(10), *MODEL, "--batch", "c")
        f.genfarm("watch", "c")
        assert not [r for r in calls(f) if r["batch"] == "c"]
        r = f.genfarm("usage", "--by", "batch", "--json")
        (row,) = [json.loads(line) for line in r.stdout.splitlines()]
        assert row["batch"] == "b" and 0 < row["calls"] < 600, row
        assert "%d calls of these days are not in the ledger" % (610 - row["calls"]) in r.stderr


if __name__ == "__main__":
    sys.exit(farm.main([every_call_is_entered, many_pieces, by_batch, lost_workers_calls, lost_workers_projects,
                        a_foreign_key_is_in_the_way, memory_is_full, bounded_or_off]))
