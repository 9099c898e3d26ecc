"""mcp_node's side of the ZeroMQ bridge, to drive ws_node faster than any agent writes.

Messages continue the chain of each of the bench's sessions, whose logs stay empty, from id 1.
"""

import time
from contextlib import suppress

import zmq

from bench.measured_pair import SESSION
from proto.messages import Visibility
from proto.wire import Event, encode

BODY_BYTES = 256
FRAME_BYTES = BODY_BYTES + 4
"""What a viewer gets for each message: the body and its WebSocket header."""


def made_up(session_id: str, epoch: str, id_: int, prev: int, body_bytes: int) -> Event:
    """A message of the log as it crosses, with a body of that size."""
    body = b'{"type":"new_message","session_id":"%s","position":%d,"data":"' % (
        session_id.encode(),
        id_,
    )
    body = body.ljust(body_bytes - 2, b".") + b'"}'
    now = time.monotonic_ns()
    return Event(session_id, epoch, id_, prev, Visibility.PUBLIC, "agent", "bench", now, body)


class Bridge:
    """A connected PUSH socket.

    Args:
        endpoint: ws_node's.
        epoch: of the log.
        body_bytes: size of every message; a viewer gets 4 bytes more.

    Attributes:
        sent: how many messages were sent; the last one's id.
    """

    def __init__(self, endpoint: str, epoch: str, body_bytes: int = BODY_BYTES) -> None:
        self.sent = 0
        self._body_bytes = body_bytes
        self._epoch = epoch
        self._last: dict[str, int] = {}
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.connect(endpoint)

    def send(self, flags: int = 0, session_id: str = SESSION) -> int:
        """Send the next message; when that was. With NOBLOCK, raises zmq.Again if it cannot be."""
        id_ = self.sent + 1
        prev = self._last.get(session_id, 0)
        event = made_up(session_id, self._epoch, id_, prev, self._body_bytes)
        self._socket.send_multipart(encode(event), flags)
        self.sent = self._last[session_id] = id_
        return event.published_ns

    def burst(self, count: int) -> None:
        """Send up to so many messages, as long as ZeroMQ takes them."""
        with suppress(zmq.Again):
            for _ in range(count):
                self.send(zmq.NOBLOCK)

    def close(self) -> None:
        """Close, once what was sent is on its way."""
        self._socket.close()
        self._context.term()
