"""Answers that wait for their readers: bounded in time for each connection, in bytes for all.

uvicorn and the transport hold an answer for as long as its reader stays connected, read or not.
"""

import asyncio
from typing import Final

FRESH_SECONDS: Final = 1.0
"""An answer that waits for less is not cut for want of room: how fast its reader is, is unknown."""


def due(began: float, seconds: float, done: int, rate: float) -> float:
    """When a transfer counts as stalled: a grace at its start, then an average rate.

    Args:
        began: when it started.
        seconds: the grace.
        done: bytes transferred until now.
        rate: bytes a second that earn more time.
    """
    return began + seconds + done / rate


class _Answer:
    """What one transport has to send."""

    __slots__ = ("began", "counted", "first", "timer")

    def __init__(self, began: float, size: int, timer: asyncio.TimerHandle) -> None:
        self.began = began
        self.first = self.counted = size
        self.timer = timer


class Unread:
    """The transports of a process whose peers are behind with reading. For the event loop only.

    Args:
        seconds: how long a peer may take to begin reading; see `due`.
        rate: bytes a second at which it is to read on.
        most_bytes: bytes that may wait in all; beyond, the slowest reader is cut.

    Attributes:
        cut: connections aborted.
    """

    def __init__(self, *, seconds: float, rate: float, most_bytes: int) -> None:
        self.cut = 0
        self._seconds = seconds
        self._rate = rate
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: dict[asyncio.Transport, _Answer] = {}

    def __len__(self) -> int:
        """How many transports are watched."""
        return len(self._answers)

    @property
    def bytes(self) -> int:
        """Bytes that wait, as last seen."""
        return self._bytes

    def watch(self, transport: asyncio.Transport) -> None:
        """Give the peer of a transport with unsent bytes a deadline; idempotent."""
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
        """The peer has read, or is gone."""
        answer = self._answers.pop(transport, None)
        if answer is not None:
            answer.timer.cancel()
            self._bytes -= answer.counted

    def _check(self, transport: asyncio.Transport) -> None:
        """Time is up, unless the peer earned more."""
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
        """Cut the slowest readers until what waits is within its bound again."""
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
