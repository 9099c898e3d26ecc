"""What the node asks of a bridge, and the bounded backlog both bridges hold."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from proto.messages import Message

T = TypeVar("T")


class Publisher(Protocol):
    """A bridge out. ``publish`` never blocks and never raises: what cannot leave is dropped.

    Dropping loses nothing: the log is the truth, and ws_node reads from it what it missed.
    """

    @property
    def published(self) -> int:
        """Messages handed to the bridge."""

    @property
    def dropped(self) -> int:
        """Messages that were not, because the other side is away or too slow."""

    @property
    def connected(self) -> bool:
        """Whether the other side was there when last heard of."""

    @property
    def waiting(self) -> int:
        """Messages held until the bridge takes more."""

    async def start(self) -> None:
        """Open the bridge; the other side need not be there."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order, without waiting."""

    async def close(self) -> None:
        """Give what is waiting a short time to leave, then close."""


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
