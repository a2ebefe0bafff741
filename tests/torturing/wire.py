"""Redis' protocol, as much as a link and a producer need: where a value ends, commands and their
answers over a plain socket."""
import socket


class Refused(Exception):
    """The server answered with an error."""


def end_of(data, at=0):
    """Where the value (or command) that begins at `at` ends; -1 while it is not whole."""
    left = 1
    while left:
        eol = data.find(b"\r\n", at)
        if eol < 0:
            return -1
        kind, rest = data[at:at + 1], data[at + 1:eol]
        at = eol + 2
        left -= 1
        if kind == b"*":
            left += max(0, int(rest))
        elif kind == b"$" and int(rest) >= 0:
            at += int(rest) + 2
            if at > len(data):
                return -1
    return at


def command(*args):
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(out)


def value(data, at=0):
    """The value at `at` and where it ends; errors within are raised."""
    eol = data.index(b"\r\n", at)
    kind, rest, at = data[at:at + 1], data[at + 1:eol], eol + 2
    if kind == b"-":
        raise Refused(rest.decode(errors="replace"))
    if kind == b":":
        return int(rest), at
    if kind == b"+":
        return rest, at
    n = int(rest)
    if n < 0:
        return None, at
    if kind == b"$":
        return data[at:at + n], at + n + 2
    out = []
    for _ in range(n):
        v, at = value(data, at)
        out.append(v)
    return out, at


class Connection:
    """Asks one thing at a time. `address`: a unix socket's path, or (host, port)."""

    def __init__(self, address, timeout=10):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(timeout)
        self.socket.connect(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, *args):
        self.socket.sendall(command(*args))
        data = b""
        while end_of(data) < 0:
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("cut")
            data += more
        return value(data)[0]
