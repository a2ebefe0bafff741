"""What is delivered beside the programs says the same as they do."""
import json
import os
import re
import subprocess

import farm
from farm import BIN, Farm

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def text(*names):
    with open(os.path.join(ROOT, *names)) as f:
        return f.read()


def options(*argv):
    out = subprocess.run([os.path.join(BIN, argv[0]), *argv[1:], "--help"], capture_output=True,
                         text=True, check=True).stdout
    found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", out))
    assert found
    return found


def man_pages():
    out = subprocess.run([os.path.join(BIN, "genfarm"), "--help"], capture_output=True,
                         text=True).stdout
    commands = re.findall(r"^  ([a-z]+) ", out, re.M)
    assert len(commands) >= 14
    page = text("deploy", "man", "genfarm.1").replace("\\-", "-")
    completion = text("deploy", "completion", "genfarm.bash")
    for command in commands:
        assert "\\fB%s\\fR" % command in page, command
        for option in options("genfarm", command):
            assert option in page, "%s %s is not in the man page" % (command, option)
            assert option in completion, "%s %s is not completed" % (command, option)
    for program in ("genfarm-worker", "gemini-emulator"):
        page = text("deploy", "man", program + ".1").replace("\\-", "-")
        for option in options(program):
            assert option in page, "%s is not in the man page of %s" % (option, program)
            (words,) = re.findall(r'-W "(.*)" %s$' % program, completion, re.M)
            assert option in words.split(), "%s of %s is not completed" % (option, program)


def scripts_and_units():
    for script in ("deploy/quickstart.sh", "deploy/install-deps.sh", "tests/run.sh", ".ci/run",
                   "deploy/completion/genfarm.bash"):
        subprocess.run(["bash", "-n", os.path.join(ROOT, script)], check=True)
    unit = text("deploy", "systemd", "genfarm-worker.service")
    assert int(re.search(r"TimeoutStopSec=(\d+)", unit).group(1)) > 60, "shorter than the grace"


def samples():
    with Farm() as f:
        for name, n in (("json", 24), ("jsonl", 3), ("csv", 2), ("txt", 3)):
            r = f.genfarm("preview", "--json", os.path.join(ROOT, "deploy/samples/sample." + name))
            *lines, last = map(json.loads, r.stdout.splitlines())
            assert len(lines) == last["total"]["calls"] == n, name
        first = json.loads(f.genfarm("preview", "--json", os.path.join(
            ROOT, "deploy/samples/sample.json")).stdout.splitlines()[0])
        for heading in ("Subject", "Scene", "Mood", "Prompt"):
            assert heading in first["prompt"], first["prompt"]


farm.main([man_pages, scripts_and_units, samples])
