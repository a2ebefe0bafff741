"""genfarm run: every prompt an image, byte for byte, in input order, with not one call too many."""
import os
import signal
import subprocess

import farm
from farm import Farm, lines, sha256


def check_sheet(f):
    """The sheet that was drawn while the run went has every picture: it is the folder's own."""
    f.genfarm("sheet", f.batch(), "-o", f.path("again.png"))
    assert sha256(f.batch("contact_sheet.png")) == sha256(f.path("again.png"))


def whole_farm():
    farm.need_parti()
    with Farm() as f:
        f.emulator("--latency", "50ms")
        f.genfarm("run", farm.PARTI, "--concurrency", 64, "-o", f.path("out"))
        asked = f.requests()
        assert len(asked) == 1632, "%d calls for 1632 prompts" % len(asked)
        sent = sorted(s for r in asked for s in ([r["image_sha256"]] if isinstance(
            r["image_sha256"], str) else r["image_sha256"]))
        manifest = lines(f.batch("manifest.jsonl"))
        assert [m["index"] for m in manifest] == list(range(1632)), "not in input order"
        assert all(m["status"] == "completed" for m in manifest)
        assert manifest[0]["prompt"] == "bond" and manifest[0]["extra"]["Category"] == "Abstract"
        stored = []
        for m in manifest:
            (image,) = m["images"]
            path = f.batch(image["path"])
            assert sha256(path) == image["sha256"], path
            stored.append(image["sha256"])
        assert sorted(stored) == sent, "the images are not what was sent"
        assert len(os.listdir(f.batch("images"))) == 1632
        check_sheet(f)
        assert not os.path.exists(f.path("out", ".genfarm")), "the private farm was left behind"
        assert not os.path.exists(f.batch("failed.jsonl"))
        assert sorted(os.listdir(f.batch())) == ["contact_sheet.png", "images", "manifest.jsonl",
                                                 "metadata.json"]


def interrupted():
    """Ctrl-C keeps what is done; --resume asks only for the rest."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        p = f.follow("run", f.prompts(200), "--concurrency", "8", "-o", f.path("out"), "--json")
        seen = 0
        while seen < 20:
            seen += '"completed"' in p.stdout.readline()
        p.send_signal(signal.SIGINT)
        p.stdout.read()
        assert p.wait(90) == 130
        before = len(f.requests())
        assert before < 200
        f.genfarm("run", "--resume", f.batch(), "--concurrency", 64)
        assert len(f.requests()) == 200, "calls: %d" % len(f.requests())
        assert len(lines(f.batch("manifest.jsonl"))) == 200
        check_sheet(f)


def killed():
    """kill -9 of the run: its children go, and --resume loses nothing."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        p = f.follow("run", f.prompts(100), "--concurrency", "8", "-o", f.path("out"), "--json")
        seen = 0
        while seen < 20:
            seen += '"completed"' in p.stdout.readline()
        p.kill()
        p.wait()
        done = len(os.listdir(f.batch("images")))
        assert done >= 20
        f.genfarm("run", "--resume", f.batch(), "--concurrency", 64)
        manifest = lines(f.batch("manifest.jsonl"))
        assert len(manifest) == 100 and all(m["status"] == "completed" for m in manifest)
        assert len(f.requests()) <= 100 + 8, "more than the calls in flight were repeated"


def failures():
    """Refusals are told by code and reason, and can be submitted again."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        name = f.path("p.txt")
        open(name, "w").write("a good one\na bad one [[fault:prohibited]]\na text [[fault:text_only]]\n")
        f.genfarm("run", name, "-o", f.path("out"), status=3)
        manifest = lines(f.batch("manifest.jsonl"))
        assert [m["status"] for m in manifest] == ["completed", "failed", "failed"]
        assert [m["error"]["code"] for m in manifest[1:]] == ["prohibited", "text_only"]
        assert manifest[1]["error"]["reason"]
        assert len(lines(f.batch("failed.jsonl"))) == 2
        tries = [r["prompt"] for r in f.requests()]
        assert len(tries) == 1 + 1 + 2, "prohibited is asked once, text_only twice"
        check_sheet(f)


def run_again():
    """A job that is cancelled and run again while the sheet is being drawn."""
    with Farm() as f:
        f.emulator("--latency", "200ms")
        f.redis()
        p = f.follow("run", f.prompts(20), "--batch", "b", "--concurrency", "2", "-o",
                     f.path("out"), "--json")
        while '"completed"' not in p.stdout.readline():
            pass
        f.genfarm("cancel", "b", "00000015", "--queue", "run-b")
        while '"cancelled"' not in p.stdout.readline():
            pass
        f.genfarm("retry", "b", "--queue", "run-b")
        assert '"run":2' in p.stdout.read()
        assert p.wait(60) == 0
        check_sheet(f)


def blocked():
    """A bad key stops the run with what is finished, and says how to go on."""
    with Farm() as f:
        f.emulator("--key", "another-key")
        r = f.genfarm("run", f.prompts(5), "-o", f.path("out"), status=1)
        assert "bad_key" in r.stderr and "--resume" in r.stderr, r.stderr
        f.env["GEMINI_API_KEY"] = "another-key"
        f.genfarm("run", "--resume", f.batch(), "-o", f.path("out"))
        assert len(lines(f.batch("manifest.jsonl"))) == 5


farm.main([whole_farm, interrupted, killed, failures, run_again, blocked])
