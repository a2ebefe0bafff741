"""Images that are meant to burst: refused as bad_image, or decoded, in memory that does not follow
their size."""
import base64
import glob
import http.server
import json
import os
import re
import struct
import sys
import threading
import zlib

import farm
from farm import BIN, Farm, check_events

SUITE = os.path.join(farm.DATA, "suites", "pngsuite")
MIB = 1 << 20


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(n):
    """n zeros, deflated; made in pieces."""
    z = zlib.compressobj(9)
    out = [z.compress(b"\0" * min(MIB, n - at)) for at in range(0, n, MIB)]
    return b"".join(out) + z.flush()


def png(width, height, data, *more, depth=8, colour=2, interlace=0):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour,
                                                              0, 0, interlace)) +
            b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def solid(width, height):
    """A whole picture: black."""
    return png(width, height, zeros(height * (1 + 3 * width)))


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(width, height, frame, scans=1):
    """Headers of a picture in three components, and scans that say nothing."""
    components = b"".join(bytes([c, 0x22, 0]) for c in (1, 2, 3))
    tables = segment(0xdb, b"\0" + b"\1" * 64) + segment(0xc4, b"\0" + b"\1" + b"\0" * 15 + b"\0") + \
        segment(0xc4, b"\x10" + b"\1" + b"\0" * 15 + b"\0")
    scan = segment(0xda, b"\3" + bytes([1, 0, 2, 0, 3, 0]) + (b"\0\0\0" if frame == 0xc2 else b"\0\x3f\0"))
    return (b"\xff\xd8" + tables + segment(frame, struct.pack(">BHHB", 8, height, width, 3) + components) +
            (scan + b"\0" * 50) * scans + b"\xff\xd9")


def bombs():
    """Name, bytes, and whether it is a picture after all."""
    yield "a picture", solid(256, 256), True
    yield "largest there may be", solid(16384, 7800), True
    yield "many rows", solid(1, 16384), True
    yield "two thousand million", png(2 ** 31 - 1, 2 ** 31 - 1, zeros(1000)), False
    yield "no width", png(0, 5, zeros(10)), False
    yield "wide", png(60000, 60000, zeros(10 * MIB)), False
    yield "too many pixels", png(16384, 16384, zeros(10 * MIB)), False
    yield "deep", png(16384, 7800, zeros(10 * MIB), depth=16, colour=6), False
    yield "more data than rows", png(1, 1, zeros(512 * MIB)), False
    yield "less data than rows", png(16000, 8000, zeros(MIB)), False
    yield "interlaced, cut", png(16000, 8000, zeros(MIB), interlace=1), False
    yield "text that bursts", png(16, 16, zeros(16 * 49), chunk(b"zTXt", b"k\0\0" + zeros(512 * MIB)),
                                  chunk(b"iTXt", b"k\0\1\0\0\0" + zeros(512 * MIB))), True
    yield "profile that bursts", png(16, 16, zeros(16 * 49), chunk(b"iCCP", b"k\0\0" +
                                                                   zeros(512 * MIB))), True
    yield "chunk of 2 GB", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2 ** 31 - 1) + b"IHDR" + b"x" * 100, False
    yield "progressive", jpeg(16000, 8000, 0xc2), False
    yield "progressive, largest", jpeg(65500, 65500, 0xc2), False
    yield "many scans", jpeg(1024, 1024, 0xc2, scans=3000), False
    yield "baseline, largest", jpeg(65500, 65500, 0xc0), False
    yield "arithmetic", jpeg(4000, 4000, 0xc9), False
    yield "GIF", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0" * 50, False
    yield "SVG", b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='1e9'/>", False
    yield "RIFF", b"RIFF" + struct.pack("<I", 2 ** 32 - 1) + b"WEBPVP8 " + b"\0" * 50, False
    yield "zip", b"PK\3\4" + b"\0" * 100, False
    for name in sorted(glob.glob(os.path.join(SUITE, "x*.png"))):
        with open(name, "rb") as f:
            yield os.path.basename(name), f.read(), False


class Provider(http.server.ThreadingHTTPServer):
    """Answers prompt number N with image N."""
    daemon_threads = True

    def __init__(self, images):
        self.images = images
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        said = self.rfile.read(int(self.headers["content-length"])).decode()
        image = self.server.images[int(re.search(r"image (\d+)", said).group(1))]
        part = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(image).decode()}}
        body = json.dumps({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}],
                           "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def peak(pid):
    """The most memory it ever had, in MiB."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


def events(f, n, verify):
    name = f.path("prompts.txt")
    with open(name, "w") as out:
        out.writelines("image %d\n" % i for i in range(n))
    w = f.worker("--concurrency", "4", "--sink", "dir:" + f.path("out-" + verify), "--verify", verify)
    batch = f.genfarm("submit", name, "--max-attempts", "1", "--batch", verify).stdout.strip()
    out = f.genfarm("watch", batch, "--json", status=None).stdout
    ends = check_events([json.loads(line) for line in out.splitlines()], n)
    assert w.poll() is None
    return w, {e["index"]: e for e in ends}


def refused_in_flat_memory():
    all_of_them = list(bombs())
    if not glob.glob(os.path.join(SUITE, "x*.png")):
        print("without the PNG suite, which is not there")
    server = Provider([data for _, data, _ in all_of_them])
    with Farm() as f:
        f.env["GOOGLE_GEMINI_BASE_URL"] = "http://127.0.0.1:%d" % server.server_address[1]
        f.redis()
        for verify in ("full", "crc"):
            w, ends = events(f, len(all_of_them), verify)
            for i, (name, data, good) in enumerate(all_of_them):
                e = ends[i]
                if verify == "full" or good:
                    said = e["event"] if good else e.get("error", {}).get("code")
                    assert said == ("completed" if good else "bad_image"), (verify, name, e)
            # The largest one would take 512 MB as it unfolds, and 383 as pixels.
            most = peak(w.pid)
            print("at most %d MiB" % most)
            assert most < (150 if farm_is_sanitized() else 64), most
            w.terminate()
            w.wait(30)


def farm_is_sanitized():
    with open(os.path.join(BIN, "genfarm-worker"), "rb") as f:
        return b"__asan_init" in f.read()


if __name__ == "__main__":
    sys.exit(farm.main([refused_in_flat_memory]))
