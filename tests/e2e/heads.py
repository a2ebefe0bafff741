"""A server between a worker and the emulator that keeps the head of each request, byte for byte."""
import socket
import threading
import urllib.parse


class Heads:
    def __init__(self, upstream):
        host = urllib.parse.urlsplit(upstream)
        self.upstream = (host.hostname, host.port)
        self.heads = []  # lists of lines, the request's first
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def url(self):
        return "http://127.0.0.1:%d" % self.socket.getsockname()[1]

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, client):
        server = socket.create_connection(self.upstream)
        threading.Thread(target=self.back, args=(server, client), daemon=True).start()
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

    def back(self, server, client):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
