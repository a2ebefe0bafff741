"""Limits that hold for the whole farm, as the provider's log shows; and what refusals teach."""
import json
import sys
from datetime import datetime

import farm
from farm import Farm

FULL = 0.05  # of a limit: is it used at all; how full is measured by tests/bench/run limiter


MODEL = "gemini-3.1-flash-image"


def answered(request):
    """When its answer was ready, in seconds since 1970."""
    return datetime.fromisoformat(request["time"].replace("Z", "+00:00")).timestamp()


def came(request):
    return answered(request) - request["seconds"]


def times(f):
    """When each request came in."""
    return sorted(map(came, f.requests()))


def most_in(at, period):
    """The most of these that fall into any window of so long; less 3 %, for a request is seen a
    little later than it was sent, and on a busy machine not always by as much."""
    most, first = 0, 0
    for i, t in enumerate(at):
        while t - at[first] >= period * 0.97:
            first += 1
        most = max(most, i - first + 1)
    return most


def four_workers(f, limit, n=1000, emulator=("--latency", "20ms"), **options):
    f.emulator(*emulator)
    f.redis()
    for _ in range(4):
        f.worker("--concurrency", "64", "--limit", limit, "--sink", "dir:" + f.path("out"))
    farm.until(lambda: len(f.genfarm("workers", "--json").stdout.splitlines()) == 4)
    return f.genfarm("submit", f.prompts(n), "--batch", "b").stdout.strip()


def used(at, rate):
    """How much of the limit was used from the first call to the last."""
    return (len(at) - 1) / (at[-1] - at[0]) / rate


def never_exceeded_and_full():
    with Farm() as f:
        batch = four_workers(f, "req=50/1s", 500)
        f.genfarm("watch", batch)
        at = times(f)
        assert len(at) == 500
        assert most_in(at, 1.0) <= 51, most_in(at, 1.0)
        assert used(at, 50) >= FULL, used(at, 50)


def strict():
    with Farm() as f:
        batch = four_workers(f, "req=50/1s,strict", 300)
        f.genfarm("watch", batch)
        assert most_in(times(f), 1.0) <= 50


def three_dimensions_at_once():
    """Each in turn is the one that binds, with more jobs than fit into its window: none of the three
    is passed in any window, and the one that binds is used. How full is measured by tests/bench."""
    loose = {"req": 400, "slow": 1600, "ipm": 800}
    period = {"req": 1, "slow": 4, "ipm": 2}
    for name, count in (("req", 30), ("slow", 120), ("ipm", 60)):
        counts = dict(loose, **{name: count})
        with Farm() as f:
            batch = four_workers(f, ",".join("%s=%d/%ds" % (d, n, period[d])
                                             for d, n in counts.items()), 4 * count)
            f.genfarm("watch", batch)
            at = times(f)
            assert len(at) == 4 * count
            for d, n in counts.items():
                assert most_in(at, period[d]) <= n + 1, (name, d, most_in(at, period[d]))
            seconds = at[-1] - at[0]
            assert (len(at) - 1) / seconds <= 1.03 * count / period[name], (name, seconds)
            assert used(at, count / period[name]) >= FULL, (name, used(at, count / period[name]))


def set_while_it_runs():
    with Farm() as f:
        batch = four_workers(f, "req=20/1s", 400)
        farm.until(lambda: len(f.requests()) >= 40)
        before = len(f.requests())
        f.genfarm("limits", "set", "gemini-3.1-flash-image", "req=100/1s")
        shown = f.genfarm("limits").stdout
        assert "req=100/1s" in shown and "default/gemini-3.1-flash-image/standard" in shown
        f.genfarm("watch", batch)
        at = times(f)
        assert most_in(at[:before], 1.0) <= 21
        assert most_in(at, 1.0) <= 101
        assert most_in(at[before:], 1.0) > 21, "it went on as before"
        f.genfarm("limits", "clear", MODEL)
        assert json.loads(f.genfarm("limits", MODEL, "--json").stdout)["limit"] == ""


def the_provider_allows_less():
    """It enforces 300 in 10 s, the farm believes 600."""
    with Farm() as f:
        batch = four_workers(f, "req=600/10s", 1500,
                             ("--latency", "20ms", "--quota", "300/10s"))
        out = f.genfarm("watch", batch, "--json").stdout
        ends = farm.check_events([json.loads(line) for line in out.splitlines()], 1500)
        assert all(e["event"] == "completed" and e["attempts"] == 1 for e in ends)
        refused = [r["status"] == 429 for r in f.requests()]
        late = refused[600:]
        assert sum(late) < 0.02 * len(late), "%d of %d refused" % (sum(late), len(late))
        at = times(f)
        assert used(at, 30) >= FULL, used(at, 30)


COOL = 3.0  # seconds that the emulator asks for
SETTLE = 1.5  # until what had its slot has arrived, and others have asked again, on a busy machine


def one_refusal(fault, status):
    """Nothing of that group goes out before its time is over, from any host; the other goes on. Both
    are limited. The time begins when the limiter is told of it."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        for _ in range(4):
            f.worker("--concurrency", "16", "--limit", "req=100/1s")
        f.genfarm("submit", f.prompts(700), "--batch", "other", "--model",
                  "gemini-2.5-flash-image")
        text = ["picture %d\n" % i for i in range(200)]
        text[30] = "[[fault:%s*1]] stop\n" % fault
        open(f.path("in.txt"), "w").writelines(text)
        batch = f.genfarm("submit", f.path("in.txt"), "--batch", "b").stdout.strip()
        out = f.genfarm("watch", batch, "--json").stdout
        assert [r["status"] for r in f.requests()].count(status) == 1
        ends = int(f.cli("HGET", "genfarm:{limit:default/%s/standard}:l" % MODEL, "cd")) / 1e6
        inside = [r for r in f.requests() if ends - COOL + SETTLE < came(r) < ends]
        mine = [r for r in inside if r["model"] == MODEL]
        assert not mine, "%d calls went out" % len(mine)
        assert len(inside) >= 10, "the other group stood still, too"
        return farm.check_events([json.loads(line) for line in out.splitlines()], 200)


def one_refusal_stops_all_hosts():
    ends = one_refusal("429_wait", 429)
    assert all(e["attempts"] == 1 for e in ends), "an attempt was burnt"


def so_does_an_overload_that_names_a_time():
    one_refusal("503_wait", 503)


def a_second_user_is_served():
    with Farm() as f:
        batch = four_workers(f, "req=100/1s", 3000)
        farm.until(lambda: len(f.requests()) >= 50)
        small = f.genfarm("submit", f.prompts(20, "small %d"), "--user", "bob", "--batch",
                          "small").stdout.strip()
        start = farm.time.monotonic()
        f.genfarm("watch", small)
        took = farm.time.monotonic() - start
        assert took < 10, "%.1f s for 20 jobs; behind the others it would be 30" % took
        assert json.loads(f.genfarm("status", batch, "--json").stdout)["open"] > 0


def a_waiting_worker_hears_of_a_change():
    """A day's limit is used up, and far from its end: it is raised; another is cleared, and so is
    a cool-down. The workers go on; and until they do nobody is told that nothing limits them."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))

        def limited():
            g = json.loads(f.genfarm("limits", MODEL, "--json").stdout)
            return g["workers_say"] and g["workers_say"]["reason"]

        def held(batch, reason):
            f.genfarm("submit", f.prompts(9), "--batch", batch)
            farm.until(lambda: limited() == reason, 120)

        f.genfarm("limits", "set", MODEL, "rpd=5")
        held("a", "daily quota")
        assert "limited now by rpd" in f.genfarm("limits").stdout
        f.genfarm("limits", "set", MODEL, "rpm=6000")
        f.genfarm("watch", "a")
        f.genfarm("limits", "set", MODEL, "rpd=5")
        held("b", "daily quota")
        f.genfarm("limits", "clear", MODEL)
        f.genfarm("watch", "b")
        key = "genfarm:{limit:default/%s/standard}:l" % MODEL
        f.cli("HSET", key, "cd", str(int(farm.time.time() * 1e6) + 7200 * 1000000))
        held("c", "cooling")
        f.genfarm("limits", "clear", MODEL)
        f.genfarm("watch", "c")


def what_is_cleared_stays_cleared():
    """A worker with a limit of its own does not set it again, until a person does; the day's calls
    stay counted."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        shown = lambda: json.loads(f.genfarm("limits", MODEL, "--json").stdout)
        f.worker("--limit", "rpd=5,rpm=6000", "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(8), "--batch", "a")
        farm.until(lambda: shown()["limited_by"] == "rpd", 60)
        assert len(f.requests()) == 5
        f.genfarm("limits", "clear", MODEL)
        f.genfarm("watch", "a")
        assert shown()["limit"] == "" and shown()["workers_ask"] == "rpd=5,rpm=6000", shown()
        assert "workers ask for rpd=5,rpm=6000, which is not in force" in f.genfarm("limits").stdout
        f.genfarm("limits", "set", MODEL, "rpd=9")  # of which eight are gone
        f.genfarm("submit", f.prompts(8), "--batch", "b")
        farm.until(lambda: shown()["limited_by"] == "rpd", 60)
        assert len(f.requests()) == 9 and shown()["limit"] == "rpd=9", shown()


def what_was_mended_goes_on_at_once():
    """A bad key and a used-up day are tried again in minutes; at once when a person sets or clears."""
    for fault, reason in (("bad_key*1", "blocked"), ("429_day*1", "daily quota")):
        with Farm() as f:
            f.emulator("--latency", "20ms")
            f.redis()
            f.worker("--sink", "dir:" + f.path("out"))
            with open(f.path("in.txt"), "w") as out:
                out.write("[[fault:%s]] a picture\n" % fault)
            f.genfarm("submit", f.path("in.txt"), "--batch", "b")
            say = lambda: json.loads(f.genfarm("status", "b", "--json").stdout)["limited_by"]
            farm.until(lambda: (say() or {}).get("reason") == reason, 60)
            f.genfarm("limits", "clear", MODEL)
            f.genfarm("watch", "b")
            first, last = (came(r) for r in f.requests())
            assert last - first < 50, "it was waited for"


def names_of_groups():
    """PROJECT/MODEL[/LANE] and MODEL[/LANE] are told apart; what is neither is refused."""
    with Farm() as f:
        f.redis()
        long = "p" * 100

        def group(word):
            f.genfarm("limits", "set", word, "rpm=600")
            shown = json.loads(f.genfarm("limits", "--json", word).stdout)
            assert shown["limit"] == "rpm=600", shown
            return shown["group"]

        assert group(MODEL) == "default/%s/standard" % MODEL
        assert group(MODEL + "/flex") == "default/%s/flex" % MODEL
        assert group("art/" + MODEL) == "art/%s/standard" % MODEL
        assert group("art/" + MODEL + "/batch") == "art/%s/batch" % MODEL
        assert group("art/own-model/flex") == "art/own-model/flex"
        assert group("%s/%s/priority" % (long, MODEL)) == "%s/%s/priority" % (long, MODEL)
        assert "%s/%s/priority " % (long, MODEL) in f.genfarm(
            "limits", "%s/%s/priority" % (long, MODEL)).stdout
        before = f.cli("DBSIZE")
        for word, why in (("own-model", "the catalogue has no model own-model"),
                          ("own-model/flex", "the catalogue has no model own-model"),
                          (MODEL + "/fast", "fast is neither a lane"),
                          ("art/own-model", "own-model is neither a lane"),
                          ("art/%s/fast" % MODEL, "fast is no lane"),
                          ("a/b/flex/c", "is no MODEL"), (MODEL + "/", "is no MODEL"),
                          ("", "is no MODEL"), (long + "p/%s/flex" % MODEL, "is no MODEL")):
            for verb in (("set", word, "rpm=1"), ("clear", word), (word,)):
                said = f.genfarm("limits", *verb, status=2)
                assert why in said.stderr and not said.stdout, (verb, said)
        assert f.cli("DBSIZE") == before


def another_limit_stays():
    """What a worker asks for is set where none is; where it is not heeded its log says so."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.genfarm("limits", "set", MODEL, "rpm=6000")
        f.worker("--limit", "rpm=5", "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(20), "--batch", "b")
        f.genfarm("watch", "b")
        log = open(f.path("worker%d.log" % (len(f.children) - 1))).read()
        assert log.count("another limit is in force") == 1, log
        assert "rpm=6000" in f.genfarm("limits", MODEL).stdout
        assert "set where none is" in f.genfarm("run", "--help").stdout


def every_group_is_shown():
    """Those that workers tell of, of any project, without a limit, too; with what came of them."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"), "--project", "art")
        f.genfarm("submit", f.prompts(6), "--batch", "b")
        f.genfarm("watch", "b")

        def groups():
            all = [json.loads(line) for line in f.genfarm("limits", "--json").stdout.splitlines()]
            return {g["group"]: g for g in all}

        name = "art/%s/standard" % MODEL
        farm.until(lambda: name in groups() and groups()[name]["calls_today"] == 6, 60)
        assert groups()[name]["limit"] == "" and groups()[name]["cost_usd_today"] > 0, groups()
        text = f.genfarm("limits").stdout
        assert name in text and "no limit" in text and "today 6 calls" in text, text


if __name__ == "__main__":
    sys.exit(farm.main([never_exceeded_and_full, strict, three_dimensions_at_once,
                        set_while_it_runs, the_provider_allows_less, one_refusal_stops_all_hosts,
                        so_does_an_overload_that_names_a_time, what_is_cleared_stays_cleared,
                        what_was_mended_goes_on_at_once,
                        a_second_user_is_served, a_waiting_worker_hears_of_a_change,
                        names_of_groups, another_limit_stays, every_group_is_shown]))
