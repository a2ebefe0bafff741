"""A server between a worker and the emulator that keeps the head of each request, byte for byte."""
import socket
import threading
import urllib.parse

from listener import Listener, carry_back


class Heads(Listener):
    def __init__(self, upstream):
        host = urllib.parse.urlsplit(upstream)
        self.upstream = (host.hostname, host.port)
        self.heads = []  # lists of lines, the request's first
        super().__init__()

    def talk(self, client):
        server = socket.create_connection(self.upstream)
        threading.Thread(target=carry_back, args=(server, client), daemon=True).start()
        stream = client.makefile("rb")
        try:
            while self.request(stream, server):
                pass
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def request(self, stream, server):
        lines, length = [], 0
        for line in iter(stream.readline, b"\r\n"):
            if not line:
                return False
            lines.append(line)
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.heads.append([line.decode("latin-1") for line in lines])
        server.sendall(b"".join(lines) + b"\r\n" + stream.read(length))
        return True
