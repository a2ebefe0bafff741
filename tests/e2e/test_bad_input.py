"""Bad input and bad surroundings: a message that names the place, the right status, nothing sent."""
import os
import subprocess

import farm
from farm import Farm


def refused(f, name, content, *words):
    path = f.path(name)
    with open(path, "wb") as out:
        out.write(content)
    r = f.genfarm("submit", path, status=2)
    assert not r.stdout, "something was submitted"
    for word in words:
        assert word in r.stderr, "%r is missing in: %s" % (word, r.stderr)


def inputs():
    with Farm() as f:
        f.redis()
        refused(f, "empty.txt", b"", "empty.txt")
        refused(f, "utf8.jsonl", b'{"prompt":"ok"}\n{"prompt":"\xff"}\n', "utf8.jsonl:2")
        refused(f, "line.jsonl", b'{"prompt":"ok"}\n{"prompt":\n', "line.jsonl:2")
        refused(f, "none.jsonl", b'{"prompt":"ok"}\n{"prompt":""}\n', 'none.jsonl:2: "prompt" is empty')
        refused(f, "twice.jsonl", b'{"id":"a","prompt":"x"}\n{"id":"a","prompt":"y"}\n',
                "twice.jsonl:2")
        refused(f, "big.txt", b"x" * (1 << 20) + b"\n", "big.txt:1")
        refused(f, "ratio.jsonl", b'{"prompt":"x","aspect_ratio":"7:5"}\n', "ratio.jsonl:1")
        refused(f, "doc.json", b'{"prompts":[', "doc.json")
        f.genfarm("submit", f.path("not-there.txt"), status=2)
        assert f.cli("ZCARD", "genfarm:{default}:batches") == "0"
        good = f.path("some.jsonl")
        open(good, "w").write('{"prompt":"one"}\n{"prompt":""}\n{"prompt":"../../three","id":"../x"}\n')
        f.genfarm("submit", good, "--skip-bad", "--batch", "some", cwd=f.dir)
        assert f.cli("HGET", "genfarm:{default}:b:some", "total") == "2"
        assert os.path.exists(f.path("some.rejects.jsonl"))
        unfit = f.path("unfit.jsonl")
        open(unfit, "w").write('{"prompt":"a"}\n{"prompt":""}\n{"prompt":"c","image_size":"4K",'
                               '"model":"gemini-2.5-flash-image"}\n')
        r = f.genfarm("submit", unfit, "--count", 2, status=2)
        assert "unfit.jsonl:3" in r.stderr and "2 bad entries; nothing" in r.stderr, r.stderr
        r = f.genfarm("submit", unfit, "--count", 2, "--skip-bad", "--batch", "fit", cwd=f.dir)
        assert "2 bad entries were left out" in r.stderr, r.stderr
        assert f.cli("HGET", "genfarm:{default}:b:fit", "total") == "2"
        assert [r["line"] for r in farm.lines(f.path("fit.rejects.jsonl"))] == [2, 3]


def paths_stay_inside():
    with Farm() as f:
        f.emulator("--latency", "1ms")
        name = f.path("p.jsonl")
        open(name, "w").write('{"prompt":"x","id":"../../up"}\n{"prompt":"y","id":".hidden/%00"}\n')
        f.genfarm("run", name, "-o", f.path("out"))
        assert len(os.listdir(f.batch("images"))) == 2
        assert sorted(os.listdir(f.dir)).count("up.png") == 0


def surroundings():
    with Farm() as f:
        prompts = f.prompts(2)
        r = f.genfarm("submit", prompts, "--redis", "redis://127.0.0.1:1/0", status=1)
        assert "127.0.0.1:1" in r.stderr and "running" in r.stderr
        r = f.genfarm("submit", prompts, "--redis", "http://x", status=2)
        f.redis("--requirepass", "right")
        r = f.genfarm("submit", prompts, "--redis", "unix://:wrong@" + f.socket, status=1)
        assert "password" in r.stderr, r.stderr
        assert "wrong" not in r.stderr.replace("wrong user or password", ""), "it shows the password"
        del f.env["GEMINI_API_KEY"]
        r = f.genfarm("run", prompts, "-o", f.path("out"), status=1)
        assert "GEMINI_API_KEY" in r.stderr and not os.path.exists(f.path("out"))
        w = subprocess.run([os.path.join(farm.BIN, "genfarm-worker")], env=f.env,
                           capture_output=True, text=True)
        assert w.returncode == 1 and "GEMINI_API_KEY" in w.stderr
        for argv in (["run"], ["nonsense"], ["submit", prompts, "--no-such-option"],
                     ["submit", prompts, "--count", "0"], ["watch", "b", "--after", "x"]):
            f.genfarm(*argv, status=2)


def unknown_model():
    with Farm() as f:
        f.emulator("--latency", "1ms")
        r = f.genfarm("run", f.prompts(2), "--model", "no-such-model", "-o", f.path("out"), status=3)
        assert "not_found" in r.stderr and "no-such-model" in r.stderr, r.stderr
        warned = "model no-such-model is not in the catalogue"
        assert r.stderr.count(warned) == 1 and r.stderr.index(warned) < r.stderr.index("batch"), \
            r.stderr
        assert warned in f.genfarm("preview", f.prompts(2), "--model", "no-such-model").stderr


farm.main([inputs, paths_stay_inside, surroundings, unknown_model])
