"""Lane batch: jobs in remote batches, at half the price, each row judged by itself."""
import json

import farm
from batches import asked, nothing_left, rows, same_images, submit, watched, whole
from farm import Farm, check_events


def half_price():
    """run --lane batch: 200 prompts in several batches; every image arrives, once, for half."""
    with Farm() as f:
        f.emulator("--batch-latency", "500ms")
        f.genfarm("run", f.prompts(200), "--lane", "batch", "-o", f.path("out"), "--no-sheet")
        manifest = whole(f, f.batch, 200)
        made = rows(f)
        assert len(made) == 200, len(made)
        same_images(f, [dict(m, event="completed") for m in manifest], made)
        makes = asked(f, ":batchGenerateContent")
        assert len(makes) == 3, "200 images of 3 MB in batches of 256 MB: %d" % len(makes)
        assert not asked(f, ":generateContent")
        meta = json.load(open(f.batch("metadata.json")))
        tokens = sum(r["input_tokens"] * 0.5 + r["text_tokens"] * 3 + r["image_tokens"] * 60
                     for r in made)
        assert abs(meta["cost_usd"] * 1e6 - tokens / 2) <= 200, (meta["cost_usd"], tokens)


def bad_rows():
    """Rows that fail are judged one by one, and made again where that may help."""
    with Farm() as f:
        f.emulator("--batch-latency", "100ms")
        f.redis()
        f.worker()
        name = f.path("mixed.txt")
        with open(name, "w") as file:
            for i in range(30):
                file.write("good %d\n" % i)
            for i in range(5):
                file.write("busy %d [[fault:503*1]]\n" % i)
                file.write("unsafe %d [[fault:safety]]\n" % i)
                file.write("spoiled %d [[fault:corrupt_image*1]]\n" % i)
                file.write("missing %d [[fault:cut_body*1]]\n" % i)
                file.write("no json %d [[fault:empty_body*1]]\n" % i)
        batch = f.genfarm("submit", name, "--lane", "batch").stdout.strip()
        events = watched(f, batch, status=3)
        ends = check_events(events, 55)
        failed = [e for e in ends if e["event"] == "failed"]
        assert len(failed) == 5 and all(e["error"]["code"] == "safety" for e in failed)
        unknown = [e for e in events if e["event"] == "unknown"]
        assert {e["error"]["code"] for e in unknown} == {"bad_response"} and len(unknown) == 10
        codes = [e["error"]["code"] for e in events if e["event"] == "retrying"]
        assert sorted(set(codes)) == ["bad_image", "bad_response", "overloaded"], codes
        assert events[-1]["possible_double_bill"] == 10
        assert len(rows(f)) == 55 + 20
        nothing_left(f)


def bad_batches():
    """Batches that fail, expire, lose rows or break off while they are fetched."""
    with Farm() as f:
        f.emulator("--batch-latency", "100ms", "--batch-fault", "failed", "--batch-fault", "expired",
                   "--batch-fault", "lost_rows", "--batch-fault", "cut_result")
        f.redis()
        f.worker()
        events = watched(f, submit(f, 12))
        assert all(e["event"] == "completed" for e in check_events(events, 12))
        codes = [e["error"]["code"] for e in events if e["event"] == "retrying"]
        assert codes.count("server_error") == 12 and codes.count("timeout") == 12
        assert codes.count("bad_response") == 6
        assert sum(e["event"] == "unknown" for e in events) == 6
        assert len(rows(f)) == 12 + 6
        nothing_left(f)


def late_ones_go_standard():
    """--batch-deadline: a batch that is stuck is cancelled, and its jobs are made by calls."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--batch-fault", "stuck*9")
        f.redis()
        f.worker()
        events = watched(f, submit(f, 8, "--batch-deadline", "4s"))
        assert all(e["event"] == "completed" for e in check_events(events, 8))
        steps = [e for e in events if e["event"] == "step"]
        assert len(steps) == 8 and all(e["step"] == "standard_lane" for e in steps)
        assert events[-1]["possible_double_bill"] == 0 and not rows(f)
        assert len(asked(f, ":generateContent")) == 8 and asked(f, ":cancel")
        used = f.genfarm("usage", "--by", "lane", "--csv").stdout
        assert "standard," in used, used
        nothing_left(f)


def late_ones_that_are_retried():
    """Past the batch deadline a retry does not wait for another remote batch."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--batch-fault", "stuck*9")
        f.redis()
        batch = submit(f, 3, "--batch-deadline", "1s")
        f.genfarm("cancel", batch)
        f.worker()
        f.genfarm("watch", batch, status=3)
        farm.time.sleep(1.1)
        f.genfarm("retry", batch)
        events = watched(f, batch)
        assert sum(e["event"] == "step" for e in events) == 3, events
        assert len(asked(f, ":generateContent")) == 3 and not asked(f, ":batchGenerateContent")
        nothing_left(f)


def what_waits_is_shown():
    """Up to a day nothing is to be seen of the jobs but how many there are, where, since when."""
    with Farm() as f:
        f.emulator("--batch-latency", "1h")
        f.redis()
        f.worker("--project", "art", "--lease", "3")
        assert submit(f, 12, "--batch", "b") == "b"
        shown = lambda: json.loads(f.genfarm("status", "b", "--json").stdout)["remote_batches"]
        running = lambda: [r for r in shown() if r["state"] == "running" and r["jobs"] == 12]
        farm.until(running)
        (one,) = running()
        assert one["project"] == "art" and one["name"].startswith("batches/"), one
        assert one["model"] == "gemini-3.1-flash-image" and len(one["since"]) == 24, one
        r = f.genfarm("status", "b")
        assert "12 jobs in 1 remote batch since " in r.stdout and "(project art)" in r.stdout, r
        assert "limited by: remote batches" in r.stderr, r.stderr
        for line in f.follow("watch", "b", "--json").stdout:
            e = json.loads(line)
            if e["event"] == "progress" and e["remote"]:
                break
        assert (e["remote"]["jobs"], e["remote"]["batches"]) == (12, 1), e
        f.genfarm("cancel", "b")
        f.genfarm("watch", "b", status=3)
        nothing_left(f)
        assert shown() == [] and "remote" not in f.genfarm("status", "b").stdout


def cancelled():
    """cancel reaches the provider; nothing is made."""
    with Farm() as f:
        f.emulator("--batch-latency", "1h")
        f.redis()
        f.worker("--lease", "2")
        batch = submit(f, 10)
        farm.until(lambda: asked(f, ":batchGenerateContent"))
        f.genfarm("cancel", batch)
        events = watched(f, batch, status=3)
        assert all(e["event"] == "cancelled" for e in check_events(events, 10))
        farm.until(lambda: asked(f, ":cancel"))
        nothing_left(f)
        assert not rows(f)
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["possible_double_bill"] == 0


def a_bad_key_stops_the_lane():
    with Farm() as f:
        f.emulator("--key", "another")
        f.redis()
        f.worker()
        batch = submit(f, 5)
        w = f.follow("watch", batch, "--json")
        event = {}
        while event.get("event") != "blocked":
            event = json.loads(w.stdout.readline())
        assert event["error"]["code"] == "bad_key" and event["group"].endswith("/batch"), event
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["failed"] == 0


def a_budget_holds():
    """Reserved before the batch is made: no more rows than there is money for, at worst."""
    with Farm() as f:
        f.emulator("--batch-latency", "200ms")
        f.redis()
        f.worker()
        batch = submit(f, 30, "--budget", "0.40")
        w = f.follow("watch", batch, "--json")
        event = {}
        while event.get("event") != "blocked":
            event = json.loads(w.stdout.readline())
        farm.until(lambda: f.cli("EXISTS", "genfarm:{default}:ops") == "0")
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert 0 < status["completed"] < 30 and status["cost_usd"] <= 0.40, status
        assert len(rows(f)) == status["completed"]


def a_quota_holds():
    """Two batches of one user: no more rows than the user may have a day; raised, it goes on."""
    with Farm() as f:
        f.emulator("--batch-latency", "200ms")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "calls=10/day")
        f.genfarm("pause")
        for name in ("one", "two"):
            submit(f, 8, "--user", "ann", "--batch", name)
        f.worker()
        f.genfarm("resume")
        account = lambda: json.loads(f.genfarm("quota", "user:ann", "--json").stdout)["day"]
        farm.until(lambda: len(rows(f)) >= 10, 60)
        assert len(rows(f)) == account()["used"]["calls"] == 10
        f.genfarm("quota", "clear", "user:ann")
        for name in ("one", "two"):
            ends = check_events(watched(f, name), 8)
            assert all(e["event"] == "completed" and e["attempts"] == 1 for e in ends)
        assert len(rows(f)) == 16
        farm.until(lambda: account()["used"]["calls"] == 16)
        assert account()["reserved"]["calls"] == 0


def other_lanes():
    """flex and priority: told to the provider, at their price, counted and limited apart."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker()
        cost = {}
        for lane in ("standard", "flex", "priority"):
            batch = f.genfarm("submit", f.prompts(3, lane[0] + " %d"), "--lane", lane).stdout.strip()
            cost[lane] = watched(f, batch)[-1]["cost_usd"]
        assert abs(cost["flex"] * 2 - cost["standard"]) < 1e-5, cost
        assert abs(cost["priority"] - 2 * cost["standard"]) < 1e-5, cost
        used = f.genfarm("usage", "--by", "lane", "--csv").stdout
        assert all(name in used for name in cost), used
        f.genfarm("limits", "set", "gemini-3.1-flash-image/flex", "req=1/1h")
        slow = f.genfarm("submit", f.prompts(5, "slow %d"), "--lane", "flex").stdout.strip()
        f.genfarm("watch", f.genfarm("submit", f.prompts(5, "free %d")).stdout.strip())
        status = json.loads(f.genfarm("status", slow, "--json").stdout)
        assert status["completed"] <= 2, status


farm.main([half_price, bad_rows, bad_batches, late_ones_go_standard, late_ones_that_are_retried,
           what_waits_is_shown, cancelled, a_bad_key_stops_the_lane, a_budget_holds, a_quota_holds,
           other_lanes])
