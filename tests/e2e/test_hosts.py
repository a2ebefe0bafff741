"""Three hosts, as network namespaces of the test's own: Redis and the provider; a worker; a worker
and the client. The first worker's link is cut for longer than its lease, while its calls are in
flight. Images go through Redis, for the hosts share no files."""
import json
import os
import signal
import subprocess
import sys

import farm
from farm import Farm

TAG = "gf%d" % (os.getpid() % 100000)
HUB, ONE, TWO = (TAG + name for name in "abc")
ADDRESS = {HUB: "10.213.0.1", ONE: "10.213.0.2", TWO: "10.213.0.3"}


def ip(*argv):
    subprocess.run(["ip", *argv], check=True, capture_output=True)


class Hosts:
    """The namespaces, joined by a bridge in the first; gone with the test."""

    def __enter__(self):
        for name in ADDRESS:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", HUB, "link", "add", "bridge", "type", "bridge")
        ip("-n", HUB, "addr", "add", ADDRESS[HUB] + "/24", "dev", "bridge")
        ip("-n", HUB, "link", "set", "bridge", "up")
        for name in (ONE, TWO):
            ip("-n", HUB, "link", "add", "to" + name[-1], "type", "veth", "peer", "name", "eth",
               "netns", name)
            ip("-n", HUB, "link", "set", "to" + name[-1], "master", "bridge", "up")
            ip("-n", name, "addr", "add", ADDRESS[name] + "/24", "dev", "eth")
            ip("-n", name, "link", "set", "eth", "up")
        return self

    def __exit__(self, *_):
        for name in ADDRESS:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def link(self, name, up):
        ip("-n", HUB, "link", "set", "to" + name[-1], "up" if up else "down")


class HostFarm(Farm):
    def on(self, host, *argv, **more):
        return self.start("ip", "netns", "exec", host, *argv, **more)

    def ask(self, host, *argv):
        return subprocess.run(["ip", "netns", "exec", host, *argv], env=self.env, text=True,
                              capture_output=True, timeout=120)

    def worker_on(self, host, *options):
        log = open(self.path("worker-%s.log" % host), "w")
        return self.on(host, os.path.join(farm.BIN, "genfarm-worker"), *options, stderr=log)


def one_host_is_cut_off():
    with Hosts() as hosts, HostFarm() as f:
        f.on(HUB, "redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "",
             "--dir", f.dir, stdout=subprocess.DEVNULL)
        f.log = f.path("emulator.jsonl")
        f.on(HUB, os.path.join(farm.BIN, "gemini-emulator"), "--listen", "0.0.0.0:8080", "--size",
             "256", "--log", f.log, "--latency", "400ms", stdout=subprocess.DEVNULL)
        f.env["GENFARM_REDIS_URL"] = "redis://%s:6379" % ADDRESS[HUB]
        f.env["GOOGLE_GEMINI_BASE_URL"] = "http://%s:8080" % ADDRESS[HUB]
        farm.until(lambda: f.ask(TWO, "redis-cli", "-h", ADDRESS[HUB], "PING").stdout == "PONG\n")
        genfarm = os.path.join(farm.BIN, "genfarm")
        cut = f.worker_on(ONE, "--concurrency", "4", "--lease", "2")
        f.worker_on(TWO, "--concurrency", "4", "--lease", "2")
        batch = f.ask(TWO, genfarm, "submit", f.prompts(60), "--batch", "b",
                      "--timeout", "15").stdout.strip()
        follow = f.on(TWO, genfarm, "collect", batch, "-o", f.path("out"), "--json",
                      stdout=open(f.path("events"), "w"), stderr=subprocess.DEVNULL)
        farm.until(lambda: len(f.requests()) >= 12)
        hosts.link(ONE, False)
        farm.until(lambda: len(f.requests()) >= 40)
        hosts.link(ONE, True)
        assert follow.wait(120) == 0
        events = farm.lines(f.path("events"))
        ends = farm.check_events(events, 60)
        assert all(e["event"] == "completed" for e in ends)
        unknown = [e for e in events if e["event"] == "unknown"]
        assert any(e["error"]["code"] == "worker_lost" for e in unknown), "the link was not cut"
        asked = len(f.requests())
        assert 60 <= asked <= 60 + len(unknown), "%d calls, %d unknown" % (asked, len(unknown))
        for e in ends:
            for image in e["images"]:
                assert farm.sha256(f.path("out", "b", image["path"])) == image["sha256"]
        workers = lambda: f.ask(TWO, genfarm, "workers", "--json").stdout.splitlines()
        farm.until(lambda: len(workers()) == 2)  # the one that was cut off is back
        checked = f.ask(TWO, genfarm, "fsck")
        assert checked.returncode == 0, checked.stdout
        cut.send_signal(signal.SIGTERM)
        assert cut.wait(30) == 0


def possible():
    """Whether namespaces can be made and entered: not everywhere where the first works."""
    name = TAG + "x"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("netns", "exec", name, "true")
        return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


if __name__ == "__main__":
    if not possible():
        print("network namespaces cannot be made here: skipped")
        sys.exit(77)
    sys.exit(farm.main([one_host_is_cut_off]))
