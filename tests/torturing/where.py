"""Where the open jobs of a batch are, for who looks for the cause when it does not end."""
import struct

FACTS = ("run", "sealed", "cancel", "paused", "hw", "open", "completed", "failed", "cancelled",
         "unknown", "on_unknown", "reserved", "spent", "budget", "done_at")
TICKET = 10  # bytes


def open_jobs(ask, prefix, name, facts):
    states = ask("GET", prefix + "st:" + name) or b""
    states += bytes(int(facts.get("hw") or 0))
    return [i for i in range(int(facts.get("hw") or 0)) if states[i // 4] >> 6 - 2 * (i % 4) & 3 == 0]


def told(place, ticket):
    index, run, attempts, lost, limited = struct.unpack(">IHBBH", ticket)
    return index, "%s run %d attempts %d lost %d limited %d" % (place, run, attempts, lost, limited)


def places(ask, prefix, name):
    """Of all tickets of the batch: (index, words)."""
    for key in ask("KEYS", prefix + "r:*/" + name):
        for t in ask("LRANGE", key, 0, -1):
            yield told("ready in %s" % key.decode(), t)
    for member in ask("ZRANGE", prefix + "d:" + name, 0, -1):
        yield told("delayed", member[:TICKET])
    for kind in ("a:", "x:"):
        for key in ask("KEYS", prefix + kind + "*"):
            held = iter(ask("HGETALL", key))
            for field, v in zip(held, held):
                if v[1 + TICKET:].split(b"\0")[0].endswith(b"/" + name.encode()):
                    yield told("%s %s %s" % (key.decode(), field.decode(), v[:1].decode()),
                               v[1:1 + TICKET])


def tell(ask, queue, name):
    """Lines."""
    prefix = "genfarm:{%s}:" % queue
    values = ask("HMGET", prefix + "b:" + name, *FACTS)
    facts = {k: v.decode() for k, v in zip(FACTS, values) if v is not None}
    yield "%s: %s" % (name, facts)
    at = {}
    for index, words in places(ask, prefix, name):
        at.setdefault(index, []).append(words)
    for i in open_jobs(ask, prefix, name, facts):
        run = ask("HGET", prefix + "rn:" + name, i)
        yield "  job %d of run %s: %s" % (i, (run or b"1").decode(), "; ".join(at.get(i, ["nowhere"])))
