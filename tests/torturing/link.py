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
import random

from wire import end_of

KINDS = {"cut_before": 2, "cut_request": 2, "cut_reply": 5, "cut_answer": 3, "late": 3, "delay": 12,
         "hang": 0.5}  # of a thousand commands, in weather 1
CHUNK = 1 << 16


class Half:
    """One direction of a connection: reads whole values, commands or answers, and passes them on as
    `carry` decides, which says False when the connection is over."""

    def __init__(self, passage, reader, writer, carry):
        self.passage, self.reader, self.writer, self.carry = passage, reader, writer, carry
        self.passed = 0  # values so far

    async def run(self):
        data = b""
        while True:
            more = await self.reader.read(CHUNK)
            if not more:
                return
            data += more
            while (end := end_of(data)) >= 0:
                await self.passage.passable()
                one, data = data[:end], data[end:]
                if not await self.carry(self, one):
                    return

    async def write(self, data):
        self.writer.write(data)
        await self.writer.drain()


class Passage:
    """One connection through a link."""

    def __init__(self, link, number, client):
        self.link, self.net = link, link.net
        self.random = random.Random("%s/%s/%d" % (link.net.seed, link.name, number))
        self.client = client  # (reader, writer)
        self.server = None
        self.doom = {}        # number of an answer -> how the connection ends there
        self.free_at = 0      # nothing passes before

    async def run(self):
        tasks = []
        try:
            self.server = await asyncio.open_unix_connection(self.net.upstream, limit=1 << 24)
            halves = (Half(self, self.client[0], self.server[1], self.command),
                      Half(self, self.server[0], self.client[1], self.answer))
            tasks = [asyncio.ensure_future(h.run()) for h in halves]
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

    async def command(self, half, one):
        fate = self.fate(one)
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
            self.doom[half.passed] = fate
        half.passed += 1
        await half.write(one[:self.random.randrange(len(one))] if fate == "cut_request" else one)
        return fate != "cut_request"

    async def answer(self, half, one):
        doom = self.doom.pop(half.passed, None)
        half.passed += 1
        if doom == "cut_reply":
            return False
        await half.write(one[:self.random.randrange(len(one))] if doom == "cut_answer" else one)
        return doom is None


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
