"""The batches of a plan: what each asks for."""

QUEUES = ("dir", "redis")  # each named by the sink of its workers
MODELS = ("gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-2.5-flash-image")
USERS = ("ann", "bob", "eve")

# By turns. Two of those that share requests are in one queue, and the next two in the other.
KINDS = ("calls", "remote", "shared", "foreign", "shared", "tier", "calls")


def plain(random, n, at):
    return {
        "at": round(at, 2), "name": "b%03d" % n, "queue": QUEUES[n % 2],
        "kind": KINDS[n % len(KINDS)], "jobs": random.randrange(20, 90),
        "user": random.choice(USERS), "model": random.choice(MODELS),
        "on_unknown": random.choice(("retry", "retry", "fail")),
        "priority": random.choice(("high", "normal", "low")),
        "budget": random.choice((None, None, 1000, 2)), "lane": "standard",
        "foreign": False, "bad": 0, "remote_deadline": None, "dedupe": None, "max_queue": None,
        "wait": False, "ids": random.choice((True, False)), "apart": random.choice((True, False)),
        "attempts": random.randrange(2, 7), "slow": random.random() * 0.1}


def calls(random, spec, _):
    """Some into a queue that may not take them."""
    if random.random() < 0.4:
        spec.update(max_queue=random.choice((150, 300)), wait=random.random() < 0.6, budget=None)


def remote(random, spec, endless):
    """Some go standard before their batch has ended."""
    spec["lane"] = "batch"
    if endless or random.random() < 0.5:
        spec["remote_deadline"] = round(random.choice((1.5, random.uniform(3, 8))), 1)


def shared(random, spec, _):
    """One user's and model's, for the provider's log does not tell whose batch makes a call."""
    spec.update(dedupe=random.choice(("1d", "1d", "5s")), user=USERS[-1], budget=None,
                model=MODELS[QUEUES.index(spec["queue"])])


def foreign(_, spec, __):
    """Among its jobs are some that are refused."""
    spec.update(foreign=True, bad=spec["jobs"] % 4, on_unknown="retry", budget=None)


def tier(random, spec, _):
    spec["lane"] = random.choice(("flex", "priority"))


MAKERS = {"calls": calls, "remote": remote, "shared": shared, "foreign": foreign, "tier": tier}


def make(random, seconds, endless):
    """`endless`: some remote batches never end."""
    out, at = [], 0.0
    while at < 0.85 * seconds:
        spec = plain(random, len(out), at)
        MAKERS[spec["kind"]](random, spec, endless)
        out.append(spec)
        at += random.uniform(0.8, 3.2)
    return out
