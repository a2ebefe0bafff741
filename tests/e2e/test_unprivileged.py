"""Everything runs as a user who may do nothing: no root, no capabilities, no home."""
import json
import os
import re
import shutil
import subprocess
import sys

import farm
from farm import BIN, Farm, check_events

NOBODY = 65534
BECOME = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
          "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]


class Nobodys(Farm):
    def __init__(self):
        super().__init__()
        self.become = BECOME if os.geteuid() == 0 else []
        os.chmod(self.dir, 0o755)
        self.bin = self.path("bin")
        shutil.copytree(BIN, self.bin, ignore=lambda _, names: [
            n for n in names if n not in ("genfarm", "genfarm-worker", "gemini-emulator")])
        for at in (self.dir, self.bin):
            os.chmod(at, 0o755)
        if self.become:
            os.chown(self.dir, NOBODY, NOBODY)
        self.env.update(HOME="/nonexistent", TMPDIR=self.dir)

    def start(self, *argv, **more):
        argv = [str(a).replace(BIN, self.bin) for a in argv]
        return super().start(*self.become, *argv, **more)

    def genfarm(self, *argv, status=0):
        r = subprocess.run([*self.become, os.path.join(self.bin, "genfarm"), *map(str, argv)],
                           env=self.env, capture_output=True, text=True, timeout=120, cwd="/")
        assert r.returncode == status, (argv, r.returncode, r.stdout[-2000:], r.stderr[-2000:])
        return r


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def whole_farm():
    with Nobodys() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        one = f.worker("--concurrency", "4")
        two = f.worker("--concurrency", "4", "--sink", "dir:" + f.path("shared"))
        for i in range(2):
            batch = f.genfarm("submit", f.prompts(40), "--batch", "b%d" % i).stdout.strip()
            out = f.genfarm("watch", batch, "--json").stdout
            check_events([json.loads(line) for line in out.splitlines()], 40)
            f.genfarm("collect", batch, "-o", f.path("out"))
            assert len(os.listdir(f.path("out", batch, "images"))) == 40
        if f.become:
            for w in (one, two):
                s = status_of(w.pid)
                assert s["Uid"].split() == [str(NOBODY)] * 4 and int(s["CapEff"], 16) == 0, s
        f.genfarm("fsck")
        f.genfarm("run", f.prompts(5), "-o", f.path("run"))


def folders_it_may_not_write_to():
    if os.geteuid() != 0:
        print("not started as root: skipped")
        return
    with Nobodys() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        os.mkdir(f.path("roots"), 0o755)
        with open(f.path("roots.log"), "w") as log:
            w = f.start(os.path.join(BIN, "genfarm-worker"), "--sink", "dir:" + f.path("roots"),
                        stderr=log)
            assert w.wait(20) == 1
        said = open(f.path("roots.log")).read()
        assert re.search("roots: Permission denied", said), said
        f.worker()
        batch = f.genfarm("submit", f.prompts(2)).stdout.strip()
        for folder in (f.path("roots"), "/proc", "/etc"):
            r = f.genfarm("collect", batch, "-o", folder, status=1)
            assert folder in r.stderr, r.stderr
        r = f.genfarm("run", f.prompts(2), "-o", f.path("roots", "x"), status=1)
        assert "Permission denied" in r.stderr
        f.genfarm("collect", batch, "-o", f.path("out"))


if __name__ == "__main__":
    sys.exit(farm.main([whole_farm, folders_it_may_not_write_to]))
