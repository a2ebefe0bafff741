"""Lane batch: whoever dies, whatever answer is lost, each row is made once."""
import http.client
import http.server
import json
import threading

import farm
from batches import asked, nothing_left, rows, same_images, submit, watched, whole
from farm import Farm, check_events


class Gate:
    """Between the workers and the emulator: at the first request that matches, kills a worker,
    before the request goes on, or before its answer does, or in the middle of that."""

    def __init__(self, f, method, end, when):
        self.f, self.method, self.end, self.when = f, method, end, when
        self.victim, self.hit = None, threading.Event()
        self.to = int(f.env["GOOGLE_GEMINI_BASE_URL"].rsplit(":", 1)[1])
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # who asked is dead

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                mine = not gate.hit.is_set() and gate.matches(self.command, self.path)
                if mine:
                    gate.hit.set()
                if mine and gate.when == "before":
                    gate.kill()
                    self.close_connection = True
                    return
                c = http.client.HTTPConnection("127.0.0.1", gate.to)
                c.request(self.command, self.path, body, dict(self.headers))
                answer = c.getresponse()
                data = answer.read()
                c.close()
                if mine and gate.when == "after":
                    gate.kill()
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if mine and gate.when == "half":
                    self.wfile.write(data[:len(data) // 2])
                    self.wfile.flush()
                    gate.settled()
                    gate.kill()
                    self.close_connection = True
                    return
                self.wfile.write(data)
                if mine and gate.when == "settling":
                    self.wfile.flush()
                    gate.settled()
                    gate.kill()

            do_GET = do_POST = do_DELETE = pass_on

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        f.env["GOOGLE_GEMINI_BASE_URL"] = "http://127.0.0.1:%d" % self.server.server_address[1]

    def matches(self, method, path):
        return method == self.method and path.split("?")[0].endswith(self.end)

    def settled(self):
        """Some of the rows are through."""
        farm.until(lambda: int(self.f.cli("HGET", "genfarm:{default}:b:" + self.batch,
                                          "completed") or 0) > 0)

    def kill(self):
        self.victim.kill()
        self.victim.wait()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def killed_at(method, end, when, n=40):
    """kill -9 of the worker at one step; another one goes on with the same batch."""
    with Farm() as f:
        f.emulator("--batch-latency", "300ms")
        f.redis()
        gate = Gate(f, method, end, when)
        more = ("--lease", "2", "--sink", "dir:" + f.path("out"))
        gate.batch = "b"
        gate.victim = f.worker(*more)
        batch = submit(f, n, "--batch", "b")
        assert gate.hit.wait(30), "it never came to %s" % end
        gate.victim.wait(60)
        f.worker(*more)
        events = watched(f, batch)
        gate.close()
        assert all(e["event"] == "completed" for e in check_events(events, n))
        made = rows(f)
        assert len(made) == n, "%d rows were made after a kill at %s" % (len(made), end)
        same_images(f, events, made)
        assert events[-1]["possible_double_bill"] == 0
        cost = sum(e["cost_usd"] for e in events if e["event"] == "completed")
        assert abs(events[-1]["cost_usd"] - cost) < 1e-6, "a row was counted twice"
        assert len({r["path"] for r in made}) == 1, "a second batch was made"
        f.genfarm("collect", batch, "-o", f.path("out"))
        whole(f, f.batch, n)
        nothing_left(f)


def kills():
    killed_at("POST", "/upload/v1beta/files", "before")
    killed_at("POST", "/upload/v1beta/files", "after")
    killed_at("POST", ":batchGenerateContent", "before")
    killed_at("POST", ":batchGenerateContent", "after")
    killed_at("GET", ":download", "before")
    killed_at("GET", ":download", "half")
    killed_at("GET", ":download", "settling", 60)


def stopped_and_drained():
    """SIGTERM while a batch waits: the worker leaves at once, the next one goes on with it."""
    with Farm() as f:
        f.emulator("--batch-latency", "2s")
        f.redis()
        first = f.worker()
        batch = submit(f, 20)
        farm.until(lambda: asked(f, ":batchGenerateContent"))
        farm.until(lambda: f.cli("KEYS", "genfarm:{default}:bo:*"))
        first.terminate()
        assert first.wait(20) == 0
        f.worker()
        events = watched(f, batch)
        check_events(events, 20)
        assert len(rows(f)) == 20 and events[-1]["possible_double_bill"] == 0
        nothing_left(f)


def lost_answers():
    """The answer to the making of a batch is lost: it is found by its name, or was not made."""
    with Farm() as f:
        f.emulator("--batch-latency", "300ms", "--batch-fault", "lost_create", "--batch-fault",
                   "never_made")
        f.redis()
        f.worker()
        for name in ("found", "again"):
            events = watched(f, submit(f, 10, "--batch", name, text=name + " %d"))
            check_events(events, 10)
            assert events[-1]["completed"] == 10 and events[-1]["possible_double_bill"] == 0
        assert len(rows(f)) == 20
        assert len(asked(f, ":batchGenerateContent")) == 3
        nothing_left(f)


def deaf():
    """A batch that neither ends nor lets itself be cancelled is given up, as of unknown outcome."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--batch-fault", "deaf*9")
        f.redis()
        f.worker()
        events = watched(f, submit(f, 3, "--batch-deadline", "3s"))
        assert all(e["event"] == "completed" for e in check_events(events, 3))
        unknown = [e for e in events if e["event"] == "unknown"]
        assert len(unknown) == 3 and all(e["error"]["code"] == "timeout" for e in unknown)
        assert events[-1]["possible_double_bill"] == 3
        assert len(asked(f, ":generateContent")) == 3


def several_projects():
    """Batches and files belong to a project: who takes one over uses the keys of that."""
    with Farm() as f:
        f.env.update(ART="key-art", SPARE="key-spare")
        del f.env["GEMINI_API_KEY"]
        f.emulator("--batch-latency", "3s", "--key", "key-art=art", "--key", "key-spare=spare")
        f.redis()
        for names in (("art", "spare"), ("spare",)):
            with open(f.path("_".join(names) + ".json"), "w") as out:
                json.dump({"projects": [{"name": n, "keys": [{"env": n.upper()}]}
                                        for n in names]}, out)
        first = f.worker("--projects", f.path("art_spare.json"), "--batch-bytes", "30M", "--lease", "2")
        batch = submit(f, 40)
        farm.until(lambda: len(asked(f, ":batchGenerateContent")) == 4)
        first.kill()
        f.worker("--projects", f.path("spare.json"), "--lease", "2")
        farm.until(lambda: len(rows(f)) >= 20, 60)
        f.worker("--projects", f.path("art_spare.json"), "--lease", "2")
        events = watched(f, batch)
        assert all(e["event"] == "completed" for e in check_events(events, 40))
        assert events[-1]["possible_double_bill"] == 0 and len(rows(f)) == 40
        used = [r["project"] for r in asked(f, ":batchGenerateContent")]
        assert used.count("art") == 2 and used.count("spare") == 2, used
        nothing_left(f)


farm.main([kills, stopped_and_drained, lost_answers, deaf, several_projects])
