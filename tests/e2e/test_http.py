"""No POST is repeated behind our back: a reused connection is cut before the answer, and counted."""
import base64
import json
import socket
import struct
import zlib

import farm
from farm import Farm, check_events
from listener import Listener


def png():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(
            ">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + b"\x40\x80\xc0" * 8 for _ in range(8))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


ANSWER = json.dumps({"candidates": [{"content": {"parts": [{"inlineData": {
    "mimeType": "image/png", "data": base64.b64encode(png()).decode()}}]},
    "finishReason": "STOP"}]}).encode()


class Cutter(Listener):
    """Answers the first POST of each connection, and cuts it at the second, which it has read."""

    def __init__(self):
        self.posts = 0
        self.reused = 0
        self.expects = 0
        super().__init__()

    def request(self, stream):
        length = None
        for line in iter(stream.readline, b"\r\n"):
            if not line:
                return False
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            self.expects += line.lower().startswith(b"expect:")
        stream.read(length)
        self.posts += 1
        return True

    def talk(self, connection):
        stream = connection.makefile("rb")
        if self.request(stream):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
            if self.request(stream):
                self.reused += 1
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def cut(policy, status, posts):
    with Farm() as f:
        cutter = Cutter()
        f.redis()
        f.env["GOOGLE_GEMINI_BASE_URL"] = cutter.url()
        batch = f.genfarm("submit", f.prompts(2), "--on-unknown", policy).stdout.strip()
        f.worker("--concurrency", "1", "--sink", "dir:" + f.path("out"))
        out = f.genfarm("watch", batch, "--json", status=status).stdout
        events = [json.loads(line) for line in out.splitlines()]
        check_events(events, 2)
        assert cutter.reused == 1, "the connection was not used again: nothing was tested"
        assert cutter.posts == posts, "%d POSTs, not %d" % (cutter.posts, posts)
        unknown = [e for e in events if e["event"] == "unknown"]
        assert len(unknown) == 1 and unknown[0]["policy"] == policy
        assert events[-1]["possible_double_bill"] == 1
        assert cutter.expects == 0


def never_repeated():
    cut("fail", 3, 2)


def repeated_when_told_to():
    cut("retry", 0, 3)


def refused_port():
    """What never left is no unknown."""
    with Farm() as f:
        f.redis()
        f.env["GOOGLE_GEMINI_BASE_URL"] = "http://127.0.0.1:1"
        batch = f.genfarm("submit", f.prompts(1), "--max-attempts", 2).stdout.strip()
        f.worker("--sink", "dir:" + f.path("out"))
        out = f.genfarm("watch", batch, "--json", status=3).stdout
        events = [json.loads(line) for line in out.splitlines()]
        assert [e["event"] for e in events if e["event"] not in ("progress",)] == [
            "submitted", "retrying", "failed", "batch_done"], out
        assert events[-1]["possible_double_bill"] == 0


farm.main([never_repeated, repeated_when_told_to, refused_port])
