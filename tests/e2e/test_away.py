"""Clients whose Redis goes away, or says what no Redis says: they wait and say so once, go on by
themselves, and never fall over; what waiting cannot mend is told at once."""
import json
import os
import sys
import threading

import farm
import liar
from farm import BIN, Farm
from liar import Liar

AOF = ("--appendonly", "yes", "--appendfsync", "always")


class Client:
    """One that runs; what it says on stderr, line by line."""

    def __init__(self, f, *argv, out=None):
        self.process = f.start(os.path.join(BIN, "genfarm"), *argv, stderr=farm.subprocess.PIPE,
                               stdout=out or farm.subprocess.DEVNULL, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def said(self, word):
        return sum(line.startswith("genfarm: " + word) for line in self.lines)

    def away(self, words=""):
        farm.until(lambda: self.said("waiting: ") > self.said("going on"))
        assert words in "".join(self.lines), self.lines

    def end(self, status=0):
        assert self.process.wait(120) == status, (self.process.returncode, self.lines)
        self.reader.join(20)
        assert self.said("going on") == 1 and self.said("waiting: ") in (1, 2), self.lines


def away_for_as_long_as_it_takes():
    """Redis is killed under them all, and started again when each has said that it waits."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        server = f.redis(*AOF)
        batch = f.genfarm("submit", f.prompts(60), "--batch", "b").stdout.strip()
        f.worker("--concurrency", "4", "--lease", "3", "--sink", "dir:" + f.path("out"))
        events = open(f.path("events"), "w")
        clients = [Client(f, "watch", batch, "--json", out=events),
                   Client(f, "collect", batch, "-o", f.path("collected")),
                   Client(f, "run", f.prompts(40), "-o", f.path("run"), "--redis",
                          f.env["GENFARM_REDIS_URL"], "--queue", "mine")]
        done = lambda: json.loads(f.genfarm("status", batch, "--json").stdout)["completed"]
        farm.until(lambda: done() >= 5)
        farm.until(lambda: any("batch" in line for line in clients[2].lines))
        server.kill()
        server.wait()
        for c in clients:
            c.away(f.socket)
        f.redis(*AOF)
        for c in clients:
            c.end()
        ends = farm.check_events(farm.lines(f.path("events")), 60)
        assert all(e["event"] == "completed" for e in ends)


def busy_at_the_first_connect():
    """A server that loads its data is waited for; one that is not there, or wants another password,
    is told at once."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(3)).stdout.strip()
        f.worker("--sink", "dir:" + f.path("out"))
        l = Liar(f.path("liar.sock"), f.socket)
        l.lie = lambda one: liar.LOADING
        clients = [Client(f, what, *words, "--redis", l.url()) for what, *words in (
            ("watch", batch), ("collect", batch, "-o", f.path("collected")), ("status", batch))]
        for c in clients:
            c.away("LOADING")
        assert "LOADING" in f.genfarm("doctor", "--redis", l.url(), status=1).stdout
        l.lie = None
        for c in clients:
            c.end()
        for url, words in (("unix://" + f.path("nowhere"), "No such file"),
                           ("redis://127.0.0.1:1", "refused"),
                           ("redis://no-such-host.invalid", "no-such-host"),
                           ("unix://:wrong@" + f.socket, "AUTH")):
            r = f.genfarm("watch", batch, "--redis", url, status=1)
            assert words in r.stderr and "waiting" not in r.stderr, r.stderr


def interrupted():
    """Ctrl-C ends the waiting."""
    with Farm() as f:
        server = f.redis(*AOF)
        batch = f.genfarm("submit", f.prompts(3)).stdout.strip()
        c = Client(f, "watch", batch)
        farm.until(lambda: "xread" in f.cli("CLIENT", "LIST"))
        server.kill()
        c.away()
        c.process.send_signal(farm.signal.SIGINT)
        assert c.process.wait(30) == 130, c.lines
        c.reader.join(20)


def the_library():
    """A program in C that waits for events of a busy server asks for them with pauses."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        l = Liar(f.path("liar.sock"), f.socket)
        f.env["GENFARM_REDIS_URL"] = l.url()
        program = f.start(os.path.join(BIN, "genfarm-example"), "a tree", cwd=f.dir,
                          stdout=farm.subprocess.DEVNULL, stderr=farm.subprocess.DEVNULL)
        farm.until(lambda: "xread" in f.cli("CLIENT", "LIST"))
        l.lie = lambda one: liar.BUSY if liar.command(one) == b"XREAD" else None
        farm.until(lambda: l.lies > 0)
        before = l.lies
        farm.time.sleep(2)  # the fault itself goes on
        assert l.lies - before < 60, l.lies - before
        l.lie = None
        f.worker("--sink", "dir:" + f.path("out"))
        assert program.wait(60) == 0


class Lied:
    """A batch whose worker and watcher speak with a liar."""

    def __init__(self, f):
        f.emulator("--latency", "20ms")
        f.redis()
        self.f, self.liar = f, Liar(f.path("liar.sock"), f.socket)
        self.batch = f.genfarm("submit", f.prompts(60), "--batch", "b").stdout.strip()
        f.genfarm("pause", self.batch)
        self.log = f.path("worker%d.log" % len(f.children))
        self.worker = f.worker("--redis", self.liar.url(), "--concurrency", "4", "--lease", "3",
                               "--sink", "dir:" + f.path("out"))
        self.events = f.path("events")
        self.watch = Client(f, "watch", self.batch, "--json", "--redis", self.liar.url(),
                            out=open(self.events, "w"))
        farm.until(lambda: "registered" in self.said())
        f.genfarm("resume", self.batch)
        farm.until(lambda: self.done() >= 5)

    def said(self):
        with open(self.log) as log:
            return log.read()

    def done(self):
        with open(self.events) as e:
            return e.read().count('"completed"')

    def finish(self):
        self.liar.lie = None
        assert self.watch.process.wait(120) == 0, self.watch.lines
        self.watch.reader.join(20)
        assert self.worker.poll() is None, self.said()[-3000:]
        ends = farm.check_events(farm.lines(self.events), 60)
        assert all(e["event"] == "completed" for e in ends)
        assert len(self.f.requests()) == 60
        self.f.genfarm("fsck")


def lied_to(lie, words):
    """The connection is given up and made again, with pauses; at the first connect it is told."""
    with Farm() as f:
        run = Lied(f)
        before = run.liar.connections
        run.liar.lie = lie
        farm.until(lambda: "redis is away" in run.said())
        run.watch.away()
        assert words in run.said(), run.said()[-2000:]
        r = f.genfarm("status", run.batch, "--redis", run.liar.url(), status=1)
        assert words in r.stderr, r.stderr
        farm.time.sleep(1)  # the fault itself goes on
        # Four connections, and each again after 0.1 s, 0.2 s, 0.4 s...
        assert run.liar.connections - before < 60, run.liar.connections - before
        run.finish()


def no_redis_at_all():
    lied_to(lambda one: liar.HTTP, "Protocol error")
    lied_to(lambda one: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\xff", "Protocol error")
    lied_to(lambda one: b"*99999999999\r\n", "out of range")


def one_answer_too_many():
    """It would shift all the others: nothing behind it is believed."""
    with Farm() as f:
        run = Lied(f)
        once = []

        def lie(one):
            if not once and liar.is_script(one):
                once.append(one)
                return b"+OK\r\n+OK\r\n"
        for _ in range(3):
            once.clear()
            run.liar.lie = lie
            farm.until(lambda: once)
        run.finish()


def of_another_shape():
    """Scripts that answer what they never do: refused, asked again with pauses, and no end of it."""
    shapes = [b":42\r\n", b"+fine\r\n", b"*0\r\n", b"$-1\r\n", b"*-1\r\n", b"*1\r\n*1\r\n:-1\r\n",
              b"*3\r\n:99999999999\r\n$3\r\nabc\r\n*2\r\n$0\r\n\r\n:-7\r\n", b"-ODD one\r\n"]
    with Farm() as f:
        run = Lied(f)
        for shape in shapes:
            lies = run.liar.lies
            run.liar.lie = lambda one: shape if liar.is_script(one) else None
            farm.until(lambda: run.liar.lies >= lies + 5)
            assert run.worker.poll() is None, run.said()[-3000:]
            r = f.genfarm("status", run.batch, "--redis", run.liar.url(), status=None)
            assert r.returncode in (0, 1) and "anitizer" not in r.stderr, (shape, r.stderr)
        run.liar.lie = None
        assert run.worker.poll() is None and run.watch.process.poll() is None


if __name__ == "__main__":
    sys.exit(farm.main([away_for_as_long_as_it_takes, busy_at_the_first_connect, interrupted, the_library,
                        no_redis_at_all, one_answer_too_many, of_another_shape]))
