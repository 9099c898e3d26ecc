"""Limits on what one principal, and all principals together, use at a time."""

import asyncio
from collections import Counter
from weakref import WeakValueDictionary


class Quota:
    """Counts what is in use, per principal and in total. Not thread-safe.

    None as the principal counts towards the total only. It is for callers that are refused anyway,
    and for ``PARTYLINE_AUTH=off``, where all callers may have the same name.

    Attributes:
        total: in use, by all principals.
        refused: how often `acquire` returned False.

    Args:
        most_each: limit of one principal.
        most: limit of all principals together; None: no limit.
    """

    def __init__(self, most_each: int, most: int | None = None) -> None:
        self.total = 0
        self.refused = 0
        self.most_each = most_each
        self._most = most
        self._each: Counter[str] = Counter()

    def exceeds_own(self, principal: str | None, size: int = 1) -> bool:
        """Whether ``size`` more would exceed this principal's limit."""
        return principal is not None and self._each[principal] + size > self.most_each

    def exceeds_all(self, size: int = 1) -> bool:
        """Whether ``size`` more would exceed the limit of all together."""
        return self._most is not None and self.total + size > self._most

    def acquire(self, principal: str | None) -> bool:
        """Count one more in use; False, and count a refusal, if that would exceed a limit."""
        if self.exceeds_all() or self.exceeds_own(principal):
            self.refused += 1
            return False
        self.add(principal)
        return True

    def add(self, principal: str | None, size: int = 1) -> None:
        """Count ``size`` more in use without checking limits; a negative size releases."""
        self.total += size
        if principal is not None:
            self._each[principal] += size
            if not self._each[principal]:
                del self._each[principal]

    def release(self, principal: str | None) -> None:
        """Count one less in use."""
        self.add(principal, -1)


class ConcurrencyLimit:
    """Per-principal concurrency limit. Tasks beyond it wait, in order of arrival.

    Args:
        most_each: how many tasks of one principal run at once.
    """

    def __init__(self, most_each: int) -> None:
        self._most_each = most_each
        self._semaphores: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, principal: str) -> asyncio.Semaphore:
        """The principal's semaphore, for ``async with``.

        It exists as long as a task waits for it or holds it.
        """
        semaphore = self._semaphores.get(principal)
        if semaphore is None:
            semaphore = self._semaphores[principal] = asyncio.Semaphore(self._most_each)
        return semaphore
