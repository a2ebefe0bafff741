"""What commands say to a person: the truth, the place, and a line of its own."""
import json
import os
import pty
import re
import sys

import farm
from farm import BIN, Farm

MODEL = ("--model", "gemini-3.1-flash-image")


def screen(raw):
    """The lines that a terminal shows of these bytes: CR goes back, CSI K clears to the end."""
    lines, line, at = [], "", 0
    for part in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+", raw):
        if part == "\n":
            lines, line, at = lines + [line], "", 0
        elif part == "\r":
            at = 0
        elif part == "\x1b[K":
            line = line[:at]
        else:
            line, at = line[:at] + part + line[at + len(part):], at + len(part)
    return lines + [line]


def read_all(fd):
    raw = b""
    while True:
        try:
            more = os.read(fd, 65536)
        except OSError:  # Linux: the other side has been closed
            return raw.decode()
        if not more:
            return raw.decode()
        raw += more


def ordered_on_a_terminal():
    """The bar is cleared before a line of JSON, so that each stands alone."""
    with Farm() as f:
        f.redis()
        f.emulator("--latency", "60ms", "--jitter", "50ms")
        f.genfarm("submit", f.prompts(12), *MODEL, "--batch", "b")
        f.worker("--concurrency", "2")
        ours, theirs = pty.openpty()
        p = f.start(os.path.join(BIN, "genfarm"), "collect", "b", "-o", f.path("out"), "--ordered",
                    stdout=theirs, stderr=theirs)
        os.close(theirs)
        raw = read_all(ours)
        assert p.wait(60) == 0, raw
        assert "\x1b[K" in raw, "there was no bar"
        lines = [line for line in screen(raw) if "{" in line]
        assert [json.loads(line)["index"] for line in lines] == list(range(12)), lines


def steering():
    with Farm() as f:
        f.redis()
        f.emulator("--latency", "1ms")
        r = f.genfarm("submit", f.prompts(3), *MODEL, "--batch", "b")
        assert "3 jobs submitted" in r.stderr, r.stderr
        r = f.genfarm("submit", f.prompts(3), *MODEL, "--batch", "b")
        assert "already with 3 of 3" in r.stderr and "0 jobs submitted" in r.stderr, r.stderr
        f.worker()
        f.genfarm("watch", "b")
        said = lambda *argv, status=0: f.genfarm(*argv, status=status).stderr
        budget = lambda: f.cli("HGET", "genfarm:{default}:b:b", "budget")
        assert "0 jobs cancelled: the batch has ended" in said("cancel", "b")
        r = said("pause", "b")
        assert "has ended" in r and "in flight" not in r, r
        r = said("resume", "b")
        assert "has ended" in r and "goes on" not in r, r
        r = said("resume", "b", "--budget", "0.01", status=4)
        assert "has spent" in r and "nothing was changed" in r, r
        assert budget() == ""
        r = said("retry", "b", "--budget", "30")
        assert "none of those had failed" in r and "budget is what it was" in r, r
        assert budget() == "", "it was raised though nothing was opened"
        said("resume", "b", "--budget", "30")
        assert budget() == "30000000"


def a_retry_raises_the_budget():
    """Before the jobs are opened, or they would only wait again; and it is told in words."""
    with Farm() as f:
        f.redis()
        f.genfarm("submit", f.prompts(3), *MODEL, "--batch", "b")
        f.genfarm("cancel", "b")
        r = f.genfarm("retry", "b", "--budget", "30")
        assert "3 jobs opened again" in r.stderr, r.stderr
        assert f.cli("HGET", "genfarm:{default}:b:b", "budget") == "30000000"
        f.emulator("--latency", "1ms")
        f.worker()
        assert "reopened 3 jobs" in f.genfarm("watch", "b").stderr


def usage_and_files():
    with Farm() as f:
        r = f.genfarm("usage", "--since", "2026-02-02", "--until", "2026-02-01", status=2)
        assert "--until" in r.stderr
        r = f.genfarm("usage", "--since", "2999-02-02", status=2)
        assert "today" in r.stderr
        for command in ("status", "list", "workers", "doctor"):
            f.genfarm(command, "--redis", "http://x", status=2)
        r = f.genfarm("status", "--redis", "redis://127.0.0.1:1/0", status=1)
        assert r.stderr.count("127.0.0.1:1") == 1, r.stderr
        assert "usage: genfarm COMMAND" in f.genfarm("help").stdout
        assert "usage: genfarm retry" in f.genfarm("help", "retry").stdout
        r = f.genfarm("preview", f.prompts(1), "--catalogue", f.path("none.json"), status=1)
        assert f.path("none.json") + ": No such file" in r.stderr, r.stderr
        with open(f.path("bad.json"), "w") as out:
            out.write("{}")
        r = f.genfarm("preview", f.prompts(1), "--catalogue", f.path("bad.json"), status=1)
        assert f.path("bad.json") in r.stderr, r.stderr
        with open(f.path("key"), "w") as out:
            out.write("not a key\n")
        r = f.genfarm("doctor", "--redis", "redis://127.0.0.1:1/0", "--api-key-file", f.path("key"),
                      status=1)
        assert f.path("key") in r.stdout and "not a key" not in r.stdout, r.stdout


def a_worker_that_just_came():
    """What it has in flight comes with its first renewal; until then it is none."""
    with Farm() as f:
        f.redis()
        f.emulator()
        f.worker("--lease", "300", "--concurrency", "8")
        farm.until(lambda: f.cli("KEYS", "genfarm:{default}:w:*"))
        f.cli("HDEL", f.cli("KEYS", "genfarm:{default}:w:*").splitlines()[0], "flight")
        out = f.genfarm("workers").stdout
        assert re.search(r" 0 of 8 +calls", out), out


def columns_that_are_misspelt():
    with Farm() as f:
        name = f.path("p.csv")
        with open(name, "w") as out:
            out.write("prompt,apsect_ratio,name,Score\na,1:1,b,c\nd,1:1,e,f\n")
        r = f.genfarm("preview", name)
        (line,) = [line for line in r.stderr.splitlines() if "meant" in line]
        assert "p.csv:2" in line and "apsect_ratio" in line and '"aspect_ratio"' in line, line
        with open(f.path("p.jsonl"), "w") as out:
            out.write('{"prompt":"a","aspectRatio":"1:1"}\n{"prompt":"a","promt":"1:1"}\n')
        r = f.genfarm("preview", f.path("p.jsonl"))
        assert r.stderr.count("meant?") == 2, r.stderr


def a_batch_is_shown_as_one():
    with Farm() as f:
        out = f.genfarm("preview", f.prompts(1), *MODEL, "--lane", "batch").stdout
        assert "POST /v1beta/models/gemini-3.1-flash-image:batchGenerateContent" in out, out
        row = json.loads([line for line in out.splitlines() if line.startswith("{")][0])
        assert row["key"] and row["request"]["contents"], row
        out = f.genfarm("preview", f.prompts(1), *MODEL).stdout
        assert ":generateContent" in out and '"key"' not in out, out


if __name__ == "__main__":
    sys.exit(farm.main([ordered_on_a_terminal, steering, a_retry_raises_the_budget,
                        usage_and_files, a_worker_that_just_came,
                        columns_that_are_misspelt, a_batch_is_shown_as_one]))
