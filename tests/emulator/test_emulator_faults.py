"""Asks for every fault by name, and looks whether it is what it should be."""

import json
import os
import re
import subprocess
import unittest

from harness import (BIN, BROKEN, IMAGE_ONLY, MODEL, Emulator, good, jpeg_size, main,
                     open_socket, png_size, raw_request, read_all, wait_for)

QUOTA = {"429": "PerMinute", "rate_minute": "PerMinute", "429_wait": "PerMinute",
         "429_day": "PerDay", "429_zero": "PerDay", "429_array": "PerMinute"}
ERRORS = {  # name: (HTTP status, status, words of the message)
    "429_bare": (429, "RESOURCE_EXHAUSTED", "e.g. check quota"),
    "429_credits": (429, "RESOURCE_EXHAUSTED", "credits are depleted"),
    "429_spend": (429, "RESOURCE_EXHAUSTED", "spend rate limit"),
    "429_shared": (429, "RESOURCE_EXHAUSTED", "Please try again later"),
    "429_capacity": (429, "RESOURCE_EXHAUSTED", "capacity"),
    "500": (500, "INTERNAL", "An internal error has occurred"),
    "503": (503, "UNAVAILABLE", "The model is overloaded"),
    "503_wait": (503, "UNAVAILABLE", "The model is overloaded"),
    "503_demand": (503, "UNAVAILABLE", "high demand"),
    "504": (504, "DEADLINE_EXCEEDED", "Deadline expired"),
    "499": (499, "CANCELLED", "cancelled"),
    "408": (408, "DEADLINE_EXCEEDED", "timed out"),
    "413": (413, None, "exceeds the limit"),
    "400": (400, "INVALID_ARGUMENT", "invalid argument"),
    "400_image": (400, "INVALID_ARGUMENT", "Unable to process input image"),
    "bad_key": (400, "INVALID_ARGUMENT", "API key not valid"),
    "expired_key": (400, "INVALID_ARGUMENT", "API key expired"),
    "precondition": (400, "FAILED_PRECONDITION", "User location is not supported"),
    "country": (400, "FAILED_PRECONDITION", "not available in your country"),
    "401": (401, "UNAUTHENTICATED", "Expected OAuth 2 access token"),
    "402": (402, None, "depleted"),
    "403": (403, "PERMISSION_DENIED", "are blocked"),
    "403_leaked": (403, "PERMISSION_DENIED", "reported as leaked"),
    "403_suspended": (403, "PERMISSION_DENIED", "suspended"),
    "403_disabled": (403, "PERMISSION_DENIED", "has not been used in project"),
    "404": (404, "NOT_FOUND", f"models/{MODEL} is not found"),
}
FINISHES = {
    "safety": "SAFETY", "prohibited": "PROHIBITED_CONTENT", "recitation": "RECITATION",
    "language": "LANGUAGE", "blocklist": "BLOCKLIST", "spii": "SPII", "other": "OTHER",
    "image_safety": "IMAGE_SAFETY", "image_prohibited": "IMAGE_PROHIBITED_CONTENT",
    "image_recitation": "IMAGE_RECITATION", "image_other": "IMAGE_OTHER",
    "no_image": "NO_IMAGE", "max_tokens": "MAX_TOKENS", "malformed": "MALFORMED_RESPONSE",
    "unspecified": "FINISH_REASON_UNSPECIFIED", "unknown_finish": "FAKE_NEW_FINISH_REASON",
    "text_only": "STOP", "empty": "STOP", "empty_parts": "STOP", "empty_content": "STOP",
}
BLOCKS = {"block_safety": "SAFETY", "block_prohibited": "PROHIBITED_CONTENT",
          "block_image_safety": "IMAGE_SAFETY", "block_blocklist": "BLOCKLIST",
          "block_other": "OTHER"}
OTHERS = {"array_error", "502", "html", "empty_body", "no_candidates", "empty_candidates",
          "two_images", "thought_image", "no_usage", "no_details", "huge_text", "jpeg", "webp", "cut_image",
          "corrupt_image", "bad_base64", "bad_json", "cut_header", "cut_body", "stall",
          "hang_body", "mid_stream"}


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator("--latency", "0", "--size", "128")

    @classmethod
    def tearDownClass(cls):
        cls.emulator.close()

    def ask(self, name, **config):
        return self.emulator.generate(f"a fox [[fault:{name}]]", **config)

    def test_all_that_there_are_are_tested(self):
        text = subprocess.run([os.path.join(BIN, "gemini-emulator"), "--help"], check=True,
                              capture_output=True, text=True).stdout
        names = set(text[text.rindex("Faults:") + 7:].split())
        self.assertEqual(names, set(QUOTA) | set(ERRORS) | set(FINISHES) | set(BLOCKS) | OTHERS)

    def test_errors(self):
        for name, (code, status, words) in ERRORS.items():
            with self.subTest(name):
                answer = self.ask(name)
                error = answer.error()
                self.assertEqual((answer.status, error["code"], error.get("status")),
                                 (code, code, status))
                self.assertIn(words, error["message"])
                self.assertEqual(self.emulator.log()[-1]["fault"], name)

    def test_quota_errors(self):
        for name, period in QUOTA.items():
            with self.subTest(name):
                answer = self.ask(name)
                body = answer.json()
                error = (body[0] if isinstance(body, list) else body)["error"]
                self.assertEqual((answer.status, error["code"]), (429, 429))
                details = {d["@type"].rpartition(".")[2]: d for d in error["details"]}
                first = details["QuotaFailure"]["violations"][0]
                self.assertIn(period, first["quotaId"])
                self.assertEqual(first["quotaDimensions"]["model"], MODEL)
                self.assertRegex(details["RetryInfo"]["retryDelay"], r"^\d+s$")
                exact = re.search(r"Please retry in (\d+)\.\d{9}s\.$", error["message"])
                self.assertEqual(details["RetryInfo"]["retryDelay"], exact[1] + "s")
                self.assertIn("metric: " + first["quotaMetric"], error["message"])
        zero = self.ask("429_zero").error()
        self.assertIn("limit: 0,", zero["message"])
        self.assertNotIn("quotaValue", json.dumps(zero))
        self.assertIsInstance(self.ask("429_array").json(), list)

    def test_finish_reasons(self):
        for name, reason in FINISHES.items():
            with self.subTest(name):
                answer = self.ask(name)
                (candidate,) = answer.json()["candidates"]
                self.assertEqual((answer.status, candidate["finishReason"]), (200, reason))
                self.assertNotIn(b"inlineData", answer.body)
                self.assertNotIn("promptFeedback", answer.json())
        self.assertEqual(self.ask("image_safety").json()["candidates"][0]["content"], {})
        self.assertEqual(self.ask("empty_parts").parts(), [])
        self.assertNotIn("content", self.ask("safety").json()["candidates"][0])
        self.assertIn("finishMessage", self.ask("image_other").json()["candidates"][0])
        self.assertTrue(self.ask("text_only").parts()[0]["text"])

    def test_blocked_prompts(self):
        for name, reason in BLOCKS.items():
            with self.subTest(name):
                answer = self.ask(name)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.json()["promptFeedback"]["blockReason"], reason)
                self.assertNotIn("candidates", answer.json())
                self.assertNotIn("candidatesTokenCount", answer.json()["usageMetadata"])
        self.assertNotIn("candidates", self.ask("no_candidates").json())
        self.assertEqual(self.ask("empty_candidates").json()["candidates"], [])

    def test_odd_images(self):
        self.assertEqual(len(self.ask("two_images").images()), 2)
        thought = self.ask("thought_image")
        self.assertEqual((len(thought.images()), len(thought.images(thoughts=True))), (0, 1))
        png_size(thought.images(thoughts=True)[0])
        self.assertNotIn("usageMetadata", self.ask("no_usage").json())
        vague = self.ask("no_details").json()["usageMetadata"]
        self.assertNotIn("candidatesTokensDetails", vague)
        self.assertGreater(vague["candidatesTokenCount"], 700)
        good(self.ask("huge_text"))
        self.assertEqual(len(self.ask("huge_text").parts()[0]["text"]), 3 << 20)
        jpeg = self.ask("jpeg", **IMAGE_ONLY)
        self.assertEqual(jpeg.parts()[0]["inlineData"]["mimeType"], "image/png")
        jpeg_size(jpeg.images()[0])
        (webp,) = self.ask("webp").images()
        self.assertEqual((webp[:4], webp[8:12]), (b"RIFF", b"WEBP"))
        self.assertEqual(int.from_bytes(webp[4:8], "little"), len(webp) - 8)

    def test_broken_images(self):
        for name in ("cut_image", "corrupt_image"):
            for options in ([], ["--bytes", "200K"]):
                with self.subTest(name, options=options), \
                        Emulator("--latency", "0", "--size", "128", *options) as e:
                    (image,) = e.generate(f"x [[fault:{name}]]").images()
                    with self.assertRaises(BROKEN):
                        png_size(image)
                    self.assertEqual(image[:8], b"\x89PNG\r\n\x1a\n")
        with Emulator("--latency", "0", "--format", "jpeg", "--bytes", "200K") as e:
            for name in ("cut_image", "corrupt_image"):
                (image,) = e.generate(f"x [[fault:{name}]]").images()
                self.assertEqual(image[:3], b"\xff\xd8\xff")
                with self.assertRaises((AssertionError, ValueError)):
                    jpeg_size(image)

    def test_broken_text(self):
        with self.assertRaises(ValueError):
            self.ask("bad_base64").images()
        with self.assertRaises(ValueError):
            self.ask("bad_json").json()
        for name, status in (("html", 200), ("502", 502)):
            page = self.ask(name)
            self.assertEqual(page.status, status)
            self.assertTrue(page.headers["Content-Type"].startswith("text/html"))
            self.assertTrue(page.body.startswith(b"<!DOCTYPE html>"))
        empty = self.ask("empty_body")
        self.assertEqual((empty.status, empty.body), (200, b""))
        self.assertEqual(self.ask("array_error").json()[0]["error"]["code"], 500)

    def test_errors_in_the_middle_of_a_stream(self):
        def stream(query):
            return self.emulator.generate("x [[fault:mid_stream]]", query=query,
                                          method="streamGenerateContent").body.decode()
        first, error = stream("?alt=sse").strip().split("\r\n\r\n")
        self.assertIn("candidates", json.loads(first[6:]))
        self.assertTrue(error.startswith('{\n  "error": {\n'))
        self.assertEqual(json.loads(error)["error"]["code"], 499)
        self.assertEqual([list(x)[0] for x in json.loads(stream(""))], ["candidates", "error"])
        good(self.ask("mid_stream"))  # nothing of the kind without a stream

    def raw(self, name):
        with open_socket(self.emulator) as s:
            s.sendall(raw_request(self.emulator, f"x [[fault:{name}]]"))
            return read_all(s)

    def test_cut_connections(self):
        self.assertEqual(self.raw("cut_header"), b"")
        body = self.raw("cut_body")
        self.assertTrue(body.startswith(b"HTTP/1.1 200"))
        self.assertIn(b"inlineData", body)
        self.assertFalse(body.endswith(b"0\r\n\r\n"))
        # The same on a connection that was good until then.
        with open_socket(self.emulator) as s:
            s.sendall(raw_request(self.emulator, "good"))
            data = b""
            while not data.endswith(b"0\r\n\r\n"):
                data += s.recv(1 << 16)
            s.sendall(raw_request(self.emulator, "x [[fault:cut_header]]"))
            self.assertEqual(read_all(s), b"")

    def test_stalls_end_when_the_client_leaves(self):
        for name, expected in (("stall", b""), ("hang_body", b"HTTP/1.1 200")):
            with self.subTest(name):
                before = self.emulator.stats()
                with open_socket(self.emulator) as s:
                    s.sendall(raw_request(self.emulator, f"x [[fault:{name}]]"))
                    wait_for(lambda: self.emulator.stats()["in_flight"] == 1)
                    s.settimeout(0.3)
                    with self.assertRaises(TimeoutError):
                        data = b""
                        while True:
                            data += s.recv(1 << 16)
                            self.assertTrue(data, "closed by the emulator")
                    self.assertTrue(data.startswith(expected))
                    self.assertFalse(data.endswith(b"0\r\n\r\n"))
                wait_for(lambda: self.emulator.stats()["in_flight"] == 0)
                after = self.emulator.stats()
                self.assertEqual(after["broken"], before["broken"] + 1)
                self.assertEqual(after["by_fault"][name], 1)

    def test_the_first_tries_only(self):
        prompt = "x [[fault:503*2]] [[fault:cut_image*1]] [[fault:nonsense]]"
        answers = [self.emulator.generate(prompt) for _ in range(4)]
        self.assertEqual([a.status for a in answers], [503, 503, 200, 200])
        with self.assertRaises(BROKEN):
            png_size(answers[2].images()[0])
        good(answers[3])

    def test_by_probability(self):
        def statuses(seed):
            with Emulator("--latency", "0", "--size", "32", "--fault", "503=0.3", "--fault",
                          "cut_header=0", "--seed", seed) as e:
                return [e.generate(f"prompt {i}").status for i in range(100)]
        first = statuses("1")
        self.assertTrue(15 <= first.count(503) <= 45, first.count(503))
        self.assertEqual(first.count(200) + first.count(503), 100)
        self.assertEqual(first, statuses("1"))
        self.assertNotEqual(first, statuses("2"))


if __name__ == "__main__":
    main()
