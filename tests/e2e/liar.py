"""A Redis that lies: between a farm and its server, it passes on what is said, or answers something
else."""
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "torturing"))
from wire import end_of  # noqa: E402

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis is no Redis\n"
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
BUSY = b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL\r\n"


class Liar:
    """`lie`: None, or a function of a command that returns what is answered in place of the server's
    answer; None: that one. `twist`: None, or a function of a command and the server's answer, that
    returns what is answered."""

    def __init__(self, path, upstream):
        self.path, self.upstream = path, upstream
        self.lie = self.twist = None
        self.connections = self.lies = 0
        self.open = set()
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def url(self):
        return "unix://" + self.path

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            with self.lock:
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.upstream)
            self.carry(client, server)
        except OSError:
            pass
        with self.lock:
            self.open.discard(client)
        client.close()
        server.close()

    def carry(self, client, server):
        data = answer = b""
        while more := client.recv(1 << 16):
            data += more
            while (end := end_of(data)) >= 0:
                one, data = data[:end], data[end:]
                said = self.lie(one) if self.lie else None
                if said is not None:
                    self.lies += 1
                    client.sendall(said)
                    continue
                server.sendall(one)
                while (end := end_of(answer)) < 0:
                    part = server.recv(1 << 16)
                    if not part:
                        return
                    answer += part
                said, answer = answer[:end], answer[end:]
                client.sendall(self.twist(one, said) if self.twist else said)

    def cut(self):
        """All connections, so that they are made again."""
        with self.lock:
            for connection in self.open:
                connection.shutdown(socket.SHUT_RDWR)


def command(one):
    return one.split(b"\r\n")[2].upper()


def is_script(one):
    return command(one).startswith(b"EVAL")
