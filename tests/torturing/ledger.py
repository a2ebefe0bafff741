"""What the provider saw: its log, by prompt, and what each answer cost by the catalogue."""
import collections
import hashlib
import json
import math
import os
from datetime import datetime

CATALOGUE = os.path.join(os.path.dirname(__file__), "..", "..", "broker", "catalogue.json")
# Answers that hold an image which cannot be read, or which stands in a broken answer.
SPOILED = {"cut_image", "corrupt_image", "bad_base64", "bad_json", "cut_body", "hang_body"}


class Ledger:
    """`calls`: a list of log lines for every prompt, in their order."""

    def __init__(self, logs):
        with open(CATALOGUE) as f:
            self.models = {m["name"]: m for m in json.load(f)["models"]}
        self.calls = collections.defaultdict(list)
        for log in logs:
            with open(log) as f:
                for line in map(json.loads, f):
                    if line.get("n") or line["method"] in ("ROW", "UNMADE"):
                        self.calls[line.get("prompt")].append(line)

    def of(self, prompt):
        return self.calls[hashlib.sha256(prompt.encode()).hexdigest()]

    def all(self):
        return [line for lines in self.calls.values() for line in lines]

    def micro(self, line):
        """Millionths of a dollar; a price is dollars for a million tokens."""
        m = self.models[line["model"]]
        p = m["price"]
        cost = (line["input_tokens"] * p["input"] + line["text_tokens"] * p["text"] +
                line["image_tokens"] * p["image"])
        return math.ceil(cost * m["lanes"][line["tier"]] - 1e-6) if cost else 0


def is_made(line):
    """Not one that a remote batch ended without."""
    return line["method"] != "UNMADE"


def came(line):
    """In seconds since 1970; of a row: when its batch was made."""
    answered = datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
    return answered - line["seconds"]


def has_image(line):
    return line["images"] > 0 or line["fault"] == "thought_image"


def good_image(line):
    return has_image(line) and line["fault"] not in SPOILED


def limited(line):
    """Refused for a limit, a block or its key: such a call leaves no event, but is counted in
    `calls`."""
    return line["status"] in (401, 402, 403, 429) or "project" not in line or line["fault"] in (
        "bad_key", "expired_key", "precondition", "country")
