"""``python -m bench.probes KIND PORT SESSION TOKEN``: what a bystander of a big room feels.

A blocking socket in a process of its own, until it is told to end by a line on its input:

* ``message``: a viewer of another room: when each message came, by its position;
* ``ping``: a viewer that sends a WebSocket ping every `EVERY_SECONDS`, and how long each took;
* ``handshake``: a whole connection and handshake as often, and how long each took.

Reports ``[[position or start, ns], …]`` since it was last asked.
"""

import re
import select
import socket
import sys
import time

from bench.child import READY, report
from bench.viewers import PING, PONG, connect, handshake, pong, split

EVERY_SECONDS = 0.02
_POSITION = re.compile(rb'"position":(\d+)')

Found = list[tuple[int, int]]


def watch(viewer: socket.socket, received: bytearray, found: Found, until: float) -> None:
    """Note what comes."""
    while (left := until - time.monotonic()) > 0 and select.select([viewer], [], [], left)[0]:
        received += _some(viewer)
        now = time.monotonic_ns()
        for first, payload in split(received):
            if position := _POSITION.search(payload):
                found.append((int(position[1]), now))
            elif first == PING:
                viewer.sendall(pong(payload))


def ping(viewer: socket.socket, received: bytearray, found: Found, until: float) -> None:
    """Ping once."""
    begin = time.monotonic_ns()
    viewer.sendall(b"\x89\x84\x00\x00\x00\x00echo")
    answered = False
    while not answered:
        received += _some(viewer)
        now = time.monotonic_ns()
        for first, payload in split(received):
            answered |= first == PONG
            if first == PING:
                viewer.sendall(pong(payload))
    found.append((begin, now - begin))
    time.sleep(max(0.0, until - time.monotonic()))


def main(kind: str, port: int, session_id: str, token: str) -> None:
    """Probe, and report whenever a line is read; end with the input."""
    request = handshake(port, session_id, token)
    found: Found = []
    received = bytearray()
    (viewer,) = connect(port, [request])
    report(READY)
    while True:
        until = time.monotonic() + EVERY_SECONDS
        if kind == "message":
            watch(viewer, received, found, until)
        elif kind == "ping":
            ping(viewer, received, found, until)
        else:
            begin = time.monotonic_ns()
            connect(port, [request])[0].close()
            found.append((begin, time.monotonic_ns() - begin))
            time.sleep(max(0.0, until - time.monotonic()))
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                return
            report(found)
            found.clear()


def _some(viewer: socket.socket) -> bytes:
    chunk = viewer.recv(65_536)
    if not chunk:
        raise ConnectionError("the probe was closed")
    return chunk


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
