"""Dead letters: what came through the inbox is in a batch or here, with a reason; so are jobs that
killed their workers, and nothing else."""
import json

LATE = "the batch takes no more jobs"
EMPTY = '"prompt" is empty'


class Letters:
    def __init__(self, farm, queues):
        self.all = [dict(json.loads(line), queue=q) for q in queues
                    for line in farm.genfarm("dead", "--queue", q, "--json").stdout.splitlines()]

    def late(self, batch):
        """Ids of jobs that came when their batch had been closed: it was cancelled meanwhile."""
        return {x["input"]["id"] for x in self.all
                if x.get("batch") == batch and x["message"] == LATE}

    def poison(self):
        return sum(x["code"] == "poison" for x in self.all)

    def malformed(self):
        return sum(x["code"] != "poison" and not x.get("batch") for x in self.all)

    def refused(self, batch):
        """Ids of what was pushed for a batch and is no job."""
        return {x["input"]["id"] for x in self.all
                if x.get("batch") == batch and x["message"] == EMPTY}


def check_refused(letters, b, status):
    """Each once, however often it was pushed; not those that came when the batch was closed."""
    bad = {"bad-%d" % i for i in range(b.spec["bad"])}
    assert letters.refused(b.name) == bad, "letters of %s" % sorted(letters.refused(b.name))
    told = status["refused"]
    assert told == len(bad) or b.cancelled and told < len(bad), "%d refused, told %d" % (
        len(bad), told)


def check(letters, producers, poison):
    """One each of the things that are no jobs; more only of those that were pushed again, for the
    answer was lost. `poison`: failed events of that code."""
    assert letters.poison() == poison, "%d letters of poison, %d events" % (
        letters.poison(), poison)
    pushed = sum(p.pushes for p in producers)
    assert len(producers) <= letters.malformed() <= pushed, "%d malformed, %d to %d pushed" % (
        letters.malformed(), len(producers), pushed)
