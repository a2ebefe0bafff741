"""Processes that are killed, stopped and started again; whether one of them broke by itself."""
import os
import re
import signal
import subprocess

import farm

BROKEN = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:|Assertion")


class Child:
    """One program under a name. Its words go to NAME.err, its output to `out` or nowhere."""

    def __init__(self, f, name, program, *argv, out=None, env=None):
        self.name = name
        self.killed = False
        self.stopped = self.draining = False
        self.log = f.path(name + ".err")
        to = open(out, "ab") if out else subprocess.DEVNULL
        with open(self.log, "ab") as err:
            self.process = subprocess.Popen(
                [os.path.join(farm.BIN, program), *map(str, argv)], env=env or f.env,
                stdin=subprocess.DEVNULL, stdout=to, stderr=err)
        if out:
            to.close()
        f.children.append(self.process)

    def poll(self):
        """Its exit status, or None while it runs; dying of what we did not do is a failure."""
        code = self.process.poll()
        if code == -signal.SIGTERM and self.draining and os.path.getsize(self.log) == 0:
            return code  # told to end before it was ready to listen
        if code is not None and code < 0 and not self.killed:
            raise AssertionError("%s died of signal %d" % (self.name, -code))
        return code

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        self.killed = True
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.stopped = True
        self.signal(signal.SIGSTOP)

    def go_on(self):
        """Only if it was stopped: the leak check stops a process that ends by the same means, and
        would wait for ever for what SIGCONT has undone."""
        if self.stopped:
            self.stopped = False
            self.signal(signal.SIGCONT)

    def last_words(self):
        with open(self.log, errors="replace") as f:
            return (f.read().splitlines() or [""])[-1]

    def drain(self):
        """Once: a second signal would make it leave at once."""
        if not self.draining:
            self.draining = True
            self.signal(signal.SIGTERM)


def broken_words(folder):
    """What sanitizers and assertions said in any of the logs."""
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".err"):
            continue
        with open(os.path.join(folder, name), errors="replace") as f:
            for line in f:
                if BROKEN.search(line):
                    yield "%s: %s" % (name, line.strip())
