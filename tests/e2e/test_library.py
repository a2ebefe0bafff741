"""libgenfarm's options, by its example program: money, users and lanes, refused before."""
import json
import os
import subprocess
import sys

import farm
from farm import Farm

FLASH = "gemini-2.5-flash-image"  # $0.0387 an image


def example(f, *argv, status=0):
    p = subprocess.run([os.path.join(farm.BIN, "genfarm-example"), *argv], env=f.env, cwd=f.dir,
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == status, (p.returncode, p.stdout, p.stderr)
    return p


def newest(f):
    return json.loads(f.genfarm("list", "--json").stdout.splitlines()[0])


def calls(f):
    return [json.loads(line) for line in
            f.genfarm("usage", "--calls", "--json").stdout.splitlines()]


def options():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "8")
        p = example(f, "-b", "5", "-u", "ann", "-l", "flex", "-m", "nano-banana", "a tree", "a river")
        assert "2 calls, about $0.0387, $0.0799" in p.stderr, p.stderr  # flex: half the price
        rows = calls(f)
        assert len(rows) == 2 and {(r["user"], r["lane"], r["model"]) for r in rows} == {
            ("ann", "flex", FLASH)}, rows
        state = json.loads(f.genfarm("status", newest(f)["batch"], "--json").stdout)
        assert state["budget_usd"] == 5 and state["completed"] == 2, state
        example(f, "-d", "1h", "a hill")
        example(f, "-d", "1h", "a hill")
        assert len(f.requests()) == 3, "the same request was made twice"
        p = example(f, "-a", "2", "a lake [[fault:500]]")
        assert len(f.requests()) == 5 and '"failed"' in p.stdout, p.stdout


def refused():
    """With a status of its own, words, and nothing submitted."""
    with Farm() as f:
        f.redis()
        for argv, status, why in (
                (("-b", "0.01"), 4, "the budget of $0.01 does not allow even one call"),
                (("-b", "5", "-m", "unheard-of"), 4, "the catalogue has no model unheard-of"),
                (("-b", "nothing"), 1, "budget: must be dollars above zero"),
                (("-u", "a b"), 1, "user: 1 to 100 of"),
                (("-l", "slow"), 1, "job 0: "),
                (("-a", "0"), 1, "job 0: ")):
            p = example(f, *argv, "a tree", status=status)
            assert why in p.stderr, (argv, p.stderr)
        f.genfarm("quota", "set", "user:ann", "images=1/day")
        p = example(f, "-u", "ann", "a tree", "a river", status=4)
        assert "user:ann may use 1 images a day" in p.stderr, p.stderr
        f.genfarm("quota", "set", "project:default", "usd=0.01/day")
        p = example(f, "a tree", status=4)
        assert "project:default may use $0.01 a day" in p.stderr, p.stderr
        assert f.genfarm("list", "--json").stdout == ""


if __name__ == "__main__":
    sys.exit(farm.main([options, refused]))
