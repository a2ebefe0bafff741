"""genfarm fsck that is interrupted, killed, or met by a person who pauses or resumes."""
import json
import os
import signal
import subprocess
import sys
import threading

import farm
from farm import Farm
from test_fsck import LIST, LOSE, PREFIX, fsck

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "torturing"))
from net import Net  # noqa: E402


def interrupted():
    """Ctrl-C while the server does not answer: it leaves at once, and cleanly."""
    with Farm() as f:
        f.redis()
        f.genfarm("submit", f.prompts(10), "--batch", "b")
        f.cli("CLIENT", "PAUSE", "60000", "WRITE")  # scripts are kept waiting
        p = f.start(os.path.join(farm.BIN, "genfarm"), "fsck", "--repair", text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        farm.until(lambda: any("name=genfarm " in c and "flags=b" in c
                               for c in f.cli("CLIENT", "LIST").splitlines()))
        p.send_signal(signal.SIGINT)
        _, said = p.communicate(timeout=30)
        assert p.returncode == 130 and said == "genfarm: interrupted\n", (p.returncode, said)


class Mending:
    """fsck --repair of a lost job, at a point where its batch is held back: what it says to mend
    is kept from the server until let()."""

    def __init__(self, f):
        self.there, self.go = threading.Event(), threading.Event()
        net = Net(f.socket, 1, 1)
        url = net.open("fsck", f.path("fsck%d.sock" % len(f.children)))
        net.links["fsck"].wish = self.wish
        f.genfarm("submit", f.prompts(10), "--batch", "b")
        f.cli("EVAL", PREFIX + LIST + LOSE, "0")
        self.p = f.start(os.path.join(farm.BIN, "genfarm"), "fsck", "--repair", "--json",
                         "--redis", url, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
        assert self.there.wait(60)

    def wish(self, one):
        if b"\r\nplaces\r\n" in one:
            self.there.set()
            self.go.wait(60)

    def let(self):
        self.go.set()
        out, _ = self.p.communicate(timeout=60)
        return self.p.returncode, [json.loads(line) for line in out.splitlines()]


def paused(f):
    return f.cli("HGET", "genfarm:{default}:b:b", "paused")


def held(f):
    return f.cli("ZSCORE", "genfarm:{default}:held", "b")


def killed_while_it_mends():
    """The batch goes on by itself, within a minute at most; the next fsck mends it."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        m = Mending(f)
        assert paused(f) == "fsck"
        m.p.kill()
        m.p.wait()
        m.go.set()
        now = int(f.cli("TIME").split()[0]) * 1000
        assert now < int(held(f)) <= now + 60000, (now, held(f))
        f.worker("--concurrency", "4", "--lease", "2")
        f.cli("ZADD", "genfarm:{default}:held", "1", "b")  # the time is up
        farm.until(lambda: not paused(f))
        fsck(f, "--repair", status=0)
        out = f.genfarm("watch", "b", "--json").stdout
        farm.check_events([json.loads(line) for line in out.splitlines()], 10)
        assert len(f.requests()) == 10 and fsck(f) == (0, [])


def interrupted_while_it_mends():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        m = Mending(f)
        m.p.send_signal(signal.SIGINT)
        assert m.let()[0] == 130
        f.worker("--concurrency", "4", "--lease", "2")
        farm.until(lambda: not paused(f), 90)  # at once, or when the hold ends
        fsck(f, "--repair", status=0)
        f.genfarm("watch", "b")
        assert len(f.requests()) == 10 and fsck(f) == (0, [])


def paused_while_it_mends():
    """A pause, or an end of one, that a person asks for meanwhile stands."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        m = Mending(f)
        f.genfarm("pause", "b")
        status, found = m.let()
        assert status == 0 and [p["repaired"] for p in found] == [True], found
        assert paused(f) == "1"
        assert fsck(f) == (0, [])
        f.genfarm("resume", "b")

        f.cli("FLUSHALL")
        m = Mending(f)
        f.genfarm("resume", "b")
        status, found = m.let()
        assert status == 1 and [p["repaired"] for p in found] == [False], found
        assert not paused(f)
        status, found = fsck(f, "--repair")
        assert status == 0 and not paused(f), found
        f.worker("--concurrency", "4", "--lease", "2")
        f.genfarm("watch", "b")
        assert len(f.requests()) == 10 and fsck(f) == (0, [])

        f.cli("FLUSHALL")  # of a batch that was paused before
        f.genfarm("submit", f.prompts(10), "--batch", "b")
        f.genfarm("pause", "b")
        f.cli("EVAL", PREFIX + LIST + "call('LPOP', P .. 'r:' .. list)", "0")  # not counted ready
        fsck(f, "--repair", status=0)
        assert paused(f) == "1" and fsck(f) == (0, [])


if __name__ == "__main__":
    sys.exit(farm.main([interrupted, killed_while_it_mends, interrupted_while_it_mends,
                        paused_while_it_mends]))
