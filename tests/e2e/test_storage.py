"""Disks that are full, folders that cannot be written, files that are in the way: what is told, what
is kept, and that no image is paid for twice."""
import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys

import farm
from farm import Farm, lines, sha256, until

IMAGE = 200000  # bytes of each
MB = 1 << 20


def enter_namespace():
    """A disk of our own needs a mount, which goes when we go: in a namespace of our own, as root or
    as root of a user namespace."""
    if os.environ.get("IN_NAMESPACE"):
        return
    for options in "-m", "-Urm":
        if subprocess.run(["unshare", options, "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True).returncode == 0:
            os.environ["IN_NAMESPACE"] = "1"
            os.execvp("unshare", ["unshare", options, sys.executable, *sys.argv])
    print("neither root nor user namespaces: no small disk can be made: skipped")
    sys.exit(77)


@contextlib.contextmanager
def disk(f, megabytes):
    """A small disk: yields a function that makes it larger."""
    path = f.path("disk")
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "none", path], check=True)
    try:
        yield lambda more: subprocess.run(
            ["mount", "-o", "remount,size=%dm" % more, "none", path], check=True)
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@contextlib.contextmanager
def unprivileged(f):
    """The programs run without root's rights over files, whoever runs the test."""
    folder, real = f.path("bin"), farm.BIN
    os.mkdir(folder)
    for name in os.listdir(real):
        with open(os.path.join(folder, name), "w") as out:
            out.write('#!/bin/sh\nexec %s"%s" "$@"\n' % (
                "setpriv --inh-caps=-all --bounding-set=-all " if os.geteuid() == 0 else "",
                os.path.join(real, name)))
        os.chmod(out.name, 0o755)
    farm.BIN = folder
    try:
        yield
    finally:
        farm.BIN = real


def fill(path):
    """Another program takes all the room there is."""
    with open(os.path.join(path, "filler"), "wb", buffering=0) as out:
        with contextlib.suppress(OSError):
            while True:
                out.write(bytes(1 << 16))
        with contextlib.suppress(OSError):
            while True:
                out.write(b"\0")


def check_images(f, folder, whole=None):
    """What has its final name is what was sent, byte for byte; `whole`: so many there are."""
    sent = {r["image_sha256"] for r in f.requests()}
    names = [n for n in os.listdir(os.path.join(folder, "images")) if not n.startswith(".")]
    for name in names:
        assert sha256(os.path.join(folder, "images", name)) in sent, name
    if whole is not None:
        assert len(names) == whole, "%d images of %d" % (len(names), whole)


def check_done(f, folder, n):
    """Every image is there, and was paid for once."""
    manifest = lines(os.path.join(folder, "manifest.jsonl"))
    assert len(manifest) == n and all(m["status"] == "completed" for m in manifest)
    for m in manifest:
        assert sha256(os.path.join(folder, m["images"][0]["path"])) == m["images"][0]["sha256"]
    check_images(f, folder, n)
    assert len(f.requests()) == n, "%d calls for %d images" % (len(f.requests()), n)
    names = os.listdir(folder) + os.listdir(os.path.join(folder, "images"))
    assert not [n for n in names if n.startswith(".") or n.endswith(".tmp")], names


def check_words(stderr, *words):
    for word in words:
        assert word in stderr, "%r is not in:\n%s" % (word, stderr)


def run(f, *options):
    """genfarm run in the background; what it says can be read."""
    return f.start(os.path.join(farm.BIN, "genfarm"), "run", *options, stderr=subprocess.PIPE,
                   text=True)


def child_of(pid, name):
    for stat in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, words = open(stat).read().split(" (", 1)
            command, words = words.rsplit(") ", 1)
            if command == name and int(words.split()[1]) == pid:
                return int(number)
    raise AssertionError("%s has no child %s" % (pid, name))


def cut_transaction(aof):
    """Takes the end of the file's last transaction away, within its last command."""
    size = os.path.getsize(aof)
    with open(aof, "rb") as f:
        f.seek(max(0, size - (1 << 16)))
        end = f.read().rfind(b"*1\r\n$4\r\nEXEC")
    os.truncate(aof, max(0, size - (1 << 16)) + end - 3)


def batch_in(folder):
    (batch,) = [n for n in os.listdir(folder) if not n.startswith(".")]
    return os.path.join(folder, batch)


def read_until(stream, word):
    text = line = stream.readline()
    while line and word not in line:
        line = stream.readline()
        text += line
    assert word in text, text
    return text


def event_of(stream, name):
    """Reads on to an event of this name."""
    for line in stream:
        event = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError("no %s" % name)


# --- genfarm run -------------------------------------------------------------------------------


def run_fills_its_disk():
    """The images take all the room there is; what was paid for is kept, and --resume does the rest."""
    with Farm() as f, disk(f, 8) as grow:
        f.emulator("--latency", "20ms", "--bytes", IMAGE)
        r = f.genfarm("run", f.prompts(60), "-o", f.path("disk", "out"), status=1)
        folder = batch_in(f.path("disk", "out"))
        check_words(r.stderr, "storage", f.path("disk", "out"), "no room", "free some room",
                    "genfarm run --resume " + folder)
        check_images(f, folder, len(f.requests()))
        assert 10 < len(f.requests()) < 60
        grow(64)
        f.genfarm("run", "--resume", folder)
        check_done(f, folder, 60)


def run_loses_its_disk_to_another():
    """Another program takes all the room at once, from Redis too: the images in hand are kept until
    there is some again."""
    with Farm() as f, disk(f, 64):
        f.emulator("--latency", "50ms", "--bytes", IMAGE)
        p = run(f, f.prompts(60), "--concurrency", "4", "-o", f.path("disk", "out"))
        until(lambda: len(f.requests()) >= 10)
        fill(f.path("disk"))
        said = read_until(p.stderr, "free some room")
        os.unlink(f.path("disk", "filler"))
        said += p.stderr.read()
        folder = batch_in(f.path("disk", "out"))
        if p.wait(90) != 0:  # as it may, when it noticed before it was over
            check_words(said, "genfarm run --resume " + folder)
            assert p.returncode == 1, said
            f.genfarm("run", "--resume", folder)
        check_done(f, folder, 60)


def run_without_redis():
    """The private Redis is killed: it is started again, and nothing is lost or done twice."""
    with Farm() as f:
        f.emulator("--latency", "100ms")
        p = run(f, f.prompts(200), "--concurrency", "8", "-o", f.path("out"))
        until(lambda: len(f.requests()) >= 30)
        os.kill(child_of(p.pid, "redis-server"), signal.SIGKILL)
        said = p.stderr.read()
        assert p.wait(90) == 0, said
        check_done(f, batch_in(f.path("out")), 200)


def killed_while_it_wrote():
    """The private Redis left the beginning of a transaction in its file: none of it is ever done."""
    with Farm() as f:
        f.emulator("--latency", "50ms")
        p = run(f, f.prompts(200), "--concurrency", "8", "-o", f.path("out"))
        until(lambda: len(f.requests()) >= 30)
        folder = batch_in(f.path("out"))
        for _ in range(2):  # it is the second start that would go wrong
            redis = child_of(p.pid, "redis-server")
            p.kill()
            p.wait()
            until(lambda: not os.path.exists("/proc/%d" % redis))
            (aof,) = glob.glob(f.path("out", ".genfarm", "*", "appendonlydir", "*.incr.aof"))
            cut_transaction(aof)
            before = len(f.requests())
            p = run(f, "--resume", folder)
            until(lambda: len(f.requests()) >= before + 30)
        said = p.stderr.read()
        assert p.wait(90) == 0, said
        manifest = lines(os.path.join(folder, "manifest.jsonl"))
        assert len(manifest) == 200 and all(m["status"] == "completed" for m in manifest)
        meta = json.load(open(os.path.join(folder, "metadata.json")))
        assert meta["counts"]["completed"] == 200 and meta["counts"]["open"] == 0
        check_images(f, folder, 200)


def images_turned_read_only():
    """images/ cannot be written any more; what was paid for waits, and is counted once."""
    with Farm() as f, unprivileged(f):
        f.emulator("--latency", "50ms")
        p = run(f, f.prompts(60), "--concurrency", "4", "-o", f.path("out"))
        until(lambda: len(f.requests()) >= 10)
        folder = batch_in(f.path("out"))
        os.chmod(os.path.join(folder, "images"), 0o555)
        said = read_until(p.stderr, "Permission denied")
        check_words(said, "storage", os.path.join(folder, "images"), "let it be written")
        os.chmod(os.path.join(folder, "images"), 0o755)
        said += p.stderr.read()
        assert p.wait(90) == 1, said
        check_words(said, "genfarm run --resume " + folder)
        f.genfarm("run", "--resume", folder)
        check_done(f, folder, 60)
        manifest = lines(os.path.join(folder, "manifest.jsonl"))
        meta = json.load(open(os.path.join(folder, "metadata.json")))
        assert abs(sum(m["cost_usd"] for m in manifest) - meta["cost_usd"]) < 1e-6


def folder_removed():
    """Whoever removes the folder of a run is told so; nobody goes on paying for images for it."""
    with Farm() as f:
        f.emulator("--latency", "50ms")
        p = run(f, f.prompts(200), "--concurrency", "4", "-o", f.path("out"))
        until(lambda: len(f.requests()) >= 10)
        folder = batch_in(f.path("out"))
        os.rename(folder, f.path("away"))
        shutil.rmtree(f.path("away"))
        said = p.stderr.read()
        assert p.wait(90) == 1, said
        check_words(said, folder, "removed")
        assert len(f.requests()) < 200


# --- Workers and collect -----------------------------------------------------------------------


def worker_on_a_full_disk():
    """Whoever watches is told; other workers go on; after it is freed all is done, each once."""
    with Farm() as f, disk(f, 8):
        os.mkdir(f.path("disk", "full"))
        f.emulator("--latency", "20ms", "--bytes", IMAGE)
        f.redis()
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("disk", "full"))
        batch = f.genfarm("submit", f.prompts(60)).stdout.strip()
        w = f.follow("watch", batch, "--json")
        blocked = event_of(w.stdout, "blocked")
        assert blocked["error"]["code"] == "storage", blocked
        check_words(blocked["error"]["message"], f.path("disk", "full"), "no room")
        asked = len(f.requests())
        assert 10 < asked < 60
        assert batch in f.genfarm("list").stdout
        status = json.loads(f.genfarm("status", batch, "--json").stdout)
        assert status["completed"] == asked, "what was paid for was stored"
        check_images(f, f.path("disk", "full", batch), asked)
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        w.stdout.read()
        assert w.wait(60) == 0
        f.genfarm("collect", batch, "-o", f.path("out"))
        shutil.rmtree(f.path("out", batch, ".records"))
        check_done(f, f.path("out", batch), 60)


def worker_disk_freed():
    """A disk that another program filled and freed again: blocked, unblocked, each image once."""
    with Farm() as f, disk(f, 32):
        os.mkdir(f.path("disk", "out"))
        f.emulator("--latency", "20ms", "--bytes", IMAGE)
        f.redis()
        f.worker("--concurrency", "4", "--sink", "dir:" + f.path("disk", "out"))
        batch = f.genfarm("submit", f.prompts(60)).stdout.strip()
        w = f.follow("watch", batch, "--json")
        event_of(w.stdout, "completed")
        fill(f.path("disk"))
        assert event_of(w.stdout, "blocked")["error"]["code"] == "storage"
        asked = len(f.requests())
        assert asked < 60
        check_images(f, f.path("disk", "out", batch))
        os.unlink(f.path("disk", "filler"))
        event_of(w.stdout, "unblocked")
        w.stdout.read()
        assert w.wait(60) == 0
        f.genfarm("collect", batch, "-o", f.path("disk", "out"))
        shutil.rmtree(f.path("disk", "out", batch, ".records"))
        check_done(f, f.path("disk", "out", batch), 60)


def spool_on_a_full_disk():
    """Answers that find no room while they arrive stay in memory until they are stored."""
    with Farm() as f, disk(f, 1):
        f.emulator("--latency", "5ms", "--bytes", IMAGE)
        f.redis()
        fill(f.path("disk"))
        f.worker("--concurrency", "8", "--spool", f.path("disk"))
        batch = f.genfarm("submit", f.prompts(40)).stdout.strip()
        f.genfarm("collect", batch, "-o", f.path("out"))
        check_done(f, f.path("out", batch), 40)


def collect_on_a_full_disk():
    """Said, with the place; nothing half; freed, the same command goes on."""
    with Farm() as f, disk(f, 4) as grow:
        f.emulator("--latency", "5ms", "--bytes", IMAGE)
        f.redis()
        f.worker("--concurrency", "8")
        batch = f.genfarm("submit", f.prompts(60)).stdout.strip()
        f.genfarm("watch", batch)
        r = f.genfarm("collect", batch, "-o", f.path("disk"), status=1)
        check_words(r.stderr, f.path("disk", batch), "No space left", "free some room")
        check_images(f, f.path("disk", batch))
        assert not os.path.exists(f.path("disk", batch, "manifest.jsonl"))
        grow(64)
        f.genfarm("collect", batch, "-o", f.path("disk"))
        check_done(f, f.path("disk", batch), 60)


def collect_without_any_room():
    """Not even the folder's first file finds room."""
    with Farm() as f, disk(f, 1):
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker()
        batch = f.genfarm("submit", f.prompts(5)).stdout.strip()
        fill(f.path("disk"))
        r = f.genfarm("collect", batch, "-o", f.path("disk"), status=1)
        check_words(r.stderr, f.path("disk", batch), "No space left", "free some room")
        os.unlink(f.path("disk", "filler"))
        f.genfarm("collect", batch, "-o", f.path("disk"))
        check_done(f, f.path("disk", batch), 5)


# --- Folders that cannot be written, files in the way --------------------------------------------


def unwritable_from_the_beginning():
    """Told by name before anything is asked for."""
    with Farm() as f, unprivileged(f):
        f.emulator("--latency", "5ms")
        f.redis()
        os.mkdir(f.path("shut"), 0o555)
        r = f.genfarm("run", f.prompts(3), "-o", f.path("shut"), status=1)
        check_words(r.stderr, f.path("shut"), "Permission denied")
        r = f.genfarm("run", f.prompts(3), "-o", f.path("shut", "below"), status=1)
        check_words(r.stderr, f.path("shut", "below"), "Permission denied")
        for option in ("--sink", "dir:" + f.path("shut")), ("--spool", f.path("shut")):
            p = f.worker(*option)
            assert p.wait(20) == 1
            check_words(open(f.path("worker%d.log" % (len(f.children) - 1))).read(),
                        f.path("shut"), "Permission denied")
        assert len(f.requests()) == 0
        f.worker()
        batch = f.genfarm("submit", f.prompts(3)).stdout.strip()
        r = f.genfarm("collect", batch, "-o", f.path("shut"), status=1)
        check_words(r.stderr, f.path("shut", batch), "Permission denied", "let it be written")
        os.chmod(f.path("shut"), 0o755)
        f.genfarm("collect", batch, "-o", f.path("shut"))
        check_done(f, f.path("shut", batch), 3)


def other_content_in_the_way():
    """A file that has an image's name, and even its size, but other bytes, is replaced; a folder
    cannot be, and is named."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--bytes", 50000)
        f.redis()
        batch = f.genfarm("submit", f.prompts(4)).stdout.strip()
        for out in "theirs", "ours":
            os.makedirs(f.path(out, batch, "images"))
            for i, size in (0, 10), (1, 50000):
                open(f.path(out, batch, "images", "%05d_%08d.png" % (i, i)), "w").write("x" * size)
        os.mkdir(f.path("ours", batch, "images", "00002_00000002.png"))
        w = f.worker("--sink", "dir:" + f.path("theirs"))
        f.genfarm("watch", batch)
        check_images(f, f.path("theirs", batch), 4)
        r = f.genfarm("collect", batch, "-o", f.path("ours"), status=1)
        check_words(r.stderr, f.path("ours", batch, "images", "00002_00000002.png"), "directory")
        os.rmdir(f.path("ours", batch, "images", "00002_00000002.png"))
        f.genfarm("collect", batch, "-o", f.path("ours"))
        check_done(f, f.path("ours", batch), 4)


def folder_in_a_workers_way():
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(4)).stdout.strip()
        there = f.path("out", batch, "images", "00002_00000002.png")
        os.makedirs(there)
        f.worker("--sink", "dir:" + f.path("out"))
        w = f.follow("watch", batch, "--json")
        message = event_of(w.stdout, "blocked")["error"]["message"]
        check_words(message, there, "directory")
        os.rmdir(there)
        w.stdout.read()
        assert w.wait(60) == 0
        check_images(f, f.path("out", batch), 4)
        assert len(f.requests()) == 4


def manifest_in_the_way():
    """What is written last cannot be: told, and the same again finishes; run keeps its queue for it."""
    with Farm() as f:
        f.emulator("--latency", "20ms")
        p = run(f, f.prompts(20), "--concurrency", "2", "-o", f.path("out"))
        until(lambda: len(f.requests()) >= 2)
        folder = batch_in(f.path("out"))
        os.mkdir(os.path.join(folder, "manifest.jsonl"))
        said = p.stderr.read()
        assert p.wait(60) == 1, said
        check_words(said, os.path.join(folder, "manifest.jsonl"), "directory",
                    "genfarm run --resume " + folder)
        os.rmdir(os.path.join(folder, "manifest.jsonl"))
        f.genfarm("run", "--resume", folder)
        check_done(f, folder, 20)


def manifest_in_the_way_of_collect():
    with Farm() as f:
        f.emulator("--latency", "50ms")
        f.redis()
        batch = f.genfarm("submit", f.prompts(10)).stdout.strip()
        p = f.follow("collect", batch, "-o", f.path("out"))
        until(lambda: os.path.exists(f.path("out", batch, "metadata.json")))
        os.mkdir(f.path("out", batch, "manifest.jsonl"))
        f.worker()
        assert p.wait(60) == 1
        os.rmdir(f.path("out", batch, "manifest.jsonl"))
        f.genfarm("collect", batch, "-o", f.path("out"))
        check_done(f, f.path("out", batch), 10)


enter_namespace()
farm.main([run_fills_its_disk, run_loses_its_disk_to_another, run_without_redis,
           killed_while_it_wrote, images_turned_read_only, folder_removed, worker_on_a_full_disk, worker_disk_freed,
           spool_on_a_full_disk, collect_on_a_full_disk, collect_without_any_room,
           unwritable_from_the_beginning, other_content_in_the_way, folder_in_a_workers_way,
           manifest_in_the_way, manifest_in_the_way_of_collect])
