"""Dead letters: what came through the inbox is in a batch or here, with a reason; so are jobs that
killed their workers, and nothing else."""
import json

LATE = "the batch takes no more jobs"
END = "the end of the batch was told before, with another total"


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
        return sum(x["code"] != "poison" and x["message"] not in (LATE, END) for x in self.all)


def check(letters, producers, poison):
    """One each of the things that are no jobs; more only of those that were pushed again, for the
    answer was lost. `poison`: failed events of that code."""
    assert letters.poison() == poison, "%d letters of poison, %d events" % (
        letters.poison(), poison)
    pushed = sum(p.pushes for p in producers)
    assert len(producers) <= letters.malformed() <= pushed, "%d malformed, %d to %d pushed" % (
        letters.malformed(), len(producers), pushed)
