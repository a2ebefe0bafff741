"""Whatever Redis says: worker and client refuse it in words, never crash, never write outside."""
import hashlib
import json
import os
import re
import signal
import subprocess
import sys

import farm
from farm import BIN, Farm
from heads import Heads

Q = "genfarm:{default}:"
PREFIX = """
local P, call = 'genfarm:{default}:', redis.call
local list = '1/standard/gemini-3.1-flash-image/b'
local function input(id, map) return 'abcd' .. struct.pack('>I2', #id) .. id .. map end
local function set(i, id, map) call('HSET', P .. 'in:b', i, input(id, map)) end
local function event(type, index, id, map)
  return struct.pack('>BI2I4I8I2', type, 1, index, 5, #id) .. id .. map
end
local function emit(e)
  local n = call('HINCRBY', P .. 'b:b', 'ev', 1)
  call('XADD', P .. 'ev:b', n .. '-0', 'e', e)
end
local pack = cmsgpack.pack
local function image(path, sha)
  return '\\151' .. pack(path) .. '\\1\\205\\1\\0\\16\\16\\196' .. string.char(#sha) .. sha .. '\\194'
end
local function completed(path, sink, sha)
  return '\\130' .. pack('sink') .. pack(sink) .. pack('images') .. '\\145' ..
    image(path, sha or string.rep('s', 32))
end
"""

# What is done to a queue with a batch of six jobs.
DAMAGES = [
    # Inputs
    "set(0, 'x', '')",
    "set(0, 'x', '\\193')",
    "set(0, 'x', string.rep('\\145', 100000))",
    "set(0, 'x', '\\223\\255\\255\\255\\255')",
    "set(0, 'x', '\\221\\1\\0\\0\\0')",
    "call('HSET', P .. 'in:b', 0, '')",
    "call('HSET', P .. 'in:b', 0, 'abcd\\255\\255x')",
    "call('HSET', P .. 'in:b', 0, string.rep('x', 3000000))",
    "set(0, '../../../../tmp/evil', pack({id = '../../../../tmp/evil', prompt = 'p'}))",
    "set(0, 'a\\nb\\27]0;evil\\7', pack({id = 'a\\nb\\27]0;evil\\7', prompt = 'p'}))",
    "set(0, 'x', pack({prompt = 'p', model = 'm\\r\\nX-Evil: 1'}))",
    "set(0, 'x', pack({prompt = 'p', model = '../../v1/files/x?a=b#'}))",
    "set(0, 'x', pack({prompt = 'p', model = 'm\\0n'}))",
    "set(0, 'x', pack({prompt = 'p', model = string.rep('m', 5000)}))",
    "set(0, 'x', pack({prompt = 'p', aspect_ratio = '1:1\"}]', image_size = '9K'}))",
    "set(0, 'x', pack({prompt = 'p', timeout = -1, max_attempts = 99999999, deadline = 1e300}))",
    "set(0, 'x', pack({prompt = 'p', samples = 65535, sample = 65535, input = 4294967295}))",
    "set(0, 'x', pack({prompt = 'p', extra = {a = {b = {c = 'd'}}}}))",
    "set(0, 'x', pack({prompt = {'p'}}))",
    "set(0, 'x', pack({prompt = '\\255\\254'}))",
    "set(0, 'x', pack({prompt = 'as shown', reference = 'file:///etc/passwd'}))",
    "set(0, 'x', pack({prompt = 'as shown', reference = 'http://169.254.169.254/'}))",
    "set(0, 'x', pack({prompt = 'as shown', references = {'../../key', {a = 1}}}))",
    # Tickets and lists
    "call('LPUSH', P .. 'r:' .. list, '')",
    "call('LPUSH', P .. 'r:' .. list, 'short')",
    "call('LPUSH', P .. 'r:' .. list, string.rep('x', 200))",
    "call('LPUSH', P .. 'r:' .. list, '\\255\\255\\255\\255\\255\\255\\255\\255\\255\\255')",
    "call('LPUSH', P .. 'r:' .. list, '\\0\\0\\0\\0\\0\\7\\255\\255\\255\\255')",
    "call('SET', P .. 'r:' .. list, 'no list')",
    "call('RPUSH', P .. 'ring:1/standard/gemini-3.1-flash-image', 'nobody', '', '../..')",
    "call('RPUSH', P .. 'ur:1/standard/gemini-3.1-flash-image/default', '../../evil', 'no\\nbatch')",
    "call('RENAME', P .. 'r:' .. list, P .. 'r:1/standard/gemini-3.1-flash-image/../../evil') "
    "call('RPUSH', P .. 'ur:1/standard/gemini-3.1-flash-image/default', '../../evil') "
    "call('HSET', P .. 'b:../../evil', 'nonce', 'n', 'run', '1', 'open', '6') "
    "call('RENAME', P .. 'in:b', P .. 'in:../../evil')",
    "call('HSET', P .. 'ready', 'standard/m\\r\\nX: y', 5, 'no-slash', 5, '', 1, 'a/b/c', 7)",
    "call('HSET', P .. 'ready', 'standard/gemini-3.1-flash-image', '99999999999999999999')",
    "call('HSET', P .. 'ready', 'standard/gemini-3.1-flash-image', 'many')",
    "for i = 1, 5000 do call('HSET', P .. 'ready', 'standard/m' .. i, 1) end",
    "call('ZADD', P .. 'd:b', 1, 'x', 2, '', 3, string.rep('y', 500)) call('ZADD', P .. 'delayed', 1, 'b')",
    "call('ZADD', P .. 'delayed', 1, '../..', 1, '')",
    # The batch
    "call('HSET', P .. 'b:b', 'total', 'x', 'hw', '-5')",
    "call('HSET', P .. 'b:b', 'total', '1000000000000000000', 'hw', '1000000000000000000')",
    "call('HSET', P .. 'b:b', 'hw', '4294967295', 'total', '4294967295')",
    "call('HSET', P .. 'b:b', 'nonce', '', 'user', '../../x')",
    "call('HSET', P .. 'b:b', 'nonce', string.rep('n', 100000), 'user', '\\27[2J')",
    "call('HSET', P .. 'b:b', 'run', '99999', 'created', 'never', 'maxin', '0', 'ev', 'x')",
    "call('HSET', P .. 'b:b', 'run', '0', 'cost', '1e9', 'calls', '-7', 'reserved', 'nan')",
    "call('HSET', P .. 'b:b', 'options', '\\193')",
    "call('HSET', P .. 'b:b', 'options', string.rep('[', 100000))",
    "call('HSET', P .. 'b:b', 'options', '{\"model\": {\"a\": [1, 2]}, \"count\": -1}')",
    "call('HSET', P .. 'b:b', 'on_unknown', 'explode', 'keep', '-1', 'cancel', 'x')",
    "call('HSET', P .. 'b:b', 'budget', 'x', 'reserved', '-99999999999')",
    "call('DEL', P .. 'b:b') call('SET', P .. 'b:b', 'no hash')",
    "call('SET', P .. 'st:b', string.rep('\\255', 1000000))",
    "call('DEL', P .. 'st:b') call('RPUSH', P .. 'st:b', 'no string')",
    "call('ZADD', P .. 'batches', 5, '../../evil', 6, 'a\\nb', 7, '', 8, string.rep('x', 5000))",
    "call('ZADD', P .. 'expiring', 1, '../../evil', 1, '') call('ZADD', P .. 'images', 0, 'x', 0, '../..', 1, 'y')",
    "call('ZADD', P .. 'images', 0, 'b', 0, 'c') call('SET', P .. 'im:b', 'no hash') call('HSET', P .. 'im:c', 'x', 'y', '1', '9e99 -1', '2', string.rep('9', 30) .. ' 1')",
    "call('ZADD', P .. 'cancelling', 1, 'nobody', 1, '../..')",
    "call('ZADD', P .. 'cancelled', 9e15, string.rep('b', 5000), 9e15, '')",
    # Events
    "emit('')",
    "emit('x')",
    "emit(string.rep('\\255', 100))",
    "emit(event(2, 0, 'a', '\\193'))",
    "emit(event(2, 4294967295, 'a', '\\128'))",
    "emit(event(2, 16777215, 'a', '\\128'))",
    "emit(event(2, 99, '\\27]0;evil\\7\\n', '\\128'))",
    "emit(event(3, 0, 'a', pack({code = 'x\\27[2J', message = '\\27[2J\\r\\n', reason = 'r'})))",
    "emit(event(2, 0, 'a', pack({images = {{'../../evil', 1}}})))",
    "emit(event(2, 0, 'a', completed('../../evil', 'redis:b/0')))",
    "emit(event(2, 0, 'a', completed('/etc/evil', 'redis:b/0')))",
    "emit(event(2, 0, 'a', completed('images/../../../evil', 'redis:b/0')))",
    "emit(event(2, 0, 'a', completed('images/.hidden', 'redis:b/0')))",
    "emit(event(2, 0, 'a', completed('images/a\\0b.png', 'redis:b/0')))",
    "emit(event(2, 0, 'a', completed('images/a.png', 'redis:b/0', 'short')))",
    "emit(event(2, 0, 'a', completed('images/a.png', 'dir:/etc')))",
    "emit(event(2, 0, 'a', completed('images/a.png', 'dir:../../..')))",
    "emit(event(2, 0, 'a', completed('images/a.png', 'redis:' .. string.rep('x', 4000))))",
    "emit(event(2, 0, 'a', completed('images/a.png', 's3://bucket/x')))",
    "call('RPUSH', P .. 'o:b/0/0', string.rep('x', 500000)) "
    "emit(event(2, 0, 'a', completed('images/a.png', 'redis:b/0')))",
    "call('SET', P .. 'o:b/0/0', 'no list') emit(event(2, 0, 'a', completed('images/a.png', 'redis:b/0')))",
    "call('XADD', P .. 'ev:b', '99-7', 'e', 'x', 'f', 'y')",
    "call('XADD', P .. 'ev:b', '18446744073709551615-18446744073709551615', 'e', 'x')",
    "call('DEL', P .. 'ev:b') call('SET', P .. 'ev:b', 'no stream')",
    "call('DEL', P .. 'ev:b')",
    # Workers
    "call('ZADD', P .. 'leases', '+inf', 'a\\27[2Jb', '-inf', '', 1, 'x\\ny')",
    "call('HSET', P .. 'w:z', 'host', '\\27[2J', 'pid', '\\n', 'sink', '\\27]0;x\\7', 'flight', '-1') "
    "call('ZADD', P .. 'leases', 9e15, 'z')",
    "call('ZADD', P .. 'leases', 1, 'g') call('HSET', P .. 'a:g', '1:1', '', '1:2', 'x', 'z', 's')",
    "call('ZADD', P .. 'leases', 1, 'g') call('HSET', P .. 'a:g', '1:1', 'c' .. string.rep('x', 10) .. 'no/list')",
    "call('ZADD', P .. 'leases', 1, 'g') call('HSET', P .. 'a:g', '1:1', 's' .. string.rep('\\0', 10) .. list)",
    "call('ZADD', P .. 'leases', 1, 'g') call('SET', P .. 'a:g', 'no hash')",
    "for _, w in ipairs(call('ZRANGE', P .. 'leases', 0, -1)) do call('HSET', P .. 'w:' .. w, 'seq', 'x', "
    "'seqn', 'y', 'sset', 'z', 'marks', '?') end",
    "for _, w in ipairs(call('ZRANGE', P .. 'leases', 0, -1)) do call('HSET', P .. 'a:' .. w, '1:1', '', "
    "'x:y', 'c', '99999999999999999999:1', 'c', '1:99999999999', 's', '7:7', 'i' .. string.rep('x', 9)) end",
    "for _, w in ipairs(call('ZRANGE', P .. 'leases', 0, -1)) do call('DEL', P .. 'w:' .. w) "
    "call('SET', P .. 'w:' .. w, 'x') end",
    "call('ZADD', P .. 'ops', 1, 'x', 1, '../..', 0, '') call('HSET', P .. 'bo:x', 'inc', 'z', 'batch', 'b', "
    "'jobs', '-5', 'created', 'x', 'project', '\\27[2J', 'name', string.rep('n', 5000), 'state', '\\7')",
    "call('DEL', P .. 'ops') call('SET', P .. 'ops', 'no zset')",
    # The rest
    "call('RPUSH', P .. 'inbox', '', '\\193', string.rep('\\145', 100000), string.rep('x', 5000000))",
    "call('SET', P .. 'inbox', 'no list')",
    "call('RPUSH', P .. 'dead', '', '\\193', string.rep('\\145', 100000), pack({batch = '../..', index = 1}))",
    "call('DEL', P .. 'cfg') call('SET', P .. 'cfg', 'no hash')",
    "call('HSET', P .. 'cfg', 'last_tick', 'x', 'hold', 'y')",
    "call('HSET', P .. 'cfg', 'last_tick', '-1', 'hold', '1e300')",
    "call('SET', P .. 'stored', 'many')",
    "call('SET', P .. 'stored', '-5')",
    "call('DEL', P .. 'live') call('SET', P .. 'live', 'no list')",
    "call('SET', P .. 'queued', 'many')",
    "call('SET', P .. 'wake', 'no list')",
    "call('HSET', P .. 'use:20000', '../../x\\27', 'y', 'a/b/c/d/e/f', '-1')",
]

# What is done to the limiter of the model, in the fields that it has; see broker/lua/limit.lua.
LIMITER = [
    "call('HSET', key, 'spec', 'x', 'T', '-1', 'tat', '1e300')",
    "call('HSET', key, 'spec', 'req=1/0', 'rate', 'nan', 'cd', '9e18')",
    "call('HSET', key, 'spec', 'req=1000/1000000', 'rate', 'nan', 'ceiling', 'nan', 'rate_at', 'nan')",
    "call('HSET', key, 'spec', 'req=1000/1000000', 'rate', '-inf', 'tat:req', 'inf', 'last', 'nan')",
    "call('HSET', key, 'spec', 'req=1000/1000000', 'tat:req', '1e300', 'streak', 'x', 'cut_at', '-')",
    "call('HSET', key, 'spec', string.rep('req=1/1,', 50000))",
    "local s = {} for i = 1, 50000 do s[i] = 'd' .. i .. '=1/60000000' end "
    "call('HSET', key, 'spec', table.concat(s, ','))",
    "for i = 1, 50000 do call('HSET', key, 'tat:d' .. i, 9e15, 'q:d' .. i, '1/day', 'qe:d' .. i, 9e15) end",
    "call('HSET', key, 'spec', 'inflight=9/0') "
    "for i = 1, 8000 do call('HSET', key, 'n:' .. i, 'many') end",
    "for i = 1, 4000 do call('HSET', key, 's:' .. i, 'nan', 'n:' .. i, 1) end",
    "call('HSET', key, 'spec', 'rpd=100/day', 'used:rpd', 'nan', 'ends:rpd', 'nan', 'day:ends', 'nan')",
    "call('HSET', key, 'spec', 'rpd=100/day', 'q:req', 'x', 'qe:req', '9e15', 'q:rpd', '/', 'qe:rpd', '9e15')",
    "call('HSET', key, 'cd_by', '\\27]0;evil\\7', 'asks', '\\27[2J', 'asks_at', 9e15, 'edited', 'x')",
]

COMMANDS = [
    ("status",), ("status", "b"), ("status", "b", "--json"), ("list", "--json"), ("list",),
    ("workers",), ("workers", "--json"), ("usage",), ("limits",), ("dead",), ("dead", "--json"),
    ("fsck",), ("fsck", "--json"), ("doctor",), ("cancel", "b", "00000001"), ("retry", "b"),
    ("retry", "b", "--code", "safety"), ("pause", "b"), ("resume", "b"), ("dead", "--retry"),
]


EACH = 1 if "GENFARM_LONG" in os.environ else 6


class Checked(Farm):
    """Commands may fail, but in words, and not print what steers a terminal."""

    def ask(self, *argv):
        p = subprocess.Popen([os.path.join(BIN, "genfarm"), *argv], env=self.env, text=True,
                             errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = p.communicate(timeout=2 if argv[0] in ("watch", "collect") else 60)
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGINT)  # it waits for a batch that cannot end
            out, err = p.communicate(timeout=20)
            if p.returncode == -signal.SIGINT:  # not even connected yet: nothing was caught
                p.returncode = 130
        r = subprocess.CompletedProcess(argv, p.returncode, out, err)
        said = r.stdout + r.stderr
        assert r.returncode in (0, 1, 2, 3, 4, 130), (argv, r.returncode, said[-3000:])
        assert not re.search("Sanitizer|runtime error", said), (argv, said[-3000:])
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", said), (argv, said[-3000:])
        assert r.returncode in (0, 3, 130) or r.stderr.strip() or r.stdout.strip(), argv
        return r

    def snapshot(self):
        """What is there outside the output folder."""
        found = set()
        for folder, _, files in os.walk(self.dir):
            if not folder.startswith(self.path("out")):
                found.update(os.path.join(folder, f) for f in files)
        return found

    def well(self, worker, log):
        assert worker.poll() is None, open(log).read()[-5000:]
        said = open(log, errors="replace").read()
        assert not re.search("Sanitizer|runtime error", said), said[-5000:]

    def fill(self):
        self.cli("FLUSHALL")
        self.cli("HSET", Q + "cfg", "paused", "1")
        r = self.genfarm("submit", self.path("prompts6.txt"), "--batch", "b", "--max-attempts", "2")
        assert r.stdout.strip() == "b"

    def harm(self, script, *keys):
        said = self.cli("EVAL", PREFIX + script + "\nreturn 'did'", str(len(keys)), *keys)
        assert said == "did", (script, said)


def clients():
    """Commands on every kind of damage: some here, all of them with GENFARM_LONG in the
    environment."""
    with Checked() as f:
        f.redis()
        del f.env["GEMINI_API_KEY"]
        f.prompts(6)
        before = None
        for i, script in enumerate(DAMAGES):
            f.fill()
            f.harm(script)
            before = before or f.snapshot()
            for command in COMMANDS[i % EACH::EACH]:
                f.ask(*command)
            f.cli("HSET", Q + "b:b", "done_at", "5")  # or it would be waited for
            f.ask("watch", "b", *[("--json",), ()][i % 2])
            f.ask("collect", "b", "-o", f.path("out"), "--json")
            for name in f.snapshot() - before:
                assert not re.search("evil|hidden", name), (script, name)
            assert not os.path.exists("/tmp/evil") and not os.path.exists("/etc/evil")
            subprocess.run(["rm", "-rf", f.path("out")], check=True)


# Of a request: its first line, and the names of its headers, and no others.
FIRST = r"POST /v1beta/models/[A-Za-z0-9][A-Za-z0-9._-]{0,99}:generateContent HTTP/1\.1\r\n"
HEADERS = ["host", "user-agent", "accept", "x-goog-api-key", "content-type", "content-length"]


def workers():
    """One worker lives through every kind of damage, and works when it is over."""
    with Checked() as f:
        f.emulator("--latency", "2ms")
        heads = Heads(f.env["GOOGLE_GEMINI_BASE_URL"])
        f.env["GOOGLE_GEMINI_BASE_URL"] = heads.url()
        f.redis()
        f.prompts(6)
        log = f.path("worker%d.log" % len(f.children))
        sink = f.path("a", "b", "out")  # so that what leads upwards ends where it is seen
        worker = f.worker("--concurrency", "4", "--lease", "2", "--sink", "dir:" + sink)
        before = None
        for script in DAMAGES + [None]:
            f.fill()
            farm.until(lambda: f.cli("ZCARD", Q + "leases") != "0" or not worker.poll() is None)
            before = before or f.snapshot()
            if script:
                f.harm(script)
            f.cli("HDEL", Q + "cfg", "paused")
            f.cli("RPUSH", Q + "wake", "1")
            if not script:
                f.genfarm("watch", "b")
                break
            # Long enough to be told, and to look for work or to be refused at it; there is nothing
            # that could be waited for in all cases.
            farm.time.sleep(0.3)
            f.well(worker, log)
            for name in f.snapshot() - before:
                assert not re.search("evil|hidden", name) and (
                    name.startswith(sink) or "/a/" not in name), (script, name)
        f.well(worker, log)
        shown = hashlib.sha256(b"as shown").hexdigest()
        for m in f.requests():
            assert m.get("prompt") != shown, m
        assert heads.heads
        for head in heads.heads:
            assert re.fullmatch(FIRST, head[0]), head
            assert [line.partition(":")[0].lower() for line in head[1:]] == HEADERS, head
        worker.terminate()
        assert worker.wait(20) == 0


def limiters():
    """Whatever is in the limiter's hash: calls go on, by what can be read of it; where nothing can,
    when it is gone."""
    model = "gemini-3.1-flash-image"
    key = "genfarm:{limit:default/%s/standard}:l" % model
    with Checked() as f:
        f.emulator("--latency", "2ms")
        f.redis()
        f.prompts(6)
        log = f.path("worker%d.log" % len(f.children))
        worker = f.worker("--concurrency", "4", "--limit", "req=1000/1s", "--sink",
                          "dir:" + f.path("out"))
        for i, script in enumerate(LIMITER):
            f.cli("DEL", key)
            f.harm("local key = KEYS[1]\n" + script, key)
            f.genfarm("submit", f.path("prompts6.txt"), "--batch", "b%d" % i)
            f.ask("limits")
            f.ask("limits", model, "--json")
            f.genfarm("watch", "b%d" % i)
            f.well(worker, log)
        f.cli("DEL", key)
        f.harm("call('SET', KEYS[1], 'no hash')", key)
        f.genfarm("submit", f.path("prompts6.txt"), "--batch", "b")
        f.ask("limits")
        f.well(worker, log)
        assert json.loads(f.genfarm("status", "b", "--json").stdout)["open"] == 6
        f.cli("DEL", key)
        f.genfarm("watch", "b")
        f.well(worker, log)


if __name__ == "__main__":
    sys.exit(farm.main([clients, workers, limiters]))
