"""Redis fails under a running farm in every way it has: all go on by themselves, nothing is lost,
nothing is done twice; who waits says so once, and once that it is over, and asks again with growing
pauses."""
import json
import os
import re
import signal
import subprocess
import sys
import threading

import farm
from farm import BIN, Farm

AOF = ("--appendonly", "yes", "--appendfsync", "always")
AWAY = re.compile('redis is away|redis cannot do its work|redis refuses')
BACK = re.compile('connected to redis|redis does its work again|redis goes on|redis accepts')
MOST = 300  # commands that all may send in a spell of some seconds


def commands(f):
    """That the server was sent so far; not those that scripts made."""
    stats = f.cli("INFO", "commandstats")
    made = re.findall(r"cmdstat_(?:evalsha|eval|blpop|xread):calls=(\d+)", stats)
    return sum(map(int, made + re.findall(r"rejected_calls=(\d+)", stats)))


class Run:
    """A batch under way: a worker, and a client that reads its events line by line."""

    def __init__(self, f, n, *redis, latency="20ms", lease="3"):
        self.f, self.n = f, n
        f.emulator("--latency", latency)
        self.server = f.redis(*redis)
        self.options = redis
        self.log = f.path("worker%d.log" % len(f.children))
        self.worker = f.worker("--concurrency", "8", "--lease", lease, "--sink",
                               "dir:" + f.path("out"))
        self.batch = f.genfarm("submit", f.prompts(n), "--batch", "b").stdout.strip()
        self.said = f.path("watch.log")
        self.watch = f.start(os.path.join(BIN, "genfarm"), "watch", self.batch, "--json", text=True,
                             stdout=subprocess.PIPE, stderr=open(self.said, "w"))
        self.events = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.watch.stdout:
            self.events.append(json.loads(line))

    def done(self):
        return sum(e["event"] == "completed" for e in self.events)

    def words(self):
        """What the worker said of Redis: True for each line that it is away, False for one that it
        is back; without that of its beginning."""
        with open(self.log) as log:
            said = [bool(AWAY.search(line)) for line in log if AWAY.search(line) or BACK.search(line)]
        assert said[:1] == [False], said
        return said[1:]

    def away(self, times=1):
        """Waits until the worker has said so."""
        farm.until(lambda: self.words().count(True) >= times)

    def back(self, once=None):
        """It said that it is over, each time that it had said it is away, and by turns; and these
        words once."""
        farm.until(lambda: self.words()[-1:] == [False])
        said = self.words()
        assert said == [True, False] * (len(said) // 2), said
        with open(self.log) as log:
            assert once is None or sum(once in line for line in log) == 1, once

    def commands(self):
        return commands(self.f)

    def watcher_said(self):
        """That it waits, perhaps for another reason then, and by turns that it goes on."""
        with open(self.said) as said:
            words = "".join("w" if "waiting: " in line else "g" for line in said
                            if "waiting: " in line or "going on" in line)
        assert re.fullmatch("(w{1,3}g)*", words), words

    def reach(self, n):
        farm.until(lambda: self.done() >= n)

    def finish(self, twice=0):
        """Ends whole; `twice`: calls that may have been repeated at most."""
        self.reader.join(90)
        assert not self.reader.is_alive(), "the watcher waits for ever at %d" % self.done()
        assert self.watch.wait(10) == 0
        self.watcher_said()
        ends = farm.check_events(self.events, self.n)
        assert all(e["event"] == "completed" for e in ends)
        asked = len(self.f.requests())
        assert self.n <= asked <= self.n + twice, "%d calls for %d jobs" % (asked, self.n)



def killed_with_aof():
    """kill -9 of Redis, three times, and started again on its append-only file."""
    with Farm() as f:
        run = Run(f, 120, *AOF)
        for at in (10, 40, 80):
            run.reach(at)
            run.server.kill()
            run.server.wait()
            run.server = f.redis(*AOF)
        run.finish()
        run.back()


def away_longer_than_all_leases():
    """kill -9 of Redis, gone for ten seconds: none of two workers of unequal leases is lost."""
    with Farm() as f:
        run = Run(f, 120, *AOF, lease="2")
        f.worker("--concurrency", "8", "--lease", "5", "--sink", "dir:" + f.path("out"))

        def leases():
            return set(f.cli("ZRANGE", "genfarm:{default}:leases", "0", "-1").splitlines())
        farm.until(lambda: len(leases()) == 2)
        run.reach(10)
        before = leases()
        run.server.kill()
        run.server.wait()
        farm.time.sleep(10)  # the fault itself
        run.server = f.redis(*AOF)
        run.finish()
        assert not [e for e in run.events if e["event"] == "unknown"]
        assert leases() == before, "a worker had to begin anew"


def hangs_longer_than_a_lease():
    """SIGSTOP of Redis: nobody is reaped for it."""
    with Farm() as f:
        run = Run(f, 60, lease="2")
        run.reach(10)
        run.server.send_signal(signal.SIGSTOP)
        farm.time.sleep(4)  # the fault itself: longer than the lease, and than the gap of ticks
        run.away()
        run.server.send_signal(signal.SIGCONT)
        run.finish()
        run.back()


def scripts_flushed():
    with Farm() as f:
        run = Run(f, 60)
        for at in (5, 20, 40):
            run.reach(at)
            assert f.cli("SCRIPT", "FLUSH") == "OK"
        run.finish()
        with open(run.log) as log:
            assert "redis is away" not in log.read()  # nobody need know


def connections_cut():
    """Every client is cut off, again and again; answers are lost with it."""
    with Farm() as f:
        run = Run(f, 100)
        for at in range(5, 90, 5):
            run.reach(at)
            f.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        run.finish()
        run.back()


def memory_full():
    """OOM: what was sent ends, new calls wait until there is room."""
    with Farm() as f:
        run = Run(f, 80)
        run.reach(10)
        f.cli("CONFIG", "SET", "maxmemory", "1")
        run.away()
        farm.until(lambda: run.done() == len(f.requests()))
        assert run.done() < 80
        f.cli("CONFIG", "SET", "maxmemory", "0")
        run.finish()
        run.back("no room left")


def read_only():
    """READONLY: the server became a replica; and a master again."""
    with Farm() as f:
        run = Run(f, 80)
        run.reach(10)
        assert f.cli("CONFIG", "SET", "replica-serve-stale-data", "yes") == "OK"
        f.cli("REPLICAOF", "127.0.0.1", "1")
        run.away()
        f.cli("REPLICAOF", "NO", "ONE")
        run.finish()
        run.back("redis is away")


def cannot_persist():
    """MISCONF: writes are refused while snapshots fail."""
    with Farm() as f:
        run = Run(f, 80, "--dbfilename", "is-a-folder")
        run.reach(10)
        f.cli("CONFIG", "SET", "save", "3600 1")
        farm.os.mkdir(f.path("is-a-folder"))
        f.cli("BGSAVE")
        farm.until(lambda: "rdb_last_bgsave_status:err" in f.cli("INFO", "persistence"))
        farm.until(lambda: "MISCONF" in f.cli("SET", "x", "1"))
        before = run.commands()
        run.away()
        farm.time.sleep(1)  # the fault itself goes on
        assert run.commands() - before < MOST, run.commands() - before
        f.cli("CONFIG", "SET", "save", "")
        run.finish()
        run.back("MISCONF")


def busy():
    """BUSY: somebody's script runs on and on, until it is killed."""
    with Farm() as f:
        run = Run(f, 60)
        run.reach(10)
        f.cli("CONFIG", "SET", "busy-reply-threshold", "100")
        before = run.commands()
        other = subprocess.Popen(["redis-cli", "-s", f.socket, "EVAL", "while true do end", "0"],
                                 stdout=subprocess.DEVNULL)
        farm.until(lambda: "BUSY" in f.cli("PING"))
        run.away()
        farm.time.sleep(1)  # the fault itself goes on
        f.cli("SCRIPT", "KILL")
        assert run.commands() - before < MOST, run.commands() - before
        other.wait(20)
        run.finish()
        run.back("BUSY")


def keys_of_another_type():
    """Somebody else's key under a name of the farm: scripts fail half-way; nothing falls over, and
    fsck --repair finds the jobs again."""
    with Farm() as f:
        run = Run(f, 60)
        run.reach(5)
        f.cli("RENAME", "genfarm:{default}:ready", "elsewhere")
        before = run.commands()
        f.cli("SET", "genfarm:{default}:ready", "not a hash")
        run.away()
        farm.time.sleep(1)  # the fault itself goes on
        assert run.commands() - before < MOST, run.commands() - before
        f.cli("RENAME", "elsewhere", "genfarm:{default}:ready")
        assert run.worker.poll() is None
        f.genfarm("fsck", "--repair")
        run.finish()
        f.genfarm("fsck")
        farm.until(lambda: run.words().count(True) == run.words().count(False))


def never_woken():
    """A worker that is refused at once whenever it waits for work asks again with growing pauses, and
    works when it may."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.cli("SET", "genfarm:{default}:wake", "no list")
        log = f.path("worker%d.log" % len(f.children))
        f.worker("--sink", "dir:" + f.path("out"))
        farm.until(lambda: "registered" in open(log).read())
        refused = lambda: int(f.cli("INFO", "errorstats").split("errorstat_WRONGTYPE:count=")[1].split()[0])
        farm.until(lambda: "WRONGTYPE" in f.cli("INFO", "errorstats"))
        before = refused()
        farm.time.sleep(2)  # the fault itself goes on
        assert refused() - before < 60, refused() - before
        f.cli("DEL", "genfarm:{default}:wake")
        f.genfarm("watch", f.genfarm("submit", f.prompts(3)).stdout.strip())


if __name__ == "__main__":
    sys.exit(farm.main([killed_with_aof, away_longer_than_all_leases, hangs_longer_than_a_lease,
                        scripts_flushed, connections_cut, memory_full, read_only, cannot_persist,
                        busy, keys_of_another_type, never_woken]))
