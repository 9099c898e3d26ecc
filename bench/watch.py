"""``python -m bench.watch PORT SESSION TOKEN COUNT``: one viewer that notes when messages come.

A blocking socket in a process of its own: the clock is read as soon as ``recv`` returns. Reports
``[[message id, CLOCK_MONOTONIC in ns], …]``. With COUNT 0 it watches until a message says `LAST`.
"""

import json
import sys
import time

from bench.child import READY, report
from bench.viewers import PING, connect, handshake, pong, split

LAST = "that is all"


def main(port: int, session_id: str, token: str, count: int) -> None:
    """Watch until ``count`` messages have come, or the last one."""
    (viewer,) = connect(port, [handshake(port, session_id, token)])
    viewer.settimeout(60)
    report(READY)
    seen: list[tuple[int, int]] = []
    received = bytearray()
    done = False
    while not done:
        chunk = viewer.recv(65_536)
        now = time.monotonic_ns()
        if not chunk:
            raise ConnectionError("the viewer was closed")
        received += chunk
        for first, payload in split(received):
            if first == PING:
                viewer.sendall(pong(payload))
            else:
                message = json.loads(payload)
                seen.append((message["position"], now))
                done = len(seen) == count or message["data"].get("content") == LAST
    report(seen)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
