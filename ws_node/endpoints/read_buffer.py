"""What a viewer sends: so many bytes are parsed at a time, and so many frames a second.

One read from a socket holds 256 KiB, or 40,000 empty frames, which take a third of a second to
parse. Viewers send little: a pong now and then, and commands.
"""

from typing import Final

PIECE_BYTES: Final = 1_024
FRAMES_PER_SECOND: Final = 100.0
FRAMES_AT_ONCE: Final = 200.0


class ReadBuffer:
    """Bytes of one connection that are not parsed yet. No clock of its own."""

    __slots__ = ("_bytes", "_free_at")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._free_at = 0.0

    def __len__(self) -> int:
        """How many bytes wait."""
        return len(self._bytes)

    def add(self, data: bytes) -> None:
        """Bytes came."""
        self._bytes += data

    def read(self) -> bytes:
        """The next bytes to be parsed."""
        piece = bytes(self._bytes[:PIECE_BYTES])
        del self._bytes[:PIECE_BYTES]
        return piece

    def clear(self) -> None:
        """Nothing of it is needed any more."""
        self._bytes.clear()

    def delay(self, frames: int, now: float) -> float:
        """Seconds until more may be parsed, after so many frames at ``now``."""
        most_behind = now - FRAMES_AT_ONCE / FRAMES_PER_SECOND
        self._free_at = max(self._free_at, most_behind) + frames / FRAMES_PER_SECOND
        return max(0.0, self._free_at - now)
