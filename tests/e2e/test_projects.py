"""Several projects, each with its keys and quotas: all kept full, none exceeded; what one cannot
do the others take over."""
import json
import os
import sys

import farm
from farm import Farm
from test_limits import came, most_in, used

FULL = 0.05  # of a limit: is it kept in use; how full is measured by tests/bench/run limiter
MODEL = "gemini-3.1-flash-image"
KEYS = {"ART_KEY": "key-of-art-1", "ART_KEY_2": "key-of-art-2", "SPARE_KEY": "key-of-spare",
        "BAD_KEY": "key-of-nobody", "BAD_KEY_2": "key-of-nobody-else"}
GOOD = ("--key", "key-of-art-1=art", "--key", "key-of-art-2=art", "--key", "key-of-spare=spare")


def project(name, *keys, **more):
    return dict(name=name, keys=[{"env": k} for k in keys], **more)


def begin(f, projects, emulator=(), worker=(), n=1):
    f.env.update(KEYS)
    del f.env["GEMINI_API_KEY"]
    f.emulator("--latency", "20ms", *GOOD, *emulator)
    f.redis()
    f.file = f.projects(projects)
    for _ in range(n):
        f.worker("--projects", f.file, "--concurrency", "32", "--sink", "dir:" + f.path("out"),
                 *worker)
    farm.until(lambda: len(f.genfarm("workers", "--json").stdout.splitlines()) == n)


def of(f, name, status=200):
    return [r for r in f.requests() if r.get("project") == name and r["status"] == status]


def do_all(f, n):
    """Submits and waits; the events, all of jobs that were completed at the first attempt."""
    batch = f.genfarm("submit", f.prompts(n), "--batch", "b").stdout.strip()
    out = f.genfarm("watch", batch, "--json").stdout
    events = [json.loads(line) for line in out.splitlines()]
    ends = farm.check_events(events, n)
    assert all(e["event"] == "completed" and e["attempts"] == 1 for e in ends)
    return events


def logs(f):
    return "".join(open(f.path(n)).read() for n in os.listdir(f.dir) if n.startswith("worker"))


def limits(f, group):
    return json.loads(f.genfarm("limits", "--json", group).stdout)


def both_full_and_never_exceeded():
    with Farm() as f:
        begin(f, [project("art", "ART_KEY", "ART_KEY_2", limit="req=30/1s"),
                  project("spare", "SPARE_KEY", limits={MODEL: "req=10/1s"})],
              ("--quota", "art=40/1s", "--quota", "spare=14/1s"), n=2)
        do_all(f, 240)
        assert not [r for r in f.requests() if r["status"] == 429], "a project was exceeded"
        for name, rate in (("art", 30), ("spare", 10)):
            at = sorted(map(came, of(f, name)))
            assert most_in(at, 1.0) <= rate + 1, (name, most_in(at, 1.0))
            assert used(at, rate) >= FULL, (name, used(at, rate))
        assert 140 <= len(of(f, "art")) <= 210, "%d of 240 for the larger one" % len(of(f, "art"))
        assert "req=10/1s" in f.genfarm("limits", "spare/%s/standard" % MODEL).stdout


def limits_name_a_project():
    """A limit of project default would hold nobody where no worker has that project."""
    with Farm() as f:
        begin(f, [project("art", "ART_KEY"), project("spare", "SPARE_KEY")])
        for words in (("set", MODEL, "req=2/30s"), ("clear", MODEL + "/standard")):
            said = f.genfarm("limits", *words, status=2).stderr
            assert "no worker sends through project default" in said, said
            assert "art/%s/standard, spare/%s/standard" % (MODEL, MODEL) in said, said
        for project_of in "art", "default":
            f.genfarm("limits", "set", "%s/%s" % (project_of, MODEL), "req=2/30s")
            assert limits(f, "%s/%s" % (project_of, MODEL))["limit"] == "req=2/30s"


def by_weight():
    """Where no project is limited, work is shared in the proportion of the weights; and the keys
    of a project take turns."""
    with Farm() as f:
        begin(f, [project("art", "ART_KEY", "ART_KEY_2", weight=3), project("spare", "SPARE_KEY")])
        do_all(f, 200)
        assert 140 <= len(of(f, "art")) <= 160, len(of(f, "art"))


def nearly(counted, truth):
    """What the limiter counts of a day is counted at most once: what a lost answer told of is not."""
    return 0.85 * truth <= counted <= truth + 1e-6


def a_day_ends():
    """A project whose day is used up is passed over; the batch is never told that it is blocked."""
    with Farm() as f:
        begin(f, [project("art", "ART_KEY"), project("spare", "SPARE_KEY")],
              ("--quota", "spare=20/day",))
        events = do_all(f, 300)
        assert not [e for e in events if e["event"] == "blocked"]
        assert (len(of(f, "spare")), len(of(f, "art"))) == (20, 280)
        assert 1 <= len(of(f, "spare", 429)) <= 32, "more than were in flight were refused"
        today = lambda: limits(f, "spare/%s/standard" % MODEL)
        farm.until(lambda: nearly(today()["calls_today"], 20 + len(of(f, "spare", 429))))
        assert nearly(today()["refused_today"], len(of(f, "spare", 429)))
        assert (today()["learned"], today()["limited_by"]) == ("rpd=20", "rpd"), today()
        art = lambda: limits(f, "art/%s/standard" % MODEL)
        farm.until(lambda: nearly(art()["calls_today"], 280))
        cost = art()["cost_usd_today"] + today()["cost_usd_today"]
        whole = json.loads(f.genfarm("status", "b", "--json").stdout)["cost_usd"]
        assert nearly(cost, whole), (cost, whole)


def a_bad_key():
    """It is left out, its project goes on with another; and nobody learns what it was."""
    with Farm() as f:
        begin(f, [project("art", "BAD_KEY", "ART_KEY"), project("spare", "BAD_KEY_2")])
        events = do_all(f, 200)
        assert not [e for e in events if e["event"] == "blocked"]
        assert len(of(f, "art")) == 200
        bad = [r for r in f.requests() if r["status"] == 400]
        assert 2 <= len(bad) <= 64, len(bad)
        said = logs(f)
        assert "project=art key=BAD_KEY " in said and "project=spare key=BAD_KEY_2 " in said, said
        assert not [k for k in KEYS.values() if k in said]


def all_keys_bad():
    with Farm() as f:
        begin(f, [project("art", "BAD_KEY"), project("spare", "BAD_KEY_2")],
              worker=("--concurrency", "4"))
        f.genfarm("submit", f.prompts(200), "--batch", "b")
        for line in f.follow("watch", "b", "--json").stdout:
            e = json.loads(line)
            if e["event"] == "blocked":
                break
        assert e["error"]["code"] == "bad_key", e
        assert "b" in f.genfarm("status").stdout
        statuses = [r["status"] for r in f.requests()]
        # What was under way when each was found out, and no more.
        assert set(statuses) == {400} and len(statuses) <= 2 * 4, statuses
        text = logs(f)
        assert "group=art/" in text and "group=spare/" in text, text


def a_project_that_is_off():
    """Billing is off, or the service is: no model of the project is asked any more; the others of
    the pool go on."""
    lite = "gemini-3.1-flash-lite-image"
    with Farm() as f:
        begin(f, [project("art", "ART_KEY"), project("spare", "SPARE_KEY")])
        f.genfarm("submit", f.prompts(40), "--batch", "warm", "--model", lite)
        f.genfarm("watch", "warm")
        assert of(f, "art") and of(f, "spare")
        refused = lambda: [r["project"] for r in f.requests() if r["status"] == 402]
        f.genfarm("submit", "-", "--format", "txt", "--batch", "off",
                  input="one [[fault:402*1]]\n")
        f.genfarm("watch", "off")
        (name,) = refused()
        before = len([r for r in f.requests() if r.get("project") == name])
        blocked = "no credits (permission): %s/%s" % (name, lite)
        farm.until(lambda: blocked in f.genfarm("status").stderr)
        f.genfarm("submit", f.prompts(30), "--batch", "more", "--model", lite)
        f.genfarm("watch", "more")
        assert len([r for r in f.requests() if r.get("project") == name]) == before
        assert len(f.requests()) == 40 + 2 + 30


def the_rest_of_a_slow_project():
    """What waits for a project with little room is done by another that has some again."""
    with Farm() as f:
        begin(f, [project("art", "ART_KEY", limit="req=1/1h"),
                  project("spare", "SPARE_KEY", limit="req=20/1s")])
        do_all(f, 60)
        assert len(of(f, "art")) == 1 and len(of(f, "spare")) == 59


def files_that_are_wrong():
    good = project("art", "ART_KEY")
    with Farm() as f:
        f.env.update(KEYS)
        name = f.path("p.json")
        env = f.env

        def told(document, word, status=2, *options):
            with open(name, "w") as out:
                out.write(document if isinstance(document, str) else
                          json.dumps({"projects": document}))
            r = farm.subprocess.run([os.path.join(farm.BIN, "genfarm-worker"), "--projects", name,
                                     *options], env=env, capture_output=True, text=True, timeout=60)
            assert r.returncode == status and word in r.stderr, (status, word, r)
            assert not [k for k in KEYS.values() if k in r.stderr], r.stderr

        told("[", name)
        told([], "1 to 16")
        told([dict(good, name="a/b")], "project 1: name")
        told([good, project("art", "SPARE_KEY")], "project 2 (art): the name is there twice")
        told([good, project("spare", "ART_KEY")], "project 2 (spare): keys: one of them is there twice")
        told([dict(good, weight=0)], "weight")
        told([dict(good, limit="rpm=")], "limit \"rpm=\"")
        told([dict(good, limit="rpm")], "no model of the catalogue has such a tier", 1)
        told([dict(good, limits={"x/y/z": "rpm=1"})], "limits")
        told([dict(good, limit_s="rpm=1")], "members beside")
        told([dict(good, keys=[])], "one or more")
        told([dict(good, keys=["key-of-art-1"])], "must be {\"env\"")
        told([project("art", "NOT_SET")], "NOT_SET", 1)
        told([dict(good, keys=[{"file": f.path("none")}])], "No such file", 1)
        told([good], "do not go with it", 2, "--project", "x")
        os.chmod(name, 0o666)
        told([good], "everybody may write it", 1)


def tiers():
    """Limits by name, as the operator's catalogue has them for each model."""
    with Farm() as f:
        f.env.update(KEYS)
        f.env["GEMINI_API_KEY"] = "key-of-art-1"
        f.emulator("--latency", "20ms", *GOOD)
        f.redis()
        name = f.path("catalogue.json")
        model = {"name": MODEL, "tiers": {"tier1": "req=2/1h,ipm=600", "tier2": "req=900/1s"}}
        with open(name, "w") as out:
            json.dump({"default": MODEL, "models": [model, {"name": "other"}]}, out)
        r = f.start(os.path.join(farm.BIN, "genfarm-worker"), "--limit", "tier9", "--catalogue",
                    name, stderr=farm.subprocess.PIPE, text=True)
        assert r.wait(60) == 1 and "no model of the catalogue has such a tier" in r.stderr.read()
        f.worker("--limit", "tier1", "--catalogue", name, "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(20), "--batch", "b")
        farm.until(lambda: limits(f, MODEL)["limit"] == "req=2/1h,ipm=600".replace("/1h", "/3600s"))
        f.genfarm("limits", "set", "other", "tier2", "--catalogue", name, status=2)
        f.genfarm("limits", "set", MODEL, "tier9", "--catalogue", name, status=2)
        f.genfarm("limits", "set", MODEL, "tier2", "--catalogue", name)
        assert limits(f, MODEL)["limit"] == "req=900/1s"
        f.genfarm("watch", "b")  # which would take ten hours with the first one
        for tier, n in (("tier1", 10), ("tier2", 50), ("tier3", 200)):  # those that are built in
            f.genfarm("limits", "set", "gemini-3-pro-image/flex", tier)
            assert limits(f, "gemini-3-pro-image/flex")["limit"] == "usd10m=%d" % n
        with open(name, "w") as out:
            json.dump({"default": MODEL, "models": [dict(model, tiers={"x": "rpm"})]}, out)
        assert "tiers" in f.genfarm("limits", "--catalogue", name, status=2).stderr


def what_is_reserved_is_found():
    """Calls under way through one of several projects are in the batch's budget: fsck agrees."""
    with Farm() as f:
        begin(f, [project("art", "ART_KEY"), project("spare", "SPARE_KEY")])
        f.genfarm("submit", f.prompts(4, "[[latency:100s]] %d"), "--batch", "b", "--budget", "5")
        status = lambda: json.loads(f.genfarm("status", "b", "--json").stdout)
        farm.until(lambda: status().get("reserved_usd", 0) > 0.25)
        assert " 0 problems" in f.genfarm("fsck").stderr


def the_doctor_asks_with_every_key():
    with Farm() as f:
        begin(f, [project("art", "ART_KEY", "BAD_KEY"), project("spare", "SPARE_KEY")])
        r = f.genfarm("doctor", "--projects", f.file, status=1)
        lines = [line.split(None, 2) for line in r.stdout.splitlines()]
        said = [(v, text.split(":")[0]) for v, what, text in lines if text.startswith("project ")]
        assert said == [("OK", "project art, ART_KEY"), ("FAIL", "project art, BAD_KEY"),
                        ("OK", "project spare, SPARE_KEY")], r.stdout
        assert not [k for k in KEYS.values() if k in r.stdout + r.stderr]


if __name__ == "__main__":
    sys.exit(farm.main([files_that_are_wrong, tiers, what_is_reserved_is_found,
                        the_doctor_asks_with_every_key, limits_name_a_project, by_weight,
                        both_full_and_never_exceeded, a_day_ends, a_bad_key, all_keys_bad,
                        a_project_that_is_off, the_rest_of_a_slow_project]))
