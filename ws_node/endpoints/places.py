"""Places for viewers, and turns at the log: so many in this node, so many for one principal."""

import asyncio
from collections import Counter
from weakref import WeakValueDictionary


class Places:
    """Counts connections against their bounds.

    Attributes:
        taken: connections there are, those in their handshake or already closing included.
        full: connections turned away.

    Args:
        most: connections of this node.
        most_each: connections of one principal.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self.taken = 0
        self.full = 0
        self._most = most
        self._most_each = most_each
        self._each: Counter[str] = Counter()

    def take(self, principal: str | None) -> bool:
        """Take a place; False if there is none.

        Args:
            principal: who takes it; None for somebody who will be refused anyway.
        """
        if self.taken >= self._most or (
            principal is not None and self._each[principal] >= self._most_each
        ):
            self.full += 1
            return False
        self.taken += 1
        if principal is not None:
            self._each[principal] += 1
        return True

    def free(self, principal: str | None) -> None:
        """Give a place back."""
        self.taken -= 1
        if principal is not None:
            self._each[principal] -= 1
            if not self._each[principal]:
                del self._each[principal]


class Turns:
    """Turns at something of which one principal may have so many at once; the rest wait in line.

    Args:
        most_each: turns one principal has at once.
    """

    def __init__(self, most_each: int) -> None:
        self._most_each = most_each
        self._lines: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, principal: str) -> asyncio.Semaphore:
        """Where a principal waits, first come first served; for ``async with``.

        It is forgotten with the last who waits there or has a turn, however they leave.
        """
        line = self._lines.get(principal)
        if line is None:
            line = self._lines[principal] = asyncio.Semaphore(self._most_each)
        return line
