"""genfarm doctor: every finding, on servers that are so; and what it says when it may not ask."""
import datetime
import http.server
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time

import farm
from farm import BIN, Farm

GOOD = ("--appendonly", "yes", "--aof-load-truncated", "no", "--appendfsync", "always", "--maxmemory", "200mb")


def doctor(f, *options, status=None):
    """The findings by what they are about; several about one thing are joined."""
    r = f.genfarm("doctor", "--json", *options, status=status)
    found = {}
    for line in r.stdout.splitlines():
        o = json.loads(line)
        before = found.get(o["check"], ("ok", ""))
        worst = max(before[0], o["verdict"], key=["ok", "warn", "fail"].index)
        found[o["check"]] = (worst, before[1] + o["finding"])
    assert r.returncode == any(v == "fail" for v, _ in found.values()), (r.returncode, found)
    return found


class Keyless(Farm):
    """Nobody is asked for models."""

    def __init__(self):
        super().__init__()
        del self.env["GEMINI_API_KEY"]


def expect(found, check, verdict, word=""):
    assert check in found and found[check][0] == verdict and word in found[check][1], \
        (check, verdict, word, found.get(check))


def clock_is_off(found, seconds):
    """By about so much: what the answer's way there and back took is not known exactly."""
    expect(found, "clock", "warn")
    told = float(re.search(r"is ([+-]\d+\.\d{3}) s off", found["clock"][1])[1])
    assert abs(told - seconds) < 1, found["clock"]


def a_good_farm():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis(*GOOD)
        f.worker("--sink", "dir:" + f.path("out"))
        farm.until(lambda: f.genfarm("workers").stdout)
        found = doctor(f, status=0)
        assert {k for k, (v, _) in found.items() if v != "ok"} == {"endpoint"}, found
        for check in ("redis", "appendonly", "appendfsync", "maxmemory-policy", "memory", "replicas",
                      "clock", "scripts", "rights", "workers", "gemini-3.1-flash-image"):
            assert check in found, check
        expect(found, "endpoint", "warn", "instead of the public one")
        r = f.genfarm("doctor")
        assert all(line.split()[0] in ("OK", "WARN") for line in r.stdout.splitlines()), r.stdout
        assert "0 failed, 1 warnings" in r.stderr


# CONFIG SET, what it is about, the verdict, a word of it
SETTINGS = [
    (("appendfsync", "everysec"), "appendfsync", "warn", "two seconds"),
    (("appendfsync", "no"), "appendfsync", "warn", "half a minute"),
    (("aof-load-truncated", "yes"), "aof-load-truncated", "warn", "redis-check-aof --fix"),
    (("no-appendfsync-on-rewrite", "yes"), "appendfsync", "warn", "rewritten"),
    (("appendonly", "no"), "appendonly", "fail", "loses jobs"),
    (("maxmemory-policy", "allkeys-lru"), "maxmemory-policy", "fail", "throw jobs away"),
    (("maxmemory", "0"), "memory", "warn", "of the host"),
    (("maxmemory", "1"), "memory", "fail", "are refused"),
    (("timeout", "60"), "timeout", "warn", "60 s"),
]


def settings():
    for setting, check, verdict, word in SETTINGS:
        with Keyless() as f:
            f.redis(*GOOD)
            assert f.cli("CONFIG", "SET", *setting) == "OK"
            expect(doctor(f), check, verdict, word)
    with Keyless() as f:
        f.redis(*GOOD)
        f.cli("SETRANGE", "ballast", str(20 << 20), "x")
        used = int(f.cli("INFO", "memory").split("used_memory:")[1].split()[0])
        f.cli("CONFIG", "SET", "maxmemory", str(int(used * 1.1)))
        expect(doctor(f), "memory", "warn", "soon")


def no_room_on_the_disk():
    """A snapshot that fails stops all writes; an append-only file that cannot be written does."""
    with Keyless() as f:
        f.redis(*GOOD, "--dbfilename", "is-a-folder")
        found = doctor(f)
        assert "snapshots" not in found
        os.mkdir(f.path("is-a-folder"))
        f.cli("CONFIG", "SET", "save", "3600 100000")
        f.cli("BGSAVE")
        farm.until(lambda: "rdb_last_bgsave_status:err" in f.cli("INFO", "persistence"))
        expect(doctor(f), "redis", "fail", "MISCONF")
        f.cli("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        expect(doctor(f), "snapshots", "warn", "failed")
    with Keyless() as f:
        found = doctor(f, "--redis", Fake("7.2.5", 0, aof_enabled=1, aof_last_write_status="err").url)
        expect(found, "appendonly", "fail", "cannot be written")
        found = doctor(f, "--redis", Fake("7.2.5", 0, aof_enabled=1, aof_last_write_status="ok").url)
        assert "cannot be written" not in found["appendonly"][1], found


def many_clients():
    with Keyless() as f:
        f.redis(*GOOD, "--maxclients", "20")
        assert "clients" not in doctor(f)
        held = []
        for _ in range(16):
            s = socket.socket(socket.AF_UNIX)
            s.connect(f.socket)
            held.append(s)
        farm.until(lambda: "connected_clients:17" in f.cli("INFO", "clients"))
        expect(doctor(f), "clients", "warn", "of at most 20; raise maxclients")


def what_waits():
    with Keyless() as f:
        f.redis(*GOOD)
        f.cli("RPUSH", "genfarm:{default}:dead", "x")
        f.cli("RPUSH", "genfarm:{default}:inbox", "x")
        f.genfarm("pause")
        found = doctor(f)
        expect(found, "workers", "warn", "nothing will move")
        expect(found, "dead letters", "warn", "1; see genfarm dead")
        expect(found, "inbox", "warn", "1 things")
        expect(found, "queue", "warn", "paused")
        f.env["GEMINI_API_KEY"] = "a-key"
        f.emulator()
        f.worker()
        farm.until(lambda: f.genfarm("workers").stdout)
        expect(doctor(f), "sink", "warn", "append-only file")


def replicas():
    with Keyless() as f:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        f.redis(*GOOD, "--port", port, "--repl-diskless-sync-delay", "0")
        expect(doctor(f), "replicas", "ok", "none")
        os.mkdir(f.path("second"))
        f.start("redis-server", "--port", "0", "--unixsocket", f.path("second", "r.sock"), "--dir",
                f.path("second"), "--save", "",
                "--replicaof", "127.0.0.1", port, stdout=farm.subprocess.DEVNULL)
        farm.until(lambda: "state=online" in f.cli("INFO", "replication"))
        found = doctor(f)
        expect(found, "replicas", "warn", "min-replicas-to-write 1")
        f.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        farm.until(lambda: "lag=0" in f.cli("INFO", "replication"))
        found = doctor(f)
        assert found["replicas"][0] == "ok" or "behind" in found["replicas"][1], found["replicas"]


def who_may_not_ask():
    """INFO and CONFIG forbidden are warnings; scripts forbidden is a failure."""
    with Keyless() as f:
        f.redis(*GOOD)
        f.cli("ACL", "SETUSER", "plain", "on", ">pw", "~genfarm:*", "+@all", "-config", "-info", "-role",
              "-time")
        f.cli("ACL", "SETUSER", "looker", "on", ">pw", "~genfarm:*", "+@read", "+@connection", "+evalsha",
              "+eval", "+info", "+time")
        f.cli("ACL", "SETUSER", "nobody", "on", ">pw", "~other:*", "+@all", "-@scripting")
        f.cli("ACL", "SETUSER", "elsewhere", "on", ">pw", "~other:*", "+@all")
        url = lambda user: ("--redis", "unix://%s:pw@%s" % (user, f.socket))
        found = doctor(f, *url("plain"), status=0)
        for check in ("redis", "info", "config", "clock"):
            expect(found, check, "warn")
        expect(found, "rights", "ok")
        found = doctor(f, *url("looker"), status=0)
        expect(found, "rights", "warn", "not change it")
        expect(found, "scripts", "ok")
        expect(found, "appendfsync", "warn", "does not tell")
        expect(found, "memory", "ok")
        for user in ("nobody", "elsewhere"):
            found = doctor(f, *url(user), status=1)
            expect(found, "scripts", "fail", "redis-users.acl")
        expect(found, "rights", "warn", "neither look")
        r = f.genfarm("doctor", "--json", "--redis", "unix://plain:wrong@" + f.socket, status=1)
        assert "WRONGPASS" in r.stdout and "wrong@" not in r.stdout + r.stderr


class Fake(socketserver.ThreadingTCPServer):
    """A server that says it is such a version, and of such a time, and what else INFO has."""
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, version, ahead, **more):
        self.version, self.ahead = version, ahead
        self.more = "".join("%s:%s\r\n" % pair for pair in more.items()).encode()
        super().__init__(("127.0.0.1", 0), Answers)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = "redis://127.0.0.1:%d" % self.server_address[1]


class Answers(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            head = self.rfile.readline()
            if not head:
                return
            words = []
            for _ in range(int(head[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2])
            try:
                self.wfile.write(self.answer(words[0].upper()))
            except OSError:
                return

    def answer(self, command):
        now = time.time() + self.server.ahead
        bulk = lambda b: b"$%d\r\n%s\r\n" % (len(b), b)
        return {
            b"INFO": bulk(b"# Server\r\nredis_version:%s\r\n" % self.server.version.encode() +
                          self.server.more),
            b"PING": b"+PONG\r\n",
            b"CLIENT": b"+OK\r\n",
            b"ROLE": b"*1\r\n" + bulk(b"master"),
            b"TIME": b"*2\r\n" + bulk(b"%d" % now) + bulk(b"%d" % (now % 1 * 1e6)),
        }.get(command, b"-ERR not here\r\n")


def versions_and_clocks():
    with Keyless() as f:
        old = doctor(f, "--redis", Fake("6.0.16", 0).url, status=1)
        expect(old, "redis", "fail", "6.2 or newer")
        found = doctor(f, "--redis", Fake("6.2.14", 0).url)
        expect(found, "redis", "warn", "7.0 or newer is tested")
        expect(found, "clock", "ok")
        found = doctor(f, "--redis", Fake("7.2.5", 5).url)
        expect(found, "redis", "ok")
        clock_is_off(found, 5)
        clock_is_off(doctor(f, "--redis", Fake("7.2.5", -90).url), -90)


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses, and says the key again in its message."""

    def do_GET(self):
        key = self.headers["x-goog-api-key"]
        body = json.dumps({"error": {"code": 400, "message": "API key not valid: %s\x1b[31m" % key}})
        self.send_response(400)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def keys_and_models():
    with Farm() as f:
        f.redis(*GOOD)
        f.emulator("--key", "the-only-good-key")
        default = "gemini-3.1-flash-image"
        expect(doctor(f, status=1), "key", "fail", "API key not valid")
        name = f.path("key")
        with open(name, "w") as out:
            out.write("the-only-good-key\n")
        os.chmod(name, 0o644)
        expect(doctor(f, "--api-key-file", name, status=0), "key", "warn", "may read it")
        os.chmod(name, 0o600)
        found = doctor(f, "--api-key-file", name, status=0)
        expect(found, default, "ok", "the key is good")
        assert "key" not in found
        found = doctor(f, "--api-key-file", name, "--model", "gemini-9-nothing", status=1)
        expect(found, "gemini-9-nothing", "fail", "is not there")
        assert default not in found
        expect(doctor(f, "--api-key-file", f.path("none"), status=1), "key", "fail", "No such file")
        # What jobs wait for is looked at, too.
        f.genfarm("submit", f.prompts(2), "--model", "gemini-3-pro-image")
        found = doctor(f, "--api-key-file", name, status=0)
        expect(found, "gemini-3-pro-image", "ok")
        expect(found, default, "ok")
        del f.env["GEMINI_API_KEY"]
        expect(doctor(f, status=0), "key", "warn", "none in this environment")
        f.env.update(GEMINI_API_KEY="the-only-good-key", GOOGLE_API_KEY="another one of them")
        expect(doctor(f, status=1), "key", "fail", "a character no key can have")
        f.env["GOOGLE_API_KEY"] = "another-one"
        expect(doctor(f, status=1), "key", "fail", "differ")
        del f.env["GOOGLE_API_KEY"]
        found = doctor(f, "--gemini-base-url", "http://127.0.0.1:1", status=1)
        expect(found, "endpoint", "fail", "127.0.0.1:1")
        echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d" % echo.server_address[1]
        r = f.genfarm("doctor", "--gemini-base-url", url, status=1)
        assert "[redacted]" in r.stdout and "the-only-good-key" not in r.stdout + r.stderr
        assert "\x1b" not in r.stdout


def models_that_retire():
    with Farm() as f:
        f.redis(*GOOD)
        f.emulator()
        day = lambda n: (datetime.datetime.now(datetime.timezone.utc) +
                         datetime.timedelta(days=n)).strftime("%Y-%m-%d")
        name = f.path("catalogue.json")

        def said(date, **env):
            with open(name, "w") as out:
                json.dump({"default": "gemini-3-pro-image", "models": [
                    {"name": "gemini-3-pro-image", "retires": date, "sizes": {"1K": 1}}]}, out)
            f.env.update(env)
            return doctor(f, "--catalogue", name)
        expect(said(day(30)), "gemini-3-pro-image", "warn", "retires on " + day(30))
        expect(said(day(100)), "gemini-3-pro-image", "ok")
        expect(said(day(-1)), "gemini-3-pro-image", "warn", "was to be retired")
        expect(said(day(-1), GEMINI_API_KEY=""), "gemini-3-pro-image", "fail", "was to be retired")
        expect(doctor(f, "--model", "unheard-of"), "unheard-of", "warn", "not in the catalogue")


if __name__ == "__main__":
    sys.exit(farm.main([a_good_farm, settings, no_room_on_the_disk, many_clients, what_waits, replicas, who_may_not_ask,
                        versions_and_clocks, keys_and_models, models_that_retire]))
