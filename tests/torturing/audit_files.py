"""The folder, against the events: each image is there, whole, and nothing else."""
import json
import os

import farm
from ledger import good_image


def images_of(folder):
    """What stands under a final name."""
    return {n for n in os.listdir(os.path.join(folder, "images")) if not n.startswith(".")}


def check_image(folder, told, image, lines):
    assert image == told, "the manifest has another image than the event: %s" % image
    path = os.path.join(folder, image["path"])
    assert os.path.getsize(path) == image["bytes"], path
    assert farm.sha256(path) == image["sha256"], "%s is not what was told" % path


def made_by_provider(event, lines):
    """One of the images of an event is what a line of the log says that was answered."""
    shas = {i["sha256"] for i in event["images"]}
    return any(x["fault"] == "thought_image" or x.get("image_sha256") in shas
               for x in lines if good_image(x))


def check(folder, shared, jobs, finals, ledger):
    """`shared`: workers write there, too: images of calls that nobody waited for any more stay."""
    manifest = farm.lines(os.path.join(folder, "manifest.jsonl"))
    assert [m["index"] for m in manifest] == list(range(len(jobs)))
    expected, failed = set(), []
    for m, (name, prompt) in zip(manifest, jobs):
        event = finals[m["index"]]
        assert m["id"] == name and m["status"] == event["event"], "%s: %s" % (name, m["status"])
        assert m["prompt"] == prompt, "%s: %s" % (name, m)
        if event["event"] == "failed":
            failed.append(prompt)
        if event["event"] != "completed":
            continue
        assert len(m["images"]) == len(event["images"]) > 0
        for told, image in zip(event["images"], m["images"]):
            check_image(folder, told, image, None)
            expected.add(os.path.basename(image["path"]))
        assert made_by_provider(event, ledger.of(prompt)), "%s: nobody made its image" % name
    extra = images_of(folder) - expected
    if shared:
        extra = {n for n in extra if finals[int(n.split("_")[0])]["event"] == "completed"}
    assert not extra, "images of nobody: %s" % sorted(extra)[:10]
    path = os.path.join(folder, "failed.jsonl")
    told = [x["prompt"] for x in farm.lines(path)] if os.path.exists(path) else []
    assert told == failed, "failed.jsonl has %d of %d" % (len(told), len(failed))
    with open(os.path.join(folder, "metadata.json")) as f:
        counts = json.load(f)["counts"]
    assert counts["completed"] == sum(e["event"] == "completed" for e in finals.values())
    assert counts["open"] == 0
