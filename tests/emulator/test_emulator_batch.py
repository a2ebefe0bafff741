"""Uploads, makes batches, polls them, fetches what they gave."""

import base64
import json
import unittest

from harness import MODEL, Emulator, body_of, main, png_size, recorded, shape, wait_for

MAKE = f"/v1beta/models/{MODEL}:batchGenerateContent"


def upload(e, rows, name="rows"):
    data = "".join(json.dumps(r) + "\n" for r in rows).encode()
    c = e.connect()
    c.request("POST", "/upload/v1beta/files", json.dumps({"file": {"display_name": name}}), {
        "x-goog-api-key": "k", "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": "start", "X-Goog-Upload-Header-Content-Length": str(len(data)),
        "X-Goog-Upload-Header-Content-Type": "application/jsonl"})
    answer = c.getresponse()
    assert answer.status == 200 and answer.read() == b""
    assert answer.headers["X-Goog-Upload-Status"] == "active"
    path = answer.headers["X-Goog-Upload-URL"].split(str(e.port))[1]
    c.request("POST", path, data, {"x-goog-api-key": "k", "X-Goog-Upload-Offset": "0",
                                   "X-Goog-Upload-Command": "upload, finalize"})
    answer = c.getresponse()
    assert answer.headers["X-Goog-Upload-Status"] == "final"
    file = json.loads(answer.read())["file"]
    c.close()
    assert file["sizeBytes"] == str(len(data)) and file["state"] == "ACTIVE"
    return file["name"]


def rows(*prompts):
    return [{"key": "key-%d" % i, "request": body_of(p)} for i, p in enumerate(prompts)]


def make(e, *prompts, name="a batch"):
    return e.ask("POST", MAKE, {"batch": {"displayName": name,
                                          "inputConfig": {"fileName": upload(e, rows(*prompts))}}})


def state(e, name):
    return e.ask("GET", "/v1beta/" + name).json()["metadata"]["state"]


def ended(e, name):
    wait_for(lambda: e.ask("GET", "/v1beta/" + name).json().get("done"))
    return e.ask("GET", "/v1beta/" + name).json()


def result(e, operation):
    answer = e.ask("GET", "/download/v1beta/%s:download?alt=media" %
                   operation["response"]["responsesFile"])
    assert answer.status == 200
    return {r["key"]: r for r in map(json.loads, answer.body.splitlines())}


class Batches(unittest.TestCase):
    def test_rows_of_a_batch(self):
        with Emulator("--batch-latency", "300ms", "--size", "64") as e:
            answer = make(e, "a cat", "a dog", "x [[fault:503]]", "y [[fault:safety]]")
            self.assertEqual(answer.status, 200)
            self.assertEqual(shape(answer.json()), shape(json.loads(
                recorded("recorded/batch-create-inline.json"))))
            self.assertIn(state(e, answer.json()["name"]),
                          ("BATCH_STATE_PENDING", "BATCH_STATE_RUNNING"))
            done = ended(e, answer.json()["name"])
            self.assertEqual(done["metadata"]["batchStats"], {
                "requestCount": "4", "successfulRequestCount": "3", "failedRequestCount": "1"})
            got = result(e, done)
            for key in ("key-0", "key-1"):
                parts = got[key]["response"]["candidates"][0]["content"]["parts"]
                (data,) = [p["inlineData"]["data"] for p in parts if "inlineData" in p]
                png_size(base64.b64decode(data))  # to its end
            self.assertEqual(got["key-2"]["error"]["code"], 14)
            self.assertEqual(got["key-3"]["response"]["candidates"][0]["finishReason"], "SAFETY")
            made = [line for line in e.log() if line["method"] == "ROW"]
            self.assertEqual(len(made), 4)
            self.assertEqual(sum(line["images"] for line in made), 2)

    def test_cancelled_before_its_end_makes_nothing(self):
        with Emulator("--batch-latency", "1h") as e:
            name = make(e, "a cat").json()["name"]
            self.assertEqual(e.ask("POST", f"/v1beta/{name}:cancel", {}).status, 200)
            self.assertEqual(ended(e, name)["metadata"]["state"], "BATCH_STATE_CANCELLED")
            self.assertNotIn("response", ended(e, name))
            self.assertFalse([line for line in e.log() if line["method"] == "ROW"])

    def test_a_lost_answer_is_found_in_the_list(self):
        with Emulator("--batch-fault", "lost_create", "--batch-fault", "never_made") as e:
            for name in ("mine", "nobody's"):
                with self.assertRaises(Exception):
                    make(e, "a cat", name=name)
            for i in range(3):
                make(e, "a cat", name="other %d" % i)
            names, token = [], ""
            while token is not None:
                page = e.ask("GET", f"/v1beta/batches?pageSize=2&pageToken={token}").json()
                names += [o["metadata"]["displayName"] for o in page["operations"]]
                token = page.get("nextPageToken")
            self.assertEqual(names, ["other 2", "other 1", "other 0", "mine"])

    def test_faults_of_batches(self):
        with Emulator("--batch-latency", "50ms", "--batch-fault", "failed", "--batch-fault",
                      "expired", "--batch-fault", "lost_rows", "--batch-fault", "cut_result",
                      "--size", "64") as e:
            for want in ("FAILED", "EXPIRED"):
                done = ended(e, make(e, "a cat").json()["name"])
                self.assertEqual(done["metadata"]["state"], "BATCH_STATE_" + want)
                self.assertIn("error", done)
            self.assertEqual(sorted(result(e, ended(e, make(e, "a", "b", "c").json()["name"]))),
                             ["key-0", "key-2"])
            done = ended(e, make(e, "a", "b", "c").json()["name"])
            with self.assertRaises(Exception):
                result(e, done)
            self.assertEqual(len(result(e, done)), 3)

    def test_what_is_refused(self):
        with Emulator() as e:
            body = {"batch": {"displayName": "x", "inputConfig": {"fileName": "files/none"}}}
            self.assertEqual(e.ask("POST", MAKE, body).status, 404)
            self.assertEqual(e.ask("POST", MAKE, {}).status, 400)
            self.assertEqual(e.ask("GET", "/v1beta/batches/none").status, 404)
            self.assertEqual(e.ask("POST", "/v1beta/batches/none:cancel", {}).status, 404)
            self.assertEqual(e.ask("GET", "/v1beta/batches", key=None).status, 403)
            file = upload(e, [{"key": "k"}])
            body["batch"]["inputConfig"]["fileName"] = file
            self.assertEqual(e.ask("POST", MAKE, body).status, 400)
            self.assertEqual(e.ask("GET", "/v1beta/" + file).status, 200)
            self.assertEqual(e.ask("DELETE", "/v1beta/" + file).status, 200)
            self.assertEqual(e.ask("GET", "/v1beta/" + file).status, 404)


if __name__ == "__main__":
    main()
