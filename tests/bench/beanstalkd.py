"""Jobs through beanstalkd: put in writes of 100, then reserve and delete, both as its protocol
lets them be pipelined, at most WIDTH reserved at once. SOCKET JOBS WIDTH"""
import json
import re
import socket
import sys
import time

BODY = b"x" * 300
PUT = b"put 1024 0 60 %d\r\n%s\r\n" % (len(BODY), BODY)
RESERVED = re.compile(rb"RESERVED (\d+) %d\r\n%s\r\n" % (len(BODY), BODY))
CHUNK = 1 << 18
MANY = 100  # puts in one write: their answers, each a packet, fit into the socket


def put(server, jobs):
    """Two writes are on their way before the answers to the first are read."""
    sent = done = 0
    rest = b""
    while done < jobs:
        while sent < jobs and sent - done <= MANY:
            server.sendall(PUT * MANY)
            sent += MANY
        lines = (rest + server.recv(CHUNK)).split(b"\r\n")
        rest = lines.pop()
        if not all(line.startswith(b"INSERTED") for line in lines):
            raise RuntimeError(lines)
        done += len(lines)


def work(server, jobs, width):
    """Whatever has come is deleted, and as many are reserved, in one write."""
    asked = min(width, jobs)
    done = 0
    rest = b""
    server.sendall(b"reserve\r\n" * asked)
    while done < jobs:
        rest += server.recv(CHUNK)
        found, end = [], 0
        for match in RESERVED.finditer(rest):
            found.append(match.group(1))
            end = match.end()
        last = rest.rfind(b"DELETED\r\n")
        done += rest.count(b"DELETED\r\n")
        rest = rest[max(end, last + 9 if last >= 0 else 0):]
        more = min(len(found), jobs - asked)
        asked += more
        if found:
            server.sendall(b"".join(b"delete %s\r\n" % n for n in found) + b"reserve\r\n" * more)


def main():
    path, jobs, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.connect(path)
        t0 = time.monotonic()
        put(server, jobs)
        t1 = time.monotonic()
        work(server, jobs, width)
        t2 = time.monotonic()
    print(json.dumps({"in_per_s": round(jobs / (t1 - t0)),
                      "through_per_s": round(jobs / (t2 - t1))}))


if __name__ == "__main__":
    main()
