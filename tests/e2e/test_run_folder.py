"""genfarm run and its folder: one run at a time, nothing begun that cannot go on, and what is there is told."""
import glob
import json
import os
import signal
import subprocess

import farm
from farm import Farm, lines


def follow_some(f, n, *argv):
    """A run of which some events were seen."""
    p = f.follow("run", *argv, "-o", f.path("out"), "--json")
    for _ in range(n):
        while '"completed"' not in p.stdout.readline():
            pass
    return p


def locked():
    """Who comes second is told by whom the folder is run, and nothing is sent twice."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        p = follow_some(f, 5, f.prompts(150), "--batch", "b", "--concurrency", "2")
        for again in (("run", "--resume", f.path("out", "b")),
                      ("run", f.prompts(150), "--batch", "b", "-o", f.path("out"))):
            r = f.genfarm(*again, status=1)
            assert "is being run by process %d" % p.pid in r.stderr, r.stderr
        p.stdout.read()
        assert p.wait(90) == 0
        assert len(f.requests()) == 150, len(f.requests())
        assert not os.path.exists(f.path("out", ".genfarm"))


def locked_elsewhere():
    """The same with a server that all of them know; collect is one more writer."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        f.redis()
        p = follow_some(f, 5, f.prompts(150), "--batch", "b", "--concurrency", "2")
        for again in (("run", "--resume", f.path("out", "b")),
                      ("collect", "b", "--queue", "run-b", "-o", f.path("out"))):
            r = f.genfarm(*again, status=1)
            assert "is being run by process %d" % p.pid in r.stderr, r.stderr
        p.stdout.read()
        assert p.wait(90) == 0
        assert len(f.requests()) == 150, len(f.requests())


def holders(name):
    """Who has a file open, by the names of their programs."""
    found = []
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) == name:
                found.append(open("/proc/%s/comm" % link.split("/")[2]).read().strip())
        except OSError:
            pass
    return sorted(found)


def killed():
    """Its Redis keeps the lock of a run that was killed: a second one would write the same file."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        p = follow_some(f, 5, f.prompts(40), "--batch", "b", "--concurrency", "2")
        lock = os.path.realpath(f.path("out", ".genfarm", ".b.lock"))
        assert holders(lock) == ["genfarm", "redis-server"], holders(lock)
        assert open(lock).read().split()[0] == str(p.pid)
        p.kill()
        p.wait()
        f.genfarm("run", "--resume", f.path("out", "b"), "--concurrency", "64")
        assert len(lines(f.path("out", "b", "manifest.jsonl"))) == 40
        assert not os.path.exists(f.path("out", ".genfarm"))


def children(pid, name):
    """Processes of that program that a process has started."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            words = open(path).read()
        except OSError:
            continue
        comm, rest = words[words.index("(") + 1:words.rindex(")")], words[words.rindex(")") + 2:]
        if comm == name and int(rest.split()[1]) == pid and rest[0] != "Z":
            found.append(int(words.split()[0]))
    return found


def gone(pid):
    return not os.path.exists("/proc/%d" % pid)


def left_by_dead_workers():
    """--resume knows that the run's workers are dead: their leases hold nothing up, were they ever
    so long."""
    with Farm() as f:
        f.emulator("--latency", "4s")
        p = f.follow("run", f.prompts(4), "--batch", "b", "--concurrency", "4", "-o", f.path("out"))
        farm.until(lambda: children(p.pid, "redis-server"))
        (redis,) = children(p.pid, "redis-server")
        title = lambda: open("/proc/%d/cmdline" % redis).read()
        farm.until(lambda: "unixsocket:" in title())  # it shows where it is
        f.socket = title().split("unixsocket:")[1].strip(" \0")
        keys = "genfarm:{run-b}:"
        farm.until(lambda: f.cli("ZCARD", keys + "leases") == "1")
        inc = f.cli("ZRANGE", keys + "leases", "0", "0")
        farm.until(lambda: f.cli("HLEN", keys + "a:" + inc) == "4")
        (worker,) = children(p.pid, "genfarm-worker")
        p.send_signal(signal.SIGSTOP)  # or it would start another worker
        os.kill(worker, signal.SIGKILL)
        f.cli("ZADD", keys + "leases", str(2 ** 50), inc)
        assert f.cli("ZSCORE", keys + "leases", inc) == str(2 ** 50)
        p.kill()
        p.wait()
        farm.until(lambda: gone(worker) and gone(redis))
        f.genfarm("run", "--resume", f.path("out", "b"))
        assert len(lines(f.path("out", "b", "manifest.jsonl"))) == 4


def options_first():
    """What workers would refuse is refused before anything is made, by option and by file."""
    with Farm() as f:
        f.emulator()
        bad = f.path("bad.json")
        open(bad, "w").write("{")
        for option, value in (("--limit", "foo=1"), ("--limit", "rpm=0"),
                              ("--projects", f.path("nosuch.json")), ("--projects", bad),
                              ("--api-key-file", f.path("nosuch")),
                              ("--gemini-base-url", "foo"), ("--verify", "half"),
                              ("--verify", "")):
            r = f.genfarm("run", f.prompts(2), "-o", f.path("out"), option, value, status=2)
            said = r.stderr.strip()
            assert "\n" not in said and "nothing was started" in said, said
            assert value in said and (option in said or option == "--projects"), said
            assert not os.path.exists(f.path("out")), "something was made"
        f.genfarm("run", f.prompts(2), "-o", f.path("out"), "--verify", "crc", "--limit", "rpm=600")


def complete():
    """--resume of what has ended says so, and what it takes no input for."""
    with Farm() as f:
        f.emulator()
        f.genfarm("run", f.prompts(3), "--batch", "b", "-o", f.path("out"))
        r = f.genfarm("run", "--resume", f.path("out", "b"))
        assert "is complete: 3 of 3" in r.stderr, r.stderr
        r = f.genfarm("run", "--resume", f.path("out", "b"), f.prompts(3), status=2)
        assert "takes no" in r.stderr, r.stderr
        r = f.genfarm("run", "--resume", f.path("nosuch"), status=2)
        assert "nosuch: No such file" in r.stderr, r.stderr
        assert not os.path.exists(f.path("out", ".genfarm"))
        f.redis()
        f.genfarm("run", f.prompts(3), "--batch", "c", "-o", f.path("out"))
        r = f.genfarm("run", "--resume", f.path("out", "c"))
        assert "is complete: 3 of 3" in r.stderr, r.stderr
        assert len(f.requests()) == 6


def ended():
    """A run some of whose jobs failed has nothing to go on with but its failed.jsonl."""
    with Farm() as f:
        f.emulator()
        name = f.path("p.txt")
        open(name, "w").write("a good one\na bad one [[fault:prohibited]]\n")
        f.genfarm("run", name, "--batch", "b", "-o", f.path("out"), status=3)
        r = f.genfarm("run", "--resume", f.path("out", "b"), status=3)
        assert "1 of 2 jobs completed" in r.stderr and "failed.jsonl" in r.stderr, r.stderr


def how_to_go_on():
    """Who stops says what is done, what is left, what it cost, and what is needed to go on."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        r = f.genfarm("run", f.prompts(60), "--batch", "b", "-o", f.path("out"), "--budget", 1,
                      status=4)
        done = json.load(open(f.path("out", "b", "metadata.json")))["counts"]["completed"]
        assert 0 < done < 60
        assert "%d completed, 0 failed, 0 cancelled, %d left of 60; $0." % (done, 60 - done) \
            in r.stderr or "left of 60; $1.0000" in r.stderr, r.stderr
        assert "--resume %s --budget N" % os.path.realpath(f.path("out", "b")) in r.stderr, r.stderr
        f.genfarm("run", "--resume", f.path("out", "b"), "--budget", 100)


def interrupted():
    with Farm() as f:
        f.emulator("--latency", "100ms")
        p = f.start(os.path.join(farm.BIN, "genfarm"), "run", f.prompts(100), "--batch", "b", "-o",
                    f.path("out"), "--json", "--concurrency", "2", stdout=subprocess.PIPE,
                    stderr=open(f.path("said"), "w"), text=True)
        while '"completed"' not in p.stdout.readline():
            pass
        p.send_signal(signal.SIGINT)
        p.stdout.read()
        assert p.wait(90) == 130
        said = open(f.path("said")).read()
        assert " left of 100; $0." in said and "to go on: genfarm run --resume" in said, said
        assert "--budget" not in said


def lost_images():
    """Images that somebody deleted: told by a run that is complete, and by sheet."""
    with Farm() as f:
        f.emulator()
        f.genfarm("run", f.prompts(4), "--batch", "b", "-o", f.path("out"))
        images = sorted(glob.glob(f.path("out", "b", "images", "*")))
        os.unlink(images[1])
        open(images[2], "w").write("no picture")
        r = f.genfarm("run", "--resume", f.path("out", "b"), status=1)
        assert "2 images are missing or broken" in r.stderr, r.stderr
        assert os.path.basename(images[1]) in r.stderr, r.stderr
        r = f.genfarm("sheet", f.path("out", "b"))
        assert "2 of 4 pictures" in r.stderr and "2 pictures are missing" in r.stderr, r.stderr


def lost_meanwhile():
    """The same of a run that was interrupted: its end says so, and what is there is not asked again."""
    with Farm() as f:
        f.emulator("--latency", "100ms")
        p = follow_some(f, 10, f.prompts(40), "--batch", "b", "--concurrency", "2")
        p.send_signal(signal.SIGINT)
        p.stdout.read()
        assert p.wait(90) == 130
        os.unlink(sorted(glob.glob(f.path("out", "b", "images", "*")))[0])
        r = f.genfarm("run", "--resume", f.path("out", "b"), "--concurrency", "64", status=1)
        assert "1 jobs completed, but their images are no longer" in r.stderr, r.stderr
        assert len(f.requests()) == 40
        manifest = lines(f.path("out", "b", "manifest.jsonl"))
        assert [m["status"] for m in manifest].count("completed") == 39, manifest


def fetched_again():
    """From a server that still has them, lost images come back; else the end says they are gone."""
    with Farm() as f:
        f.emulator()
        f.redis()
        f.worker()
        f.genfarm("submit", f.prompts(6), "--batch", "b")
        f.genfarm("watch", "b")
        stored = f.cli("KEYS", "genfarm:{default}:o:*").split()
        assert len(stored) == 12, stored  # and what is known of each
        for key in stored:
            assert f.cli("COPY", key, key.replace(":o:", ":kept:")) == "1"
        f.genfarm("collect", "b", "-o", f.path("out"))
        images = sorted(glob.glob(f.path("out", "b", "images", "*")))
        before = [farm.sha256(i) for i in images]
        os.unlink(images[3])
        f.cli("DEL", *stored)
        r = f.genfarm("collect", "b", "-o", f.path("out"), status=1)
        assert "1 jobs completed, but their images" in r.stderr, r.stderr
        for key in stored:
            f.cli("RENAME", key.replace(":o:", ":kept:"), key)
        f.genfarm("collect", "b", "-o", f.path("out"))
        assert [farm.sha256(i) for i in images] == before


def replaced_in_a_shared_folder():
    """Other bytes of the same size, in the folder that the workers share, are not taken for the image."""
    with Farm() as f:
        f.emulator()
        f.redis()
        f.worker("--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(6), "--batch", "b")
        f.genfarm("watch", "b")
        image = sorted(glob.glob(f.path("out", "b", "images", "*")))[2]
        with open(image, "r+b") as out:
            out.seek(30)
            out.write(b"!!!!")
        r = f.genfarm("collect", "b", "-o", f.path("out"), status=1)
        assert "1 jobs completed, but their images" in r.stderr, r.stderr
        states = [m["status"] for m in lines(f.path("out", "b", "manifest.jsonl"))]
        assert states.count("completed") == 5 and states[2] != "completed", states


def own_queue():
    """On a server that others share, the queue is the run's own unless one is named."""
    with Farm() as f:
        f.emulator()
        f.redis()
        f.genfarm("run", f.prompts(2), "--batch", "a", "-o", f.path("out"))
        assert "a" in f.genfarm("list", "--queue", "run-a").stdout
        f.genfarm("run", f.prompts(3), "--batch", "b", "--queue", "mine", "-o", f.path("out"))
        assert "b" in f.genfarm("list", "--queue", "mine").stdout
        assert "b" not in f.genfarm("list", "--queue", "run-b").stdout.split()


farm.main([locked, locked_elsewhere, killed, left_by_dead_workers, options_first, complete, ended,
           how_to_go_on, interrupted, lost_images, lost_meanwhile, fetched_again,
           replaced_in_a_shared_folder, own_queue])
