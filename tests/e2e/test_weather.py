"""Answers that are refused or cut, almost one in three of them: still all of it is done."""
import json

import farm
from farm import Farm, check_events


def bad_weather():
    """With 30 % of the answers refused or cut, everything still completes."""
    farm.need_parti()
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "429_capacity=0.03", "--fault", "503=0.09",
                   "--fault", "500=0.09", "--fault", "cut_body=0.05", "--fault", "cut_header=0.04")
        f.redis()
        f.worker("--concurrency", "128", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", farm.PARTI, "--max-attempts", 20).stdout.strip()
        r = f.genfarm("collect", batch, "-o", f.path("out"), "--json")
        events = [json.loads(line) for line in r.stdout.splitlines()]
        ends = check_events(events, 1632)
        assert all(e["event"] == "completed" for e in ends)
        unknown = sum(e["event"] == "unknown" for e in events)
        assert unknown > 0 and events[-1]["possible_double_bill"] == unknown
        assert str(unknown) + " calls may have been billed twice" in r.stderr


farm.main([bad_weather])
