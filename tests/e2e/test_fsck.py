"""genfarm fsck: every kind of damage is found and, where it can be, mended; a live queue that is
well is never called ill."""
import json
import sys

import farm
from farm import Farm

PREFIX = "local P, call = 'genfarm:{default}:', redis.call\n"
LIST = "local list = call('SMEMBERS', P .. 'ls:b')[1]\n"
LOSE = ("local t = call('LPOP', P .. 'r:' .. list) "
        "call('HINCRBY', P .. 'ready', string.match(list, '^%d/([^/]+/[^/]+)'), -1)")

# What is done to the queue, a word of what must be said, and whether it can be repaired.
DAMAGES = [
    ("call('LPOP', P .. 'r:' .. list)", "in 0 places", True),
    ("call('DEL', P .. 'ring:' .. string.match(list, '^(%d/[^/]+/[^/]+)'))", "in ring", True),
    ("call('DEL', P .. 'ur:' .. string.match(list, '^(%d/[^/]+/[^/]+)') .. '/default')",
     "in its ring", True),
    ("call('HINCRBY', P .. 'ready', string.match(list, '^%d/([^/]+/[^/]+)'), 5)", "counted 15",
     True),
    ("call('DEL', P .. 'ready')", "counted 0", True),
    ("call('LPOP', P .. 'live')", "counted 9", True),
    ("call('RPUSH', P .. 'live', '', '')", "counted 12", True),
    ("call('ZADD', P .. 'd:b', 5, call('RPOP', P .. 'r:' .. list) .. list) "
     "call('HINCRBY', P .. 'ready', string.match(list, '^%d/([^/]+/[^/]+)'), -1)",
     "would not be looked at", True),
    ("call('HSET', P .. 'a:ghost', '1:1', 'c' .. call('RPOP', P .. 'r:' .. list) .. list) "
     "call('HINCRBY', P .. 'ready', string.match(list, '^%d/([^/]+/[^/]+)'), -1)",
     "which has no lease", True),
    ("call('INCRBY', P .. 'queued', 7)", "bytes of inputs", True),
    ("call('ZREM', P .. 'batches', 'b')", "not among the batches", True),
    ("call('HINCRBY', P .. 'b:b', 'completed', 1) call('HINCRBY', P .. 'b:b', 'open', -1)",
     "completed: 0, counted 1", True),
    ("call('HINCRBY', P .. 'b:b', 'unknown', 2)", "calls of unknown outcome: 0, counted 2", True),
    ("call('SET', P .. 'st:gone', 'x')", "left of a batch that is gone", True),
    ("call('SREM', P .. 'ls:b', list)", "not among its batch's", True),
    ("call('RPUSH', P .. 'ur:' .. string.match(list, '^(%d/[^/]+/[^/]+)') .. '/default', 'no')",
     "which is empty", True),
    ("call('SETBIT', P .. 'st:b', 1, 1)", "is over and has 0 terminal events", False),
    ("call('RPUSH', P .. 'r:' .. list, call('LINDEX', P .. 'r:' .. list, 0)) "
     "call('HINCRBY', P .. 'ready', string.match(list, '^%d/([^/]+/[^/]+)'), 1)",
     "in 2 places", False),
    ("call('HSET', P .. 'dd:x', 'by', 'ghost 1:1') call('PEXPIRE', P .. 'dd:x', 99999)",
     "led by a job that is with no worker", True),
    ("call('HSET', P .. 'dd:x', 'batch', 'b')", "would never be forgotten", True),
    ("call('SADD', P .. 'dw:x', 'member')", "would never be forgotten", True),
    ("call('HSET', P .. 'dl:ghost', '1:1', 'x')", "which has no lease", True),
    ("call('SET', P .. 'spare', 5)", "bytes of spare images", True),
    ("call('INCRBY', P .. 'stored', 9)", "images stored: 0, counted 9", True),
    ("call('ZADD', P .. 'images', 'inf', 'b') call('HSET', P .. 'im:b', 'bytes', 7, 1, '7 1')",
     "images stored: 7, counted 0", True),
    ("call('HSET', P .. 'b:b', 'reserved', 5)", "of batch b: 0, counted 5", True),
    ("call('ZADD', P .. 'leases', 1, 'w') call('HSET', P .. 'rv:w', '1:1', 5) " + LOSE +
     " call('HSET', P .. 'a:w', '1:1', 'c' .. t .. list)", "of batch b: 5, counted 0", True),
    ("call('HSET', P .. 'rv:ghost', '1:1', 5)", "left of worker ghost", True),
    ("call('ZADD', P .. 'leases', 1, 'w') call('HSET', P .. 'rv:w', '1:1', 5)",
     "for 1 jobs that it does not hold", True),
    ("call('HSET', P .. 'w:ghost', 'seq', 1)", "worker ghost has no lease", True),
    ("call('ZADD', P .. 'batches', 5, 'gone')", "there is no such batch", True),
    ("call('HSET', P .. 'b:b', 'paused', 'account')", "would not be tried again", True),
    ("call('HDEL', P .. 'in:b', 3)", "inputs: 9, counted 10", False),
    ("call('XDEL', P .. 'ev:b', '1-0')", "events: 0, counted 1", False),
]
CANCELLED = ("call('HSET', P .. 'b:b', 'cancel', 0, 'sealed', 1)", "nobody would go on with", True)


def fsck(f, *options, status=None):
    r = f.genfarm("fsck", "--json", *options, status=status)
    return r.returncode, [json.loads(line) for line in r.stdout.splitlines()]


def damages_are_found():
    with Farm() as f:
        f.redis()
        for script, word, mendable in DAMAGES + [CANCELLED]:
            f.cli("FLUSHALL")
            f.genfarm("submit", f.prompts(10), "--batch", "b")
            said = f.cli("EVAL", PREFIX + LIST + script + "\nreturn 'did'", "0")
            assert said == "did", said
            status, found = fsck(f)
            assert status == 1 and any(word in p["problem"] for p in found), (script, found)
            assert not any(p["repaired"] for p in found)
            status, found = fsck(f, "--repair")
            if not mendable:
                assert status == 1, (script, found)
                continue
            assert all(p["repaired"] for p in found) and status == 0, (script, found)
            # Jobs that are given back to the reaper, or a count that follows, may need one more.
            fsck(f, "--repair")
            assert fsck(f) == (0, []), (script, fsck(f))


def repaired_queues_finish():
    """All damages that can be mended, one after the other, while the farm works."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(10), "--batch", "b").stdout.strip()
        for script, _, mendable in DAMAGES:
            # An image that was never stored is counted, and would be fetched, until its batch goes.
            if mendable and "im:b" not in script:
                f.cli("EVAL", PREFIX + LIST + script, "0")
                fsck(f, "--repair", status=0)
        f.worker("--concurrency", "4", "--lease", "2")
        out = f.genfarm("watch", batch, "--json").stdout
        ends = farm.check_events([json.loads(line) for line in out.splitlines()], 10)
        assert all(e["event"] == "completed" for e in ends)
        assert len(f.requests()) == 10, "a repair made a job twice"
        assert fsck(f) == (0, [])


def an_end_that_was_missed():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "4")
        batch = f.genfarm("submit", f.prompts(3), "--batch", "b").stdout.strip()
        f.genfarm("watch", batch)
        assert fsck(f) == (0, [])
        f.cli("HDEL", "genfarm:{default}:b:b", "done_at")
        status, found = fsck(f)
        assert status == 1 and "has not ended" in found[0]["problem"], found
        assert fsck(f, "--repair")[0] == 0
        assert fsck(f) == (0, [])


def well_while_it_works():
    with Farm() as f:
        f.emulator("--latency", "10ms", "--fault", "500=0.1", "--fault", "cut_body=0.05")
        f.redis()
        for _ in range(2):
            f.worker("--concurrency", "16", "--lease", "2")
        names = [f.genfarm("submit", f.prompts(200), "--batch", "b%d" % i, "--max-attempts",
                           "20").stdout.strip() for i in range(3)]
        looks = 0
        while any(json.loads(f.genfarm("status", n, "--json").stdout)["open"] for n in names):
            assert fsck(f) == (0, []), "a queue that works was called ill"
            looks += 1
        assert looks > 1


ENDED = """
for i = 1, 1001 do
  for _, kind in ipairs({'b:', 'in:', 'st:', 'ev:', 'ls:'}) do
    call('COPY', P .. kind .. 'b', P .. kind .. 'ended' .. i)
  end
  call('ZADD', P .. 'batches', i, 'ended' .. i)
  call('ZADD', P .. 'expiring', 9e15, 'ended' .. i)
end"""
OPEN = """
local submitted = call('XRANGE', P .. 'ev:b', '-', '+', 'COUNT', 1)[1][2][2]
for i = 1, 1001 do
  call('HSET', P .. 'b:open' .. i, 'nonce', 'n', 'user', 'u', 'options', '', 'digest', 'd', 'hw', 0,
    'open', 0, 'completed', 0, 'failed', 0, 'cancelled', 0, 'ev', 1, 'sealed', 0, 'total', -1)
  call('XADD', P .. 'ev:open' .. i, '1-0', 'e', submitted)
  call('ZADD', P .. 'batches', i, 'open' .. i)
end"""


def a_wrong_count(f, name):
    f.cli("INCRBY", "genfarm:{default}:" + name, "7")
    status, found = fsck(f, "--repair")
    assert status == 0 and len(found) == 1, (status, found[:9])
    assert "counted" in found[0]["problem"] and found[0]["repaired"], found


def more_than_fits_one_look():
    """Counts are compared however many there are of what they are counts of."""
    with Farm() as f:
        f.emulator("--latency", "1ms")
        f.redis()
        f.worker("--concurrency", "4")
        f.genfarm("submit", f.prompts(1), "--batch", "b")
        f.genfarm("collect", "b", "-o", f.path("out"))
        f.cli("EVAL", PREFIX + ENDED, "0")
        a_wrong_count(f, "queued")
        f.cli("EVAL", PREFIX + OPEN, "0")
        a_wrong_count(f, "queued")
        f.cli("EVAL", PREFIX + "for i = 1, 2100 do call('ZADD', P .. 'images', 9e15, 'b' .. i) "
              "call('HSET', P .. 'im:b' .. i, 'bytes', 3, 'fetched', 0, 0, '3 1') end "
              "call('INCRBY', P .. 'stored', 6300) call('INCRBY', P .. 'kept', 6300)", "0")
        a_wrong_count(f, "stored")
        assert fsck(f) == (0, [])


if __name__ == "__main__":
    sys.exit(farm.main([damages_are_found, repaired_queues_finish, an_end_that_was_missed,
                        well_while_it_works, more_than_fits_one_look]))
