"""Workers that stop, come back, or hold what they do not know of; calls that are cancelled."""
import datetime
import json
import os
import signal
import sys

import farm
import secure
from farm import Farm

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "torturing"))
from net import Net  # noqa: E402


def follow(f, batch):
    out = f.genfarm("watch", batch, "--json", status=None).stdout
    return [json.loads(line) for line in out.splitlines()]


def stopped_worker():
    """SIGSTOP for longer than the lease: another one does its jobs; when it comes back it moves
    nothing, and the calls it had made for nothing are counted with what they cost."""
    with Farm() as f:
        f.emulator("--latency", "700ms")
        f.redis()
        first = f.worker("--concurrency", "4", "--lease", "2", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(12), "--batch", "b").stdout.strip()
        farm.until(lambda: len(f.requests()) >= 4)
        first.send_signal(signal.SIGSTOP)
        f.worker("--concurrency", "8", "--lease", "2", "--sink", "dir:" + f.path("out"))
        events = follow(f, batch)
        first.send_signal(signal.SIGCONT)
        ends = farm.check_events(events, 12)
        assert all(e["event"] == "completed" for e in ends)
        unknown = [e for e in events if e["event"] == "unknown"]
        assert unknown and all(e["error"]["code"] == "worker_lost" for e in unknown)
        one = ends[0]["cost_usd"]  # of others it differs by a few tokens
        status = lambda: json.loads(f.genfarm("status", batch, "--json").stdout)
        farm.until(lambda: round(status()["cost_usd"] / one, 1) == len(f.requests()))
        done = status()
        # One may have been stopped unsent, or found stored and not been made again.
        assert 12 <= done["calls"] <= 12 + len(unknown), done
        assert done["calls"] - len(unknown) <= len(f.requests()) <= done["calls"], done
        assert done["completed"] == 12 and done["possible_double_bill"] == len(unknown), done
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0


class Slow:
    """A worker whose calls connect to a server that takes its time with TLS."""

    def __init__(self, f):
        cert, key = secure.certificate(f.dir)
        self.front = secure.Front(f.env["GOOGLE_GEMINI_BASE_URL"], cert, key)
        self.net = Net(f.socket, 1, 1)
        self.url = self.net.open("slow", f.path("slow.sock"))
        self.worker = f.worker("--redis", self.url, "--concurrency", "2", "--lease", "2", "--sink",
                               "dir:" + f.path("out"), "--gemini-base-url", self.front.url(),
                               "--gemini-ca", cert)

    def connecting(self, n):
        farm.until(lambda: self.front.connections >= n)


def others_do(f, batch, n):
    """Its jobs, all of them, with one call each."""
    w = f.worker("--concurrency", "8", "--lease", "2", "--sink", "dir:" + f.path("out"))
    ends = farm.check_events(follow(f, batch), n)
    assert all(e["event"] == "completed" for e in ends)
    w.send_signal(signal.SIGTERM)
    assert w.wait(20) == 0
    return len(f.requests())


def goes_on(f, slow, name):
    """The worker is as good as new: it does another batch, through the same server."""
    before = slow.front.posts
    batch = f.genfarm("submit", f.prompts(3), "--batch", name).stdout.strip()
    farm.check_events(follow(f, batch), 3)
    assert slow.front.posts == before + 3


def stopped_before_its_first_byte():
    """SIGSTOP between the connection and the first byte, for longer than the lease: the stopped
    worker sends nothing when it comes back, for another one made the images meanwhile."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        slow = Slow(f)
        batch = f.genfarm("submit", f.prompts(2), "--batch", "b").stdout.strip()
        slow.connecting(2)
        slow.worker.send_signal(signal.SIGSTOP)
        assert others_do(f, batch, 2) == 2
        slow.front.begin.set()
        slow.worker.send_signal(signal.SIGCONT)
        goes_on(f, slow, "later")
        assert len(f.requests()) == 5 and slow.front.posts == 3


def cut_off_before_its_first_byte():
    """A worker that cannot renew, and was told nothing, sends nothing when its lease is over."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        slow = Slow(f)
        batch = f.genfarm("submit", f.prompts(2), "--batch", "b").stdout.strip()
        slow.connecting(2)
        slow.net.set_state("slow", "hold")
        assert others_do(f, batch, 2) == 2
        slow.front.begin.set()
        farm.until(lambda: slow.front.over + slow.front.failed >= 2)
        assert slow.front.posts == 0 and slow.front.shaken >= 1
        slow.net.set_state("slow", "up")
        goes_on(f, slow, "later")
        assert len(f.requests()) == 5 and slow.front.posts == 3


Q = "genfarm:{default}:"


def ms(text):
    return int(float(text or 0))


def lost_with_a_call(f, meanwhile):
    """A worker that is killed with a call of batch b under way, after `meanwhile`. The end of its
    lease, and when the server had its last tick before it died."""
    w = f.worker("--concurrency", "1", "--lease", "2")
    f.genfarm("submit", f.prompts(1), "--batch", "b")
    farm.until(lambda: f.cli("ZCARD", Q + "leases") == "1")
    (inc,) = f.cli("ZRANGE", Q + "leases", "0", "-1").splitlines()
    farm.until(lambda: f.cli("HVALS", Q + "a:" + inc)[:1] == "s")
    meanwhile()
    w.kill()
    w.wait()
    return ms(f.cli("ZSCORE", Q + "leases", inc)), ms(f.cli("HGET", Q + "cfg", "last_tick"))


def taken_back(f, due):
    """When batch b's job was taken back, and all ticks that were seen from `due` on till then."""
    ticks = set()

    def look():
        unknown = f.cli("HGET", Q + "b:b", "unknown")
        ticks.add(ms(f.cli("HGET", Q + "cfg", "last_tick")))
        return unknown != "0"
    farm.until(look, 90)
    (lost,) = [e for e in follow(f, "b") if e["event"] == "unknown"]
    assert lost["error"]["code"] == "worker_lost", lost
    ts = datetime.datetime.strptime(lost["ts"], "%Y-%m-%dT%H:%M:%S.%fZ")
    at = round(ts.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)
    due = max(due, ms(f.cli("HGET", Q + "cfg", "hold")))  # ticks that were late have moved it
    return at, [t for t in ticks if due < t < at]


# All times below are the server's: how late ticks are on a busy machine does not matter.

def taken_back_by_the_next_tick():
    """A lost worker's jobs are taken back by the first tick after the end of its lease, whoever
    ticks. Ticks come within 0.8 s."""
    with Farm() as f:
        f.emulator("--latency", "8s")
        f.redis()

        def another():
            f.worker("--concurrency", "1", "--lease", "60")
            farm.until(lambda: f.cli("ZCARD", Q + "leases") == "2")
        ends, _ = lost_with_a_call(f, another)
        at, passed_over = taken_back(f, ends)
        assert at >= ends and not passed_over, (ends, at, passed_over)


def nobody_is_left():
    """Who comes after the only worker has died takes its jobs back when any that lived would have
    come back, too: ten seconds later, whatever its own lease."""
    with Farm() as f:
        f.emulator("--latency", "8s")
        f.redis()
        ends, last = lost_with_a_call(f, lambda: None)

        def now():
            seconds, us = f.cli("TIME").split()
            return int(seconds) * 1000 + int(us) // 1000
        farm.until(lambda: now() > last + 3500)
        f.worker("--concurrency", "1", "--lease", "60")
        farm.until(lambda: f.cli("HEXISTS", Q + "cfg", "hold") == "1")
        tick, hold = (ms(v) for v in f.cli("HMGET", Q + "cfg", "last_tick", "hold").split())
        assert ends < hold <= tick + 10000, (ends, tick, hold)
        at, passed_over = taken_back(f, hold)
        assert at >= hold and not passed_over, (hold, at, passed_over)


def cancelled_in_flight():
    """Cancelling reaches calls under way within one renewal: all of a batch, or single ones."""
    with Farm() as f:
        f.emulator("--latency", "60s")
        f.redis()
        f.worker("--concurrency", "8", "--lease", "2")
        batch = f.genfarm("submit", f.prompts(8), "--batch", "b").stdout.strip()
        flight = lambda: sum(json.loads(line)["in_flight"] for line in
                             f.genfarm("workers", "--json").stdout.splitlines())
        farm.until(lambda: flight() == 8)
        f.genfarm("cancel", batch, "00000002", "00000005")
        farm.until(lambda: flight() == 6)
        f.genfarm("cancel", batch)
        (inc,) = f.cli("ZRANGE", Q + "leases", "0", "-1").splitlines()
        told = ms(f.cli("ZSCORE", Q + "cancelled", batch))
        renewals = {}  # when each was, by the server, and what was in flight as it was sent

        def look():
            seen, calls = f.cli("HMGET", Q + "w:" + inc, "seen", "flight").split()
            renewals[ms(seen)] = calls
            return calls == "0"
        farm.until(look)
        # The first one brings the word. Where the machine is busy, the next may be on its way
        # before that is read.
        busy = [at for at, calls in renewals.items() if at > told and calls != "0"]
        assert len(busy) <= 2, (told, renewals)
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["cancelled"] == 8 and status["possible_double_bill"] == 8, status
        assert status["calls"] == 8, status
        events = follow(f, batch)
        assert sum(e["event"] == "cancelled" for e in events) == 8
        # Word of the calls comes after the end; who has seen that, and asks for more, sees it end.
        (done,) = [e["event_id"] for e in events if e["event"] == "batch_done"]
        late = f.follow("watch", batch, "--json", "--after", done)
        assert late.wait(20) == 3
        late = [json.loads(line) for line in late.stdout]
        late = [e["event"] for e in late if e["event"] != "progress"]
        assert late and set(late) == {"unknown"}, late


def strays():
    """A job that the server holds for a worker that does not know of it is handed back."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(3), "--batch", "b").stdout.strip()
        f.genfarm("pause", batch)
        f.worker("--concurrency", "2", "--lease", "2", "--sink", "dir:" + f.path("out"))
        farm.until(lambda: f.cli("ZCARD", "genfarm:{default}:leases") == "1")
        f.cli("EVAL", """
            local P = 'genfarm:{default}:'
            local inc = redis.call('ZRANGE', P .. 'leases', 0, 0)[1]
            local list = redis.call('SMEMBERS', P .. 'ls:b')[1]
            local ticket = redis.call('LPOP', P .. 'r:' .. list)
            redis.call('HSET', P .. 'a:' .. inc, '999999:1', 'c' .. ticket .. list)""", "0")
        f.genfarm("resume", batch)
        ends = farm.check_events(follow(f, batch), 3)
        assert all(e["event"] == "completed" for e in ends)


def deadline():
    """A job whose deadline passes before it is sent fails as expired, and costs nothing."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(3), "--deadline", "0.05").stdout.strip()
        f.genfarm("status", batch)
        f.worker("--concurrency", "2")
        ends = farm.check_events(follow(f, batch), 3)
        assert all(e["error"]["code"] == "expired" for e in ends)
        assert f.requests() == []


def deadline_of_a_call():
    """A call under way is not waited for any longer than its job has time."""
    with Farm() as f:
        f.emulator("--latency", "600s")
        f.redis()
        f.worker("--concurrency", "2")
        batch = f.genfarm("submit", f.prompts(2), "--deadline", "3").stdout.strip()
        events = follow(f, batch)
        ends = farm.check_events(events, 2)
        assert all(e["error"]["code"] == "expired" for e in ends), ends
        # None, where nothing was sent in time; of those that were, each was cut.
        unknown = [e["error"]["code"] for e in events if e["event"] == "unknown"]
        assert len(unknown) <= 2 and set(unknown) <= {"timeout"}, events


if __name__ == "__main__":
    sys.exit(farm.main([stopped_worker, stopped_before_its_first_byte,
                        cut_off_before_its_first_byte, taken_back_by_the_next_tick, nobody_is_left,
                        cancelled_in_flight, strays, deadline, deadline_of_a_call]))
