"""What the end-to-end tests share: real binaries, a real Redis and the emulator, each test's own."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = os.environ["GENFARM_BIN"]
DATA = os.environ.get("GENFARM_DATA", "")
PARTI = os.path.join(DATA, "prompts", "parti", "PartiPrompts.tsv")


def need_parti():
    if not os.path.exists(PARTI):
        print("the prompts are not there: skipped")
        sys.exit(77)


def until(what, seconds=30):
    """Waits for a condition that only a poll can tell, with a limit that fails the test."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


def mend(folder):
    """What an operator does whose server was killed while it wrote (see deploy/redis.conf)."""
    manifest = os.path.join(folder, "appendonlydir", "appendonly.aof.manifest")
    if os.path.exists(manifest):
        subprocess.run(["redis-check-aof", "--fix", manifest], input="y\n", text=True, check=True,
                       stdout=subprocess.DEVNULL)


def end(processes):
    for p in processes:
        if p.poll() is None:
            p.terminate()
    for p in processes:
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


class Farm:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="gf")
        self.children = []
        self.env = dict(os.environ, GEMINI_API_KEY="a-key-of-the-test")
        for name in ("GOOGLE_API_KEY", "REDIS_URL", "GENFARM_REDIS_URL", "GENFARM_QUEUE"):
            self.env.pop(name, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        servers = [p for p in self.children if "genfarm" not in os.path.basename(p.args[0])]
        end([p for p in self.children if p not in servers])  # they have something to tell Redis
        end(servers)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def start(self, *argv, **more):
        p = subprocess.Popen([str(a) for a in argv], env=self.env, **more)
        self.children.append(p)
        return p

    def emulator(self, *options):
        port = self.path("port%d" % len(self.children))
        self.log = self.path("emulator%d.jsonl" % len(self.children))
        p = self.start(os.path.join(BIN, "gemini-emulator"), "--port-file", port, "--size", "256",
                       "--log", self.log, *options, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        until(lambda: os.path.exists(port))
        self.env["GOOGLE_GEMINI_BASE_URL"] = "http://127.0.0.1:" + open(port).read().strip()
        return p

    def requests(self):
        return [json.loads(line) for line in open(self.log)]

    def redis(self, *options):
        self.socket = self.path("r.sock")
        mend(self.dir)
        p = self.start("redis-server", "--port", "0", "--unixsocket", self.socket, "--dir",
                       self.dir, "--save", "", *options, stdout=subprocess.DEVNULL)
        # It may have tens of megabytes to load, on a machine with much else to do.
        until(lambda: self.cli("PING")[:4] in ("PONG", "NOAU"), 300)
        self.env["GENFARM_REDIS_URL"] = "unix://" + self.socket
        return p

    def cli(self, *argv):
        r = subprocess.run(["redis-cli", "-s", self.socket, *argv], capture_output=True, text=True,
                           errors="replace")
        return r.stdout.strip()

    def projects(self, projects):
        """The file that --projects takes."""
        path = self.path("projects.json")
        with open(path, "w") as out:
            json.dump({"projects": projects}, out)
        os.chmod(path, 0o600)
        return path

    def red_and_blue(self):
        """The same of two projects with a key each."""
        self.env.update(RED_KEY="a-red-key-of-the-test", BLUE_KEY="a-blue-key-of-the-test")
        return self.projects([{"name": n, "keys": [{"env": n.upper() + "_KEY"}]}
                              for n in ("red", "blue")])

    def worker(self, *options):
        log = open(self.path("worker%d.log" % len(self.children)), "w")
        return self.start(os.path.join(BIN, "genfarm-worker"), *options, stderr=log)

    def genfarm(self, *argv, status=0, **more):
        r = subprocess.run([os.path.join(BIN, "genfarm"), *[str(a) for a in argv]], env=self.env,
                           capture_output=True, text=True, timeout=250, **more)
        if status is not None and r.returncode != status:
            raise AssertionError("genfarm %s: exit %d, not %d\n%s\n%s" % (
                " ".join(map(str, argv)), r.returncode, status, r.stdout[-2000:], r.stderr[-4000:]))
        return r

    def follow(self, *argv, out=subprocess.PIPE):
        return self.start(os.path.join(BIN, "genfarm"), *argv, stdout=out,
                          stderr=subprocess.DEVNULL, text=True)

    def prompts(self, n, text="picture number %d"):
        name = self.path("prompts%d.txt" % n)
        with open(name, "w") as f:
            f.writelines(text % i + "\n" for i in range(n))
        return name

    def batch(self, *names):
        (folder,) = [d for d in glob.glob(self.path("out", "*")) if os.path.isdir(d)]
        return os.path.join(folder, *names)


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def sha256(path):
    import hashlib
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def check_events(events, total):
    """Ids dense, exactly one terminal event a job; returns the terminal ones by index."""
    numbers = [int(e["event_id"].split("-")[0]) for e in events if e["event"] != "progress"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "ids have gaps"
    ends = [e for e in events if e["event"] in ("completed", "failed", "cancelled")]
    assert len(ends) == total, "%d terminal events of %d" % (len(ends), total)
    assert len({e["id"] for e in ends}) == total, "a job ended twice"
    return ends


def main(tests):
    for test in tests:
        print("==", test.__name__, flush=True)
        test()
