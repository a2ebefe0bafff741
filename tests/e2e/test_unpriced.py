"""Calls that have no price: where money is limited they are refused before, and never sent."""
import json
import os
import sys

import farm
from farm import Farm

MODEL = "gemini-2.5-flash-image"  # $0.0387 an image
BUILTIN = os.path.join(os.path.dirname(__file__), "..", "..", "broker", "catalogue.json")


def catalogue(f, change):
    """The built-in one, with something changed of MODEL."""
    with open(BUILTIN) as file:
        all = json.load(file)
    (model,) = [m for m in all["models"] if m["name"] == MODEL]
    all["default"] = MODEL
    change(model)
    name = f.path("catalogue%d.json" % len(os.listdir(f.dir)))
    with open(name, "w") as out:
        json.dump(all, out)
    return name


def failures(f, batch):
    out = f.genfarm("watch", batch, "--json", status=None).stdout
    return [e for e in map(json.loads, out.splitlines()) if e["event"] == "failed"]


def refused_before():
    """By submit, run and preview, under a batch's budget as under a quota in USD."""
    with Farm() as f:
        f.redis()
        no_price = catalogue(f, lambda m: m.pop("price"))
        no_lane = catalogue(f, lambda m: m["lanes"].pop("flex"))
        cases = ((("--model", "unheard-of"), "the catalogue has no model unheard-of"),
                 (("--catalogue", no_price), "the catalogue has no price of model " + MODEL),
                 (("--catalogue", no_lane, "--lane", "flex"),
                  "the catalogue has no price of lane flex of model " + MODEL))
        for more, why in cases:
            for command in ("submit", "preview", "run"):
                out = ("-o", f.path("out")) if command == "run" else ()
                r = f.genfarm(command, f.prompts(2), *more, *out, "--budget", "100", status=4)
                said = "there is a budget of $100.00, and 2 of 2 calls may cost nobody knows what: "
                assert said + why in r.stderr and "--catalogue" in r.stderr, r.stderr
        for account, spec in (("user:ann", "usd=5.00/month"), ("project:default", "usd=5.00/day")):
            f.genfarm("quota", "set", account, spec)
            for more, why in cases:
                for command in ("submit", "preview"):
                    r = f.genfarm(command, f.prompts(2), *more, "--user", "ann", status=4)
                    assert account + " may use " + spec in r.stderr and why in r.stderr, r.stderr
            f.genfarm("quota", "set", account, "images=100/month")  # what is no money is held
            f.genfarm("submit", f.prompts(2), "--model", "unheard-of", "--user", "ann")
            f.genfarm("quota", "clear", account)
        assert len(f.genfarm("list", "--json").stdout.splitlines()) == 2
        mixed = f.path("mixed.jsonl")
        with open(mixed, "w") as out:
            out.write('{"prompt": "a"}\n{"prompt": "b", "model": "unheard-of"}\n')
        r = f.genfarm("submit", mixed, "--budget", "1", status=4)
        assert "1 of 2 calls may cost nobody knows what" in r.stderr, r.stderr
        assert "without 1 of unknown price" in f.genfarm("preview", mixed).stderr


def worker(f, *options):
    return f.worker("--concurrency", "4", "--sink", "dir:" + f.path("out"), *options)


def never_sent():
    """A worker whose catalogue has no price fails such jobs, and only where money is limited."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        first = worker(f, "--catalogue", catalogue(f, lambda m: m.pop("price")))
        f.genfarm("submit", f.prompts(10), "--model", MODEL, "--budget", "5", "--batch", "b")
        f.genfarm("quota", "set", "user:ann", "usd=5/month")
        f.genfarm("submit", f.prompts(10), "--model", MODEL, "--user", "ann", "--batch", "q")
        f.genfarm("submit", f.prompts(3), "--model", MODEL, "--budget", "5", "--lane", "batch",
                  "--batch", "remote")
        for batch, n in (("b", 10), ("q", 10), ("remote", 3)):
            ends = failures(f, batch)
            assert len(ends) == n, ends
            assert {e["error"]["code"] for e in ends} == {"budget"}, ends[0]
            assert ("no price of model " + MODEL) in ends[0]["error"]["message"], ends[0]
        assert f.requests() == []
        f.genfarm("submit", f.prompts(4), "--model", MODEL, "--user", "bob", "--batch", "free")
        f.genfarm("watch", "free")
        f.genfarm("quota", "set", "user:carl", "calls=100/month")
        f.genfarm("submit", f.prompts(4), "--model", MODEL, "--user", "carl", "--batch", "calls")
        f.genfarm("watch", "calls")
        assert len(f.requests()) == 8
        first.terminate()
        assert first.wait() == 0
        for account in ("bob", "carl"):
            used = json.loads(f.genfarm("quota", "user:" + account, "--json").stdout)["month"]
            assert used["used"] == {"calls": 4, "images": 4, "usd": 0}, used
            assert used["unknown_usd"] == 0 and used["reserved"]["usd"] == 0, used
        worker(f)
        for batch in ("b", "q"):
            f.genfarm("retry", batch, "--code", "budget")
            f.genfarm("watch", batch)
        f.genfarm("fsck")


def unknown_of_no_price():
    """A call of unknown outcome and unknown price counts as a call, and adds no dollars."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "cut_body=1")
        f.redis()
        w = worker(f)
        f.genfarm("submit", f.prompts(3), "--model", "unheard-of", "--user", "ann", "--batch", "b",
                  "--on-unknown", "fail")
        f.genfarm("watch", "b", status=3)
        w.terminate()
        assert w.wait() == 0
        used = json.loads(f.genfarm("quota", "user:ann", "--json").stdout)["month"]
        assert used["used"]["usd"] == used["unknown_usd"] == 0, used


if __name__ == "__main__":
    sys.exit(farm.main([refused_before, never_sent, unknown_of_no_price]))
