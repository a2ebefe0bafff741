"""Lane batch: jobs in remote batches, at half the price, each image once, whoever dies."""
import http.client
import http.server
import json
import threading

import farm
from farm import Farm, check_events, lines, sha256


def rows(f):
    """What the provider has made, a line for each row of a batch."""
    return [r for r in f.requests() if r["method"] == "ROW"]


def asked(f, end):
    return [r for r in f.requests() if r["path"].endswith(end)]


def submit(f, n, *options, text="picture number %d"):
    return f.genfarm("submit", f.prompts(n, text), "--lane", "batch", *options).stdout.strip()


def watched(f, batch, status=0):
    out = f.genfarm("watch", batch, "--json", status=status).stdout
    return [json.loads(line) for line in out.splitlines()]


def same_images(f, events, made):
    """Each completed job's image is one that the provider has made, byte for byte."""
    shas = sorted(e["images"][0]["sha256"] for e in events if e["event"] == "completed")
    assert shas == sorted(r["image_sha256"] for r in made if r["images"]), "other images"


def whole(f, out, n):
    manifest = lines(out("manifest.jsonl"))
    assert len(manifest) == n
    for m in manifest:
        assert sha256(out(m["images"][0]["path"])) == m["images"][0]["sha256"]
    return manifest


def nothing_left(f):
    """Of operations nothing is kept."""
    farm.until(lambda: not f.cli("EXISTS", "genfarm:{default}:ops") == "1")
    assert f.cli("KEYS", "genfarm:{default}:bo:*") == ""
    f.genfarm("fsck")


def half_price():
    """run --lane batch: 200 prompts in several batches; every image arrives, once, for half."""
    with Farm() as f:
        f.emulator("--batch-latency", "500ms")
        f.genfarm("run", f.prompts(200), "--lane", "batch", "-o", f.path("out"), "--no-sheet")
        manifest = whole(f, f.batch, 200)
        made = rows(f)
        assert len(made) == 200, len(made)
        same_images(f, [dict(m, event="completed") for m in manifest], made)
        makes = asked(f, ":batchGenerateContent")
        assert len(makes) == 3, "200 images of 3 MB in batches of 256 MB: %d" % len(makes)
        assert not asked(f, ":generateContent")
        meta = json.load(open(f.batch("metadata.json")))
        tokens = sum(r["input_tokens"] * 0.5 + r["text_tokens"] * 3 + r["image_tokens"] * 60
                     for r in made)
        assert abs(meta["cost_usd"] * 1e6 - tokens / 2) <= 200, (meta["cost_usd"], tokens)




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


def bad_rows():
    """Rows that fail are judged one by one, and made again where that may help."""
    with Farm() as f:
        f.emulator("--batch-latency", "100ms")
        f.redis()
        f.worker()
        name = f.path("mixed.txt")
        with open(name, "w") as file:
            for i in range(30):
                file.write("good %d\n" % i)
            for i in range(5):
                file.write("busy %d [[fault:503*1]]\n" % i)
                file.write("unsafe %d [[fault:safety]]\n" % i)
                file.write("spoiled %d [[fault:corrupt_image*1]]\n" % i)
                file.write("missing %d [[fault:cut_body*1]]\n" % i)
                file.write("no json %d [[fault:empty_body*1]]\n" % i)
        batch = f.genfarm("submit", name, "--lane", "batch").stdout.strip()
        events = watched(f, batch, status=3)
        ends = check_events(events, 55)
        failed = [e for e in ends if e["event"] == "failed"]
        assert len(failed) == 5 and all(e["error"]["code"] == "safety" for e in failed)
        unknown = [e for e in events if e["event"] == "unknown"]
        assert {e["error"]["code"] for e in unknown} == {"bad_response"} and len(unknown) == 10
        codes = [e["error"]["code"] for e in events if e["event"] == "retrying"]
        assert sorted(set(codes)) == ["bad_image", "bad_response", "overloaded"], codes
        assert events[-1]["possible_double_bill"] == 10
        assert len(rows(f)) == 55 + 20
        nothing_left(f)


def bad_batches():
    """Batches that fail, expire, lose rows or break off while they are fetched."""
    with Farm() as f:
        f.emulator("--batch-latency", "100ms", "--batch-fault", "failed", "--batch-fault", "expired",
                   "--batch-fault", "lost_rows", "--batch-fault", "cut_result")
        f.redis()
        f.worker()
        events = watched(f, submit(f, 12))
        assert all(e["event"] == "completed" for e in check_events(events, 12))
        codes = [e["error"]["code"] for e in events if e["event"] == "retrying"]
        assert codes.count("server_error") == 12 and codes.count("timeout") == 12
        assert codes.count("bad_response") == 6
        assert sum(e["event"] == "unknown" for e in events) == 6
        assert len(rows(f)) == 12 + 6
        nothing_left(f)


def late_ones_go_standard():
    """--batch-deadline: a batch that is stuck is cancelled, and its jobs are made by calls."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--batch-fault", "stuck*9")
        f.redis()
        f.worker()
        events = watched(f, submit(f, 8, "--batch-deadline", "4s"))
        assert all(e["event"] == "completed" for e in check_events(events, 8))
        steps = [e for e in events if e["event"] == "step"]
        assert len(steps) == 8 and all(e["step"] == "standard_lane" for e in steps)
        assert events[-1]["possible_double_bill"] == 0 and not rows(f)
        assert len(asked(f, ":generateContent")) == 8 and asked(f, ":cancel")
        used = f.genfarm("usage", "--by", "lane", "--csv").stdout
        assert "standard," in used, used
        nothing_left(f)


def cancelled():
    """cancel reaches the provider; nothing is made."""
    with Farm() as f:
        f.emulator("--batch-latency", "1h")
        f.redis()
        f.worker("--lease", "2")
        batch = submit(f, 10)
        farm.until(lambda: asked(f, ":batchGenerateContent"))
        f.genfarm("cancel", batch)
        events = watched(f, batch, status=3)
        assert all(e["event"] == "cancelled" for e in check_events(events, 10))
        farm.until(lambda: asked(f, ":cancel"))
        nothing_left(f)
        assert not rows(f)
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["possible_double_bill"] == 0


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


def a_bad_key_stops_the_lane():
    with Farm() as f:
        f.emulator("--key", "another")
        f.redis()
        f.worker()
        batch = submit(f, 5)
        w = f.follow("watch", batch, "--json")
        event = {}
        while event.get("event") != "blocked":
            event = json.loads(w.stdout.readline())
        assert event["error"]["code"] == "bad_key" and event["group"].endswith("/batch"), event
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["failed"] == 0


def a_budget_holds():
    """Reserved before the batch is made: no more rows than there is money for, at worst."""
    with Farm() as f:
        f.emulator("--batch-latency", "200ms")
        f.redis()
        f.worker()
        batch = submit(f, 30, "--budget", "0.40")
        w = f.follow("watch", batch, "--json")
        event = {}
        while event.get("event") != "blocked":
            event = json.loads(w.stdout.readline())
        farm.until(lambda: f.cli("EXISTS", "genfarm:{default}:ops") == "0")
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert 0 < status["completed"] < 30 and status["cost_usd"] <= 0.40, status
        assert len(rows(f)) == status["completed"]


def other_lanes():
    """flex and priority: told to the provider, at their price, counted and limited apart."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker()
        cost = {}
        for lane in ("standard", "flex", "priority"):
            batch = f.genfarm("submit", f.prompts(3, lane[0] + " %d"), "--lane", lane).stdout.strip()
            cost[lane] = watched(f, batch)[-1]["cost_usd"]
        assert abs(cost["flex"] * 2 - cost["standard"]) < 1e-5, cost
        assert abs(cost["priority"] - 2 * cost["standard"]) < 1e-5, cost
        used = f.genfarm("usage", "--by", "lane", "--csv").stdout
        assert all(name in used for name in cost), used
        f.genfarm("limits", "set", "gemini-3.1-flash-image/flex", "req=1/1h")
        slow = f.genfarm("submit", f.prompts(5, "slow %d"), "--lane", "flex").stdout.strip()
        f.genfarm("watch", f.genfarm("submit", f.prompts(5, "free %d")).stdout.strip())
        status = json.loads(f.genfarm("status", slow, "--json").stdout)
        assert status["completed"] <= 2, status


farm.main([half_price, kills, stopped_and_drained, lost_answers, bad_rows, bad_batches,
           late_ones_go_standard, cancelled, deaf, several_projects, a_bad_key_stops_the_lane, a_budget_holds, other_lanes])
