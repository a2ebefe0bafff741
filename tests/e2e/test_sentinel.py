"""A farm on a primary, its replica and three sentinels: the primary is killed during a batch."""
import json
import os
import signal
import subprocess

from farm import BIN, Farm, check_events, lines, main, sha256, until
from servers import Server, sentinels

JOBS = 240


def quiet_and_in_sync(primary):
    """Replication is asynchronous, and a failover may lose the end of what was acknowledged; here
    the primary writes nothing more, and is killed when its replica has everything."""
    primary.do("CLIENT", "PAUSE", 60000, "WRITE")

    def same():
        r = primary.info("replication")
        return "offset=%s," % r["master_repl_offset"] in r.get("slave0", "")
    until(same)


def worker_log(farm, n):
    return open(farm.path("worker%d.log" % n)).read()


def failover():
    with Farm() as f:
        f.emulator("--latency", "50ms")
        primary, replica = Server(f), Server(f)
        replica.follow(primary)
        watchers = sentinels(f, primary)
        hosts = ["127.0.0.1:%d" % w.port for w in watchers]
        f.env["GENFARM_REDIS_URL"] = "redis+sentinel://%s/farm" % ",".join(hosts)
        logs = []
        for _ in range(2):
            logs.append(len(f.children))
            f.worker("--concurrency", "4")
        batch = f.genfarm("submit", f.prompts(JOBS)).stdout.strip()
        # One who knows the first sentinel only, and hears of the others from it.
        watch = f.follow("watch", batch, "--json", "--redis", "redis+sentinel://%s/farm" % hosts[0])
        events = []
        while len(events) < JOBS // 4:
            events.append(json.loads(watch.stdout.readline()))
        quiet_and_in_sync(primary)
        primary.kill()
        watchers[0].kill()
        # Who comes in the middle of it waits until there is a primary.
        late = f.genfarm("status", batch, "--json")
        assert json.loads(late.stdout)["total"] == JOBS, late.stderr
        events += [json.loads(line) for line in watch.stdout]
        assert watch.wait(30) == 0
        ends = check_events(events, JOBS)
        assert all(e["event"] == "completed" for e in ends)
        assert replica.info("replication")["role"] == "master"
        assert len(f.requests()) == JOBS, "%d calls of %d jobs" % (len(f.requests()), JOBS)
        assert events[-1]["possible_double_bill"] == 0
        f.genfarm("collect", batch, "-o", f.path("out"))
        manifest = lines(f.batch("manifest.jsonl"))
        assert len(manifest) == JOBS
        for m in manifest:
            assert sha256(f.batch(m["images"][0]["path"])) == m["images"][0]["sha256"]
        for n in logs:
            log = worker_log(f, n)
            assert log.count("redis is away") == 1, log
            assert log.count("connected to redis") == 2, log
        assert "version 7" in f.genfarm("doctor", status=None).stdout
        f.genfarm("fsck")

        # The old primary comes back, is made a replica, and serves nobody.
        primary.start()
        until(lambda: primary.info("replication").get("role") == "slave")
        f.genfarm("status", "--redis", "redis://127.0.0.1:%d" % primary.port, status=1)
        again = f.genfarm("submit", f.prompts(8, "once more %d")).stdout.strip()
        f.genfarm("watch", again)


def behind():
    """The replica that takes over was behind: what was acknowledged meanwhile is lost. Who watched
    is told so; who begins again sees every job end once. What was done meanwhile is done again, and
    billed again: each such call is an unknown one, or is found by its worker to be a second one."""
    with Farm() as f:
        f.emulator("--latency", "150ms")
        primary, replica = Server(f), Server(f)
        replica.follow(primary)
        hosts = ["127.0.0.1:%d" % w.port for w in sentinels(f, primary)]
        f.env["GENFARM_REDIS_URL"] = "redis+sentinel://%s/farm" % ",".join(hosts)
        log = len(f.children)
        f.worker("--concurrency", "4", "--sink", "dir:" + f.path("out"))
        batch = f.genfarm("submit", f.prompts(JOBS)).stdout.strip()
        watch = f.start(os.path.join(BIN, "genfarm"), "watch", batch, "--json", stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
        for _ in range(20):
            watch.stdout.readline()
        replica.process.send_signal(signal.SIGSTOP)
        primary.cli("CLIENT", "KILL", "TYPE", "replica")
        for _ in range(20):
            watch.stdout.readline()
        primary.kill()
        replica.process.send_signal(signal.SIGCONT)
        told = watch.communicate(timeout=50)[1]
        assert watch.returncode == 1 and "lost what it had acknowledged" in told, told
        events = [json.loads(line) for line in f.genfarm("watch", batch, "--json").stdout.splitlines()]
        assert all(e["event"] == "completed" for e in check_events(events, JOBS))
        again = len(f.requests()) - JOBS
        assert 0 < again <= events[-1]["possible_double_bill"] + \
            worker_log(f, log).count("stored before")
        f.genfarm("fsck")


main([failover, behind])
