"""Where a measurement happens: a farm of its own, and what its processes cost."""
import os
import platform
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import farm  # noqa: E402
from farm import BIN, Farm, until  # noqa: E402,F401

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = 1000 / os.sysconf("SC_CLK_TCK")  # milliseconds


def first_line(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    except OSError:
        return ""
    return (done.stdout.strip().split("\n") or [""])[0]


def context():
    """What the figures depend on."""
    redis = [w[2:] for w in first_line("redis-server", "--version").split() if w[:2] == "v="]
    found = {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine(),
             "redis": redis[0] if redis else "none"}
    node, beanstalkd = first_line("node", "--version"), first_line("beanstalkd", "-v")
    found["node"] = node.lstrip("v") or "none"
    found["beanstalkd"] = beanstalkd.split()[-1].split("+")[0] if beanstalkd else "none"
    return found


class Cost:
    """CPU of a process since this was made: user and system, in milliseconds."""

    def __init__(self, pid):
        self.pid = pid
        self.start = self.read()

    def read(self):
        with open("/proc/%d/stat" % self.pid, encoding="ascii") as f:
            words = f.read().rsplit(")", 1)[1].split()
        user, system, children_user, children_system = (int(w) * TICK for w in words[11:15])
        return user + children_user, system + children_system

    def so_far(self):
        now = self.read()
        return now[0] - self.start[0], now[1] - self.start[1]


def peak_mb(pid):
    """The most memory that a process has had at once (VmHWM)."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None


def limit(process, seconds):
    """Ends the process if it is still there by then, so that no measurement goes on for ever."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    return process


def child(farm_, *argv, **more):
    """A child of ours that answers by lines on its standard output, told by lines on its input."""
    return farm_.start(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)


def say(process, word=""):
    process.stdin.write(word + "\n")
    process.stdin.flush()


def answer(process):
    line = process.stdout.readline()
    if not line:
        process.wait(30)
        raise RuntimeError("it ended with %s" % process.returncode)
    return line.strip()
