"""No way to the provider: the farm holds, burns no attempts, says so, and goes on by itself."""
import json
import os
import signal
import sys

import farm
from farm import Farm, check_events

GROUP = "default/gemini-3.1-flash-image/standard"


def port_of(f):
    return f.env["GOOGLE_GEMINI_BASE_URL"].rsplit(":", 1)[1]


def stop(p):
    p.send_signal(signal.SIGKILL)
    p.wait()


def limited(f):
    return json.loads(f.genfarm("status", "b", "--json").stdout)["limited_by"] or {}


def logs(f):
    return "".join(open(f.path(n)).read() for n in os.listdir(f.dir) if n.startswith("worker"))


def follow(f):
    out = f.genfarm("watch", "b", "--json").stdout
    return [json.loads(line) for line in out.splitlines()]


def never_there_at_first():
    with Farm() as f:
        stop(f.emulator())
        f.redis()
        # Several failures in a row are taken for the way's fault: two of the jobs count theirs.
        f.genfarm("submit", f.prompts(60), "--batch", "b", "--max-attempts", "2")
        f.worker("--sink", "dir:" + f.path("out"), "--lease", "3")
        farm.until(lambda: limited(f).get("code") == "network")
        assert limited(f)["group"] == GROUP and limited(f)["reason"] == "blocked", limited(f)
        assert "blocked (network): default/gemini-3.1-flash-image" in f.genfarm("status").stderr
        tried = set()  # it holds, however often it tries
        farm.until(lambda: tried.add(limited(f)["until"]) or len(tried) > 2, 60)
        f.emulator("--latency", "5ms", "--listen", "127.0.0.1:" + port_of(f))
        events = follow(f)
        ends = check_events(events, 60)
        assert {e["event"] for e in ends} == {"completed"}, ends
        assert sum(e["attempts"] - 1 for e in ends) <= 2, ends
        again = [e["error"]["code"] for e in events if e["event"] == "retrying"]
        assert again in (["network"] * n for n in range(3)), again
        assert "blocked" not in {e["event"] for e in events}  # it is nothing to be mended
        assert len(f.requests()) == 60
        text = logs(f)
        assert text.count('msg="blocked" group=%s code=network' % GROUP) == 1, text
        assert text.count('msg="no longer blocked" group=%s' % GROUP) == 1, text
        farm.until(lambda: not limited(f))


def away_for_a_while():
    """The emulator is killed with calls under way, which are unknown; the others wait."""
    with Farm() as f:
        first = f.emulator("--latency", "100ms")
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(80), "--batch", "b")
        farm.until(lambda: "completed" in f.cli("HGETALL", "genfarm:{default}:b:b") and
                   int(f.cli("HGET", "genfarm:{default}:b:b", "completed")) > 10)
        stop(first)
        farm.until(lambda: limited(f).get("code") == "network")
        f.emulator("--latency", "5ms", "--listen", "127.0.0.1:" + port_of(f))
        ends = check_events(follow(f), 80)
        assert {e["event"] for e in ends} == {"completed"}, ends
        assert all(e["attempts"] <= 3 for e in ends), ends


if __name__ == "__main__":
    sys.exit(farm.main([never_there_at_first, away_for_a_while]))
