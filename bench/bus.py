"""mcp_node's side of the bus, to drive ws_node faster than any agent writes; as `bench.bridge`."""

import json
import socket
import time
from collections.abc import Sequence

from bench.bridge import BODY_BYTES, made_up
from bench.measured_pair import SESSION
from proto.subjects import Subjects
from proto.wire import pack
from tests.nats_server import PASSWORDS

CONNECT = {"verbose": False, "pedantic": False, "lang": "bench", "version": "1"}


class BusBridge:
    """A TCP client of nats-server that publishes messages, of one session unless said otherwise.

    Args:
        port: of nats-server.
        epoch: of the log.
        sent: how many messages of the session another publisher has sent before.

    Attributes:
        sent: how many messages were sent; the last one's id.
    """

    def __init__(self, port: int, epoch: str, sent: int = 0) -> None:
        self.sent = sent
        self._epoch = epoch
        self._subjects = Subjects("default")
        self._last = {SESSION: sent}
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        who = {"user": "mcp_node", "pass": PASSWORDS["mcp_node"]}
        self._socket.sendall(b"CONNECT %b\r\n" % json.dumps(CONNECT | who).encode())

    def send(self) -> int:
        """Send the next message; when that was."""
        now = time.monotonic_ns()
        self.send_each((SESSION,))
        return now

    def burst(self, count: int) -> None:
        """Send so many messages."""
        self.send_each((SESSION,) * count)

    def send_each(self, sessions: Sequence[str]) -> None:
        """Send a message of each session."""
        lines = []
        for session in sessions:
            self.sent += 1
            event = made_up(session, self._epoch, self.sent, self._last.get(session, 0), BODY_BYTES)
            self._last[session] = self.sent
            payload = pack(event)
            subject = self._subjects.message(session).encode()
            lines.append(b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload))
        self._socket.sendall(b"".join(lines))

    def close(self) -> None:
        """Close."""
        self._socket.close()
