"""What the events must say, whatever happened: dense ids, one end for every run of every job, and
the counters of the batch as a sum of them."""
import collections

ENDS = ("completed", "failed", "cancelled")


def number(event):
    return int(event["event_id"].split("-")[0])


def of_jobs(events):
    """The events of each job, by index."""
    out = collections.defaultdict(list)
    for e in events:
        if "index" in e:
            out[e["index"]].append(e)
    return out


def dense(events, last):
    """A watcher that was killed and resumed has seen every event once, in order."""
    got = [number(e) for e in events]
    assert got == list(range(1, last + 1)), "ids %s of %d" % (holes(got, last), last)


def holes(got, last):
    seen = collections.Counter(got)
    lost = [n for n in range(1, last + 1) if n not in seen]
    twice = [n for n, k in seen.items() if k > 1]
    return "lost %s, twice %s" % (lost[:10], twice[:10])


def one_end_each(events, total):
    """Every acknowledged job has one terminal event of run 1, and one of each later run that it was
    opened for; those that `reopened` counts are those that end under that number."""
    ends = collections.Counter()
    opened = collections.Counter()
    for e in events:
        if e["event"] in ENDS:
            ends[e["index"], e["run"]] += 1
        elif e["event"] == "reopened":
            opened[e["run"]] += e["jobs"]
    twice = [k for k, n in ends.items() if n > 1]
    assert not twice, "(job, run) with several ends: %s" % twice[:10]
    firsts = {i for i, run in ends if run == 1}
    assert firsts == set(range(total)), "jobs without an end: %s" % sorted(
        set(range(total)) - firsts)[:10]
    for run, jobs in opened.items():
        ended = sum(1 for _, r in ends if r == run)
        assert ended == jobs, "run %d: %d opened, %d ended" % (run, jobs, ended)
    assert {r for _, r in ends} - {1} == set(opened), "an end of a run that was never opened"


def runs_rise(events):
    """A run begins after the one before has ended, and nothing of a run follows its end but word
    of calls whose outcome is unknown."""
    ended = {}
    for e in events:
        if e["event"] not in ENDS + ("retrying",):
            continue
        assert e["run"] > ended.get(e["index"], 0), "job %d: %s of run %d after its end" % (
            e["index"], e["event"], e["run"])
        if e["event"] in ENDS:
            ended[e["index"]] = e["run"]


def finals(events):
    """The last terminal event of each job, by index."""
    return {e["index"]: e for e in events if e["event"] in ENDS}


def counters(events, status):
    last = collections.Counter(e["event"] for e in finals(events).values())
    told = {name: status[name] for name in ENDS}
    assert told == {name: last[name] for name in ENDS}, "counted %s, events say %s" % (told, last)
    assert status["open"] == 0 and status["total"] == sum(last.values())
    unknown = sum(e["event"] == "unknown" for e in events)
    assert status["possible_double_bill"] == unknown, "%d unknown events, counted %d" % (
        unknown, status["possible_double_bill"])


def endings(events, status):
    """The last batch_done tells the counters; after it comes nothing but word of late calls."""
    done = [e for e in events if e["event"] == "batch_done"][-1]
    told = {name: done[name] for name in ENDS + ("total",)}
    assert told == {name: status[name] for name in ENDS + ("total",)}, "batch_done: %s" % told
    after = [e["event"] for e in events if number(e) > number(done)]
    assert set(after) <= {"unknown", "step", "blocked", "unblocked"}, after


def check(events, last, total, status):
    dense(events, last)
    one_end_each(events, total)
    runs_rise(events)
    counters(events, status)
    endings(events, status)
