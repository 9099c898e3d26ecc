"""One viewer that stops reading, and those around it, who stay for longer than a ping takes."""

import socket
from collections import Counter
from contextlib import suppress

from bench.viewer_group import Viewers
from bench.viewers import PING, pong, split

RECEIVE_BYTES = 32_768
SEGMENT_BYTES = 1_460
"""Ethernet's."""

CLOSE = 0x88


class LastingViewers(Viewers):
    """Viewers that answer pings, and do not count them."""

    def _useful(self, number: int, chunk: memoryview) -> int:
        each, size = self._message_bytes, len(chunk)
        useful, start = size, -self._bytes[number] % each
        while start < size:  # the beginning of a frame
            if chunk[start] != PING:
                start += each
                continue
            end = start + 2 + chunk[start + 1]
            if end > size:
                raise ValueError("a ping came in pieces")
            self._sockets[number].sendall(pong(bytes(chunk[start + 2 : end])))
            useful -= end - start
            start = end
        return useful


class SmallViewer:
    """One WebSocket with small buffers.

    Both sizes are set before it connects: later, the window has been promised, and with loopback's
    segments of 64 KiB the server's kernel would take megabytes.

    Args:
        port: of ws_node.
        request: the handshake.

    Attributes:
        messages: text frames received so far, by their size.
        code: of the close frame, once that has come; 0 before.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self.messages: Counter[int] = Counter()
        self.code = 0
        self._socket = socket.socket()
        self._socket.settimeout(10)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(request)
        self._received = bytearray()
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"the viewer was refused: {head!r}")

    def take(self) -> None:
        """Read what is there, without waiting."""
        self._socket.settimeout(0)
        with suppress(BlockingIOError):
            while not self.code:
                self._receive()
                self._sort()

    def read_on(self, within: float) -> None:
        """Read until it is closed.

        Args:
            within: seconds that may pass between two pieces.

        Raises:
            TimeoutError: nothing more came.
        """
        self._socket.settimeout(within)
        while not self.code:
            self._receive()
            self._sort()

    def _receive(self) -> None:
        chunk = self._socket.recv(1_048_576)
        if not chunk:
            raise ConnectionError("the viewer's connection ended without a close frame")
        self._received += chunk

    def _sort(self) -> None:
        for first, payload in split(self._received):
            if first == CLOSE:
                self.code = int.from_bytes(payload[:2], "big")
            else:
                self.messages[len(payload)] += 1

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
