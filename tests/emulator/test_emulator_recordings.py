"""Holds the emulator's answers, field by field and in the same order, against recorded ones."""

import json
import os
import re
import sys
import unittest

from harness import DATA, Emulator, main, recorded, shape

LITE = "gemini-3.1-flash-lite-image"
PRO = "gemini-3-pro-image"
FLASH = "gemini-2.5-flash-image"


def unique(paths):
    return list(dict.fromkeys(paths))


class Recordings(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator("--latency", "0", "--size", "64", "--format", "auto",
                                "--thought-signature", "1000", "--key", "good-key")

    @classmethod
    def tearDownClass(cls):
        cls.emulator.close()

    def post(self, body, model, method="generateContent", query="", key="good-key"):
        return self.emulator.ask("POST", f"/v1beta/models/{model}:{method}{query}", body, key)

    def ask(self, prompt, model, **config):
        body = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
        if config:
            body["generationConfig"] = config
        return self.post(body, model)

    def test_lite_image_as_on_the_wire(self):
        theirs = recorded("recorded/image-3.1-flash-lite-image-unary.json")
        ours = self.ask("a siamese cat", LITE, responseModalities=["IMAGE"])
        self.assertEqual(unique(shape(ours.json())), unique(shape(json.loads(theirs))))
        # The same lines, once the values are out.
        def lines(text):
            text = re.sub(r'": ("(?:[^"\\]|\\.)*"|\d+)', '": _', text.decode())
            return text.splitlines()
        self.assertEqual(lines(ours.body), lines(theirs))
        self.assertEqual(ours.body[-1:], theirs[-1:])

    def test_headers(self):
        meta = json.loads(recorded("recorded/image-3.1-flash-lite-image-unary.meta.json"))
        theirs = meta["response"]["headers"]
        ours = self.ask("a siamese cat", LITE).headers
        for name in ("Content-Type", "Server", "Transfer-Encoding", "X-Gemini-Service-Tier"):
            self.assertEqual(ours[name], theirs[name][0])
        self.assertEqual(ours["Vary"], ", ".join(theirs["Vary"]))
        self.assertRegex(ours["Server-Timing"], r"^gfet4t7; dur=\d+$")
        self.assertRegex(theirs["Server-Timing"][0], r"^gfet4t7; dur=\d+$")
        # Alt-Svc would offer HTTP/3, which is not there.
        self.assertEqual({n for n in theirs if n not in ours}, {"Alt-Svc"})
        self.assertIsNone(ours["Content-Length"])
        self.assertIsNone(ours["Retry-After"])

    def test_pro_image(self):
        theirs = json.loads(recorded("image/gemini-3-pro-image_jpeg_thought-signature.json"))
        ours = self.ask("an axolotl", PRO, responseModalities=["IMAGE"]).json()
        self.assertEqual(sorted(set(shape(ours))), sorted(set(shape(theirs))))
        def details(answer):
            return answer["usageMetadata"]["candidatesTokensDetails"]
        self.assertEqual(details(ours), details(theirs))
        for answer in (ours, theirs):
            part = answer["candidates"][0]["content"]["parts"][0]
            self.assertEqual(part["inlineData"]["mimeType"], "image/jpeg")
            usage = answer["usageMetadata"]
            self.assertEqual(usage["totalTokenCount"],
                             usage["promptTokenCount"] + usage["candidatesTokenCount"]
                             + usage["thoughtsTokenCount"])

    def test_flash_text_and_image(self):
        theirs = json.loads(recorded("image/gemini-2.5-flash-image_text-and-png.json"))
        answers = (self.ask(f"an axolotl {i}", FLASH).json() for i in range(20))
        ours = next(a for a in answers if len(a["candidates"][0]["content"]["parts"]) == 2)
        # serviceTier has come into all answers since.
        self.assertEqual(set(shape(ours)),
                         set(shape(theirs)) | {".usageMetadata.serviceTier: str"})

    def test_text_only(self):
        theirs = json.loads(recorded("image/gemini-2.5-flash-image_text-only.json"))
        ours = self.ask("x [[fault:text_only]]", FLASH).json()
        self.assertEqual(set(shape(ours)),
                         set(shape(theirs)) | {".usageMetadata.serviceTier: str"})

    def test_wrong_key(self):
        theirs = recorded("recorded/error-400-api-key-invalid.json")
        ours = self.post({"contents": [{"parts": [{"text": "x"}]}]}, LITE, key="bad-key")
        self.assertEqual((ours.status, ours.body), (400, theirs))

    def test_quota(self):
        theirs = recorded("recorded/error-429-paid-tier-input-tokens-per-minute.json")
        ours = self.ask("x [[fault:429]]", LITE)
        def lines(text):
            text = re.sub(r'("(?:quotaMetric|quotaId|model|location|quotaValue|retryDelay)": )'
                          r'"[^"]*"', r"\1_", text.decode())
            text = re.sub(r"metric: \S+, limit: \d+, model: [^\\]+", "METRIC", text)
            return re.sub(r"retry in [\d.]+s\.", "retry in SECONDS.", text).splitlines()
        self.assertEqual(lines(ours.body), lines(theirs))

    def test_count_tokens(self):
        theirs = recorded("recorded/countTokens.json")
        meta = json.loads(recorded("recorded/countTokens.meta.json"))
        ours = self.post(meta["request"]["body"], LITE, "countTokens")
        self.assertEqual(ours.json(), json.loads(theirs))
        self.assertEqual(ours.body, theirs)

    def stream(self, query):
        """A stream of two: words, then the picture."""
        for i in range(20):
            answer = self.post({"contents": [{"parts": [{"text": f"stream {i}"}]}]}, LITE,
                               "streamGenerateContent", query)
            if answer.body.count(b'"candidates"') == 2:
                return answer
        raise AssertionError("none had words")

    def test_events(self):
        theirs = recorded("recorded/stream-sse-text-short.sse").decode()
        ours = self.stream("?alt=sse")
        self.assertTrue(ours.headers["Content-Type"].startswith("text/event-stream"))
        self.assertTrue(ours.body.endswith(b"\r\n\r\n"))
        events = ours.body.decode().split("\r\n\r\n")[:-1]
        self.assertEqual(len(events), 2)
        def spaces(event):  # the spelling without its words and numbers
            return re.sub(r'"(?:[^"\\]|\\.)*"|\d+', "_", event)
        head = 'data: {_: [{_: {_: [{_: _}],_: _}'
        self.assertTrue(spaces(theirs).startswith(head))
        self.assertTrue(spaces(events[0]).startswith(head))
        first, last = (json.loads(e[6:]) for e in events)
        self.assertNotIn("finishReason", first["candidates"][0])
        self.assertEqual(last["candidates"][0]["finishReason"], "STOP")
        self.assertIn("inlineData", last["candidates"][0]["content"]["parts"][0])
        self.assertEqual(first["responseId"], last["responseId"])
        text = set(shape(json.loads(theirs[6:])))
        missing = text - set(shape(first)) - set(shape(last))
        self.assertEqual(missing, {".usageMetadata.thoughtsTokenCount: number"})

    def test_array(self):
        theirs = recorded("recorded/stream-json-array-no-sse.json")
        ours = self.stream("")
        self.assertTrue(ours.headers["Content-Type"].startswith("application/json"))
        for body in (ours.body, theirs):
            self.assertTrue(body.startswith(b'[{\n  "candidates": [\n    {\n'))
            self.assertIn(b"\n}\n,\r\n{\n", body)
            self.assertTrue(body.endswith(b"\n}\n]"))
            json.loads(body)

    def test_refusals(self):
        for fault, name in [
                ("other", "googleai-unary-failure-with-message-no-content.json"),
                ("block_safety", "vertexai-unary-failure-prompt-blocked-safety.json"),
                ("unknown_finish", "googleai-unary-success-basic-reply-short.json")]:
            with self.subTest(fault):
                theirs = set(shape(json.loads(recorded("text-and-errors/" + name))))
                ours = set(shape(self.ask(f"x [[fault:{fault}]]", LITE).json()))
                optional = {p for p in theirs if "candidatesTokensDetails" in p
                            or "avgLogprobs" in p or "safetyRatings" in p}
                self.assertEqual(theirs - ours - optional, set())

    def test_error_messages(self):
        for fault, name in [
                ("bad_key", "googleai-unary-failure-api-key.json"),
                ("precondition", "vertexai-unary-failure-unsupported-user-location.json")]:
            with self.subTest(fault):
                theirs = json.loads(recorded("text-and-errors/" + name))["error"]
                ours = self.ask(f"x [[fault:{fault}]]", LITE).error()
                for member in ("code", "message", "status"):
                    self.assertEqual(ours[member], theirs[member])

    def test_unknown_model(self):
        theirs = json.loads(recorded("text-and-errors/googleai-unary-failure-unknown-model.json"))
        ours = self.ask("x", "gemini-5.0-flash").error()
        self.assertEqual(ours["message"],
                         theirs["error"]["message"].replace("version v1,", "version v1beta,"))

    def test_unknown_path(self):
        theirs = recorded("text-and-errors/"
                          "vertexai-unary-failure-invalid-location-url-not-found.html").decode()
        ours = self.emulator.ask("POST", "/v1beta/projects/x").body.decode()
        def words(page):
            page = re.sub(r"<style>.*?</style>|<code>.*?</code>", "", page, flags=re.S)
            return re.sub(r"<[^>]*>", " ", page).split()
        self.assertEqual(words(ours), words(theirs))


if __name__ == "__main__":
    if not os.path.isdir(os.path.join(DATA, "gemini")):
        print("the recordings are not there: set GENFARM_DATA", file=sys.stderr)
        sys.exit(77)
    main()
