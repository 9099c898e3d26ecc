"""Viewers of a measurement that lasts: pings are answered, and are no part of what is counted."""

import socket

from bench.stalled import LastingViewers
from bench.viewers import pong
from ws_node.rooms.framing import text_frame

FRAME = text_frame(b"x" * 300)
PING = b"\x89\x04abcd"


def test_pings_between_messages_are_answered_and_not_counted() -> None:
    server, client = socket.socketpair()
    viewers = LastingViewers([client], len(FRAME))
    try:
        pieces = [PING, FRAME + PING, FRAME[:7], FRAME[7:], FRAME * 2 + PING + FRAME + FRAME[:1]]
        for piece in [*pieces, FRAME[1:]]:
            server.sendall(piece)
            viewers.read(5)
        assert viewers.deliveries == viewers.slowest == 6
        assert server.recv(4_096) == 3 * pong(b"abcd")
        assert viewers.latencies([0] * 6, 0).total() == 6
    finally:
        viewers.close()
        server.close()


def test_a_byte_within_a_message_that_looks_like_a_ping_is_none() -> None:
    server, client = socket.socketpair()
    frame = text_frame(b"\x89" * 300)
    viewers = LastingViewers([client], len(frame))
    try:
        server.sendall(frame[:50])
        viewers.read(5)
        server.sendall(frame[50:])
        viewers.read(5)
        assert viewers.deliveries == 1
    finally:
        viewers.close()
        server.close()
