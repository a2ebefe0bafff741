"""Bills: what `genfarm usage` sums up by model is what the batches say, their events, and the
ledger, call by call."""
import json


def add(sums, events, status, entries):
    """Counts one batch in."""
    sums["calls"] += status["calls"]
    sums["unknown"] += status["possible_double_bill"]
    sums["cost"] += round(status["cost_usd"] * 1e6)
    sums["images"] += sum(e["images"] for e in entries)
    for e in events:
        if e["event"] in ("completed", "failed", "cancelled"):
            sums[e["event"]] += 1


def check(farm, queue, sums):
    out = farm.genfarm("usage", "--queue", queue, "--json", "--by", "model").stdout
    rows = [json.loads(line) for line in out.splitlines()]
    names = ("calls", "unknown", "completed", "failed", "images")
    told = {k: sum(r[k] for r in rows) for k in names}
    told["cost"] = sum(round(r["cost_usd"] * 1e6) for r in rows)
    is_so = {k: sums[k] for k in told}
    assert told == is_so, "told %s, is %s" % (told, is_so)
