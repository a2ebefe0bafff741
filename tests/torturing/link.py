"""The network between a farm and its Redis: links that lose, cut, delay and resend, by a seed.

Each link is a socket of its own, so that one worker may be cut off while others are not. What
befalls a command is drawn for it when it has come whole:

  cut_before   the connection is cut before the command reaches the server
  cut_request  ... in the middle of the command
  cut_reply    the server took the command; its answer is lost with the connection
  cut_answer   ... the connection is cut in the middle of the answer
  late         the connection is cut, and the command reaches the server later all the same: after
               the client has connected again, and has perhaps said the same or more since
  delay        the command, and all behind it, come late, in order
  hang         nothing passes for a while, in either direction

A link may also be down: it refuses and cuts, or it holds everything until it is up again."""
import asyncio
import collections
import random
import threading

from wire import end_of

KINDS = {"cut_before": 2, "cut_request": 2, "cut_reply": 5, "cut_answer": 3, "late": 3, "delay": 12,
         "hang": 0.5}  # of a thousand commands, in weather 1
CHUNK = 1 << 16


class Passage:
    """One connection through a link."""

    def __init__(self, link, number, client):
        self.link, self.net = link, link.net
        self.random = random.Random("%s/%s/%d" % (link.net.seed, link.name, number))
        self.client = client          # (reader, writer)
        self.server = None
        self.sent = self.answered = 0  # commands and answers that passed
        self.doom = {}                # number of an answer -> how the connection ends there
        self.free_at = 0              # nothing passes before

    async def run(self):
        tasks = []
        try:
            self.server = await asyncio.open_unix_connection(self.net.upstream, limit=1 << 24)
            tasks = [asyncio.ensure_future(self.up()), asyncio.ensure_future(self.down())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for t in tasks:
                t.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    def close(self):
        for pair in (self.client, self.server):
            if pair:
                pair[1].close()

    def fate(self, one):
        if self.link.wish:
            return self.link.wish(one)
        draw = self.random.random() * 1000
        for kind, rate in KINDS.items():
            draw -= rate * self.link.weather
            if draw < 0:
                return kind
        return None

    async def passable(self):
        await self.link.open.wait()
        now = self.net.loop.time()
        if self.free_at > now and not self.net.calm.is_set():
            await self.net.pause(self.free_at - now)

    async def up(self):
        data = b""
        while True:
            more = await self.client[0].read(CHUNK)
            if not more:
                return
            data += more
            while (end := end_of(data)) >= 0:
                await self.passable()
                one, data = data[:end], data[end:]
                if not await self.take(one, self.fate(one)):
                    return

    async def take(self, one, fate):
        """False: the connection is over."""
        if fate:
            self.net.counts[fate] += 1
        if fate == "cut_before":
            return False
        if fate == "late":
            self.net.deliver_late(one, self.random.uniform(0.05, 1.5) ** 2)
            return False
        if fate == "delay":
            await self.net.pause(self.random.uniform(0.02, 0.4))
        if fate == "hang":
            self.free_at = self.net.loop.time() + self.random.uniform(0.5, self.net.longest)
        if fate in ("cut_reply", "cut_answer"):
            self.doom[self.sent] = fate
        self.sent += 1
        part = one[:self.random.randrange(len(one))] if fate == "cut_request" else one
        self.server[1].write(part)
        await self.server[1].drain()
        return fate != "cut_request"

    async def down(self):
        data = b""
        while True:
            more = await self.server[0].read(CHUNK)
            if not more:
                return
            data += more
            while (end := end_of(data)) >= 0:
                await self.passable()
                one, data = data[:end], data[end:]
                doom = self.doom.pop(self.answered, None)
                self.answered += 1
                if doom == "cut_reply":
                    return
                if doom == "cut_answer":
                    one = one[:self.random.randrange(len(one))]
                self.client[1].write(one)
                await self.client[1].drain()
                if doom:
                    return


class Link:
    def __init__(self, net, name):
        self.net, self.name = net, name
        self.weather = 0.0        # 0: nothing goes wrong
        self.wish = None          # of a test that decides itself: what befalls this command
        self.refuses = False
        self.open = asyncio.Event()
        self.open.set()
        self.passages = set()
        self.made = 0

    async def serve(self, reader, writer):
        if self.refuses:
            writer.close()
            return
        self.made += 1
        p = Passage(self, self.made, (reader, writer))
        self.passages.add(p)
        try:
            await p.run()
        finally:
            self.passages.discard(p)

    def set_state(self, state):
        """'up'; 'refuse': cut and refused; 'hold': nothing passes, nothing is lost."""
        self.refuses = state == "refuse"
        self.open.clear() if state == "hold" else self.open.set()
        if self.refuses:
            for p in self.passages:
                p.close()


class Net(threading.Thread):
    """All links, in a thread of their own. `upstream`: the server's socket."""

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
