"""Viewers that come back with a position, and note which messages they get.

They run in an event loop, and read the positions out of the frames: what counts is which messages
came, in which order, and when.
"""

import asyncio
import re
import time
from typing import cast

from bench.viewers import PING, handshake, pong, split

_POSITION = re.compile(rb'^\{"type":"new_message","session_id":"[^"]*","position":(\d+),')


class ReturningViewer(asyncio.Protocol):
    """One viewer.

    Attributes:
        ids: of the messages it got, in the order they came.
        subscribed: the answer to its subscription, once it has come.
        caught_up_at: when it had everything up to ``target`` (CLOCK_MONOTONIC), or None.
        lost: set once the connection is gone.
    """

    def __init__(self, port: int, session_id: str, token: str, target: int | None = None) -> None:
        self.ids: list[int] = []
        self.subscribed = b""
        self.caught_up_at: float | None = None
        self.lost = asyncio.Event()
        self.refused = False
        self._request = handshake(port, session_id, token)
        self._target = target
        self._received = bytearray()
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._open:
            head, found, rest = bytes(self._received).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.refused = True
                self.close()
                return
            self._open = True
            self._received = bytearray(rest)
        for first, payload in split(self._received):
            self._take(first, payload)

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, first: int, payload: bytes) -> None:
        position = _POSITION.match(payload)
        if position:
            self.ids.append(int(position[1]))
            if self._target and self.ids[-1] >= self._target and self.caught_up_at is None:
                self.caught_up_at = time.monotonic()
        elif first == PING and self._transport is not None:
            self._transport.write(pong(payload))
        elif payload.startswith(b'{"type":"subscribed"'):
            self.subscribed = payload
