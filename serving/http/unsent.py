"""Unsent responses: bounded in time per connection, and in bytes for all connections.

Otherwise uvicorn and the transport would hold a response until its peer reads it or disconnects.
"""

import asyncio
from typing import Final

FRESH_SECONDS: Final = 1.0
"""Younger responses are not cut to free memory: the speed of their peer is not known yet."""


def due(began: float, seconds: float, done: int, rate: float) -> float:
    """The deadline of a transfer: a grace period, extended by each byte at an average rate.

    Args:
        began: when it began.
        seconds: the grace period.
        done: bytes transferred so far.
        rate: bytes per second that the transfer must reach.
    """
    return began + seconds + done / rate


class _Answer:
    """The unsent bytes of one transport."""

    __slots__ = ("began", "counted", "first", "timer")

    def __init__(self, began: float, size: int, timer: asyncio.TimerHandle) -> None:
        self.began = began
        self.first = self.counted = size
        self.timer = timer


class Unsent:
    """The transports of a process with unsent bytes. Not thread-safe.

    Args:
        seconds: how long a peer may take to begin reading; see `due`.
        rate: bytes per second at which it must read on.
        most_bytes: limit of the unsent bytes of all; beyond it the slowest peer is disconnected.

    Attributes:
        cut: number of aborted connections.
    """

    def __init__(self, *, seconds: float, rate: float, most_bytes: int) -> None:
        self.cut = 0
        self._seconds = seconds
        self._rate = rate
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: dict[asyncio.Transport, _Answer] = {}

    def __len__(self) -> int:
        """Number of transports with unsent bytes."""
        return len(self._answers)

    @property
    def bytes(self) -> int:
        """Unsent bytes, as last counted."""
        return self._bytes

    def watch(self, transport: asyncio.Transport) -> None:
        """Start the deadline of a transport with unsent bytes; idempotent."""
        size = transport.get_write_buffer_size()
        if not size or transport in self._answers:
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._seconds, self._check, transport)
        self._answers[transport] = _Answer(loop.time(), size, timer)
        self._bytes += size
        if self._bytes > self._most_bytes:
            self._make_room(loop.time())

    def forget(self, transport: asyncio.Transport) -> None:
        """Stop watching: the peer has read everything, or is disconnected."""
        answer = self._answers.pop(transport, None)
        if answer is not None:
            answer.timer.cancel()
            self._bytes -= answer.counted

    def _check(self, transport: asyncio.Transport) -> None:
        """At the deadline: abort, unless the peer has read enough to extend it."""
        answer, loop = self._answers[transport], asyncio.get_running_loop()
        size = self._count(transport, answer)
        moment = due(answer.began, self._seconds, answer.first - size, self._rate)
        if not size:
            self.forget(transport)
        elif moment <= loop.time():
            self._abort(transport)
        else:
            answer.timer = loop.call_at(moment, self._check, transport)

    def _make_room(self, now: float) -> None:
        """Abort the slowest transports until the unsent bytes are within their limit."""
        pace: list[tuple[float, int, asyncio.Transport]] = []
        for number, (transport, answer) in enumerate(self._answers.items()):
            size, age = self._count(transport, answer), now - answer.began
            if age >= FRESH_SECONDS:
                pace.append(((answer.first - size) / age, number, transport))
        for _, _, transport in sorted(pace, key=lambda each: each[:2]):
            if self._bytes <= self._most_bytes:
                return
            self._abort(transport)

    def _count(self, transport: asyncio.Transport, answer: _Answer) -> int:
        """The unsent bytes now."""
        size = transport.get_write_buffer_size()
        self._bytes += size - answer.counted
        answer.counted = size
        return size

    def _abort(self, transport: asyncio.Transport) -> None:
        self.forget(transport)
        self.cut += 1
        transport.abort()
