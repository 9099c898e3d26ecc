"""Raw WebSocket viewers: sockets with a handshake, whose frames are counted in bytes.

A WebSocket library per viewer would cost more than the server that is measured.
"""

import socket
from collections.abc import Iterator, Sequence

PING, PONG = 0x89, 0x8A
AT_ONCE = 100
"""Handshakes under way together while many viewers connect."""


def handshake(port: int, session_id: str, token: str | None) -> bytes:
    """The request that opens a viewer's WebSocket."""
    lines = [
        f"GET /ws/{session_id} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: cGFydHlsaW5lLWJlbmNoIQ==",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def connect(port: int, requests: Sequence[bytes]) -> list[socket.socket]:
    """Blocking sockets of viewers whose handshake is complete, `AT_ONCE` at a time."""
    opened: list[socket.socket] = []
    for start in range(0, len(requests), AT_ONCE):
        batch = []
        for request in requests[start : start + AT_ONCE]:
            viewer = socket.create_connection(("127.0.0.1", port), 10)
            viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            viewer.sendall(request)
            batch.append(viewer)
        for viewer in batch:
            _accepted(viewer)
        opened += batch
    return opened


def _accepted(viewer: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = viewer.recv(1)  # no more: what follows are frames
        if not chunk:
            raise ConnectionError(f"a viewer was refused: {received!r}")
        received += chunk
    if not received.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(f"a viewer was refused: {received!r}")


def split(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole frames out of what was received: first byte and payload of each."""
    while len(received) >= 2:
        size, start = received[1], 2
        if size == 126:
            size, start = int.from_bytes(received[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(received[2:10], "big"), 10
        if len(received) < start + size:
            return
        first, payload = received[0], bytes(received[start : start + size])
        del received[: start + size]
        yield first, payload


def pong(payload: bytes) -> bytes:
    """A client's answer to a ping (masked with zeros)."""
    return bytes((PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def answer_ping(viewer: socket.socket, received: bytes) -> None:
    """Answer the ping that an idle viewer received."""
    if received and received[0] == PING:
        viewer.sendall(pong(received[2 : 2 + received[1]]))
