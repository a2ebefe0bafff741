"""Holds the emulator against what it promises: answers, limits, counts, load."""

import hashlib
import json
import os
import re
import resource
import selectors
import subprocess
import tempfile
import time
import unittest

from harness import (BIN, IMAGE_ONLY, MODEL, Emulator, body_of, good, jpeg_size, main,
                     open_socket, png_pixels, png_size, raw_request, read_all, wait_for)


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator("--latency", "0")

    @classmethod
    def tearDownClass(cls):
        cls.emulator.close()

    def size(self, model, **image):
        config = {"imageConfig": image} if image else {}
        return png_size(good(self.emulator.generate("a red fox", model, **config)))

    def test_sizes_are_the_real_ones(self):
        for model, image, size in [
                (MODEL, {}, (1408, 768)), (MODEL, {"aspectRatio": "1:1"}, (1024, 1024)),
                (MODEL, {"aspectRatio": "1:8"}, (384, 3072)),
                (MODEL, {"aspectRatio": "3:2", "imageSize": "512"}, (632, 424)),
                (MODEL, {"aspectRatio": "16:9", "imageSize": "4K"}, (5504, 3072)),
                ("gemini-3-pro-image", {"aspectRatio": "9:16", "imageSize": "2K"}, (1536, 2752)),
                ("gemini-2.5-flash-image", {"aspectRatio": "4:3"}, (1184, 864)),
                ("gemini-2.5-flash-image", {}, (1024, 1024))]:
            with self.subTest(model=model, **image):
                self.assertEqual(self.size(model, **image), size)

    def test_the_scene_survives_its_compression(self):
        # Enlarged pixels: every square of them is of one colour, at the other size as well.
        config = {"imageConfig": {"aspectRatio": "1:1", "imageSize": "512"}, "seed": 3}
        pixels = png_pixels(good(self.emulator.generate("squares", **config)))
        self.assertEqual(len(pixels), 512 * 512 * 3)
        self.assertGreater(len({pixels[i:i + 3] for i in range(0, len(pixels), 3)}), 4)
        self.assertIn(b"\xff\xff\xff" * 60, pixels)  # the panel of the words
        self.assertIn(b"\x10\x10\x10", pixels)       # and their letters

    def test_samples_differ_and_seeds_do_not(self):
        first, second = (good(self.emulator.generate("a boat")) for _ in range(2))
        self.assertNotEqual(first, second)
        other = good(self.emulator.generate("a ship"))
        self.assertNotIn(other, (first, second))
        one, two = (png_pixels(good(self.emulator.generate(
            "a seeded boat", seed=7, imageConfig={"imageSize": "512"}))) for _ in range(2))
        half = len(one) // 2  # the foot says which sample it is
        self.assertEqual(one[:half], two[:half])

    def test_any_prompt_can_be_drawn(self):
        for prompt in ("", "x" * 5000, "\n\n\n", "word " * 3000, "日本語の文 🦊" * 50, "\x00\x1b"):
            with self.subTest(prompt=prompt[:20]):
                good(self.emulator.generate(prompt, imageConfig={"aspectRatio": "8:1"}))

    def test_the_log_knows_the_image(self):
        answer = self.emulator.generate("to be logged")
        line = self.emulator.log()[-1]
        image = good(answer)
        self.assertEqual(line["image_sha256"], hashlib.sha256(image).hexdigest())
        self.assertEqual(line["image_bytes"], len(image))
        self.assertEqual(line["prompt"], hashlib.sha256(b"to be logged").hexdigest())
        self.assertEqual((line["model"], line["status"], line["fault"], line["images"],
                          line["method"], line["tries"]), (MODEL, 200, None, 1, "POST", 1))
        self.assertEqual(line["body_bytes"], len(answer.body))
        usage = answer.json()["usageMetadata"]
        self.assertEqual(
            (line["input_tokens"], line["image_tokens"], line["text_tokens"]),
            (usage["promptTokenCount"], usage["candidatesTokensDetails"][0]["tokenCount"],
             usage["totalTokenCount"] - usage["promptTokenCount"] - line["image_tokens"]))
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual([n for n in (x.get("n") for x in self.emulator.log()) if n],
                         list(range(1, line["n"] + 1)))

    def test_text_comes_first_or_not_at_all(self):
        texts = 0
        for i in range(16):
            parts = self.emulator.generate(f"number {i}").parts()
            texts += len(parts) == 2 and "text" in parts[0] and "inlineData" in parts[1]
        self.assertTrue(0 < texts < 16, texts)
        for i in range(16):
            parts = self.emulator.generate(f"number {i}", **IMAGE_ONLY).parts()
            self.assertEqual([list(p) for p in parts], [["inlineData"]])

    def test_thoughts_when_asked_for(self):
        answer = self.emulator.generate("think", thinkingConfig={"includeThoughts": True})
        kinds = [(p.get("thought", False), "text" in p) for p in answer.parts()]
        self.assertEqual(kinds[0], (True, True))
        self.assertIn((True, False), kinds)
        self.assertEqual(len(answer.images(thoughts=True)), 1)
        good(answer)

    def test_requests_shape_the_answer(self):
        answer = self.emulator.generate("few tokens", maxOutputTokens=100).json()
        self.assertEqual(answer["candidates"][0]["finishReason"], "MAX_TOKENS")
        answer = self.emulator.generate("words only", responseModalities=["Text"])
        self.assertEqual([list(p) for p in answer.parts()], [["text"]])
        body = dict(body_of("cheap"), serviceTier="flex")
        answer = self.emulator.ask("POST", f"/v1beta/models/{MODEL}:generateContent", body)
        self.assertEqual(answer.json()["usageMetadata"]["serviceTier"], "flex")
        self.assertEqual(answer.headers["X-Gemini-Service-Tier"], "flex")


class Padding(unittest.TestCase):
    def test_png_of_a_given_size(self):
        with Emulator("--latency", "0", "--bytes", "700K", "--size", "256",
                      "--thought-signature", "300K") as e:
            for i in range(4):
                answer = e.generate(f"padded {i}")
                image = good(answer)
                self.assertAlmostEqual(len(image), 700 << 10, delta=3)
                self.assertEqual(e.log()[-1]["image_sha256"], hashlib.sha256(image).hexdigest())
                self.assertEqual(len(answer.parts()[-1]["thoughtSignature"]), 300 << 10)

    def test_small_sizes_change_nothing(self):
        for size in ("1", "100", "2K"):
            with Emulator("--latency", "0", "--bytes", size, "--size", "64") as e:
                good(e.generate("small"))

    def test_jpeg_of_a_given_size(self):
        with Emulator("--latency", "0", "--bytes", "700K", "--format", "auto") as e:
            answer = e.generate("padded", imageConfig={"aspectRatio": "1:1"})
            (image,) = answer.images()
            self.assertEqual(jpeg_size(image), (1024, 1024))
            self.assertAlmostEqual(len(image), 700 << 10, delta=65536)
            self.assertEqual(answer.parts()[-1]["inlineData"]["mimeType"], "image/jpeg")
            self.assertEqual(e.log()[-1]["image_sha256"], hashlib.sha256(image).hexdigest())
            good(e.generate("not", "gemini-2.5-flash-image"))  # that one answers in PNG
        with Emulator("--latency", "0", "--format", "jpeg", "--size", "256") as e:
            (image,) = e.generate("small", "gemini-2.5-flash-image").images()
            self.assertEqual(jpeg_size(image), (256, 256))


class Stock(unittest.TestCase):
    def test_every_image_is_the_file(self):
        with Emulator("--latency", "0", "--size", "64", "--format", "jpeg") as e:
            (file,) = e.generate("to be kept").images()
        with tempfile.NamedTemporaryFile() as f:
            f.write(file)
            f.flush()
            with Emulator("--latency", "0", "--image", f.name) as e:
                for i in range(2):
                    answer = e.generate(f"number {i}")
                    self.assertEqual(answer.images(), [file])
                    self.assertEqual(answer.parts()[-1]["inlineData"]["mimeType"], "image/jpeg")
                    line = e.log()[-1]
                    self.assertEqual(line["image_sha256"], hashlib.sha256(file).hexdigest())
                    self.assertEqual(line["image_bytes"], len(file))
                (cut,) = e.generate("[[fault:cut_image]]").images()
                self.assertNotEqual(cut, file)


class Requests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator("--latency", "0", "--size", "64", "--key", "the-key")

    @classmethod
    def tearDownClass(cls):
        cls.emulator.close()

    def post(self, body, model=MODEL, key="the-key"):
        return self.emulator.ask("POST", f"/v1beta/models/{model}:generateContent", body, key)

    def refused(self, body, part):
        answer = self.post(body)
        self.assertEqual((answer.status, answer.error()["status"]), (400, "INVALID_ARGUMENT"))
        self.assertIn(part, answer.error()["message"])
        return answer.error()

    def test_keys(self):
        self.assertEqual(self.post(body_of("x")).status, 200)
        wrong = self.post(body_of("x"), key="another-key")
        self.assertEqual((wrong.status, wrong.error()["details"][0]["reason"]),
                         (400, "API_KEY_INVALID"))
        for key in (None, ""):
            none = self.post(body_of("x"), key=key)
            self.assertEqual((none.status, none.error()["status"]), (403, "PERMISSION_DENIED"))
        path = f"/v1beta/models/{MODEL}:generateContent?key=the-key"
        self.assertEqual(self.emulator.ask("POST", path, body_of("x"), None).status, 200)

    def test_unknown_names(self):
        error = self.refused(dict(body_of("x"), colour="red"), 'Unknown name "colour"')
        self.assertEqual(error["details"][0]["fieldViolations"][0]["description"],
                         error["message"])
        error = self.refused(body_of("x", aspectRatio="1:1"),
                             "Unknown name \"aspectRatio\" at 'generation_config': Cannot find")
        self.assertEqual(error["details"][0]["fieldViolations"][0]["field"], "generation_config")
        self.refused(body_of("x", imageConfig={"size": "1K"}),
                     "at 'generation_config.image_config'")
        self.refused({"contents": [{"parts": [{"txt": "x"}]}]}, "at 'contents[0].parts[0]'")
        self.refused({"contents": {"parts": []}}, "contents")
        self.refused([], "Invalid")

    def test_snake_case_is_fine(self):
        body = {"contents": [{"parts": [{"text": "x"}]}],
                "generation_config": {"image_config": {"aspect_ratio": "1:1"},
                                      "response_modalities": ["image"]}}
        self.assertEqual(png_size(good(self.post(body))), (64, 64))

    def test_wrong_values(self):
        for config, part in [
                ({"imageConfig": {"imageSize": "1k"}}, "image_size"),
                ({"imageConfig": {"imageSize": "8K"}}, "image_size"),
                ({"imageConfig": {"aspectRatio": "7:5"}}, "aspect_ratio"),
                ({"candidateCount": 2}, "Multiple candidates is not enabled for this model"),
                ({"responseModalities": ["SMELL"]}, "response_modalities")]:
            with self.subTest(**config):
                self.refused(body_of("x", **config), part)
        self.assertEqual(self.post(body_of("x", imageConfig={"imageSize": "512"}),
                                   "gemini-3-pro-image").status, 400)
        self.assertEqual(self.post(body_of("x", imageConfig={"aspectRatio": "1:8"}),
                                   "gemini-3-pro-image").status, 400)
        self.refused(dict(body_of("x"), serviceTier="free"), "service_tier")

    def test_contents(self):
        for body in ({}, {"contents": []}):
            self.refused(body, "contents is not specified")
        self.refused({"contents": [{"parts": []}]}, "must not be empty")
        self.refused({"contents": [{"role": "cook", "parts": [{"text": "x"}]}]}, "valid role")
        for text in ("", "{", '{"contents": [}', "\xff", '{"contents": NaN}'):
            self.refused(text.encode("latin-1"), "Invalid JSON payload received.")

    def test_images_come_along(self):
        def ask(mime, data):
            return self.post({"contents": [{"parts": [
                {"text": "x"}, {"inlineData": {"mimeType": mime, "data": data}}]}]})
        answer = ask("image/png", "iVBORw0KGgo=")
        self.assertIn({"modality": "IMAGE", "tokenCount": 258},
                      answer.json()["usageMetadata"]["promptTokensDetails"])
        good(answer)
        good(ask("image/png", "iVBORw0K" * (1 << 20)))  # 8 MB
        self.assertEqual(ask("image/jpg", "iVBORw0KGgo=").status, 400)
        self.assertIn("Base64 decoding failed", ask("image/png", "iVB*").error()["message"])

    def test_models(self):
        models = self.emulator.ask("GET", "/v1beta/models?pageSize=50", None, "the-key").json()
        names = [m["name"] for m in models["models"]]
        self.assertIn("models/" + MODEL, names)
        for name in names:
            one = self.emulator.ask("GET", "/v1beta/" + name, None, "the-key").json()
            self.assertIn(one, models["models"])
            self.assertIn("generateContent", one["supportedGenerationMethods"])
            self.assertEqual(self.post(body_of("x"), name[7:]).status, 200)

    def test_unknown_models_and_paths(self):
        gone = self.post(body_of("x"), "gemini-3-pro-image-preview")
        self.assertEqual((gone.status, gone.error()["status"]), (404, "NOT_FOUND"))
        self.assertIn("models/gemini-3-pro-image-preview is not found for API version v1beta",
                      gone.error()["message"])
        one = self.emulator.ask("GET", "/v1beta/models/none", None, "the-key")
        self.assertEqual(one.status, 404)
        for method, path in [("GET", "/"), ("POST", "/v1beta/<b>"), ("PUT", "/v1beta/models"),
                             ("POST", f"/v1beta/models/{MODEL}"),
                             ("GET", "/v1beta/models/a/b")]:
            page = self.emulator.ask(method, path, None, "the-key")
            self.assertEqual(page.status, 404, path)
            self.assertTrue(page.headers["Content-Type"].startswith("text/html"))
            self.assertTrue(page.body.startswith(b"<!DOCTYPE html>"))
            self.assertNotIn(b"<b>t", page.body)

    def test_streams(self):
        answer = self.emulator.ask("POST",
                                   f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
                                   body_of("x [[fault:404]]"), "the-key")
        self.assertEqual((answer.status, answer.error()["code"]), (404, 404))
        answer = self.emulator.ask("POST", f"/v1beta/models/{MODEL}:streamGenerateContent",
                                   body_of("x [[fault:503]]"), "the-key")
        self.assertEqual(answer.json()[0]["error"]["status"], "UNAVAILABLE")


class Limits(unittest.TestCase):
    def test_quota(self):
        with Emulator("--latency", "0", "--size", "64", "--quota", "3/1.5s") as e:
            self.assertEqual([e.generate(f"{i}").status for i in range(3)], [200] * 3)
            over = e.generate("over")
            self.assertEqual(over.status, 429)
            self.assertIn('"quotaValue": "3"', over.body.decode())
            wait = float(re.search(r"Please retry in ([\d.]+)s", over.error()["message"])[1])
            self.assertTrue(0 < wait <= 1.5, wait)
            self.assertEqual(e.generate("x", "gemini-3-pro-image").status, 200)  # one a model
            time.sleep(wait)  # until then there is nothing to wait for
            self.assertEqual(e.generate("over").status, 200)
            self.assertEqual(e.stats()["by_status"], {"200": 5, "429": 1})

    def test_latency(self):
        with Emulator("--latency", "150ms", "--jitter", "100ms", "--size", "64") as e:
            took, timings = [], []
            for i in range(5):
                start = time.monotonic()
                answer = e.generate(f"{i}")
                took.append(time.monotonic() - start)
                timings.append(float(answer.headers["Server-Timing"].split("=")[1]))
            self.assertGreaterEqual(min(took), 0.15)
            self.assertGreaterEqual(min(timings), 150)
            self.assertLess(min(timings), 250)
            start = time.monotonic()
            e.generate("x [[latency:600ms]]")
            self.assertGreaterEqual(time.monotonic() - start, 0.6)
            none = (e.generate("x [[latency:0]]").headers["Server-Timing"] for _ in range(5))
            self.assertLess(min(float(timing.split("=")[1]) for timing in none), 150)


class Load(unittest.TestCase):
    CALLS = 1000

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < cls.CALLS + 100:
            raise unittest.SkipTest("the limit of open files is too low")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, cls.CALLS + 100), hard))

    def open_calls(self, e, prompt):
        sockets = [open_socket(e) for _ in range(self.CALLS)]
        for i, s in enumerate(sockets):
            s.sendall(raw_request(e, prompt.format(i)))
        return sockets

    def test_a_thousand_at_once(self):
        image, signature = 1 << 20, 256 << 10
        with Emulator("--latency", "2.5s", "--size", "64", "--bytes", str(image),
                      "--thought-signature", str(signature)) as e:
            sockets = self.open_calls(e, "number {}")
            at_least = self.CALLS * (image * 4 // 3 + signature)
            with selectors.DefaultSelector() as selector:
                tails = {}
                for s in sockets:
                    s.setblocking(False)
                    selector.register(s, selectors.EVENT_READ)
                    tails[s] = b""
                got = 0
                while tails:
                    for key, _ in selector.select(30):
                        s = key.fileobj
                        data = s.recv(1 << 20)
                        self.assertTrue(data, "closed in the middle")
                        got += len(data)
                        tails[s] = (tails[s] + data[-5:])[-5:]
                        if tails[s] == b"0\r\n\r\n":
                            selector.unregister(s)
                            s.close()
                            del tails[s]
            self.assertGreater(got, at_least)
            wait_for(lambda: e.stats()["in_flight"] == 0)
            stats = e.stats()
            self.assertEqual((stats["requests"], stats["images"], stats["whole"]),
                             (self.CALLS,) * 3)
            self.assertGreater(stats["max_in_flight"], self.CALLS // 2)
            self.assertLess(e.peak_memory(), at_least // 4)  # nothing is held whole
            lines = [x for x in e.log() if x.get("n")]
            self.assertEqual(len({x["image_sha256"] for x in lines}), self.CALLS)
            self.assertLess(max(abs(x["image_bytes"] - image) for x in lines), 4)

    def test_it_ends_with_calls_under_way(self):
        with Emulator("--size", "64") as e:
            sockets = self.open_calls(e, "number {} [[fault:stall]]")
            wait_for(lambda: e.stats()["in_flight"] == self.CALLS)
            e.stop()
            self.assertEqual((e.final["max_in_flight"], e.final["broken"]), (self.CALLS,) * 2)
            for s in sockets:
                self.assertEqual(read_all(s), b"")
                s.close()


class Options(unittest.TestCase):
    def run_with(self, *options):
        return subprocess.run([os.path.join(BIN, "gemini-emulator"), *options], text=True,
                              capture_output=True, timeout=20)

    def test_wrong_ones(self):
        for options, word in [
                (["--fault", "nonsense=0.1"], "nonsense"), (["--fault", "503=2"], "503"),
                (["--fault", "503=0.6", "--fault", "500=0.6"], "more than 1"),
                (["--listen", "nowhere"], "--listen"), (["--size", "big"], "--size"),
                (["--quota", "10"], "--quota"), (["--format", "gif"], "--format"),
                (["--latency", "soon"], "--latency"), (["stray"], "stray"),
                (["--image", "/nonexistent/image"], "/nonexistent/image"),
                (["--image", "/dev/null"], "neither PNG"),
                (["--log", "/nonexistent/log"], "/nonexistent/log"),
                (["--port-file", "/nonexistent/port"], "/nonexistent/port")]:
            with self.subTest(options=options):
                done = self.run_with(*options)
                self.assertIn(done.returncode, (1, 2))
                self.assertIn(word, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_port_that_is_taken(self):
        with Emulator() as e:
            done = self.run_with("--listen", f"127.0.0.1:{e.port}")
            self.assertEqual(done.returncode, 1)
            self.assertIn("in use", done.stderr)

    def test_help_and_version(self):
        self.assertIn("--thought-signature", self.run_with("--help").stdout)
        self.assertRegex(self.run_with("--version").stdout, r"^gemini-emulator \d")


if __name__ == "__main__":
    main()
