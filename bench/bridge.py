"""mcp_node's side of the ZeroMQ bridge, to drive ws_node faster than any agent writes.

``python -m bench.bridge ENDPOINT EPOCH COUNT RATE`` sends at a steady rate from a process of its
own and reports when each message was handed to ZeroMQ (CLOCK_MONOTONIC in ns). Messages continue
the chain of the bench's session, whose log stays empty, from id 1.
"""

import sys
import time

import zmq

from bench.child import READY, report
from bench.stand import SESSION
from proto.messages import Visibility
from proto.wire import Event, encode

BODY_BYTES = 256
FRAME_BYTES = BODY_BYTES + 4
"""What a viewer gets for each message: the body and its WebSocket header."""


class Bridge:
    """A connected PUSH socket.

    Attributes:
        sent: how many messages were sent; the last one's id.
    """

    def __init__(self, endpoint: str, epoch: str) -> None:
        self.sent = 0
        self._epoch = epoch
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.connect(endpoint)

    def send(self, flags: int = 0) -> int:
        """Send the next message; when that was. With NOBLOCK, raises zmq.Again if it cannot be."""
        id_ = self.sent + 1
        body = b'{"type":"new_message","session_id":"%s","position":%d,"data":"' % (
            SESSION.encode(),
            id_,
        )
        body = body.ljust(BODY_BYTES - 2, b".") + b'"}'
        now = time.monotonic_ns()
        event = Event(
            SESSION, self._epoch, id_, id_ - 1, Visibility.PUBLIC, "agent", "bench", now, body
        )
        self._socket.send_multipart(encode(event), flags)
        self.sent = id_
        return now

    def close(self) -> None:
        """Close, once what was sent is on its way."""
        self._socket.close()
        self._context.term()


def main(endpoint: str, epoch: str, count: int, rate: float) -> None:
    """Send ``count`` messages at a steady rate."""
    bridge = Bridge(endpoint, epoch)
    report(READY)
    start = time.monotonic()
    times = []
    for number in range(count):
        if (early := start + number / rate - time.monotonic()) > 0:
            time.sleep(early)
        times.append(bridge.send())
    report(times)
    bridge.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
