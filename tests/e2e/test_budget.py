"""Budgets: never a cent above, however many workers; what is done is kept, and raising goes on."""
import json
import sys

import farm
from farm import Farm

MODEL = ("--model", "gemini-2.5-flash-image")  # $0.0387 an image


def state(f, batch):
    return json.loads(f.genfarm("status", batch, "--json").stdout)


def eight_workers():
    with Farm() as f:
        f.emulator("--latency", "50ms")
        f.redis()
        for _ in range(8):
            f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(100), *MODEL, "--budget", "1.00",
                          "--batch", "b").stdout.strip()
        farm.until(lambda: state(f, batch)["state"] == "paused")
        s = state(f, batch)
        assert len(f.requests()) <= 25 and len(f.requests()) >= 23, len(f.requests())
        assert s["reserved_usd"] == 0 and s["completed"] == s["calls"] == len(f.requests()), s
        assert 0.85 < s["cost_usd"] <= 1.0, s
        f.genfarm("resume", batch)  # not raised: nothing more is spent
        farm.until(lambda: state(f, batch)["state"] == "paused")
        assert len(f.requests()) == s["calls"]
        f.genfarm("resume", batch, "--budget", "10")
        out = f.genfarm("watch", batch, "--json").stdout
        ends = farm.check_events([json.loads(line) for line in out.splitlines()], 100)
        assert all(e["event"] == "completed" for e in ends)
        assert len(f.requests()) == 100
        f.genfarm("fsck")


def run_stops_and_goes_on():
    with Farm() as f:
        f.emulator("--latency", "50ms")
        r = f.genfarm("run", f.prompts(60), *MODEL, "-o", f.path("out"), "--budget", "1.00",
                      "--concurrency", "16", status=4)
        assert "24 completed" in r.stderr and "--budget N" in r.stderr, r.stderr
        made = len(f.requests())
        assert 23 <= made <= 25
        done = [m for m in farm.lines(f.batch("manifest.jsonl")) if m.get("images")]
        assert len(done) == made, "%d in the manifest of %d made" % (len(done), made)
        f.genfarm("run", "--resume", f.batch(), status=4)
        assert len(f.requests()) == made
        f.genfarm("run", "--resume", f.batch(), "--budget", "5")
        assert len(f.requests()) == 60
        assert all(m["images"] for m in farm.lines(f.batch("manifest.jsonl")))


def a_retry_raises_it():
    """Of a batch that stopped for its budget, though nothing of it had failed."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(20), *MODEL, "--budget", "0.20", "--batch",
                          "b").stdout.strip()
        farm.until(lambda: state(f, batch)["state"] == "paused")
        made = len(f.requests())
        r = f.genfarm("retry", batch)
        assert "0 jobs" in r.stderr and "waits: the budget has no room" in r.stderr, r.stderr
        r = f.genfarm("retry", batch, "--budget", "0.01", status=4)
        assert "has spent" in r.stderr and state(f, batch)["state"] == "paused", r.stderr
        assert len(f.requests()) == made <= 5
        r = f.genfarm("retry", batch, "--budget", "5")
        assert "the budget of batch b is $5" in r.stderr, r.stderr
        out = f.genfarm("watch", batch, "--json").stdout
        ends = farm.check_events([json.loads(line) for line in out.splitlines()], 20)
        assert all(e["event"] == "completed" for e in ends)
        assert len(f.requests()) == 20


def mixed(f, *sizes):
    name = f.path("mixed.jsonl")
    with open(name, "w") as out:
        for i, size in enumerate(sizes):
            out.write(json.dumps({"prompt": "picture %d" % i, "image_size": size}) + "\n")
    return name, "--model", "gemini-3.1-flash-image"  # 512: $0.0927 at worst; 4K: $0.3054


def dear_jobs_stop_no_others():
    """What can never fit is set aside; when nothing else is left the batch waits for more."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.genfarm("submit", *mixed(f, "4K", "4K", "512", "4K", "512"), "--budget", "0.30",
                  "--batch", "b")
        for _ in range(2):
            f.worker("--concurrency", "1", "--sink", "dir:" + f.path("out"))
        farm.until(lambda: state(f, "b")["state"] == "paused")
        s = state(f, "b")
        assert s["completed"] == s["calls"] == len(f.requests()) == 2 and s["reserved_usd"] == 0, s
        assert s["waits_for"]["code"] == "budget", s
        assert f.cli("HLEN", "genfarm:{default}:ready") == "0"  # nobody claims in vain
        f.genfarm("fsck")
        f.genfarm("resume", "b")  # not raised: they are held against it again
        farm.until(lambda: state(f, "b")["state"] == "paused")
        assert len(f.requests()) == 2
        f.genfarm("retry", "b", "--budget", "0.45")  # for one of them
        farm.until(lambda: state(f, "b")["state"] == "paused")
        s = state(f, "b")
        assert s["completed"] == len(f.requests()) == 3 and s["cost_usd"] <= 0.45, s
        f.genfarm("retry", "b", "--budget", "5")
        out = f.genfarm("watch", "b", "--json").stdout
        events = [json.loads(line) for line in out.splitlines()]
        ends = farm.check_events(events, 5)
        assert all(e["event"] == "completed" and e["attempts"] == 1 for e in ends)
        assert [e["event"] for e in events].count("blocked") == 3, events
        assert len(f.requests()) == 5
        f.genfarm("fsck")


def dear_jobs_of_a_run():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        r = f.genfarm("run", *mixed(f, "4K", "512", "512"), "-o", f.path("out"), "--budget", "0.30",
                      "--concurrency", "1", status=4)
        assert "2 completed" in r.stderr and "--budget N" in r.stderr, r.stderr
        assert len(f.requests()) == 2
        f.genfarm("run", "--resume", f.batch(), "--budget", "5")
        assert len(f.requests()) == 3


def answers_of_two_images():
    """Nobody asked for the second one; it was reserved for all the same."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "two_images=1")
        f.redis()
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(50), *MODEL, "--budget", "0.50", "--batch",
                          "b").stdout.strip()
        farm.until(lambda: state(f, batch)["state"] == "paused")
        s = state(f, batch)
        assert s["completed"] == len(f.requests()) and f.requests()[0]["images"] == 2, s
        assert 0.4 < s["cost_usd"] <= 0.5, s


def unknown_stays_spent():
    """Calls whose outcome is not known keep what was reserved for them."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "cut_body=1")
        f.redis()
        f.worker("--concurrency", "4")
        batch = f.genfarm("submit", f.prompts(50), *MODEL, "--budget", "0.50", "--max-attempts",
                          "100", "--batch", "b").stdout.strip()
        farm.until(lambda: state(f, batch)["state"] == "paused")
        s = state(f, batch)
        worst = s["unknown_usd"] / s["calls"]
        assert s["cost_usd"] == s["reserved_usd"] == 0, s
        assert 0.5 - worst <= s["unknown_usd"] <= 0.5, s
        assert s["possible_double_bill"] == s["calls"] == len(f.requests()), s


def lost_workers_money_is_spent():
    with Farm() as f:
        f.emulator("--latency", "30s")
        f.redis()
        first = f.worker("--concurrency", "4", "--lease", "2")
        batch = f.genfarm("submit", f.prompts(50), *MODEL, "--budget", "1", "--batch",
                          "b").stdout.strip()
        farm.until(lambda: state(f, batch)["reserved_usd"] > 0.15)
        first.kill()
        f.emulator("--latency", "5ms")
        f.worker("--concurrency", "4", "--lease", "2")
        farm.until(lambda: state(f, batch)["state"] == "paused", 60)
        s = state(f, batch)
        assert s["reserved_usd"] == 0 and s["unknown_usd"] > 0.15, s
        assert s["cost_usd"] + s["unknown_usd"] <= 1.0, s
        assert s["possible_double_bill"] == 4, s


def usage():
    """What was used is told by user, model, lane and day, and is what the batches cost."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "500=0.2")
        f.redis()
        f.worker("--concurrency", "8")
        cost = calls = 0
        for user, model in (("ann", "gemini-2.5-flash-image"), ("bob", "gemini-3-pro-image")):
            batch = f.genfarm("submit", f.prompts(20), "--user", user, "--model", model,
                              "--max-attempts", "20", "--batch", user).stdout.strip()
            f.genfarm("watch", batch)
            cost += round(state(f, batch)["cost_usd"] * 1e6)
            calls += state(f, batch)["calls"]
        ask = lambda *o: [json.loads(line) for line in
                          f.genfarm("usage", "--json", *o).stdout.splitlines()]
        for by, names in (("user", {"ann", "bob"}), ("lane", {"standard"}), ("day", None),
                          ("model", {"gemini-2.5-flash-image", "gemini-3-pro-image"})):
            rows = ask("--by", by)
            assert names is None or {r[by] for r in rows} == names, rows
            assert sum(round(r["cost_usd"] * 1e6) for r in rows) == cost, rows
            assert sum(r["calls"] for r in rows) == calls == len(f.requests()), rows
            assert sum(r["images"] for r in rows) == sum(r["completed"] for r in rows) == 40
        csv = f.genfarm("usage", "--csv", "--by", "user").stdout.splitlines()
        assert csv[0].startswith("user,calls,images") and csv[1].startswith("ann,"), csv
        assert "in all" in f.genfarm("usage").stdout
        f.genfarm("usage", "--by", "moon", status=2)


def bad_budgets():
    with Farm() as f:
        f.redis()
        for bad in ("0", "-1", "x", "1e3", "1.0000001"):
            r = f.genfarm("submit", f.prompts(1), "--budget", bad, status=2)
            assert "--budget " + bad in r.stderr, r.stderr


if __name__ == "__main__":
    sys.exit(farm.main([eight_workers, run_stops_and_goes_on, a_retry_raises_it,
                        dear_jobs_stop_no_others, dear_jobs_of_a_run, answers_of_two_images,
                        unknown_stays_spent, lost_workers_money_is_spent, usage, bad_budgets]))
