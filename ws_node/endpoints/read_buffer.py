"""Received bytes that are not parsed yet, and the limits on parsing them.

One read from a socket may return 256 KiB: that is 40,000 empty frames, which would block the event
loop for a third of a second. Viewers send little, so their frames are parsed in small pieces and at
a limited rate.
"""

from typing import Final

PIECE_BYTES: Final = 1_024
"""Most bytes parsed at once."""

FRAMES_PER_SECOND: Final = 100.0
FRAMES_AT_ONCE: Final = 200.0
"""The rate of frames of one connection, and its burst."""


class ReadBuffer:
    """The bytes of one connection that are not parsed yet. The caller gives the time."""

    __slots__ = ("_bytes", "_free_at")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._free_at = 0.0

    def __len__(self) -> int:
        """The number of bytes that wait."""
        return len(self._bytes)

    def add(self, data: bytes) -> None:
        """Add received bytes."""
        self._bytes += data

    def read(self) -> bytes:
        """Remove and return the next bytes to parse, at most `PIECE_BYTES`."""
        piece = bytes(self._bytes[:PIECE_BYTES])
        del self._bytes[:PIECE_BYTES]
        return piece

    def clear(self) -> None:
        """Drop all bytes."""
        self._bytes.clear()

    def delay(self, frames: int, now: float) -> float:
        """Count frames parsed at ``now``; returns the seconds until more may be parsed."""
        most_behind = now - FRAMES_AT_ONCE / FRAMES_PER_SECOND
        self._free_at = max(self._free_at, most_behind) + frames / FRAMES_PER_SECOND
        return max(0.0, self._free_at - now)
