"""TLS, to the provider and to Redis, through the real programs: who is not known, or has another
name, is told nothing; who is vouched for by the file that was given is spoken with."""
import json
import sys

import farm
import secure
from farm import Farm
from servers import free_port


def refused(f, *options):
    """The job fails for it, and not a byte of a request left."""
    w = f.worker("--sink", "dir:" + f.path("out"), *options)
    batch = f.genfarm("submit", f.prompts(1), "--max-attempts", "2").stdout.strip()
    r = f.genfarm("watch", batch, "--json", status=3)
    ends = farm.check_events([json.loads(line) for line in r.stdout.splitlines()], 1)
    for e in ends:
        assert e["event"] == "failed" and e["error"]["code"] == "network", e
        assert "certificate" in e["error"]["message"] or "SSL" in e["error"]["message"], e
    assert '"unknown"' not in r.stdout and f.requests() == []
    w.terminate()
    assert w.wait(20) == 0


class Secure(Farm):
    """With a front before the emulator; `env` names it as the endpoint."""

    def __init__(self, **names):
        super().__init__()
        self.emulator("--latency", "5ms")
        self.redis("--appendonly", "yes")
        self.cert, key = secure.certificate(self.dir, **names)
        self.front = secure.Front(self.env["GOOGLE_GEMINI_BASE_URL"], self.cert, key)
        self.front.begin.set()
        self.env["GOOGLE_GEMINI_BASE_URL"] = self.front.url()


def a_provider_nobody_vouches_for():
    with Secure() as f:
        refused(f)
        found = f.genfarm("doctor", status=1).stdout
        assert "FAIL  endpoint" in found, found
        assert f.front.shaken == 0 and f.front.failed >= 3


def a_provider_of_another_name():
    with Secure(names="DNS:elsewhere.example") as f:
        refused(f, "--gemini-ca", f.cert)
        found = f.genfarm("doctor", "--gemini-ca", f.cert, status=1).stdout
        assert "FAIL  endpoint" in found, found
        assert f.front.posts == 0


def a_provider_that_is_known():
    with Secure() as f:
        w = f.worker("--sink", "dir:" + f.path("out"), "--gemini-ca", f.cert)
        batch = f.genfarm("submit", f.prompts(3)).stdout.strip()
        f.genfarm("watch", batch)
        assert f.front.posts == 3 == len(f.requests())
        found = f.genfarm("doctor", "--gemini-ca", f.cert, status=0).stdout
        assert "the key is good" in found, found
        w.terminate()
        f.genfarm("run", f.prompts(2), "-o", f.path("run"), "--gemini-ca", f.cert)
        assert f.front.posts == 5
        r = f.genfarm("run", f.prompts(1), "-o", f.path("run"), "--gemini-ca", f.path("none"),
                      "--max-attempts", "1", status=3)
        assert f.front.posts == 5, r.stderr


def redis_over_tls():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        cert, key = secure.certificate(f.dir)
        other, _ = secure.certificate(f.dir, "other")
        port = free_port()
        f.redis("--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key,
                "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
        f.env["GENFARM_REDIS_URL"] = "rediss://127.0.0.1:%d" % port
        for ca in ((), ("--redis-ca", other)):
            r = f.genfarm("submit", f.prompts(2), *ca, status=1)
            assert "certificate" in r.stderr and r.stdout == "", r.stderr
        log = f.path("worker%d.log" % len(f.children))
        f.worker("--sink", "dir:" + f.path("out"))
        farm.until(lambda: "certificate" in open(log).read())
        assert f.cli("KEYS", "*") == ""
        f.worker("--sink", "dir:" + f.path("out"), "--redis-ca", cert)
        batch = f.genfarm("submit", f.prompts(2), "--redis-ca", cert).stdout.strip()
        f.genfarm("watch", batch, "--redis-ca", cert)
        f.genfarm("run", f.prompts(3), "-o", f.path("run"), "--redis", f.env["GENFARM_REDIS_URL"],
                  "--redis-ca", cert)
        assert len(f.requests()) == 5
        assert "registered" not in open(log).read()


if __name__ == "__main__":
    sys.exit(farm.main([a_provider_nobody_vouches_for, a_provider_of_another_name,
                        a_provider_that_is_known, redis_over_tls]))
