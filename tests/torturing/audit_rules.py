"""Limits and quotas that were in force for a while: by the provider's log, never passed meanwhile."""
import json
import re

from ledger import came, limited

SETTLES = 2.0  # seconds until calls that had their slot before are with the provider
SLACK = 1.0    # that requests may come closer together than they were sent, on a busy machine
SENT = re.compile(r"\b(req|rpd)=(\d+)(?:/(\d+)s)?")


def span_of(rule, stood_still):
    """When all that came had begun under it. What the provider finds when it goes on again was sent
    before."""
    since = rule.since + SETTLES
    for begin, end in stood_still:
        if begin < since < end + SLACK:
            since = end + SLACK
    return since, rule.until or float("inf")


def most_in(times, period):
    most = first = 0
    for i, t in enumerate(times):
        while t - times[first] >= period:
            first += 1
        most = max(most, i - first + 1)
    return most


def group_of(line):
    return "%s/%s/%s" % (line.get("project"), line["model"], line.get("tier"))


def check_limit(rule, times, moved):
    for name, count, period in SENT.findall(rule.spec):
        n = int(count)
        if name == "rpd":
            assert len(times) <= n, "%d calls of %d a day" % (len(times), n)
            continue
        p = float(period)
        calm = [t for t in times if not any(a <= t <= b for a, b in moved)]
        allowed = n + 1 + -int(-n * SLACK // p)
        assert most_in(calm, p) <= allowed, "%d calls in %g s; %s" % (
            most_in(calm, p), p, rule.spec)


def check_quota(rule, lines, ledger):
    unit, _, _ = rule.room
    told = [x for x in lines if not limited(x)]
    used = len(told) if unit == "calls" else sum(map(ledger.micro, told)) / 1e6
    assert used <= rule.allowance + 1e-6, "%s %s, of %s that were left; %s" % (
        used, unit, rule.allowance, rule.spec)


def check_accounts(farm, names):
    """In the end nothing is reserved any more: calls have told what they took, or were lost."""
    out = farm.genfarm("quota", *names, "--json").stdout
    for account in map(json.loads, out.splitlines()):
        for period in ("day", "month"):
            left = {k: v for k, v in account[period]["reserved"].items() if v}
            assert not left, "%s: reserved for ever: %s" % (account["account"], left)


def check(rules, ledger, users, stood_still):
    """`users`: by the digest of a prompt. Rows of remote batches have no limits, and count for
    quotas when their batch is written, which may be long before it is made."""
    calls = sorted(((came(x), x) for x in ledger.all() if x["method"] == "POST"),
                   key=lambda call: call[0])
    moved = [(a, b + SLACK) for a, b in stood_still]
    checked = 0
    for rule in rules.said:
        if not rule.spec:
            continue
        since, until = span_of(rule, stood_still)
        kind, _, name = rule.name.partition(":")
        within = [(t, x) for t, x in calls if since < t < until]
        checked += until > since
        if rule.command == "limits":
            check_limit(rule, [t for t, x in within if group_of(x) == rule.name], moved)
        else:
            mine = [x for _, x in within if name == (
                users.get(x["prompt"]) if kind == "user" else x.get("project"))]
            check_quota(rule, mine, ledger)
    return checked
