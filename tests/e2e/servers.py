"""Redis servers on TCP, each in a folder of its own: with replicas, watched over, or in a cluster."""
import os
import random
import signal
import socket
import subprocess

from farm import mend, until


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port():
    """One that was free a moment ago, as was the one a cluster's nodes talk on, 10,000 above."""
    while True:
        port = random.randrange(20000, 30000)
        if is_free(port) and is_free(port + 10000):
            return port


class Server:
    def __init__(self, farm, *options, settings=None):
        self.farm = farm
        self.port = free_port()
        self.dir = farm.path("redis%d" % self.port)
        os.mkdir(self.dir)
        first = []
        if settings:
            first = [os.path.join(self.dir, "settings.conf")]
            with open(first[0], "w") as f:
                f.write(settings)
        self.argv = ["redis-server", *first, "--port", self.port, "--bind", "127.0.0.1", "--dir",
                     self.dir, "--save", "", "--repl-diskless-sync-delay", 0, *options]
        self.start()

    def start(self):
        mend(self.dir)
        self.process = self.farm.start(*self.argv, stdout=subprocess.DEVNULL)
        until(lambda: self.cli("PING") == "PONG")

    def cli(self, *argv):
        r = subprocess.run(["redis-cli", "-p", str(self.port), *map(str, argv)], text=True,
                           capture_output=True, errors="replace")
        return r.stdout.strip()

    def do(self, *argv):
        answer = self.cli(*argv)
        assert answer == "OK", "%s: %s" % (" ".join(map(str, argv)), answer)

    def info(self, section):
        return dict(line.split(":", 1) for line in self.cli("INFO", section).splitlines()
                    if ":" in line)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def follow(self, primary):
        self.do("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda: self.info("replication").get("master_link_status") == "up")


def sentinels(farm, primary, n=3):
    """Who watch over `primary` under the name farm, and know each other and its replica."""
    settings = ("sentinel monitor farm 127.0.0.1 %d %d\n"
                "sentinel down-after-milliseconds farm 500\n"
                "sentinel failover-timeout farm 3000\n" % (primary.port, n // 2 + 1))
    all = [Server(farm, "--sentinel", settings=settings) for _ in range(n)]
    for s in all:
        until(lambda: "num-other-sentinels\n%d\n" % (n - 1) in s.cli("SENTINEL", "MASTER", "farm"))
        until(lambda: "num-slaves\n1\n" in s.cli("SENTINEL", "MASTER", "farm"))
    return all


class Cluster:
    def __init__(self, farm, n=3):
        self.nodes = [Server(farm, "--cluster-enabled", "yes", "--cluster-node-timeout", 2000)
                      for _ in range(n)]
        for i, node in enumerate(self.nodes):
            node.id = node.cli("CLUSTER", "MYID")
            node.do("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            node.do("CLUSTER", "ADDSLOTSRANGE", 16384 * i // n, 16384 * (i + 1) // n - 1)
            node.do("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes:
            until(lambda: "cluster_state:ok" in node.cli("CLUSTER", "INFO"))
            until(lambda: "cluster_slots_ok:16384" in node.cli("CLUSTER", "INFO"))

    def url(self):
        return "redis+cluster://" + ",".join("127.0.0.1:%d" % n.port for n in self.nodes)

    def owner(self, key):
        slot = int(self.nodes[0].cli("CLUSTER", "KEYSLOT", key))
        for line in self.nodes[0].cli("CLUSTER", "NODES").splitlines():
            for word in line.split()[8:]:
                first, _, last = word.partition("-")
                if not word.startswith("[") and int(first) <= slot <= int(last or first):
                    return [n for n in self.nodes if n.id == line.split()[0]][0], slot

    def move(self, key, to, between=lambda: None):
        """Moves the slot of `key` as the documentation says, key by key; returns how many keys."""
        source, slot = self.owner(key)
        to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
        moved = 0
        while True:
            keys = source.cli("CLUSTER", "GETKEYSINSLOT", slot, 5).splitlines()
            if not keys:
                break
            source.do("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            moved += len(keys)
            between()
        for node in [to] + [n for n in self.nodes if n is not to]:
            node.do("CLUSTER", "SETSLOT", slot, "NODE", to.id)
        return moved
