"""All links between a farm and its Redis, in a thread of their own."""
import asyncio
import collections
import threading

from link import CHUNK, Link


class Net(threading.Thread):
    """`upstream`: the server's socket."""

    def __init__(self, upstream, seed, longest):
        super().__init__(daemon=True)
        self.upstream, self.seed, self.longest = upstream, seed, longest
        self.counts = collections.Counter()
        self.links = {}
        self.late = set()
        self.loop = asyncio.new_event_loop()
        self.calm = asyncio.Event()
        self.start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def do(self, coroutine, seconds=20):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    async def pause(self, seconds):
        """Ends early when the weather is calm."""
        try:
            await asyncio.wait_for(self.calm.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    def deliver_late(self, one, seconds):
        task = asyncio.ensure_future(self.deliver(one, seconds))
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def deliver(self, one, seconds):
        await self.pause(seconds)
        try:
            reader, writer = await asyncio.open_unix_connection(self.upstream)
            writer.write(one)
            await asyncio.wait_for(reader.read(CHUNK), 10)
            writer.close()
        except (OSError, asyncio.TimeoutError):
            pass  # the server is down: it is lost after all

    async def listen(self, name, path):
        link = self.links[name] = Link(self, name)
        if path:
            await asyncio.start_unix_server(link.serve, path, limit=1 << 24)
            return "unix://" + path
        server = await asyncio.start_server(link.serve, "127.0.0.1", 0, limit=1 << 24)
        return "redis://127.0.0.1:%d" % server.sockets[0].getsockname()[1]

    def open(self, name, path=None):
        """A new link, over a unix socket or TCP; its URL."""
        return self.do(self.listen(name, path))

    def set_state(self, name, state):
        self.loop.call_soon_threadsafe(self.links[name].set_state, state)

    def set_weather(self, weather):
        for link in self.links.values():
            link.weather = weather

    async def settle(self):
        self.calm.set()
        for link in self.links.values():
            link.weather = 0
            link.set_state("up")
        while self.late:
            await asyncio.wait(self.late)

    def settle_down(self):
        """No faults any more; what was on its way arrives now."""
        self.do(self.settle())
