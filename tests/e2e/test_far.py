"""A worker far from its Redis: what takes a round trip is begun as much earlier."""
import asyncio
import json
import sys
import threading

import farm
from farm import Farm

ONE_WAY = 0.03  # seconds; two of them are far more than the time in which a slot must be used
JOBS = 80


class Distance(threading.Thread):
    """A way to the server on which everything takes so long, in both directions."""

    def __init__(self, server, path, seconds):
        super().__init__(daemon=True)
        self.server, self.path, self.seconds = server, path, seconds
        self.open = threading.Event()
        self.start()
        self.open.wait()

    def run(self):
        asyncio.run(self.listen())

    async def listen(self):
        async with await asyncio.start_unix_server(self.serve, self.path) as s:
            self.open.set()
            await s.serve_forever()

    async def serve(self, reader, writer):
        there = await asyncio.open_unix_connection(self.server)
        await asyncio.gather(self.carry(reader, there[1]), self.carry(there[0], writer),
                             return_exceptions=True)

    async def carry(self, reader, writer):
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            loop.call_later(self.seconds, writer.write, data)
        loop.call_later(self.seconds, writer.close)


def slots_are_reached():
    with Farm() as f:
        f.emulator("--latency", "20ms", "--size", "64")
        f.redis()
        far = f.path("far.sock")
        Distance(f.socket, far, ONE_WAY)
        f.genfarm("limits", "set", "gemini-3.1-flash-image", "req=50/1s")
        batch = f.genfarm("submit", f.prompts(JOBS)).stdout.strip()
        worker = f.worker("--concurrency", "32", "--redis", "unix://" + far)
        out = f.genfarm("watch", batch, "--json").stdout
        ends = farm.check_events([json.loads(line) for line in out.splitlines()], JOBS)
        assert all(e["event"] == "completed" for e in ends)
        assert len(f.requests()) == JOBS
        worker.terminate()
        worker.wait(60)


if __name__ == "__main__":
    sys.exit(farm.main([slots_are_reached]))
