"""Items that wait to be sent, bounded by their bytes."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """Items in order, bounded by their bytes; a full one refuses the newest."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._items)

    def push(self, item: T, size: int) -> bool:
        """Add an item of so many bytes; False if there is no room for it."""
        if self._bytes + size > self._max_bytes:
            return False
        self._bytes += size
        self._items.append((size, item))
        return True

    def first(self) -> T:
        """The oldest; raises IndexError when empty."""
        return self._items[0][1]

    def pop(self) -> T:
        """Take the oldest out; raises IndexError when empty."""
        size, item = self._items.popleft()
        self._bytes -= size
        return item

    def clear(self) -> int:
        """Forget everything; how many that were."""
        count = len(self._items)
        self._items.clear()
        self._bytes = 0
        return count
