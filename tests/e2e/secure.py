"""TLS of a test's own: certificates, and a server in front of the emulator that speaks it when it
is told to."""
import os
import socket
import ssl
import subprocess
import threading
import urllib.parse

from listener import Listener, carry_back


def certificate(folder, name="self", names="DNS:localhost,IP:127.0.0.1"):
    """(certificate, key), which vouches for itself."""
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key, "-out",
                    cert, "-subj", "/CN=" + name, "-addext", "subjectAltName=" + names],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


class Front(Listener):
    """Connections are taken at once; their TLS begins when it is let: `begin.set()`."""

    def __init__(self, upstream, cert, key):
        host = urllib.parse.urlsplit(upstream)
        self.upstream = (host.hostname, host.port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.begin = threading.Event()
        self.lock = threading.Lock()
        self.connections = self.shaken = self.failed = self.posts = self.over = 0
        super().__init__()

    def url(self, host="127.0.0.1"):
        return super().url(host).replace("http:", "https:")

    def count(self, what):
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)

    def talk(self, connection):
        self.count("connections")
        self.begin.wait()
        try:
            secure = self.context.wrap_socket(connection, server_side=True)
        except OSError:
            self.count("failed")
            connection.close()
            return
        self.count("shaken")
        try:
            self.carry(secure)
        except OSError:
            pass
        secure.close()
        self.count("over")

    def carry(self, secure):
        plain = socket.create_connection(self.upstream)
        back = threading.Thread(target=carry_back, args=(plain, secure), daemon=True)
        back.start()
        while data := secure.recv(1 << 16):
            if data.startswith(b"POST "):
                self.count("posts")
            plain.sendall(data)
        plain.shutdown(socket.SHUT_WR)
        back.join()
        plain.close()
