"""The key is in the worker and on its way to Gemini, and nowhere else: not in Redis, logs, events,
files, arguments or environments, even when the provider says it again."""
import http.server
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading

import farm
from farm import BIN, Farm

KEY = "AIzaSyTheKeyOfThisTest0123456789abcdef"
PASSWORD = "the-pass-word-of-redis"

# What the provider answers: status, body. %s is the key.
ANSWERS = {
    "refused": (400, '{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "key %s"}}'),
    "permission": (403, '{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "%s"}}'),
    "limited": (429, '{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "%s"}}'),
    "broken": (500, "no JSON: %s"),
    "text": (200, '{"candidates": [{"content": {"parts": [{"text": "key %s"}]}, "finishReason": '
                  '"STOP"}], "responseId": "%s", "modelVersion": "%s"}'),
    "reason": (200, '{"candidates": [{"finishReason": "%s", "finishMessage": "%s"}]}'),
    "cut": (200, '{"candidates": [{"content": {"parts": [{"text": "%s'),
    "blocked": (200, '{"promptFeedback": {"blockReason": "%s", "blockReasonMessage": "%s"}}'),
}


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        said = self.rfile.read(int(self.headers["content-length"])).decode()
        key = self.headers["x-goog-api-key"]
        self.server.keys.add(key)
        assert KEY not in said and KEY not in self.path, "the key is in the request's body or path"
        kind = next(k for k in ANSWERS if "[" + k + "]" in said)
        status, body = ANSWERS[kind]
        body = body.replace("%s", key).encode()
        self.send_response(status, "no " + key)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-key", key)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def echo():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.keys = set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = "http://127.0.0.1:%d" % server.server_address[1]
    return server


def nowhere(folder, *texts):
    """No file below has the key, or a part of it that would do."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    assert KEY.encode() not in f.read(), path
    for t in texts:
        assert KEY not in t, t[-2000:]


def read(pid, name):
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as f:
            return f.read()
    except OSError:
        return b""  # it has gone, or cannot be looked into


def children(pid):
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(p) for p in out.stdout.split()]


def check_process(pid):
    for name in ("cmdline", "environ"):
        assert KEY.encode() not in read(pid, name), (name, read(pid, "cmdline"))
    return read(pid, "limits").decode()


def what_the_provider_says_again():
    with Farm() as f:
        f.env["GEMINI_API_KEY"] = KEY
        server = echo()
        f.env["GOOGLE_GEMINI_BASE_URL"] = server.url
        f.redis("--appendonly", "yes", "--appendfsync", "always")
        log = f.path("worker%d.log" % len(f.children))
        w = f.worker("--concurrency", "4", "--log-level", "debug", "--log-file", f.path("logs"),
                     "--lease", "2")
        name = f.path("p.txt")
        with open(name, "w") as out:
            out.writelines("[%s]\n" % k for k in ANSWERS if k not in ("permission", "limited"))
        batch = f.genfarm("submit", name, "--max-attempts", "2", "--batch", "b").stdout.strip()
        r = f.genfarm("watch", batch, "--json", status=3)
        assert "[redacted]" in r.stdout and server.keys == {KEY}
        s = f.genfarm("collect", batch, "-o", f.path("out"), status=3)
        # Those that block the whole model: told, and waited for.
        for kind in ("limited", "permission"):
            with open(name, "w") as out:
                out.write("[%s]\n" % kind)
            f.genfarm("submit", name, "--batch", kind)
        blocked = f.follow("watch", "permission", "--json")
        for line in blocked.stdout:
            if '"blocked"' in line:
                break
        assert "[redacted]" in line, line
        limits = check_process(w.pid)
        assert any(line.split()[:6] == ["Max", "core", "file", "size", "0", "0"]
                   for line in limits.splitlines()), limits
        doctor = f.genfarm("doctor", status=None)
        nowhere(f.dir, r.stdout, r.stderr, s.stdout, s.stderr, line, doctor.stdout, doctor.stderr)
        for key in f.cli("KEYS", "*").splitlines():
            kind = f.cli("TYPE", key)
            show = {"hash": ["HGETALL"], "list": ["LRANGE", 0, -1], "string": ["GET"],
                    "zset": ["ZRANGE", 0, -1], "set": ["SMEMBERS"], "stream": ["XRANGE", "-", "+"]}
            words = [str(x) for x in show[kind]]
            assert KEY not in f.cli(words[0], key, *words[1:]), key
        assert open(log).read()


def keys_in_files():
    """--api-key-file: nothing in the environment at all."""
    with Farm() as f:
        f.emulator("--key", KEY)
        f.redis("--appendonly", "yes")
        del f.env["GEMINI_API_KEY"]
        name = f.path("..", "key-%d" % os.getpid())
        with open(name, "w") as out:
            out.write(KEY + "\n")
        try:
            w = f.worker("--api-key-file", name, "--sink", "dir:" + f.path("out"))
            batch = f.genfarm("submit", f.prompts(3)).stdout.strip()
            f.genfarm("watch", batch)
            check_process(w.pid)
            r = f.genfarm("run", f.prompts(2), "-o", f.path("run"), "--api-key-file", name)
            nowhere(f.dir, r.stdout, r.stderr)
        finally:
            os.unlink(name)


def a_private_farm():
    """What run starts: its Redis gets no key; nobody shows it; it is not left in its folder."""
    with Farm() as f:
        f.emulator("--latency", "4s")
        f.env["GEMINI_API_KEY"] = KEY
        p = f.start(os.path.join(BIN, "genfarm"), "run", f.prompts(2), "-o", f.path("run"),
                    stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        farm.until(lambda: len(children(p.pid)) == 2)
        names = {}
        farm.until(lambda: {b"redis-server", b"genfarm-worker"} <= {
            os.path.basename(read(c, "cmdline").split(b"\0")[0].split(b" ")[0])
            for c in children(p.pid)})
        # The worker takes it from its environment as soon as it has started.
        farm.until(lambda: all(KEY.encode() not in read(c, "environ") for c in children(p.pid)))
        for c in children(p.pid):
            check_process(c)
            names[c] = read(c, "cmdline")
        assert KEY.encode() not in read(p.pid, "cmdline")
        nowhere(f.path("run"))
        p.communicate(timeout=60)
        assert p.returncode == 0


def passwords_of_redis():
    """They are in nobody's arguments for long, nor in what is said."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis("--requirepass", PASSWORD)
        url = "unix://:%s@%s" % (PASSWORD, f.socket)
        r = f.genfarm("status", status=1)
        assert "NOAUTH" in r.stderr
        del f.env["GENFARM_REDIS_URL"]
        w = f.worker("--redis", url, "--log-level", "debug", "--sink", "dir:" + f.path("out"))
        farm.until(lambda: PASSWORD.encode() not in read(w.pid, "cmdline"))
        batch = f.genfarm("submit", f.prompts(3), "--redis", url).stdout.strip()
        watch = f.follow("watch", batch, "--redis=" + url)
        farm.until(lambda: PASSWORD.encode() not in read(watch.pid, "cmdline"))
        assert watch.wait(30) == 0
        p = f.start(os.path.join(BIN, "genfarm"), "run", f.prompts(20), "-o", f.path("run"), "--redis",
                    url, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        seen = []
        while p.poll() is None:
            seen += [read(c, "cmdline") for c in children(p.pid) if read(c, "cmdline")]
        assert p.returncode == 0 and any(b"genfarm-worker" in c for c in seen)
        assert not any(PASSWORD.encode() in c and b"genfarm-worker" in c.split(b"\0")[0] for c in seen)
        assert PASSWORD not in p.stderr.read()
        for name in os.listdir(f.dir):
            if name.endswith(".log"):
                assert PASSWORD not in open(f.path(name)).read()


def no_dumps_of_clients():
    """Clients that have keys write no core either, nor do the programs they start. (That others may
    not look into them is tested where it is set: a sanitizer, which looks into its own process,
    forbids it.)"""
    none = lambda pid: any(line.split()[:6] == ["Max", "core", "file", "size", "0", "0"]
                           for line in read(pid, "limits").decode().splitlines())
    with Farm() as f:
        f.emulator("--latency", "600s")
        f.env["GEMINI_API_KEY"] = KEY
        p = f.start(os.path.join(BIN, "genfarm"), "run", f.prompts(1), "-o", f.path("run"),
                    stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        farm.until(lambda: none(p.pid))
        farm.until(lambda: len(children(p.pid)) == 2 and all(none(c) for c in children(p.pid)))
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            d = f.start(os.path.join(BIN, "genfarm"), "doctor", "--gemini-base-url",
                        "http://127.0.0.1:%d" % deaf.getsockname()[1], stderr=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL)
            deaf.accept()
            assert none(d.pid)
            d.kill()
        p.kill()
        p.wait()


def key_files_for_all_to_read():
    with Farm() as f:
        f.emulator("--key", KEY, "--latency", "5ms")
        f.redis()
        del f.env["GEMINI_API_KEY"]
        name = f.path("key")
        with open(name, "w") as out:
            out.write(KEY)
        for mode, warned in ((0o640, True), (0o602, True), (0o600, False)):
            os.chmod(name, mode)
            log = f.path("worker%d.log" % len(f.children))
            w = f.worker("--api-key-file", name, "--sink", "dir:" + f.path("out"))
            farm.until(lambda: "registered" in open(log).read())
            assert ("may read a key's file" in open(log).read()) == warned, oct(mode)
            w.terminate()
            assert w.wait(20) == 0
            r = f.genfarm("run", f.prompts(1), "-o", f.path("run"), "--api-key-file", name)
            assert ("may read it" in r.stderr) == warned, r.stderr


def core_dumps():
    def dumps(argv, f, started):
        folder = f.path("cwd%d" % len(f.children))
        os.mkdir(folder)
        allow = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        p = f.start(*argv, cwd=folder, preexec_fn=allow, stderr=open(folder + ".log", "w"))
        farm.until(lambda: started(folder + ".log"))
        p.send_signal(signal.SIGABRT)
        p.wait(30)
        return os.listdir(folder)
    with Farm() as f:
        f.emulator()
        f.redis()
        if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY or \
                not dumps(["sleep", "60"], f, lambda log: True):
            print("no core dumps are written here into the folder of a process: skipped")
            return
        said = lambda log: "registered" in open(log).read()
        assert dumps([os.path.join(BIN, "genfarm-worker")], f, said) == []


if __name__ == "__main__":
    sys.exit(farm.main([what_the_provider_says_again, keys_in_files, a_private_farm,
                        passwords_of_redis, no_dumps_of_clients, key_files_for_all_to_read,
                        core_dumps]))
