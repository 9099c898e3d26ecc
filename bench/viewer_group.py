"""Many viewers of one session, read by one loop that only counts bytes.

All frames of a measurement have one size, so a viewer's byte count says which messages it has:
nothing is parsed while the clock runs.
"""

import select
import socket
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence

from bench.bridge import FRAME_BYTES

BUCKET_NS = 10_000


class Viewers:
    """Non-blocking sockets under one epoll; ``message_bytes`` is what each gets for a message."""

    def __init__(self, sockets: Sequence[socket.socket], message_bytes: int = FRAME_BYTES) -> None:
        self._message_bytes = message_bytes
        self._sockets = {each.fileno(): each for each in sockets}
        self._bytes = dict.fromkeys(self._sockets, 0)
        self._epoll = select.epoll()
        self._buffer = bytearray(1_048_576)
        self._view = memoryview(self._buffer)
        self._chunks = array("q")
        for number, each in self._sockets.items():
            each.setblocking(False)
            self._epoll.register(number, select.EPOLLIN)

    _useful: Callable[[int, memoryview], int] | None = None
    """How many of a viewer's bytes are those of messages; None: all."""

    def read(self, timeout: float) -> None:
        """Take what has come; wait for something for a while."""
        sockets, counts, buffer = self._sockets, self._bytes, self._buffer
        note, clock = self._chunks.extend, time.monotonic_ns
        useful, view = self._useful, self._view
        for number, _ in self._epoll.poll(timeout):
            size = sockets[number].recv_into(buffer)
            if not size:
                raise ConnectionError("a viewer was closed")
            now, before = clock(), counts[number]
            if useful is not None:
                size = useful(number, view[:size])
            counts[number] = before + size
            note((now, before, before + size))

    @property
    def count(self) -> int:
        """How many viewers."""
        return len(self._sockets)

    @property
    def slowest(self) -> int:
        """Messages that every viewer has."""
        return min(self._bytes.values()) // self._message_bytes

    @property
    def deliveries(self) -> int:
        """Messages received, all viewers together."""
        each = self._message_bytes  # not of the sum: a server's pings are bytes too
        return sum(received // each for received in self._bytes.values())

    def latencies(self, sent: Sequence[int], skip: int) -> Counter[int]:
        """How many deliveries took how long, in `BUCKET_NS`.

        Args:
            sent: when each message was sent.
            skip: the first messages, which only warm up.
        """
        found: Counter[int] = Counter()
        each = self._message_bytes
        chunks = iter(self._chunks)
        for now, before, after in zip(chunks, chunks, chunks, strict=True):
            first = max(skip, before // each)
            found.update(
                (now - sent[message]) // BUCKET_NS for message in range(first, after // each)
            )
        return found

    def close(self) -> None:
        """Close every socket."""
        self._epoll.close()
        for each in self._sockets.values():
            each.close()


def quantile_ms(found: Counter[int], share: float) -> float:
    """The latency below which that share of deliveries lies, in milliseconds."""
    left = share * found.total()
    for bucket in sorted(found):
        left -= found[bucket]
        if left <= 0:
            return (bucket + 1) * BUCKET_NS / 1e6
    raise ValueError("nothing was delivered")
