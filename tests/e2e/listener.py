"""A server of the test's own: a thread for each connection."""
import socket
import threading


class Listener:
    """Whoever stands on it has talk(connection)."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def url(self, host="127.0.0.1"):
        return "http://%s:%d" % (host, self.socket.getsockname()[1])

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()


def carry_back(server, client):
    """What the server says, until it has ended."""
    try:
        while data := server.recv(1 << 16):
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
