"""What calls take of limits: tokens, dollars, a day's calls, calls in flight; each counted as what it
is, given back when it was not used, and kept for as long as it lasts."""
import json
import sys

import farm
from farm import Farm
from test_limits import MODEL, answered, came

KEY = "genfarm:{limit:default/%s/standard}:l" % MODEL
SLACK = 0.9  # of a period: requests are seen later than they were sent, and not all as much
PRICE = {"1K": 67200, "4K": 151200}  # millionths of USD, of the image; see broker/catalogue.json


def write(f, jobs):
    name = f.path("jobs.jsonl")
    with open(name, "w") as out:
        out.writelines(json.dumps(j) + "\n" for j in jobs)
    return name


def most_of(requests, period, takes):
    """The most that those take which fall into any window of so long, without the largest of them."""
    seen = sorted((came(r), takes(r)) for r in requests)
    most, first = 0, 0
    for i, (t, _) in enumerate(seen):
        while t - seen[first][0] >= period * SLACK:
            first += 1
        window = [u for _, u in seen[first:i + 1]]
        most = max(most, sum(window) - max(window))
    return most


def whole(requests, takes):
    """Seconds from the first to the last, and what all but the last take."""
    seen = sorted((came(r), takes(r)) for r in requests)
    return seen[-1][0] - seen[0][0], sum(u for _, u in seen[:-1])


def kept(f, n, limit, period, takes):
    """None of the windows has more than the limit and one call; and on the whole it is no more than
    the limit, which a few late requests cannot blur."""
    done = [r for r in f.requests() if r["status"] == 200]
    assert len(done) == n, len(done)
    assert most_of(done, period, takes) <= limit, (most_of(done, period, takes), limit)
    seconds, total = whole(done, takes)
    assert total <= limit * (seconds + period * (1 - SLACK)) / period, (seconds, total)
    return seconds


def tokens_of_mixed_prompts():
    """Long and short prompts, in turns of several: a grant has slots for both."""
    limit, period = 40000, 4
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.genfarm("limits", "set", MODEL, "tpm=%d/%ds" % (limit, period))
        text = ["short %d", "long %d " + "and so on and on " * 480]  # some 10 and 2,050 tokens
        f.genfarm("submit", write(f, [{"prompt": text[i % 7 > 3] % i} for i in range(98)]), "--batch", "b")
        for _ in range(2):
            f.worker("--concurrency", "48", "--sink", "dir:" + f.path("out"))
        f.genfarm("watch", "b")
        tokens = sum(r["input_tokens"] for r in f.requests())
        seconds = kept(f, 98, limit, period, lambda r: r["input_tokens"])
        # And short ones are not counted as long ones, which would take four times as long.
        assert seconds < 2 * tokens / limit * period + 4, (seconds, tokens)


def dollars_of_mixed_sizes():
    limit, period = 2.5, 4
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.genfarm("limits", "set", MODEL, "usd10m=%d/%ds" % (5, 2 * period))
        sizes = [{"prompt": "picture %d" % i, "image_size": "4K" if i % 6 > 2 else "1K"}
                 for i in range(72)]
        f.genfarm("submit", write(f, sizes), "--batch", "b")
        for _ in range(2):
            f.worker("--concurrency", "48", "--sink", "dir:" + f.path("out"))
        f.genfarm("watch", "b")
        cost = lambda r: r["image_tokens"] * 60
        assert {cost(r) for r in f.requests()} == set(PRICE.values())
        kept(f, 72, limit * 1e6, period, cost)


def a_day_makes_all_its_calls():
    """Jobs that wait for a budget take slots and send nothing: the day's calls are not theirs."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        f.redis()
        f.genfarm("limits", "set", MODEL, "rpd=5")
        f.worker("--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(9), "--batch", "poor", "--budget", "0.20")  # one call, not two
        farm.until(lambda: len(f.requests()) == 1, 60)
        waits = lambda: json.loads(f.genfarm("status", "poor", "--json").stdout)["waits_for"]
        for _ in range(3):  # tried again, and again there is no money
            farm.until(waits, 60)
            f.genfarm("resume", "poor")
        farm.until(waits, 60)
        f.genfarm("submit", f.prompts(4), "--batch", "rich")
        f.genfarm("watch", "rich")
        assert len(f.requests()) == 5
        farm.until(lambda: f.cli("HGET", KEY, "used:rpd") == "5", 60)
        f.genfarm("submit", f.prompts(3), "--batch", "late")
        farm.until(lambda: json.loads(f.genfarm("limits", MODEL, "--json").stdout)["limited_by"] == "rpd")
        assert len(f.requests()) == 5


def a_drained_worker_gives_back_what_it_had():
    """Slots in hand, and its share of calls in flight: before it leaves."""
    with Farm() as f:
        f.emulator("--latency", "300ms")
        f.redis()
        f.genfarm("limits", "set", MODEL, "inflight=4,rpd=100,req=40/1s")
        w = f.worker("--concurrency", "16", "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(60), "--batch", "b")
        farm.until(lambda: len(f.requests()) >= 8, 60)
        w.terminate()
        assert w.wait(60) == 0
        made = len(f.requests())
        fields = dict(zip(*[iter(f.cli("HGETALL", KEY).splitlines())] * 2))
        assert fields["used:rpd"] == str(made), (fields, made)
        assert fields["day:calls"] == str(made), (fields, made)
        assert [v for k, v in fields.items() if k.startswith("n:")] == ["0"], fields


def at_once(requests):
    """The most calls that were under way at a time."""
    ends = sorted([(came(r) + 0.05, 1) for r in requests] + [(answered(r) - 0.05, -1) for r in requests])
    most = now = 0
    for _, step in ends:
        now += step
        most = max(most, now)
    return most


def calls_in_flight_outlast_the_lease():
    """Nobody waits at the worker that has them; another may not take its share for all that."""
    with Farm() as f:
        f.emulator("--latency", "8s")
        f.redis()
        f.genfarm("limits", "set", MODEL, "inflight=4")
        options = ("--concurrency", "8", "--lease", "2", "--sink", "dir:" + f.path("out"))
        f.worker(*options)
        f.genfarm("submit", f.prompts(4), "--batch", "a")
        held = lambda: [v for v in f.cli("HGETALL", KEY).splitlines() if v.startswith("e:")]
        farm.until(lambda: held() and f.cli("HGET", KEY, held()[0].replace("e:", "n:", 1)) == "4", 60)
        until = int(f.cli("HGET", KEY, held()[0]))
        clock = lambda: int(f.cli("TIME").split()[0]) * 1000000
        f.genfarm("submit", f.prompts(6, "later %d"), "--batch", "b")
        farm.until(lambda: clock() > until, 60)
        f.worker(*options)
        for batch in "ab":
            f.genfarm("watch", batch)
        assert at_once(f.requests()) <= 4, at_once(f.requests())


if __name__ == "__main__":
    sys.exit(farm.main([tokens_of_mixed_prompts, dollars_of_mixed_sizes, a_day_makes_all_its_calls,
                        a_drained_worker_gives_back_what_it_had, calls_in_flight_outlast_the_lease]))
