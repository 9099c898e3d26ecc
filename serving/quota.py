"""Limits on what one principal, and all of them together, have in use at once."""

import asyncio
from collections import Counter
from weakref import WeakValueDictionary


class Quota:
    """Counts what is in use, for each principal and for all. Used from the event loop alone.

    A principal of None is not limited by itself: it counts among all only. That is for whoever is
    refused anyway, and for ``PARTYLINE_AUTH=off``, where everybody may have the same name.

    Attributes:
        total: in use, by everybody.
        refused: how often `acquire` found too much in use.

    Args:
        most_each: most that one principal has in use.
        most: most that all have in use together; None for no limit.
    """

    def __init__(self, most_each: int, most: int | None = None) -> None:
        self.total = 0
        self.refused = 0
        self.most_each = most_each
        self._most = most
        self._each: Counter[str] = Counter()

    def exceeds_own(self, principal: str | None, size: int = 1) -> bool:
        """Whether ``size`` more would be too much for this principal."""
        return principal is not None and self._each[principal] + size > self.most_each

    def exceeds_all(self, size: int = 1) -> bool:
        """Whether ``size`` more would be too much for everybody together."""
        return self._most is not None and self.total + size > self._most

    def acquire(self, principal: str | None) -> bool:
        """Count one more in use; False, and counted as refused, if it exceeds a limit."""
        if self.exceeds_all() or self.exceeds_own(principal):
            self.refused += 1
            return False
        self.add(principal)
        return True

    def add(self, principal: str | None, size: int = 1) -> None:
        """Count ``size`` more in use, whatever the limits; negative when they are given back."""
        self.total += size
        if principal is not None:
            self._each[principal] += size
            if not self._each[principal]:
                del self._each[principal]

    def release(self, principal: str | None) -> None:
        """Count one less in use."""
        self.add(principal, -1)


class ConcurrencyLimit:
    """Per-principal concurrency limit: whoever exceeds it waits, first come first served.

    Args:
        most_each: how many of one principal run at once.
    """

    def __init__(self, most_each: int) -> None:
        self._most_each = most_each
        self._semaphores: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, principal: str) -> asyncio.Semaphore:
        """The principal's semaphore, for ``async with``.

        It is dropped with the last task that waits for it or holds it, however that ends.
        """
        semaphore = self._semaphores.get(principal)
        if semaphore is None:
            semaphore = self._semaphores[principal] = asyncio.Semaphore(self._most_each)
        return semaphore
