"""mcp_node's side of the bus, to drive ws_node faster than any agent writes; as `bench.bridge`."""

import json
import socket
import time

from bench.bridge import BODY_BYTES, made_up
from bench.stand import SESSION
from proto.subjects import Subjects
from proto.wire import pack
from tests.nats_server import PASSWORDS

CONNECT = {"verbose": False, "pedantic": False, "lang": "bench", "version": "1"}


class BusBridge:
    """A TCP client of nats-server that publishes messages of one session.

    Attributes:
        sent: how many messages were sent; the last one's id.
    """

    def __init__(self, port: int, epoch: str) -> None:
        self.sent = 0
        self._epoch = epoch
        self._subject = Subjects("default").message(SESSION).encode()
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        who = {"user": "mcp_node", "pass": PASSWORDS["mcp_node"]}
        self._socket.sendall(b"CONNECT %b\r\n" % json.dumps(CONNECT | who).encode())

    def send(self) -> int:
        """Send the next message; when that was."""
        now = time.monotonic_ns()
        self._socket.sendall(self._lines(1))
        self.sent += 1
        return now

    def burst(self, count: int) -> None:
        """Send so many messages."""
        self._socket.sendall(self._lines(count))
        self.sent += count

    def close(self) -> None:
        """Close."""
        self._socket.close()

    def _lines(self, count: int) -> bytes:
        lines = []
        for id_ in range(self.sent + 1, self.sent + count + 1):
            payload = pack(made_up(SESSION, self._epoch, id_, id_ - 1, BODY_BYTES))
            lines.append(b"PUB %b %d\r\n%b\r\n" % (self._subject, len(payload), payload))
        return b"".join(lines)
