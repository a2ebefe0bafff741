"""Calls and what they cost: the farm's ledger against the provider's log.

A call is *known* when the farm had its answer, *unknown* when it began to be sent and nothing more
is known: its worker was lost, or it was cut, or cancelled in flight. A row of a remote batch is a
call. Those that the provider was asked for and did not make (its batch failed, expired, or was
cancelled) may have been told of. Jobs of one prompt are looked at together, for they may share what
was made. For each prompt,

  made <= known + unknown, and known <= made + not made
      every request is a call that is entered, every known call was a request; an unknown one may
      have reached the provider or not.

  costs of known calls, and those that became known later, are costs of different requests,
      token for token and to the millionth of a dollar; of what became known later, there are no
      more than of unknown calls. Where an image is found before the call that made it is told of,
      its cost is entered with the find, and the call without.

  good <= answers with an image that can be used <= good + unknown, where
  good = completed by calls of their own + cancelled after they were sent - found
      each good answer completed its job, or its job had been cancelled meanwhile: this is seen by
      the entry of an image that counts for nobody. An image that was *found* completes a job, too:
      where a lost worker had stored it, its call was unknown; where the job had been cancelled
      and was opened again, it is one of those that counted for nobody.

  bad <= answers with an image that cannot be used <= bad + unknown

  known by events <= requests - limited <= completed + unknown + cancelled + retrying + failed
      a call that is not refused for a limit leaves an event of its job; and an event that tells of
      an answer has a request of its own.

Of each batch, its entries add up to its counters, exactly."""
import collections

from entries import costs, is_known
from ledger import SPOILED, good_image, has_image, is_made, limited

# Failures that tell of no answer.
NO_ANSWER = {"network", "timeout", "worker_lost", "poison", "expired", "storage", "cancelled"}


class Prompt:
    """All that there is of one prompt. `jobs`: (batch, index); `events`: of them, a list each."""

    def __init__(self, prompt):
        self.prompt = prompt
        self.jobs, self.events = [], []

    def add(self, batch, index, events):
        self.jobs.append((batch, index))
        self.events.append(events)


def known_by_events(events):
    """Calls of one job that these events tell the answer of. An unknown call has an event of its
    own, and may be followed by what comes of it: retrying or failed, of the same attempt."""
    known, unknown = 0, False
    for e in events:
        if "deduped_of" in e:
            continue
        if e["event"] in ("retrying", "failed"):
            known += not unknown and e["error"]["code"] not in NO_ANSWER
        elif e["event"] == "completed":
            known += 1
        unknown = e["event"] == "unknown"
    return known


def check_requests(p, lines):
    n = collections.Counter(e["event"] for events in p.events for e in events
                            if "deduped_of" not in e)
    requests = sum(not limited(x) for x in lines if is_made(x))
    most = sum(n[k] for k in ("completed", "unknown", "cancelled", "retrying", "failed"))
    assert requests <= most, "%d requests; %s" % (requests, dict(n))
    known = sum(map(known_by_events, p.events))
    assert known <= len(lines), "%d answers told, of %d" % (known, len(lines))


def check_calls(known, unknown, lines):
    made = sum(map(is_made, lines))
    assert made <= len(known) + unknown, "%d requests, %d known calls, %d unknown" % (
        made, len(known), unknown)
    assert len(known) <= len(lines), "%d requests, %d known calls" % (len(lines), len(known))


def check_costs(known, late, unknown, lines, ledger):
    told = collections.Counter((e["in_tokens"], e["out_tokens"], e["micro"])
                               for e in known + late if costs(e))
    made = collections.Counter((x["input_tokens"], x["text_tokens"] + x["image_tokens"],
                                ledger.micro(x)) for x in lines if is_made(x))
    assert not told - made, "told costs %s, made %s" % (dict(told - made), dict(made - told))
    found_first = {e["call"] for e in known if not costs(e)}
    late = sum(e["call"] not in found_first for e in late)
    assert late <= unknown, "%d calls became known later, of %d" % (late, unknown)


def images_by_run(entries):
    out = collections.Counter()
    for e in entries:
        out[e["batch"], e["index"], e["run"]] += e["images"]
    return +out


def check_images(p, entries, known, unknown, lines):
    ends = {(b, i, e["run"]): e for (b, i), events in zip(p.jobs, p.events) for e in events
            if e["event"] in ("completed", "failed", "cancelled")}
    completed = collections.Counter({k: len(e["images"]) for k, e in ends.items()
                                     if e["event"] == "completed"})
    counted = images_by_run(entries)
    assert counted == completed, "images entered %s, by events %s" % (counted, completed)
    own = {k for k, e in ends.items() if e["event"] == "completed" and "deduped_of" not in e}
    place = lambda e: (e["batch"], e["index"], e["run"])
    good = [e for e in known if e["outcome"] == "ok"]
    for_nobody = [place(e) for e in good if not e["images"]]
    found = [place(e) for e in entries if not e["calls"] and e["images"] and place(e) in own]
    for k in for_nobody:
        assert ends[k]["event"] == "cancelled", "%s: an image for nobody, but %s" % (
            k, ends[k]["event"])
    assert len(good) == len(own) + len(for_nobody) - len(found), (
        "%d good answers; %d completed, %d for nobody, %d found" % (
            len(good), len(own), len(for_nobody), len(found)))
    assert len(found) <= unknown + len(for_nobody), "%d found, %d unknown, %d for nobody" % (
        len(found), unknown, len(for_nobody))
    images = sum(map(good_image, lines))
    assert len(good) <= images <= len(good) + unknown, "%d images, %d good answers, %d unknown" % (
        images, len(good), unknown)


def check_bad_images(known, unknown, lines):
    bad = sum(e["outcome"] == "bad_image" for e in known)
    spoiled = [x for x in lines if has_image(x) and x["fault"] in SPOILED]
    sure = sum(x["fault"] in ("cut_image", "corrupt_image") for x in spoiled)
    assert bad <= len(spoiled) and sure <= bad + unknown, "%d bad images, %d spoiled, %d unknown" % (
        bad, len(spoiled), unknown)


def check_prompt(p, ledger, all_entries):
    lines = ledger.of(p.prompt)
    entries = [e for job in p.jobs for e in all_entries.of[job]]
    known = [e for e in entries if is_known(e)]
    unknown = sum(e["unknown"] for e in entries)
    late = [e for e in entries if not e["calls"] and costs(e)]
    check_requests(p, lines)
    check_calls(known, unknown, lines)
    check_costs(known, late, unknown, lines, ledger)
    check_images(p, entries, known, unknown, lines)
    check_bad_images(known, unknown, lines)


def check_batch(entries, status):
    assert not status.get("reserved_usd"), "reserved for ever: %s" % status
    told = (status["calls"], status["possible_double_bill"], round(status["cost_usd"] * 1e6))
    entered = tuple(sum(e[k] for e in entries) for k in ("calls", "unknown", "micro"))
    assert told == entered, "calls, unknown, cost: told %s, entered %s" % (told, entered)
