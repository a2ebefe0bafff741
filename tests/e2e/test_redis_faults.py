"""Redis fails under a running farm in every way it has: all go on by themselves, nothing is lost,
nothing is done twice."""
import json
import signal
import subprocess
import sys
import threading

import farm
from farm import Farm

AOF = ("--appendonly", "yes", "--appendfsync", "always")


class Run:
    """A batch under way: a worker, and a client that reads its events line by line."""

    def __init__(self, f, n, *redis, latency="20ms", lease="3"):
        self.f, self.n = f, n
        f.emulator("--latency", latency)
        self.server = f.redis(*redis)
        self.options = redis
        self.worker = f.worker("--concurrency", "8", "--lease", lease, "--sink",
                               "dir:" + f.path("out"))
        self.batch = f.genfarm("submit", f.prompts(n), "--batch", "b").stdout.strip()
        self.watch = f.follow("watch", self.batch, "--json")
        self.events = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.watch.stdout:
            self.events.append(json.loads(line))

    def done(self):
        return sum(e["event"] == "completed" for e in self.events)

    def reach(self, n):
        farm.until(lambda: self.done() >= n)

    def finish(self, twice=0):
        """Ends whole; `twice`: calls that may have been repeated at most."""
        self.reader.join(90)
        assert not self.reader.is_alive(), "the watcher waits for ever at %d" % self.done()
        assert self.watch.wait(10) == 0
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


def hangs_longer_than_a_lease():
    """SIGSTOP of Redis: nobody is reaped for it."""
    with Farm() as f:
        run = Run(f, 60, lease="2")
        run.reach(10)
        run.server.send_signal(signal.SIGSTOP)
        farm.time.sleep(4)  # the fault itself: longer than the lease, and than the gap of ticks
        run.server.send_signal(signal.SIGCONT)
        run.finish()


def scripts_flushed():
    with Farm() as f:
        run = Run(f, 60)
        for at in (5, 20, 40):
            run.reach(at)
            assert f.cli("SCRIPT", "FLUSH") == "OK"
        run.finish()


def connections_cut():
    """Every client is cut off, again and again; answers are lost with it."""
    with Farm() as f:
        run = Run(f, 100)
        for at in range(5, 90, 5):
            run.reach(at)
            f.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        run.finish()


def memory_full():
    """OOM: what was claimed ends, new claims wait until there is room."""
    with Farm() as f:
        run = Run(f, 80)
        run.reach(10)
        f.cli("CONFIG", "SET", "maxmemory", "1")
        farm.until(lambda: json.loads(f.genfarm("workers", "--json").stdout.splitlines()[0])
                   ["in_flight"] == 0)
        done = run.done()
        assert done < 80
        f.cli("CONFIG", "SET", "maxmemory", "0")
        run.finish()


def read_only():
    """READONLY: the server became a replica; and a master again."""
    with Farm() as f:
        run = Run(f, 80)
        run.reach(10)
        assert f.cli("CONFIG", "SET", "replica-serve-stale-data", "yes") == "OK"
        f.cli("REPLICAOF", "127.0.0.1", "1")
        farm.time.sleep(1)  # the fault itself
        f.cli("REPLICAOF", "NO", "ONE")
        run.finish()


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
        farm.time.sleep(1)  # the fault itself
        f.cli("CONFIG", "SET", "save", "")
        run.finish()


def busy():
    """BUSY: somebody's script runs on and on, until it is killed."""
    with Farm() as f:
        run = Run(f, 60)
        run.reach(10)
        f.cli("CONFIG", "SET", "busy-reply-threshold", "100")
        other = subprocess.Popen(["redis-cli", "-s", f.socket, "EVAL", "while true do end", "0"],
                                 stdout=subprocess.DEVNULL)
        farm.until(lambda: "BUSY" in f.cli("PING"))
        farm.time.sleep(1)  # the fault itself
        f.cli("SCRIPT", "KILL")
        other.wait(20)
        run.finish()


def keys_of_another_type():
    """Somebody else's key under a name of the farm: scripts fail half-way; nothing falls over, and
    fsck --repair finds the jobs again."""
    with Farm() as f:
        run = Run(f, 60)
        run.reach(5)
        f.cli("RENAME", "genfarm:{default}:ready", "elsewhere")
        f.cli("SET", "genfarm:{default}:ready", "not a hash")
        farm.time.sleep(0.5)  # the fault itself
        f.cli("RENAME", "elsewhere", "genfarm:{default}:ready")
        assert run.worker.poll() is None
        f.genfarm("fsck", "--repair")
        run.finish()
        f.genfarm("fsck")


if __name__ == "__main__":
    sys.exit(farm.main([killed_with_aof, hangs_longer_than_a_lease, scripts_flushed,
                        connections_cut, memory_full, read_only, cannot_persist, busy,
                        keys_of_another_type]))
