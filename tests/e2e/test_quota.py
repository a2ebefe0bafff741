"""What users and projects may use: never a cent or a call above, whoever sends; then jobs wait."""
import json
import os
import re
import sys
import time

import farm
from farm import Farm
from liar import Liar

MODEL = ("--model", "gemini-2.5-flash-image")  # $0.0387 an image


def state(f, batch, *options):
    return json.loads(f.genfarm("status", batch, "--json", *options).stdout)


def quota(f, account):
    return json.loads(f.genfarm("quota", account, "--json").stdout)


def ledger(f, *options):
    return [json.loads(line) for line in
            f.genfarm("usage", "--calls", "--json", *options).stdout.splitlines()]


def micro(usd):
    return round(usd * 1e6)


def events(f, batch):
    out = f.genfarm("watch", batch, "--json", status=None).stdout
    return [json.loads(line) for line in out.splitlines()]


def idle(f, account):
    """Nothing is reserved any more: all calls have told what they took."""
    return quota(f, account)["month"]["reserved"]["calls"] == 0


def a_users_month():
    """Two batches of one user, four workers: $1.00 and not a cent more; raising it goes on."""
    with Farm() as f:
        f.emulator("--latency", "50ms")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "usd=1.00/month")
        f.genfarm("pause")
        for batch in ("b1", "b2"):
            f.genfarm("submit", f.prompts(25), *MODEL, "--user", "ann", "--batch", batch)
        for _ in range(4):
            f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        f.genfarm("resume")
        farm.until(lambda: all(state(f, b)["state"] == "paused" for b in ("b1", "b2")) and
                   idle(f, "user:ann"), 60)
        made = len(f.requests())
        assert 23 <= made <= 25, made
        both = [state(f, b) for b in ("b1", "b2")]
        cost = sum(micro(s["cost_usd"]) for s in both)
        used = quota(f, "user:ann")["month"]["used"]
        assert cost == micro(used["usd"]) == sum(micro(r["cost_usd"]) for r in ledger(f)) <= 1000000
        assert made == used["calls"] == used["images"] == len(ledger(f)) == sum(
            s["calls"] for s in both)
        assert micro(quota(f, "project:default")["month"]["used"]["usd"]) == cost
        assert all(s["failed"] == 0 for s in both)
        r = f.genfarm("quota", "set", "user:ann", "usd=10/month")
        for batch in ("b1", "b2"):
            seen = events(f, batch)
            blocked = [e for e in seen if e["event"] == "blocked"]
            assert blocked and blocked[0]["group"] == "user:ann", blocked
            assert blocked[0]["error"]["code"] == "budget" and blocked[0]["until"], blocked
            ends = farm.check_events(seen, 25)
            assert all(e["event"] == "completed" and e["attempts"] == 1 for e in ends)
        assert len(f.requests()) == 50
        farm.until(lambda: quota(f, "user:ann")["month"]["used"]["calls"] == 50)
        assert "go on" in r.stderr, r.stderr
        f.genfarm("fsck")


def quotas_of_a_day():
    """Refused before, in one sentence; and where several pass together, when they are sent."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "images=10/day,calls=100/month")
        ask = (f.prompts(11), *MODEL, "--user", "ann")
        for command in ("submit", "preview"):
            r = f.genfarm(command, *ask, status=4)
            assert ("user:ann may use 10 images a day, has used 0 images, and this asks for "
                    "11 images") in r.stderr, r.stderr
        assert f.genfarm("list", "--json").stdout == "" and f.requests() == []
        f.genfarm("submit", f.prompts(11), *MODEL, "--user", "bob", "--batch", "of-bob")
        f.genfarm("pause")
        for batch in ("b1", "b2"):
            f.genfarm("submit", f.prompts(8), *MODEL, "--user", "ann", "--batch", batch)
        for _ in range(4):
            f.worker("--concurrency", "8")
        f.genfarm("resume")
        f.genfarm("watch", "of-bob")
        left = lambda: [b for b in ("b1", "b2") if state(f, b)["state"] != "ended"]
        farm.until(lambda: sum(state(f, b)["completed"] for b in ("b1", "b2")) == 10)
        farm.until(lambda: left() and all(state(f, b)["state"] == "paused" for b in left()))
        assert len(f.requests()) == 21
        used = quota(f, "user:ann")["day"]["used"]
        assert used["images"] == used["calls"] == 10, used
        f.genfarm("submit", f.prompts(1), *MODEL, "--user", "ann", status=4)
        waits = left()
        f.genfarm("quota", "clear", "user:ann")
        for batch in waits:
            seen = events(f, batch)
            codes = [e["error"]["code"] for e in seen if e["event"] == "blocked"]
            assert codes == ["quota_exhausted"], codes
            assert [e["event"] for e in seen].count("unblocked") == 1, seen
        assert len(f.requests()) == 27


def a_project_in_two_queues():
    with Farm() as f:
        f.emulator("--latency", "50ms")
        f.redis()
        f.genfarm("quota", "set", "project:red", "usd=0.40/month")
        for queue in ("one", "two"):
            f.genfarm("submit", f.prompts(9), *MODEL, "--queue", queue, "--user", queue, "--batch",
                      "b", "--project", "red")
        f.genfarm("submit", f.prompts(11), *MODEL, "--queue", "one", "--project", "red", status=4)
        for queue in ("one", "two"):
            f.worker("--concurrency", "8", "--queue", queue, "--project", "red")
        at_rest = lambda q: state(f, "b", "--queue", q)["state"] in ("paused", "ended")
        farm.until(lambda: at_rest("one") and at_rest("two") and idle(f, "project:red"))
        used = quota(f, "project:red")["month"]["used"]["usd"]
        cost = sum(state(f, "b", "--queue", q)["cost_usd"] for q in ("one", "two"))
        assert micro(used) == micro(cost) <= 400000 and len(f.requests()) in (9, 10), used


def unknown_stays_used():
    """A call whose outcome is not known keeps its worst."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "cut_body=1")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "usd=0.50/month")
        f.worker("--concurrency", "4")
        f.genfarm("submit", f.prompts(10), *MODEL, "--user", "ann", "--max-attempts", "100",
                  "--batch", "b")
        farm.until(lambda: state(f, "b")["state"] == "paused" and idle(f, "user:ann"), 60)
        month = quota(f, "user:ann")["month"]
        worst = month["unknown_usd"] / len(f.requests())
        assert 0.5 - worst <= month["unknown_usd"] == month["used"]["usd"] <= 0.5, month
        assert month["used"]["calls"] == len(f.requests()), month


def lost_workers_money_is_used():
    with Farm() as f:
        f.emulator("--latency", "60s")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "usd=1/month")
        first = f.worker("--concurrency", "4", "--lease", "2")
        f.genfarm("submit", f.prompts(20), *MODEL, "--user", "ann", "--batch", "b")
        farm.until(lambda: quota(f, "user:ann")["month"]["reserved"]["calls"] == 4)
        first.kill()
        first.wait()
        reserved = quota(f, "user:ann")["month"]["reserved"]["usd"]
        assert reserved > 0.15
        f.emulator("--latency", "5ms")
        f.worker("--concurrency", "4", "--lease", "2")
        farm.until(lambda: quota(f, "user:ann")["month"]["unknown_usd"] > 0, 60)
        farm.until(lambda: state(f, "b")["state"] in ("paused", "ended") and idle(f, "user:ann"), 60)
        month = quota(f, "user:ann")["month"]
        assert micro(month["unknown_usd"]) == micro(reserved), month
        assert micro(month["used"]["usd"]) == micro(reserved) + micro(state(f, "b")["cost_usd"])
        assert month["used"]["usd"] <= 1, month
        f.genfarm("fsck")


def what_was_used_before():
    """What was used while there was no limit counts when one is set."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        worker = f.worker("--concurrency", "4")
        f.genfarm("submit", f.prompts(10), *MODEL, "--user", "ann", "--batch", "b")
        f.genfarm("watch", "b")
        worker.terminate()
        assert worker.wait() == 0
        used = quota(f, "user:ann")["day"]["used"]
        assert used["calls"] == used["images"] == 10, used
        assert micro(used["usd"]) == micro(state(f, "b")["cost_usd"])
        f.genfarm("quota", "set", "user:ann", "calls=10/day")
        r = f.genfarm("submit", f.prompts(1), *MODEL, "--user", "ann", status=4)
        assert "has used 10 calls, and this asks for 1 calls" in r.stderr, r.stderr
        shown = f.genfarm("quota").stdout
        assert "user:ann  calls=10/day" in shown and "10 calls" in shown, shown


def remote_batches():
    """Rows of remote batches are reserved for at their worst, and put right by their answers."""
    with Farm() as f:
        f.emulator("--batch-latency", "300ms")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "usd=0.60/month")
        for batch in ("b1", "b2"):
            f.genfarm("submit", f.prompts(12), *MODEL, "--lane", "batch", "--user", "ann",
                      "--batch", batch)
        for _ in range(2):
            f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        at_rest = lambda b: state(f, b)["state"] in ("paused", "ended")
        farm.until(lambda: at_rest("b1") and at_rest("b2") and idle(f, "user:ann") and
                   quota(f, "user:ann")["month"]["unknown_usd"] == 0, 90)
        month = quota(f, "user:ann")["month"]
        both = [state(f, b) for b in ("b1", "b2")]
        made = sum(s["completed"] for s in both)
        assert month["used"]["calls"] == month["used"]["images"] == made, month
        assert micro(month["used"]["usd"]) == sum(micro(s["cost_usd"]) for s in both) <= 600000
        assert 12 <= made < 24 and not all(s["state"] == "ended" for s in both), made


def rows_in_hand_are_told_once():
    """What a row took is told when it is settled, whoever had it in hand before and was lost."""
    with Farm() as f:
        f.emulator("--batch-latency", "300ms", "--latency", "5ms")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "usd=10/month")
        out = f.path("out")
        worker = lambda: f.worker("--lease", "3", "--grace", "2", "--sink", "dir:" + out)
        used_now = lambda: quota(f, "user:ann")["month"]
        first = worker()
        f.genfarm("submit", f.prompts(3), *MODEL, "--user", "ann", "--batch", "a")
        farm.until(lambda: state(f, "a")["completed"] == 3 and used_now()["used"]["calls"] == 3)
        before = used_now()["used"]["usd"]
        first.terminate()
        assert first.wait() == 0
        assert f.cli("ZCARD", "genfarm:{budget}:leases") == "0"  # nobody waits for it to be lost
        os.makedirs(os.path.join(out, "b"))
        in_the_way = os.path.join(out, "b", "images")
        open(in_the_way, "w").close()
        f.genfarm("submit", f.prompts(4), *MODEL, "--user", "ann", "--lane", "batch", "--batch", "b")
        for end in ("kill", "terminate"):
            w = worker()
            log = f.path("worker%d.log" % (len(f.children) - 1))
            farm.until(lambda: open(log).read().count("cannot store an image") == 4, 60)
            worst = used_now()
            assert worst["used"]["calls"] == 7, worst
            assert micro(worst["used"]["usd"]) == micro(before) + micro(worst["unknown_usd"]), worst
            for _ in range(10):  # nothing is told of what is not settled
                time.sleep(0.2)
                assert used_now() == worst, used_now()
            getattr(w, end)()
            w.wait()
        os.unlink(in_the_way)
        worker()
        farm.until(lambda: state(f, "b")["completed"] == 4, 60)
        farm.until(lambda: used_now()["unknown_usd"] == 0)
        used = used_now()["used"]
        cost = sum(micro(state(f, b)["cost_usd"]) for b in ("a", "b"))
        assert micro(used["usd"]) == cost == sum(micro(r["cost_usd"]) for r in ledger(f)), used
        assert used["calls"] == used["images"] == 7, used
        f.genfarm("fsck")


def the_room_of_yesterday():
    """Jobs that are gathered when the day ends ask again for room before a batch is made of them."""
    with Farm() as f:
        f.emulator("--batch-latency", "300ms")
        f.redis()
        f.genfarm("quota", "set", "user:ann", "usd=10/month")
        liar = Liar(f.path("liar.sock"), f.socket)
        asked = [0]

        def a_day_before(command, answer):
            if b"\r\nreserve\r\n" not in command:
                return answer
            asked[0] += 1
            return re.sub(rb"(\*\d+\r\n:1\r\n:)(\d+)", lambda m: m[1] + b"%d" % (int(m[2]) - 1), answer)

        liar.twist = a_day_before
        f.worker("--redis", liar.url(), "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(4), *MODEL, "--user", "ann", "--lane", "batch", "--batch", "b")
        farm.until(lambda: asked[0] > 2)
        assert f.cli("EXISTS", "genfarm:{default}:ops") == "0"
        liar.twist = None
        farm.until(lambda: state(f, "b")["completed"] == 4, 60)
        farm.until(lambda: quota(f, "user:ann")["month"]["unknown_usd"] == 0 and idle(f, "user:ann"))
        used = quota(f, "user:ann")["month"]["used"]
        assert used["calls"] == 4 and micro(used["usd"]) == micro(state(f, "b")["cost_usd"]), used
        f.genfarm("fsck")


def another_project_takes_over():
    """A project that may use no more is passed over; its jobs go through the other."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.genfarm("quota", "set", "project:red", "calls=3/day")
        projects = f.red_and_blue()
        worker = f.worker("--concurrency", "2", "--projects", projects)
        f.genfarm("submit", f.prompts(20), *MODEL, "--project", "blue", "--batch", "b")
        ends = farm.check_events(events(f, "b"), 20)
        assert all(e["event"] == "completed" and e["attempts"] == 1 for e in ends)
        worker.terminate()
        assert worker.wait() == 0
        used = {n: quota(f, "project:" + n)["day"]["used"]["calls"] for n in ("red", "blue")}
        assert used == {"red": 3, "blue": 17}, used
        rows = ledger(f)
        assert sum(r["project"] == "red" for r in rows) == 3 and len(rows) == 20


def told_before():
    """What it will cost is said before anything is submitted, and preview has it for programs."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        r = f.genfarm("preview", f.prompts(10), *MODEL, "--json", "--budget", "5")
        last = json.loads(r.stdout.splitlines()[-1])["total"]
        assert last["calls"] == 10 and last["unpriced_calls"] == 0 and last["budget_usd"] == 5, last
        assert 387000 <= micro(last["estimate_usd"]) < 387100 < micro(last["worst_usd"]), last
        f.genfarm("pause")
        said = "genfarm: 10 calls, about $0.3870, $0.7992"
        for command, more in (("submit", ("--batch", "b")), ("preview", ())):
            r = f.genfarm(command, f.prompts(10), *MODEL, *more)
            (line,) = [s for s in r.stderr.splitlines() if "at worst" in s]
            assert line.startswith(said), r.stderr
        f.genfarm("resume")
        r = f.genfarm("run", f.prompts(10), *MODEL, "-o", f.path("out"), "--redis",
                      f.env["GENFARM_REDIS_URL"])
        assert r.stderr.count(said) == 1, r.stderr
        assert r.stderr.index(said) < r.stderr.index("genfarm: batch "), r.stderr
        total = sum(micro(m["cost_usd"]) for m in map(json.loads, open(f.batch("manifest.jsonl"))))
        assert micro(last["estimate_usd"]) <= total <= micro(last["worst_usd"]), total


def models_past_their_day():
    with Farm() as f:
        f.redis()
        name = f.path("catalogue.json")
        for date, warned in (("2020-01-01", True), ("2999-01-01", False), ("", False)):
            with open(name, "w") as out:
                json.dump({"default": "m", "models": [{"name": "m", "retires": date}]}, out)
            for command in ("submit", "preview"):
                r = f.genfarm(command, f.prompts(3), "--catalogue", name)
                told = "warning: model m was to be retired on " + date
                assert r.stderr.count(told + " or later") == warned, r.stderr


def projects_that_are_there():
    """The quotas of those that the workers send through, of which one must have room."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        projects = f.red_and_blue()
        ask = ("submit", f.prompts(5), *MODEL)
        f.genfarm("pause")
        f.genfarm("quota", "set", "project:default", "calls=1/day")
        assert "project:default may use 1 calls" in f.genfarm(*ask, status=4).stderr
        f.worker("--projects", projects)
        farm.until(lambda: f.genfarm("workers", "--json").stdout)
        f.genfarm(*ask)  # nobody sends through default
        f.genfarm("quota", "set", "project:red", "calls=2/day")
        f.genfarm(*ask)  # blue has room
        f.genfarm("quota", "set", "project:blue", "calls=3/day")
        r = f.genfarm(*ask, status=4)
        assert "may use" in r.stderr and "none of the 2 projects has room" in r.stderr, r.stderr
        assert "project:blue may use 3" in f.genfarm(*ask, "--project", "blue", status=4).stderr
        assert "project:default may use 1" in f.genfarm(*ask, "--project", "default",
                                                         status=4).stderr
        r = f.genfarm("run", f.prompts(5), *MODEL, "-o", f.path("out"), "--projects", projects,
                      "--redis", f.env["GENFARM_REDIS_URL"], "--queue", "other", status=4)
        assert "none of the 2 projects has room" in r.stderr, r.stderr
        assert f.requests() == []


def not_even_one_call():
    with Farm() as f:
        f.redis()
        ask = (f.prompts(2), *MODEL, "--budget", "0.01")
        for command, more in (("submit", ()), ("preview", ()), ("run", ("-o", f.path("out")))):
            r = f.genfarm(command, *ask, *more, status=4)
            assert "does not allow even one call" in r.stderr, r.stderr
        assert f.genfarm("list", "--json").stdout == ""
        r = f.genfarm("preview", f.prompts(100), *MODEL, "--budget", "1")
        assert "100 calls, about $" in r.stderr and "at worst" in r.stderr, r.stderr
        assert "the budget ends before the batch does" in r.stderr, r.stderr


def bad_words():
    with Farm() as f:
        f.redis()
        for words in (("set", "user:ann"), ("set", "ann", "usd=1/day"), ("clear",),
                      ("set", "user:ann", "usd=1/week"), ("set", "user:a b", "usd=1/day"),
                      ("set", "user:ann", "usd=-1/day"), ("set", "user:ann", "pictures=1/day"),
                      ("set", "user:ann", "usd=1/day,usd=2/day"), ("moon:x",)):
            f.genfarm("quota", *words, status=2)
        assert "no user and no project has limits" in f.genfarm("quota").stderr


if __name__ == "__main__":
    sys.exit(farm.main([a_users_month, quotas_of_a_day, a_project_in_two_queues,
                        unknown_stays_used, lost_workers_money_is_used, what_was_used_before,
                        remote_batches, rows_in_hand_are_told_once, the_room_of_yesterday,
                        another_project_takes_over,
                        told_before, models_past_their_day, projects_that_are_there,
                        not_even_one_call, bad_words]))
