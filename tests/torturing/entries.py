"""What the farm's own ledger has: a line for each call, of all queues."""
import collections
import json


class Entries:
    """`of`: (batch, index) -> its entries, in their order."""

    def __init__(self, farm, queues):
        self.of = collections.defaultdict(list)
        for queue in queues:
            out = farm.genfarm("usage", "--queue", queue, "--json", "--calls").stdout
            for e in map(json.loads, out.splitlines()):
                e["micro"] = round(e["cost_usd"] * 1e6)
                self.of[e["batch"], e["index"]].append(e)

    def all(self):
        return [e for entries in self.of.values() for e in entries]

    def of_batch(self, name):
        return [e for (batch, _), all in self.of.items() if batch == name for e in all]


def is_known(e):
    """A call, and how it ended. Entries that are no calls tell of images that were stored by calls
    of lost workers, or by others' calls; and what such calls had cost."""
    return e["calls"] == 1 and not e["unknown"]


def costs(e):
    return e["micro"] or e["in_tokens"] or e["out_tokens"]
