"""Calls and what they cost: what the farm says of them, against the provider's log.

A call is *known* when the farm had its answer, *unknown* when it began to be sent and nothing more
is known: its worker was lost, or it was cut, or cancelled in flight. `calls` counts both. So, for
each batch,

  calls - unknown <= requests <= calls
      every known call was a request; every request is a call that was counted; an unknown one may
      have reached the provider or not.

For each job, with g the answers that held an image that can be used,

  completed <= g <= completed + unknown + cancelled
      no image is completed that was not made; an image that was made is completed, or its call was
      unknown (a worker that was lost, with or without having stored it), or the job was cancelled
      after the call was sent: of each run of it at most one such call, for one worker has it, and
      of those before it each was unknown. Images that cannot be used (bad_image) are not in g.

  known by events <= requests - limited <= completed + unknown + cancelled + retrying + failed
      a call that is not refused for a limit leaves an event of its job; and an event that tells of
      an answer has a request of its own.

And of cost: with the requests' costs by the catalogue,

  all - (for each job, the dearest of as many as were unknown) <= cost <= all
      nothing is counted twice, and nothing is left out but what nobody can know. What an unknown
      call cost is counted where it was found out after all, once by the call's id."""
import collections

from ledger import good_image, limited

# Failures that tell of no answer.
NO_ANSWER = {"network", "timeout", "worker_lost", "poison", "expired", "storage", "cancelled"}


def known_by_events(events):
    """Calls of one job that these events tell the answer of. An unknown call has an event of its
    own, and may be followed by what comes of it: retrying or failed, of the same attempt."""
    known, unknown = 0, False
    for e in events:
        if e["event"] in ("retrying", "failed"):
            known += not unknown and e["error"]["code"] not in NO_ANSWER
        elif e["event"] == "completed":
            known += 1
        unknown = e["event"] == "unknown"
    return known


def check_job(name, events, lines):
    n = collections.Counter(e["event"] for e in events)
    images = sum(map(good_image, lines))
    assert n["completed"] <= images <= n["completed"] + n["unknown"] + n["cancelled"], (
        "%s: %d images were made; %s" % (name, images, dict(n)))
    requests = sum(not limited(x) for x in lines)
    most = sum(n[k] for k in ("completed", "unknown", "cancelled", "retrying", "failed"))
    assert requests <= most, "%s: %d requests; %s" % (name, requests, dict(n))
    known = known_by_events(events)
    assert known <= len(lines), "%s: %d answers told, of %d" % (name, known, len(lines))


def check(jobs, events, ledger, status):
    """`jobs`: (name, prompt) by index; `events`: of each job, by index."""
    requests = dearest = least = 0
    for index, (name, prompt) in enumerate(jobs):
        lines, told = ledger.of(prompt), events.get(index, [])
        check_job(name, told, lines)
        requests += len(lines)
        costs = sorted(map(ledger.micro, lines))
        unknown = sum(e["event"] == "unknown" for e in told)
        dearest += sum(costs)
        least += sum(costs[:max(0, len(costs) - unknown)])
    calls, unknown = status["calls"], status["possible_double_bill"]
    assert calls - unknown <= requests <= calls, "%d requests; %d calls, %d of them unknown" % (
        requests, calls, unknown)
    assert not status.get("reserved_usd"), "reserved for ever: %s" % status
    cost = round(status["cost_usd"] * 1e6)
    assert least <= cost <= dearest, "cost %d, by the log %d to %d" % (cost, least, dearest)
