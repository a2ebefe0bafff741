"""What calls cost, where the answer does not say it: the catalogue does."""
import json
import math
import os
import sys

import farm
from farm import Farm

FLASH, PRO = "gemini-2.5-flash-image", "gemini-3-pro-image"
CATALOGUE = os.path.join(os.path.dirname(__file__), "..", "..", "broker", "catalogue.json")


def prices(model):
    with open(CATALOGUE) as f:
        return {m["name"]: m["price"] for m in json.load(f)["models"]}[model]


def micro(usd):
    return round(usd * 1e6)


def cost(f, batch):
    return micro(json.loads(f.genfarm("status", batch, "--json").stdout)["cost_usd"])


def paid(f, batch, model, n, said=True):
    """What the images took, and the words where the answers told of them."""
    p = prices(model)
    calls = f.requests()[-n:]
    assert all(c["images"] for c in calls), calls
    return sum(math.ceil(c["image_tokens"] * p["image"] + said * (
        c["text_tokens"] * p["text"] + c["input_tokens"] * p["input"]) - 1e-6) for c in calls)


def unsaid():
    """An image without usageMetadata, or without candidatesTokensDetails, costs what it costs."""
    with Farm() as f:
        f.emulator("--latency", "5ms")
        f.redis()
        f.worker("--concurrency", "4", "--sink", "dir:" + f.path("out"))
        for model, size in ((FLASH, ()), (PRO, ("--image-size", "4K"))):
            name = "vague-%s" % model
            f.genfarm("submit", f.prompts(4, "one %d [[fault:no_details]]"), "--model", model, *size,
                      "--batch", name)
            f.genfarm("watch", name)
            assert cost(f, name) == paid(f, name, model, 4), (cost(f, name), f.requests()[-1])
            name = "mute-%s" % model
            f.genfarm("submit", f.prompts(4, "one %d [[fault:no_usage]]"), "--model", model, *size,
                      "--batch", name)
            f.genfarm("watch", name)
            images = paid(f, name, model, 4, said=False)
            assert images <= cost(f, name) < images * 1.01, (cost(f, name), images)
        rows = [json.loads(line) for line in
                f.genfarm("usage", "--calls", "--json").stdout.splitlines()]
        assert len(rows) == 16 and all(r["cost_usd"] > 0.03 for r in rows), rows
        thought = "thought"
        f.genfarm("submit", f.prompts(2, "one %d [[fault:thought_image]]"), "--model", PRO, "--batch",
                  thought)
        f.genfarm("watch", thought)
        assert cost(f, thought) > 2 * 134000, cost(f, thought)


def budgets_hold():
    """Such an image keeps its part of the budget."""
    with Farm() as f:
        f.emulator("--latency", "5ms", "--fault", "no_usage=1")
        f.redis()
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(40), "--model", FLASH, "--budget", "1", "--batch", "b")
        f.genfarm("quota", "set", "user:ann", "usd=0.50/month")
        f.genfarm("submit", f.prompts(10), "--model", FLASH, "--user", "ann", "--batch", "q")
        state = lambda b: json.loads(f.genfarm("status", b, "--json").stdout)
        farm.until(lambda: state("b")["state"] == "paused" and state("q")["state"] == "ended", 60)
        s = state("b")
        assert 23 <= s["completed"] <= 25 and 0.85 < s["cost_usd"] <= 1, s
        farm.until(lambda: micro(json.loads(f.genfarm("quota", "user:ann", "--json").stdout)[
            "month"]["used"]["usd"]) == cost(f, "q") > 380000)


def rows_of_remote_batches():
    with Farm() as f:
        f.emulator("--batch-latency", "300ms", "--fault", "no_usage=1")
        f.redis()
        f.worker("--concurrency", "8", "--sink", "dir:" + f.path("out"))
        f.genfarm("submit", f.prompts(4), "--model", FLASH, "--lane", "batch", "--batch", "b")
        f.genfarm("watch", "b")
        assert cost(f, "b") > 4 * 19350, cost(f, "b")


if __name__ == "__main__":
    sys.exit(farm.main([unsaid, budgets_hold, rows_of_remote_batches]))
