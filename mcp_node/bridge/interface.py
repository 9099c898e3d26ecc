"""The interface of a bridge, and the bounded backlog that those over ZeroMQ and HTTP use."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from proto.messages import Message

T = TypeVar("T")


class Publisher(Protocol):
    """Sends messages to ws_node. ``publish`` never blocks or raises; it drops what it cannot send.

    A dropped message is not lost: ws_node notices the gap and reads it from the log.
    """

    @property
    def published(self) -> int:
        """Messages handed to the bridge."""

    @property
    def dropped(self) -> int:
        """Messages dropped because ws_node is away or too slow."""

    @property
    def connected(self) -> bool:
        """Whether ws_node was reachable at the last attempt."""

    @property
    def waiting(self) -> int:
        """Messages in the backlog."""

    async def start(self) -> None:
        """Start the bridge. ws_node need not be running."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in order, without waiting."""

    async def close(self) -> None:
        """Close the bridge. Messages in the backlog are dropped."""


class Backlog(Generic[T]):
    """A FIFO queue bounded by the total size of its items. When full, it refuses new items."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        """Number of items."""
        return len(self._items)

    def push(self, item: T, size: int) -> bool:
        """Add an item of ``size`` bytes; return False if there is no room for it."""
        if self._bytes + size > self._max_bytes:
            return False
        self._bytes += size
        self._items.append((size, item))
        return True

    def first(self) -> T:
        """The oldest item; raises IndexError when empty."""
        return self._items[0][1]

    def pop(self) -> T:
        """Remove and return the oldest item; raises IndexError when empty."""
        size, item = self._items.popleft()
        self._bytes -= size
        return item

    def clear(self) -> int:
        """Remove all items; return how many there were."""
        count = len(self._items)
        self._items.clear()
        self._bytes = 0
        return count
