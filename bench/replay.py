"""``python -m bench.replay PORT SESSION TOKEN COUNT``: one viewer that reads a session from 0.

A process of its own. Reports how many messages came, whether each came after the one before, and
how long that took: ``[count, ordered, seconds]``.
"""

import re
import sys
import time

from bench.child import READY, report
from bench.viewers import PING, connect, handshake, pong, split

_POSITION = re.compile(rb'"position":(\d+),')


def main(port: int, session_id: str, token: str, count: int) -> None:
    """Replay until ``count`` messages have come."""
    report(READY)
    begin = time.monotonic()
    (viewer,) = connect(port, [handshake(port, f"{session_id}?since=0", token)])
    viewer.settimeout(60)
    seen, last, ordered = 0, 0, True
    received = bytearray()
    while seen < count:
        chunk = viewer.recv(262_144)
        if not chunk:
            raise ConnectionError("the viewer was closed")
        received += chunk
        for first, payload in split(received):
            found = _POSITION.search(payload, 0, 200)
            if first == PING:
                viewer.sendall(pong(payload))
            elif b'"new_message"' in payload[:30] and found:
                position = int(found[1])
                ordered = ordered and position > last
                seen, last = seen + 1, position
    report([seen, ordered, time.monotonic() - begin])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
