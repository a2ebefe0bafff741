"""Starts the emulator, asks it things, and takes images apart: what its tests share."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

BIN = os.environ.get("GENFARM_BIN", "build/bin")
DATA = os.environ.get("GENFARM_DATA", "")
MODEL = "gemini-3.1-flash-image"
IMAGE_ONLY = {"responseModalities": ["IMAGE"]}
BROKEN = (AssertionError, struct.error, zlib.error)  # of png_size()


class Emulator:
    """A running gemini-emulator; a context manager."""

    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="emulator-")
        self.log_path = os.path.join(self.folder, "log.jsonl")
        port_file = os.path.join(self.folder, "port")
        self.process = subprocess.Popen(
            [os.path.join(BIN, "gemini-emulator"), "--port-file", port_file, "--log",
             self.log_path, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # It prints its address once it listens, after the port file is there.
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(self.process.stderr.read())
        with open(port_file, encoding="ascii") as f:
            self.port = int(f.read())
        self.final = None  # its statistics, once it has ended

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=30)
        if errors.startswith("{"):
            self.final = json.loads(errors)
        if self.process.returncode != 0:
            raise AssertionError(f"ended with {self.process.returncode}: {errors}")

    def connect(self, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, key="a-key", timeout=30):
        """One request on a connection of its own."""
        connection = self.connect(timeout)
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["x-goog-api-key"] = key
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def generate(self, prompt, model=MODEL, method="generateContent", query="", **config):
        path = f"/v1beta/models/{model}:{method}{query}"
        return self.ask("POST", path, body_of(prompt, **config))

    def stats(self):
        return self.ask("GET", "/emulator/stats").json()

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def peak_memory(self):
        """In bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no VmHWM")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]

    def parts(self):
        return self.json()["candidates"][0]["content"].get("parts", [])

    def images(self, thoughts=False):
        return [base64.b64decode(part["inlineData"]["data"], validate=True)
                for part in self.parts()
                if "inlineData" in part and part.get("thought", False) == thoughts]


def good(answer):
    """Asserts that the answer has one whole PNG; gives it."""
    assert answer.status == 200, answer.body
    (image,) = answer.images()
    png_size(image)
    return image


def body_of(prompt, **config):
    body = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
    if config:
        body["generationConfig"] = config
    return body


def raw_request(emulator, prompt, model=MODEL):
    body = json.dumps(body_of(prompt)).encode()
    return (f"POST /v1beta/models/{model}:generateContent HTTP/1.1\r\nHost: x\r\n"
            f"x-goog-api-key: k\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("did not happen in time")
        time.sleep(0.005)


def shape(value, path=""):
    """The paths of a JSON value in their order, with the type of what is there."""
    kind = "number" if isinstance(value, (int, float)) and not isinstance(value, bool) \
        else type(value).__name__
    out = [f"{path}: {kind}"]
    if isinstance(value, dict):
        for name, member in value.items():
            out += shape(member, f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            out += shape(member, path + "[]")
    return out


def png_size(data):
    """Reads a PNG to its end, every CRC and every row; gives its width and height."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, pixels, names = 8, b"", []
    while at < len(data):
        n, name = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + n]
        (crc,) = struct.unpack(">I", data[at + 8 + n:at + 12 + n])
        assert len(chunk) == n and crc == zlib.crc32(name + chunk), f"{name} is broken"
        names.append(name)
        pixels += chunk if name == b"IDAT" else b""
        at += 12 + n
    assert names[0] == b"IHDR" and names[-1] == b"IEND" and names.count(b"IEND") == 1, names
    w, h, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (depth, colour) == (8, 2)
    rows = zlib.decompress(pixels)
    assert len(rows) == h * (w * 3 + 1)
    return w, h


def png_pixels(data):
    """The RGB bytes of a PNG whose rows use the filters none, sub or up."""
    w, h = png_size(data)
    at, packed = 8, b""
    while at < len(data):
        n, name = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + n] if name == b"IDAT" else b""
        at += 12 + n
    rows, above, out = zlib.decompress(packed), bytes(w * 3), b""
    for y in range(h):
        row = bytearray(rows[y * (w * 3 + 1):(y + 1) * (w * 3 + 1)])
        kind = row.pop(0)
        assert kind in (0, 1, 2), kind
        for i in range(w * 3) if kind else ():
            left = row[i - 3] if i >= 3 else 0
            row[i] = (row[i] + (left if kind == 1 else above[i])) & 255
        above = bytes(row)
        out += above
    return out


def jpeg_size(data):
    """Walks the markers of a baseline JPEG to its end; gives its width and height."""
    assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "no JPEG"
    at, size = 2, None
    while True:
        assert data[at] == 0xff, at
        marker, n = data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0]
        if marker == 0xc0:
            h, w = struct.unpack(">HH", data[at + 5:at + 9])
            size = w, h
        at += 2 + n
        if marker == 0xda:
            break
    while True:  # pixels: 0xff is followed by 0 until the end
        at = data.index(b"\xff", at)
        if data[at + 1] != 0:
            assert data[at + 1] == 0xd9 and at == len(data) - 2, "broken pixels"
            return size
        at += 2


def recorded(name):
    with open(os.path.join(DATA, "gemini", name), "rb") as f:
        return f.read()



def read_all(sock):
    data = b""
    while True:
        try:
            more = sock.recv(1 << 16)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def open_socket(emulator):
    return socket.create_connection(("127.0.0.1", emulator.port), timeout=30)


def main():
    """Runs the tests of the script, unless what they need is missing."""
    if not os.path.exists(os.path.join(BIN, "gemini-emulator")):
        print("gemini-emulator is not built: set GENFARM_BIN", file=sys.stderr)
        sys.exit(77)
    unittest.main()
